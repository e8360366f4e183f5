"""Choose the device and the precision: by name, or the best available."""

import contextlib
import ctypes
import os
import sys
from dataclasses import dataclass

import torch

from vocctl.distributed import init_process_group, local_rank, local_world_size, world_size
from vocctl.errors import ConfigError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class DeviceSetup:
    """Where a process computes. precision: fp32, bf16 or fp16."""

    device: torch.device
    precision: str


def device_setup(device: str, precision: str, *, auto_fp16: bool = True) -> DeviceSetup:
    """Choose device and precision and join the other processes of a distributed run.

    auto_fp16: whether "auto" may choose fp16. Raises ConfigError: a device or a precision that this machine does not have.
    """
    chosen = pick_device(device)
    init_process_group(chosen)
    return DeviceSetup(chosen, pick_precision(precision, chosen, auto_fp16=auto_fp16))


def loader_workers(workers: int, device: torch.device) -> int:
    """Number of data-loading processes: workers, or if it is -1 none on a CPU and up to 8 beside a GPU."""
    if workers >= 0:
        return workers
    return 0 if device.type == "cpu" else min(8, max((os.cpu_count() or 1) // local_world_size(), 1))


def pick_device(name: str) -> torch.device:
    """Return the named device; "auto" is cuda, then mps, then cpu. In a distributed run each process gets its own GPU.

    Raises ConfigError: an unknown name, a device that is not on this machine, or another process's GPU.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return _own_gpu(torch.device("cuda"))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device is auto, cpu, cuda, cuda:N or mps; got {name!r}") from error
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise ConfigError(f"device {name} is not on this machine: use --device auto or cpu")
    return _own_gpu(device) if device.type == "cuda" else device


def _own_gpu(device: torch.device) -> torch.device:
    """Return the GPU whose index is this process's local rank, which is the one that Accelerate uses too."""
    if world_size() == 1:
        return device
    own, count = local_rank(), torch.cuda.device_count()
    if own >= count:
        raise ConfigError(
            f"{local_world_size()} processes on a machine with {count} GPUs, and each needs its own: lower --nproc-per-node"
        )
    if device.index not in (None, own):
        raise ConfigError(f"device {device} is for a single process: with {world_size()} processes use --device cuda")
    return torch.device("cuda", own)


def pick_precision(name: str, device: torch.device, *, auto_fp16: bool = True) -> str:
    """Return fp32, bf16 or fp16; "auto" is the fastest one on this device that can be trained in.

    auto_fp16: whether "auto" may choose fp16. Raises ConfigError: fp16 on a CPU.
    """
    if name == "auto":
        if device.type == "cuda":
            precision = _fastest_gpu_precision(device)
            return "fp32" if precision == "fp16" and not auto_fp16 else precision
        return "bf16" if device.type == "cpu" and _bf16_is_faster_on_cpu() else "fp32"
    if name == "fp16" and device.type == "cpu":
        raise ConfigError("fp16 needs a GPU: on a CPU use --precision bf16 or fp32")
    return name


def _fastest_gpu_precision(device: torch.device) -> str:
    """bf16 on NVIDIA GPUs from Ampere on (compute capability 8) and on AMD's; fp16 on Volta and Turing (7), such as V100 and
    T4, which only emulate bf16; fp32 on older ones, such as P100 (6), which have no tensor cores.
    """
    major, _ = torch.cuda.get_device_capability(device)
    if major >= 8 or torch.version.hip:
        return "bf16"
    return "fp16" if major == 7 else "fp32"


def _bf16_is_faster_on_cpu() -> bool:
    """Whether the CPU has AMX, or AVX-512 bf16 and is not Intel's. False if this torch cannot tell (2.6 cannot, 2.11 can).

    Measured on an Intel CPU with AVX-512 bf16 but no AMX: a 3x3 convolution takes 1.7 times as long as in fp32.
    """
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    cpu = torch.cpu.get_capabilities()
    return cpu.get("amx_bf16", False) or (cpu.get("avx512_bf16", False) and "Intel" not in cpu.get("cpu_name", ""))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Return the context manager of a forward pass in this precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to the device. Only on CUDA without waiting: elsewhere the copy could read memory that was freed meanwhile."""
    return tensor.to(device, non_blocking=device.type == "cuda")


def to_pixels(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Convert (B, 3, H, W) uint8 to float32 in [0, 1] on the device, in channels-last layout."""
    return to_device(images, device).to(torch.float32, memory_format=torch.channels_last).div_(255)


def to_inputs(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Convert images as to_pixels does; features, which are float32 already, are only copied to the device."""
    return to_pixels(batch, device) if batch.dtype == torch.uint8 else to_device(batch, device)


def device_name(device: torch.device) -> str:
    """Return the GPU's name, or the device type and the number of CPU threads that torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def memory_of(name: str) -> str:
    """Describe the total and free memory of the device that pick_device returns, for an error message."""
    device = pick_device(name)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{device_name(device)} ({total >> 20:,} MB, {free >> 20:,} free)"
    if not {"SC_PHYS_PAGES", "SC_AVPHYS_PAGES", "SC_PAGE_SIZE"} <= getattr(os, "sysconf_names", {}).keys():
        return device.type
    free, total = (os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
    return f"the {device.type} ({total >> 20:,} MB, {free >> 20:,} free)"


def disable_malloc_trim() -> None:
    """Tell glibc to keep freed memory instead of returning it to the system. Does nothing without glibc.

    A training step on a CPU frees and allocates the same large blocks each time, and the system would zero each page again.
    Measured: 10.4 images/s without, 13.7 with (EfficientNet-lite0 U-Net, 224 px, batch 8, two cores).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block is mapped on its own
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the top of the heap is never returned
