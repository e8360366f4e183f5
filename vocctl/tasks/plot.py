"""Draw what runs have, into RUN/plots/: one function for each kind of picture, runs in, paths out."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vocctl.config import closest
from vocctl.errors import ConfigError
from vocctl.reporting.attack_figures import adversarial, robustness
from vocctl.reporting.options import FORMATS, Kind, NothingToPlot, PlotOptions
from vocctl.reporting.prediction_figures import classes, confusion, masks, mistakes
from vocctl.reporting.training_figures import compare, curves
from vocctl.runs.evaluations import read_runs

KINDS: dict[str, Kind] = {
    "curves": curves,
    "confusion": confusion,
    "classes": classes,
    "masks": masks,
    "mistakes": mistakes,
    "adversarial": adversarial,
    "robustness": robustness,
    "compare": compare,
}


def plot(
    names: Sequence[str],
    *,
    what: Sequence[str] = (),
    evaluation: str | None = None,
    wish: PlotOptions = PlotOptions(),
    on_kind: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """The pictures' paths. what: kinds; empty: all that the runs have something for. evaluation: of RUN/eval/; the newest.

    Raises ConfigError: no such kind or format. DataError: no such run or evaluation, no epoch yet, data or label maps gone,
    or a kind that was asked for and for which there is nothing. RunError: a place that can't be written.
    """
    for kind in what:
        if kind not in KINDS:
            raise ConfigError(f"--what takes {', '.join(KINDS)}; got {kind!r}{closest(kind, KINDS)}")
    if wish.format not in FORMATS:
        raise ConfigError(f"--format is one of {', '.join(FORMATS)}, got {wish.format!r}")
    runs = read_runs(names, evaluation)
    drawn: list[Path] = []
    for done, kind in enumerate(what or KINDS):
        try:
            drawn += KINDS[kind](runs, wish)
        except NothingToPlot:
            if what:
                raise
        on_kind(done + 1, len(what or KINDS))
    return drawn
