"""Devices and precisions by name, and the settings of the memory allocator."""

import contextlib

import pytest
import torch

from vocctl import devices
from vocctl.devices import autocast, device_name, disable_malloc_trim, pick_device, pick_precision
from vocctl.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_picks_the_best_available_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == CUDA
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == CPU


def test_gpu_with_an_index(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    assert pick_device("cuda") == CUDA
    with pytest.raises(ConfigError, match="cuda:2 is not on this machine"):
        pick_device("cuda:2")


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1"])
def test_each_process_uses_the_gpu_of_its_local_rank(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device(name) == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("name", "local_rank", "message"),
    [
        ("cuda:0", "1", "cuda:0 is for a single process: with 4 processes use --device cuda"),
        ("auto", "2", "4 processes on a machine with 2 GPUs, and each needs its own: lower --nproc-per-node"),
        ("cuda", "3", "lower --nproc-per-node"),
    ],
)
def test_gpu_of_another_process_is_an_error(monkeypatch, name, local_rank, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for variable, value in (("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "4"), ("LOCAL_RANK", local_rank)):
        monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=message) as caught:
        pick_device(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cuda:-1", "CPU!", "cpu:1", "xpu", "meta", "vulkan"])
def test_unknown_devices_are_errors(name):
    with pytest.raises(ConfigError) as caught:
        pick_device(name)
    assert "\n" not in str(caught.value)
    assert "cpu" in str(caught.value)


def test_missing_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="cuda is not on this machine: use --device auto or cpu"):
        pick_device("cuda")


def test_precision_by_name():
    assert pick_precision("fp32", CPU) == "fp32"
    assert pick_precision("bf16", CPU) == "bf16"
    assert pick_precision("fp16", CUDA) == "fp16"
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        pick_precision("fp16", CPU)


@pytest.mark.parametrize(
    ("capability", "expected", "without_fp16"),
    [
        ((6, 0), "fp32", "fp32"),  # P100
        ((7, 0), "fp16", "fp32"),  # V100
        ((7, 5), "fp16", "fp32"),  # T4
        ((8, 0), "bf16", "bf16"),  # A100
        ((9, 0), "bf16", "bf16"),  # H100
    ],
)
def test_auto_precision_of_gpus(monkeypatch, capability, expected, without_fp16):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    assert pick_precision("auto", CUDA) == expected
    assert pick_precision("auto", CUDA, auto_fp16=False) == without_fp16
    assert pick_precision("fp16", CUDA, auto_fp16=False) == "fp16"  # it concerns auto only


def test_auto_precision_is_that_of_the_named_gpu(monkeypatch):
    capabilities = {torch.device("cuda:0"): (8, 6), torch.device("cuda:1"): (7, 5)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", capabilities.__getitem__)
    monkeypatch.setattr(torch.version, "hip", None)
    assert [pick_precision("auto", device) for device in capabilities] == ["bf16", "fp16"]


def test_auto_precision_of_other_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))  # the number of an AMD GPU differs
    monkeypatch.setattr(torch.version, "hip", "6.2")
    assert pick_precision("auto", CUDA) == "bf16"
    assert pick_precision("auto", torch.device("mps")) == "fp32"


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ({"cpu_name": "AMD EPYC-Genoa", "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"architecture": "arm64"}, "fp32"),
        ({"amx_bf16": True}, "bf16"),
    ],
)
def test_auto_precision_of_cpus(monkeypatch, cpu, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu, raising=False)
    assert pick_precision("auto", CPU) == expected


def test_auto_precision_is_fp32_if_torch_does_not_know_the_cpu(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert pick_precision("auto", CPU) == "fp32"


def test_autocast_on_a_cpu():
    left = torch.ones(2, 2)
    with autocast(CPU, "bf16"):
        assert (left @ left).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert (left @ left).dtype == torch.float32
    assert isinstance(autocast(CPU, "fp32"), contextlib.nullcontext)


def test_device_name_of_a_cpu_has_its_threads():
    assert device_name(CPU) == f"cpu, {torch.get_num_threads()} threads"


def test_disable_malloc_trim_only_calls_glibc(monkeypatch):
    options = []

    class Libc:
        def __init__(self, name):
            self.mallopt = lambda option, value: options.append((option, value))

    monkeypatch.setattr(devices.ctypes, "CDLL", Libc)
    monkeypatch.setattr(devices.sys, "platform", "darwin")
    disable_malloc_trim()
    assert options == []
    monkeypatch.setattr(devices.sys, "platform", "linux")
    disable_malloc_trim()
    assert options == [(-4, 0), (-1, 2**31 - 1)]
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: object())  # musl has no mallopt
    disable_malloc_trim()
