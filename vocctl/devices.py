"""Which device and which precision: asked for by name, or the best that is there."""

import contextlib
import ctypes
import os
import sys

import torch

from vocctl.distributed import local_rank, local_world_size, world_size
from vocctl.errors import ConfigError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """auto: cuda, then mps, then cpu. Of several processes on GPUs each takes its own.

    Raises ConfigError: a name torch does not know, a device that is not there, or another process's.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return _own_gpu(torch.device("cuda"))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is auto, cpu, cuda, cuda:N or mps; got {name!r}") from error
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise ConfigError(f"device {name} is not on this machine: take --device auto or cpu")
    return _own_gpu(device) if device.type == "cuda" else device


def _own_gpu(device: torch.device) -> torch.device:
    """Of several processes on a machine the one with this process's number, which Accelerate goes by too."""
    if world_size() == 1:
        return device
    own, there = local_rank(), torch.cuda.device_count()
    if own >= there:
        raise ConfigError(
            f"{local_world_size()} processes on a machine with {there} GPUs, and each takes one: lower --nproc-per-node"
        )
    if device.index not in (None, own):
        raise ConfigError(
            f"device {device} is for one process alone: of {world_size()} each takes its own with --device cuda"
        )
    return torch.device("cuda", own)


def pick_precision(name: str, device: torch.device) -> str:
    """fp32, bf16 or fp16. auto: bf16 where it is the faster one, else fp32. Raises ConfigError: fp16 on a CPU."""
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        return "bf16" if device.type == "cpu" and _cpu_is_faster_in_bf16() else "fp32"
    if name == "fp16" and device.type == "cpu":
        raise ConfigError("fp16 is for GPUs: on a CPU take --precision bf16 or fp32")
    return name


def _cpu_is_faster_in_bf16() -> bool:
    """AMX, or AVX-512's bf16 dot products, but not Intel's: there a 3x3 convolution takes 1.7 times as long as in fp32."""
    cpu = torch.cpu.get_capabilities()
    return cpu.get("amx_bf16", False) or (cpu.get("avx512_bf16", False) and "Intel" not in cpu.get("cpu_name", ""))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """What the forward pass runs in."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On the device; on CUDA without waiting for it. Elsewhere the copy could read memory that is free again."""
    return tensor.to(device, non_blocking=device.type == "cuda")


def to_pixels(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """(B, 3, H, W) uint8 to float32 in [0, 1] on the device, channels last."""
    return to_device(images, device).to(torch.float32, memory_format=torch.channels_last).div_(255)


def device_name(device: torch.device) -> str:
    """The GPU's name, or how many CPU threads torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def memory_of(name: str) -> str:
    """How much memory the device that pick_device finds has, and how much of it is free, in words."""
    device = pick_device(name)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{device_name(device)} ({total >> 20:,} MB, {free >> 20:,} free)"
    if not {"SC_PHYS_PAGES", "SC_AVPHYS_PAGES", "SC_PAGE_SIZE"} <= getattr(os, "sysconf_names", {}).keys():
        return device.type
    free, total = (os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
    return f"the {device.type} ({total >> 20:,} MB, {free >> 20:,} free)"


def disable_malloc_trim() -> None:
    """Tell glibc to keep what is freed instead of giving it back to the system; elsewhere nothing happens.

    A training step on a CPU frees and takes the same large blocks again; each time the system would hand them out zeroed,
    page by page. Measured: 10.4 images/s without, 13.7 with (lite0 U-Net, 224 px, batch 8, two cores).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block is mapped on its own
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap is not cut back
