"""Checks of the paths that the user named, made before torch is imported, which takes seconds.

The functions import what they need, because help and shell completion do not wait for numpy.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from vocctl.config import TrainAdvConfig, TrainingConfig
from vocctl.errors import DataError


def check_runs(names: Iterable[str], command: str | None = None) -> None:
    """Raise DataError if one of the runs is not found. command: that trained them; None: any."""
    from vocctl.runs.find import find_run, open_run

    for name in names:
        open_run(name) if command is None else find_run(name, command)


def check_data(path: Path | None) -> None:
    """Raise DataError if a data set is named and there is none."""
    if path is not None:
        from vocctl.data.source import open_dataset

        open_dataset(path)


def check_files(flag: str, *paths: Path | None) -> None:
    """Raise DataError for a path that is not a file. None: the flag was not used."""
    for path in paths:
        if path is not None and not path.is_file():
            raise DataError(f"{path} is not a file: fix {flag}")


def check_folder(flag: str, path: Path | None) -> None:
    """Raise DataError for a path that is not a folder. None: the flag was not used."""
    if path is not None and not path.is_dir():
        raise DataError(f"{path} is not a folder: fix {flag}")


def check_images(paths: Sequence[Path]) -> None:
    """Raise DataError for a path that does not exist."""
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} is neither an image nor a folder: fix its name")


def check_weights_file(path: Path) -> None:
    """Raise DataError for a path that is not a file."""
    if path.is_dir():
        raise DataError(f"{path} is a folder: name the .safetensors or .pth file in it")
    if not path.is_file():
        raise DataError(f"{path} is missing: --weights takes auto, none, or a .safetensors or .pth file")


def check_new_run(config: TrainingConfig, default: TrainingConfig) -> None:
    """Raise DataError if the data, the weights or the runs to attack are missing."""
    if config.data.path != default.data.path:
        check_data(Path(config.data.path))
    weights = config.generator.weights if isinstance(config, TrainAdvConfig) else config.model.weights
    if weights not in ("auto", "none"):
        check_weights_file(Path(weights))
    if isinstance(config, TrainAdvConfig):
        check_runs(config.attack_loss.target)


def check_resumed_run(name: str, default: TrainingConfig, command: str, data: Path | None) -> None:
    """Raise DataError if the run to resume or its data is not found. data: where its data is now; None: where it was."""
    from vocctl.runs.find import find_run

    run = find_run(name, command)
    config = run.config(default)
    if data is None:
        run.check_data_folder(config.data.path)
    check_data(data)
