"""What figures and the report show differently for segmenters and classifiers: one view each, chosen by the run's task."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from vocctl.plots.confusion import ClassMatrix
from vocctl.plots.report_page import GalleryCard
from vocctl.reporting.classifier_view import ClassifierView
from vocctl.reporting.segmenter_view import SegmenterView
from vocctl.runs.kinds import CLS, SEG
from vocctl.runs.records import RunRecord

EvaluationT = TypeVar("EvaluationT", contravariant=True)  # SegEvaluation or ClsEvaluation


class TaskView(Protocol[EvaluationT]):
    def confusion_matrices(self, evaluation: EvaluationT) -> tuple[list[ClassMatrix], str]:
        """The matrices of the confusion figure, and the note below them."""

    def rank_images(self, evaluation: EvaluationT) -> list[str]:
        """Ids of the scored images, the worst prediction first."""

    def gallery_card(self, run: RunRecord, evaluation: EvaluationT, image_id: str) -> GalleryCard:
        """The card of a clean image in the report's gallery."""

    def describe_model(self, settings: Mapping[str, Any]) -> str:
        """The model in a few words, with an article, as the start of a sentence."""

    def is_from_scratch(self, settings: Mapping[str, Any]) -> bool:
        """Whether training started from random weights."""

    def eval_flags(self, evaluation: EvaluationT) -> Sequence[str]:
        """Task-specific `vocctl eval` arguments that repeat this evaluation."""


VIEWS: dict[str, TaskView[Any]] = {SEG.task: SegmenterView(), CLS.task: ClassifierView()}


def view_of(run: RunRecord) -> TaskView[Any]:
    """The view of the run's task: train-seg or train-cls."""
    return VIEWS[run.kind.task]
