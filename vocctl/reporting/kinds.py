"""The plot kinds: one row each. Help, error messages and docs are derived from this table.

To add a kind, write a function of (runs, options) that returns the paths of the figures it wrote, in a module of this
package, and add its row. plots/style.py creates and saves figures; options.path names their files.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vocctl.reporting.options import NothingToPlot, PlotOptions

if TYPE_CHECKING:
    from vocctl.runs.records import RunRecord

SEGMENTERS, CLASSIFIERS, MODELS = ("train-seg",), ("train-cls",), ("train-seg", "train-cls")
ALL_TASKS = (*MODELS, "train-adv")


@dataclass(frozen=True)
class PlotKind:
    name: str
    function: str  # "module:function" in vocctl.reporting; imported when it draws, so that help needs no matplotlib
    description: str
    tasks: tuple[str, ...]  # whose runs it can draw

    @property
    def title(self) -> str:
        """The description as a caption."""
        return self.description[0].upper() + self.description[1:]

    def draw(self, runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
        """Draw the runs of this kind's tasks. Raises NothingToPlot: none of the runs has data for it."""
        suitable = [run for run in runs if run.kind.task in self.tasks]
        if not suitable:
            raise NothingToPlot(
                f"{self.name} needs a run of {' or '.join(self.tasks)}, but {runs[0].folder.path} is a run of {runs[0].kind.task}"
            )
        paths: list[Path] = pkgutil.resolve_name(f"vocctl.reporting.{self.function}")(suitable, options)
        return paths


_ROWS = (
    PlotKind("curves", "training_figures:curves", "losses, validation scores and learning rate by epoch", ALL_TASKS),
    PlotKind("confusion", "prediction_figures:confusion", "confusion matrix, with label co-occurrence for classifiers", MODELS),
    PlotKind("classes", "prediction_figures:classes", "score of each class with its 95 % interval", MODELS),
    PlotKind("masks", "prediction_figures:masks", "image, ground truth, prediction and errors", SEGMENTERS),
    PlotKind("errors", "prediction_figures:errors", "most confident errors with their probabilities", CLASSIFIERS),
    PlotKind("adversarial", "attack_figures:adversarial", "clean and adversarial images with the outputs for both", MODELS),
    PlotKind("robustness", "attack_figures:robustness", "score under attack by budget, and transfer between runs", MODELS),
    PlotKind("compare", "training_figures:compare", "scores of several configs with paired differences", MODELS),
)  # fmt: skip
PLOT_KINDS: dict[str, PlotKind] = {kind.name: kind for kind in _ROWS}
