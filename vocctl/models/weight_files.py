"""Read a weights file that other programs wrote: safetensors, or torch's .pth. Nothing in it is executed or unpickled but
tensors.
"""

import re
import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from vocctl.errors import DataError

# where training programs keep the weights beside their own state, averaged weights first
STATE_KEYS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "params_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "teacher",
    "student",
    "backbone",
)
MAX_NESTING = 4  # of tables with such keys
OUTER_WRAPPERS = ("module.", "_orig_mod.", "_forward_module.")  # DistributedDataParallel, torch.compile, Fabric
INNER_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")  # around layers inside a model
SHORT = 512  # bytes at the start of a file that tell what it is


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors by name, without the prefixes of wrappers such as module. and _orig_mod.

    Raises DataError: missing, not a weights file, corrupt, or with values that are not plain tensors.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder: name the .safetensors or .pth file in it")
    if not path.is_file():
        raise DataError(f"{path} is missing: --weights takes auto, none, or a .safetensors or .pth file")
    try:
        with path.open("rb") as file:
            start = file.read(SHORT)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    _check_start(path, start)
    content = _load(path, is_safetensors=start[8:9] == b"{")
    tensors = {_without_wrappers(name): tensor for name, tensor in _tensors_in(content, path).items()}
    if not tensors:
        raise DataError(f"{path} has other values than tensors by name: save its state_dict as .safetensors")
    if strange := [name for name, tensor in tensors.items() if not _is_plain(tensor)]:
        raise DataError(f"{path} has sparse, quantized or empty tensors ({strange[0]}): save it with plain ones")
    return {name: tensor.float() if tensor.dtype.itemsize == 1 and tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()}  # fmt: skip


def _check_start(path: Path, start: bytes) -> None:
    """Raise DataError for a file whose first bytes show that it is something else than weights."""
    if not start:
        raise DataError(f"{path} is empty: download or copy it again")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise DataError(f"{path} is a web page, not weights: download the file itself, not the page about it")
    if start.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a Git LFS pointer, not weights: `git lfs pull` downloads the file itself")


def _load(path: Path, *, is_safetensors: bool) -> Any:
    """What the file holds, by its content: names often end in the wrong suffix. Raises DataError."""
    if zipfile.is_zipfile(path) and _is_torchscript(path):
        raise DataError(f"{path} is a TorchScript program, which is not run: save the model's state_dict instead")
    try:
        if is_safetensors:
            return load_file(path)
        with path.open("rb") as file, warnings.catch_warnings():  # given a path, torch looks at its suffix
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|class) ([\w.]+)", str(error))
        if found is None or not found[1].strip("."):
            raise _no_weights(path) from error
        raise DataError(
            f"{path} holds Python objects ({found[1][:80]}), which are not unpickled: save its state_dict as .safetensors"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # torch's reader raises IndexError, struct.error and many more for a corrupt file
        raise _no_weights(path) from error


def _no_weights(path: Path) -> DataError:
    return DataError(
        f"{path} has no plain tensors: it is corrupt, incomplete, or not a .safetensors or .pth file; download or copy it "
        "again, or save the state_dict as .safetensors"
    )


def _is_torchscript(path: Path) -> bool:
    """Whether a zip archive has the constants that torch.jit.save writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def _tensors_in(content: Any, path: Path, depth: int = MAX_NESTING) -> dict[str, Tensor]:
    """The tensors by name in what a file holds, or in the table of it that holds the weights; empty: there are none.

    That is the first of STATE_KEYS, or else the only large table under another name. Raises DataError: several are large.
    """
    if not isinstance(content, dict) or depth == 0:
        return {}
    for key in STATE_KEYS:
        if tensors := _tensors_in(content.get(key), path, depth - 1):
            return tensors
    tables = {str(key): _named_tensors(value) for key, value in content.items() if isinstance(value, dict)}
    own, largest = _named_tensors(content), max(tables.values(), key=len, default={})
    if len(own) >= len(largest):
        return own
    if len(large := [key for key, table in tables.items() if 2 * len(table) > len(largest)]) > 1:
        raise DataError(f"{path} has several tables of weights ({', '.join(large)[:80]}): save one as .safetensors")
    return largest


def _named_tensors(content: dict[Any, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _without_wrappers(name: str) -> str:
    while name.startswith(OUTER_WRAPPERS):
        name = name.partition(".")[2]
    for wrapper in INNER_WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_meta
