"""The three kinds of runs, and what differs between them, so that other code need not branch on the task."""

from dataclasses import dataclass

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig
from vocctl.errors import DataError
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.metrics.table import METRICS, Metric
from vocctl.runs.folder import RunFolder


@dataclass(frozen=True)
class RunKind:
    task: str  # name of the command that trains it, without "vocctl"; run.json stores it
    folder: str  # runs/<folder>/ holds these runs
    defaults: TrainingConfig
    main_metric: Metric  # the one score that represents a run
    class_names: tuple[str, ...]  # the classes that are scored; none for a generator

    @property
    def class_metric(self) -> Metric:
        """The per-class metric whose mean is the main metric. Raises KeyError for a generator."""
        return METRICS[self.main_metric.mean_of]


SEG = RunKind("train-seg", "seg", TrainSegConfig(), METRICS["mean_iou"], SEG_CLASSES)
CLS = RunKind("train-cls", "cls", TrainClsConfig(), METRICS["map_sklearn"], CLASSES)
ADV = RunKind("train-adv", "adv", TrainAdvConfig(), METRICS["drop"], ())
RUN_KINDS = {kind.task: kind for kind in (SEG, CLS, ADV)}


def kind_of(folder: RunFolder) -> RunKind:
    """Return the kind of this run. Raises DataError: run.json is missing or corrupt, or names no training command."""
    task = folder.task
    if task not in RUN_KINDS:
        raise DataError(f"{folder.path} is a run of {task}: expected a run of {' or '.join(RUN_KINDS)}")
    return RUN_KINDS[task]
