"""What every plot kind gets and may raise: PlotOptions, NothingToPlot; and the runs grouped by task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from vocctl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from vocctl.runs.evaluations import Evaluation
    from vocctl.runs.records import RunRecord

Format = Literal["png", "svg", "pdf"]
FORMATS = get_args(Format)
MAX_NAMES = 80  # characters of runs' names in the name of a figure


class NothingToPlot(DataError):
    """The runs have no data for this kind of plot. Skipped, unless the user named the kind."""


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    select: str = ""  # images: best, worst, random, or ids separated by commas; empty: half random, half worst
    num_images: int | None = None  # in a figure of images; None: the kind's own number
    format: Format = "png"
    out: Path | None = None  # output folder; None: RUN/plots

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"--format is one of {', '.join(FORMATS)}, got {self.format!r}")

    def path(self, run: RunRecord, stem: str) -> Path:
        """The file of a figure of one run. In a folder that several runs share, its name starts with the run's."""
        if self.out is not None:
            return self.out / f"{run.name.replace('/', '-')}-{stem}.{self.format}"
        return run.folder.path / "plots" / f"{stem}.{self.format}"

    def shared_path(self, runs: Sequence[RunRecord], stem: str) -> Path:
        """The file of a figure of several runs, whose names it has. Without --out it goes to the first run's folder.

        Many runs: the number of them and a hash of their folders. Figures of other runs are never replaced.
        """
        folder = self.out or runs[0].folder.path / "plots"
        names = "+".join(run.name.replace("/", "-") for run in runs)
        if len(names) > MAX_NAMES:
            paths = "\n".join(str(run.folder.path.resolve()) for run in runs)
            names = (
                f"{len(runs)}-runs-{hashlib.blake2b(paths.encode(errors='surrogateescape'), digest_size=4).hexdigest()}"
            )
        return folder / f"{stem}-{names}.{self.format}"


def evaluation_of(run: RunRecord) -> Evaluation:
    """The run's evaluation. Raises NothingToPlot: it has none."""
    if run.evaluation is None:
        raise NothingToPlot(f"{run.folder.path} has no predictions yet: run `vocctl eval {run.folder.path}` first")
    return run.evaluation


def evaluations_on_same_images(runs: Sequence[RunRecord]) -> list[Evaluation]:
    """The evaluation of each run. Raises NothingToPlot: a run has none, or they are of different data."""
    evaluations = [evaluation_of(run) for run in runs]
    if len({evaluation.info.protocol for evaluation in evaluations}) > 1:
        names = sorted({evaluation.info.name for evaluation in evaluations})
        if len(names) == 1:  # data sets of one name
            names = sorted({evaluation.info.data_path for evaluation in evaluations})
        raise NothingToPlot(
            f"the runs were evaluated on {' and '.join(names)}: name one of them with --evaluation, or run `vocctl eval` "
            "for each run on the same data"
        )
    return evaluations


def group_by_task(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """The runs of each task, tasks in the order of their first run."""
    return [[run for run in runs if run.kind is kind] for kind in dict.fromkeys(run.kind for run in runs)]
