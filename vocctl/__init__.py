"""vocctl: train, attack and compare vision models on PASCAL VOC. `vocctl --help` lists the commands."""

__version__ = "0.1.0"
