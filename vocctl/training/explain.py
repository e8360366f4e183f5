"""Turn failures of torch and of the operating system into one line that says what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

from vocctl.config import DataConfig, TrainConfig
from vocctl.devices import memory_of, pick_device
from vocctl.errors import ConfigError, MemoryExceeded, RunError, is_out_of_memory
from vocctl.runs.folder import RunFolder


@contextmanager
def explain_oom(train: TrainConfig, data: DataConfig) -> Iterator[None]:
    """Raise MemoryExceeded for an out-of-memory error of the device or the host."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        augments_there = data.augment_on == "gpu" or (
            data.augment_on == "auto" and pick_device(train.device).type == "cuda"
        )
        on_device = (
            "; the images may be on the device too, --augment-on cpu keeps them off it" if augments_there else ""
        )
        size = f"{data.size} px" if data.size else "the chosen size"
        raise MemoryExceeded(
            f"out of memory with batches of {train.batch} at {size} on {memory_of(train.device)}: halve --batch and "
            f"double --accumulate, or lower --size{on_device}"
        ) from error


@contextmanager
def explain_worker_death(run: RunFolder) -> Iterator[None]:
    """Raise RunError for a data-loading process that died. torch raises it wherever the main process is at that moment."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("killed by signal", "exited unexpectedly")):
            raise  # an error inside a worker, which torch re-raises under its own name
        raise RunError(
            f"a data-loading process was killed, probably out of memory: resume with --resume {run.path}, and start runs "
            "with fewer --workers (--workers 0: none)"
        ) from error


@contextmanager
def explain_compile_error() -> Iterator[None]:
    """Raise ConfigError for an error of torch.compile."""
    from torch._dynamo.exc import TorchDynamoException  # takes a second

    try:
        yield
    except TorchDynamoException as error:
        if is_out_of_memory(error):  # a RuntimeError too, which explain_oom explains
            raise
        raise ConfigError(
            f"torch.compile fails here ({' '.join(str(error).split())[:120]}): install what it needs, a C++ compiler and "
            "on a GPU Triton, or omit --compile"
        ) from error
