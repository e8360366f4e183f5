"""What every kind of picture is told: how it is to be drawn and where it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.errors import DataError
from vocctl.runs.evaluations import Evaluation, RunRecord

FORMATS = ("png", "svg", "pdf")


class NothingToPlot(DataError):
    """The run lacks what this kind of picture shows; skipped unless the kind was asked for."""


@dataclass(frozen=True)
class PlotOptions:
    cases: int = 6  # images in a picture of cases
    pick: str = ""  # which: best, worst, random, or ids with commas between; empty: half worst, half random
    format: str = "png"
    out: Path | None = None  # a folder, in place of RUN/plots

    def place(self, run: RunRecord, stem: str) -> Path:
        """Where a picture of one run goes."""
        if self.out is not None:
            return self.out / f"{run.name.replace('/', '-')}-{stem}.{self.format}"
        return run.folder.path / "plots" / f"{stem}.{self.format}"

    def shared_place(self, runs: Sequence[RunRecord], stem: str) -> Path:
        """Where a picture of several runs of one task goes: with the first run's, where no folder was given."""
        kind = runs[0].task.removeprefix("train-")
        folder = self.out or runs[0].folder.path / "plots"
        return folder / f"{stem}-{len(runs)}-{kind}-runs.{self.format}"


Kind = Callable[[Sequence[RunRecord], PlotOptions], list[Path]]  # runs of any tasks; raises NothingToDraw


def evaluated(run: RunRecord) -> Evaluation:
    """Raises NothingToDraw: not evaluated yet."""
    if run.task == "train-adv":
        raise NothingToPlot(f"{run.folder.path} is an adversary: `vocctl eval TARGET --attack adv:{run.folder.path}`")
    if run.evaluation is None:
        raise NothingToPlot(f"{run.folder.path} has no predictions yet: `vocctl eval {run.folder.path}` first")
    return run.evaluation


def by_task(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    return [[run for run in runs if run.task == task] for task in dict.fromkeys(run.task for run in runs)]
