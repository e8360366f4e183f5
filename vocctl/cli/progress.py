"""Progress on stderr: bars on a terminal; in a log file one line per epoch, and one every half minute within an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from vocctl.cli import messages
from vocctl.cli.tables import format_duration, format_scores

if TYPE_CHECKING:
    from vocctl.training.reporter import TrainProgress

LOG_INTERVAL = 30.0  # seconds between two lines in a log file
COUNT_COLUMNS = (
    BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"), TimeRemainingColumn()
)  # fmt: skip
BYTE_COLUMNS = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
OnCount = Callable[[int, "int | None"], None]  # called with (done, total); total None: unknown


@contextmanager
def counter(verb: str, unit: str, *, quiet: bool) -> Iterator[OnCount]:
    """One bar. Yields the function to call with (done, total)."""
    with counters(quiet=quiet) as new_counter:
        yield new_counter(verb, unit)


@contextmanager
def counters(*, quiet: bool) -> Iterator[Callable[[str, str], OnCount]]:
    """Several bars, one after the other. Yields new_counter(verb, unit), which returns a function of (done, total).

    A bar appears at its first count and stops when the next one appears. The unit "bytes" also shows the transfer speed. A
    count that starts over gets a new bar. Draws nothing if quiet, or if stderr is not a terminal.
    """
    bars: dict[str, Progress] = {}
    last_count: dict[str, int] = {}

    def new_counter(verb: str, unit: str) -> OnCount:
        def on_count(done: int, total: int | None) -> None:
            if quiet or not messages.err.is_terminal:
                return
            if verb not in bars or done < last_count[verb]:
                for bar in bars.values():
                    bar.stop()
                bars[verb] = _bar(BYTE_COLUMNS if unit == "bytes" else COUNT_COLUMNS)
                bars[verb].add_task(verb, unit=unit, total=total)
                bars[verb].start()
            last_count[verb] = done
            bars[verb].update(bars[verb].task_ids[0], completed=done, total=total)

        return on_count

    try:
        yield new_counter
    finally:
        for bar in bars.values():
            bar.stop()


def _bar(columns: tuple[ProgressColumn, ...]) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        *columns,
        console=messages.err,
        redirect_stdout=False,  # a task may have redirected it already
        redirect_stderr=False,
    )


class TrainingView:
    """Show a training run: a bar for the preparation steps, one for the epochs, and a line per validated epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.has_bars = messages.err.is_terminal and not quiet
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[figures]}"),
            console=messages.err,
        )  # fmt: skip
        self.counted = ""  # description of the preparation step whose bar is visible
        self.count_bar = self.epoch_bar = TaskID(-1)
        self.last_log_time = time.monotonic()

    def note(self, text: str) -> None:
        messages.print_note(text, quiet=self.quiet)

    def count(self, description: str, done: int, total: int) -> None:
        """Show how many images a preparation step has processed. Its bar disappears when the step is complete."""
        if not self.has_bars:
            return
        if description != self.counted:
            self.counted, self.count_bar = description, self.bar.add_task(description, total=total, figures="")
        self.bar.update(self.count_bar, completed=done, figures=f"{done}/{total} images")
        if done == total:
            self.bar.remove_task(self.count_bar)
            self.counted = ""

    def progress(self, progress: TrainProgress) -> None:
        """Show the loss, learning rate and speed within an epoch."""
        epochs = f"/{progress.epochs}" if progress.epochs else ""
        description = f"epoch {progress.epoch}{epochs}"
        figures = (
            f"step {progress.batch}/{progress.batches}  loss {progress.loss:.3f}  lr {progress.lr:.1e}  "
            f"{progress.images_per_second:.1f} images/s, data {100 * progress.data_wait:.0f} %  "
            f"{format_duration(progress.seconds_left)} left"
        )
        if self.has_bars:
            if self.epoch_bar < 0:
                self.epoch_bar = self.bar.add_task(description, total=1.0, figures=figures)
            self.bar.update(self.epoch_bar, description=description, completed=progress.done, figures=figures)
        elif not self.quiet and time.monotonic() - self.last_log_time >= LOG_INTERVAL:
            self.last_log_time = time.monotonic()
            self.note(f"{description}  {figures}")

    def epoch(self, record: dict[str, Any]) -> None:
        """Print the losses and scores of a validated epoch. record: a line of metrics.jsonl."""
        self.note(
            f"epoch {record['epoch']:>3}  loss {record['train_loss']:.3f}  val loss {record['val_loss']:.3f}  "
            f"{format_scores(record, '  ')}  {record['images_per_second']:.1f} images/s"
        )


class StudyView(TrainingView):
    """Show a study: a line for each trial that starts, and its training as TrainingView does."""

    def trial(self, study: str, name: str, finished: int, total: int) -> None:
        if self.has_bars and self.epoch_bar >= 0:  # of the trial before
            self.bar.remove_task(self.epoch_bar)
            self.epoch_bar = TaskID(-1)
        self.note(f"{study}: {name}, {finished} of {total} runs have finished")


View = TypeVar("View", bound=TrainingView)


@contextmanager
def shown(view: View) -> Iterator[View]:
    """Draw the view's bars inside the block, if it has some."""
    if view.has_bars:
        with view.bar:
            yield view
    else:
        yield view
