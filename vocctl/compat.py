"""Makes `import torchvision` work beside a torch build that its compiled operators don't fit.

The torchvision wheel of the package index is linked against CUDA; beside a CPU-only torch its operators don't load, and
registering the fake kernels of `nms` then fails for the missing schema. timm, segmentation-models-pytorch
and torchmetrics import torchvision, though none of what vocctl uses of them needs its operators.
Call `declare_missing_ops` before any of them is imported. Seen with torchvision 0.28.0 and torch 2.13.0+cpu.
"""

import importlib.util
from functools import cache
from pathlib import Path

import torch

WITH_FAKE = ("nms", "qnms")  # what torchvision/_meta_registrations.py passes to register_fake
_kept: list[torch.library.Library] = []  # a Library takes its definitions away when it is freed


@cache
def declare_missing_ops() -> bool:
    """Declare the operators that torchvision registers a fake for and can't bring itself. True if any was missing.

    Calling one of them then still raises; only the import is mended.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for compiled in (*Path(spec.origin).parent.glob("_C*.so"), *Path(spec.origin).parent.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            continue
    for name in WITH_FAKE:
        try:
            torch._C._dispatch_find_schema_or_throw(f"torchvision::{name}", "")
        except RuntimeError:
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _kept.append(library)
    return bool(_kept)
