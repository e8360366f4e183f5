"""Weights files: safetensors, written atomically, loaded without running anything."""

import os
import shutil
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from vocctl.errors import DataError, RunError

if TYPE_CHECKING:
    from torch import Tensor, nn


def weights_metadata(step: int, epoch: int) -> dict[str, str]:
    """Return what a weights file records about itself."""
    return {"vocctl": version("vocctl"), "torch": version("torch"), "step": str(step), "epoch": str(epoch)}


def write_tensors(path: Path, tensors: "dict[str, Tensor]", metadata: dict[str, str], *, run: Path) -> None:
    """Write a safetensors file of the run atomically. Raises RunError: no space, or the folder is missing or read-only.

    safetensors writes to a temporary file of its own, with a random name, and leaves it behind if it is killed. So it gets a
    temporary folder, and the folders of earlier kills are removed first.
    """
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    copies = {name: _cpu_copy(tensor) for name, tensor in tensors.items()}
    try:
        for leftover in path.parent.glob("*.safetensors.part"):
            shutil.rmtree(leftover)
        part.mkdir()
        save_file(copies, part / path.name, metadata=metadata)
        (part / path.name).chmod(part.stat().st_mode & 0o666)
        with (part / path.name).open("rb+") as file:
            os.fsync(file)  # after a power loss the name stands for this file or for the one before, both complete
        (part / path.name).replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(f"{path} cannot be written: {reason}; free space, then resume with --resume {run}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_weights(path: Path, model: "nn.Module", *, run: Path) -> None:
    """Load a weights file of the run into model. Raises DataError: missing, corrupt, or another model's."""
    from safetensors.torch import load_file

    if not path.is_file():
        raise DataError(f"{path} is missing: the run has not come that far, resume it with --resume {run}")
    try:
        tensors = load_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from error
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"{path} is corrupt: {_reason_line(error, 1)}; train the run again") from error
    if invalid := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise DataError(f"{path} has NaN or infinite values in {invalid[0]}: train the run again, with a lower --lr")
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:  # its first line names the class only
        raise DataError(
            f"{path} does not fit the run's model: {_reason_line(error, 2)}; train the run again"
        ) from error


def _reason_line(error: Exception, number: int) -> str:
    """This line of the error's text, counted from 1, or its last one; shortened."""
    lines = str(error).splitlines()[:number] or [type(error).__name__]
    return shorten(lines[-1], 150, placeholder=" ...")


def _cpu_copy(tensor: "Tensor") -> "Tensor":
    """A contiguous tensor on the CPU that shares no memory with the original."""
    copy = tensor.detach().cpu().contiguous()
    return copy.clone() if copy.data_ptr() == tensor.data_ptr() else copy
