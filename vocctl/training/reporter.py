"""What training reports while it runs, and to whom. Imports no torch, so that the command line can use it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class TrainProgress:
    """The state of a running epoch."""

    epoch: int  # from 1
    epochs: int | None  # None with --minutes
    batch: int  # of this epoch
    batches: int
    done: float  # fraction of the run, in [0, 1]
    loss: float  # mean over this epoch so far
    lr: float
    images_per_second: float
    data_wait: float  # fraction of the time, in [0, 1]
    seconds_left: float  # of training, without validation


class Reporter(Protocol):
    """Receives what happens during training. The command line's draws it."""

    def note(self, text: str) -> None:
        """Receive one line for the user."""

    def count(self, what: str, done: int, total: int) -> None:
        """Receive the progress of work before training, in images."""

    def progress(self, progress: TrainProgress) -> None:
        """Receive the state of the running epoch, about twice a second."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Receive a line of metrics.jsonl."""


def reporting(reporter: Reporter, what: str, check_interrupt: Callable[[], None]) -> Callable[[int, int], None]:
    """A function of (done, total) that reports the progress of `what`, and raises Interrupted after a signal."""

    def on_progress(done: int, total: int) -> None:
        reporter.count(what, done, total)
        check_interrupt()

    return on_progress


class SilentReporter:
    """A Reporter that ignores everything."""

    def note(self, text: str) -> None:
        pass

    def count(self, what: str, done: int, total: int) -> None:
        pass

    def progress(self, progress: TrainProgress) -> None:
        pass

    def epoch(self, record: dict[str, Any]) -> None:
        pass
