"""What figures and the report show differently for segmenters and classifiers: one view each, chosen by the run's task."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vocctl.plots.confusion import ClassMatrix
from vocctl.plots.report_page import GalleryCard
from vocctl.reporting.classifier_view import ClassifierView
from vocctl.reporting.segmenter_view import SegmenterView
from vocctl.runs.evaluations import Evaluation, RunRecord


class TaskView(Protocol):
    class_metric: str  # key of METRICS: the score of each class in figures, whose intervals the report shows

    def confusion_matrices(self, evaluation: Evaluation) -> tuple[list[ClassMatrix], str]:
        """The matrices of the confusion figure, and the note below them."""

    def class_columns(self, evaluation: Evaluation) -> dict[str, Mapping[str, float | None]]:
        """Scores in the report's table of classes: key of METRICS -> class -> score in [0, 1]; None: undefined."""

    def rank_images(self, evaluation: Evaluation) -> list[str]:
        """Ids of the scored images, the worst prediction first."""

    def card(self, run: RunRecord, evaluation: Evaluation, image_id: str) -> GalleryCard:
        """The gallery's card of a clean image."""

    def describe_model(self, settings: Mapping[str, Any]) -> str:
        """The model in a few words, with an article."""

    def is_from_scratch(self, settings: Mapping[str, Any]) -> bool:
        """Whether training started from random weights."""

    def eval_flags(self, scores: Mapping[str, Any]) -> Sequence[str]:
        """Flags of `vocctl eval` that only this task has. scores: scores.json."""


VIEWS: dict[str, TaskView] = {"train-seg": SegmenterView(), "train-cls": ClassifierView()}


def view_of(run: RunRecord) -> TaskView:
    """The view of the run's task: train-seg or train-cls."""
    return VIEWS[run.task]
