"""Makes `import torchvision` work with a torch build that torchvision's compiled operators do not fit.

The torchvision wheel on the package index is linked against CUDA. With a CPU-only torch its operators cannot be loaded,
and registering the fake kernel of `nms` fails because its schema is missing. timm, segmentation-models-pytorch and
torchmetrics import torchvision; nothing that vocctl uses of them needs the operators.
Call `declare_missing_ops` before any of them is imported. Observed with torchvision 0.28.0 and torch 2.13.0+cpu.
"""

import importlib.util
from functools import cache
from pathlib import Path

import torch

FAKE_KERNELS = ("nms", "qnms")  # operators that torchvision/_meta_registrations.py passes to register_fake
_libraries: list[torch.library.Library] = []  # a Library removes its definitions when it is garbage collected


@cache
def declare_missing_ops() -> bool:
    """Declare the operators whose fake kernels torchvision registers, if torchvision cannot load them.

    Returns whether one was missing. Calling a declared operator still raises an error; only the import is fixed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for compiled in (*Path(spec.origin).parent.glob("_C*.so"), *Path(spec.origin).parent.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            continue
    for name in FAKE_KERNELS:
        try:
            torch._C._dispatch_find_schema_or_throw(f"torchvision::{name}", "")
        except RuntimeError:
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _libraries.append(library)
    return bool(_libraries)
