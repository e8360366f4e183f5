"""Turn failures of torch and of the operating system into one line that says what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

from vocctl.config import DataConfig, TrainConfig
from vocctl.devices import memory_of
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
        on_device = "; --augment-on gpu also keeps all images on the device, --augment-on cpu does not"
        raise MemoryExceeded(
            f"out of memory with batches of {train.batch} at {data.size} px on {memory_of(train.device)}: halve --batch and "
            f"set --accumulate 2, or lower --size{on_device if data.augment_on != 'cpu' else ''}"
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
