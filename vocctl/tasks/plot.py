"""Draw figures of runs into RUN/plots."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vocctl.config import did_you_mean
from vocctl.errors import ConfigError
from vocctl.reporting.kinds import PLOT_KINDS
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.records import read_runs


def plot(
    names: Sequence[str],
    *,
    kinds: Sequence[str] = (),
    evaluation: str | None = None,
    data: Path | None = None,
    options: PlotOptions = PlotOptions(),
    on_kind: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Return the paths of the figures.

    kinds: names of PLOT_KINDS; empty: all that the runs have data for. evaluation: a folder of RUN/eval; None: the newest one
    that all runs have. data: where its images are now; None: where they were.
    Raises ConfigError: no such kind. DataError: no such run or evaluation, a missing or corrupt file, or no data for a kind
    that was named. RunError: a figure cannot be written.
    """
    for name in kinds:
        if name not in PLOT_KINDS:
            raise ConfigError(f"--kind takes {', '.join(PLOT_KINDS)}; got {name!r}{did_you_mean(name, PLOT_KINDS)}")
    runs = read_runs(names, evaluation, data)
    paths: list[Path] = []
    for index, name in enumerate(kinds or PLOT_KINDS):
        try:
            paths += PLOT_KINDS[name].draw(runs, options)
        except NothingToPlot:
            if kinds:
                raise
        on_kind(index + 1, len(kinds or PLOT_KINDS))
    return paths
