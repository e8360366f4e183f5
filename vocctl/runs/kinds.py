"""The three kinds of runs: what other code needs to know about each of them without asking for its task."""

from dataclasses import dataclass

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig
from vocctl.errors import DataError
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.metrics.table import METRICS, Metric
from vocctl.runs.folder import RunFolder


@dataclass(frozen=True)
class RunKind:
    task: str  # the command that trains it
    folder: str  # runs/<folder>/ holds these runs
    defaults: TrainingConfig
    main_metric: Metric  # the one score that represents a run
    class_names: tuple[str, ...]  # the classes that are scored; none for an adversary

    @property
    def class_metric(self) -> Metric:
        """The per-class metric whose mean is the main metric. Raises KeyError for an adversary."""
        return METRICS[self.main_metric.mean_of]


SEG = RunKind("train-seg", "seg", TrainSegConfig(), METRICS["mean_iou"], SEG_CLASSES)
CLS = RunKind("train-cls", "cls", TrainClsConfig(), METRICS["map_sklearn"], CLASSES)
ADV = RunKind("train-adv", "adv", TrainAdvConfig(), METRICS["drop"], ())
KINDS = {kind.task: kind for kind in (SEG, CLS, ADV)}


def kind_of(folder: RunFolder) -> RunKind:
    """The kind of this run. Raises DataError: run.json is missing or corrupt, or names no command of vocctl."""
    task = folder.task
    if task not in KINDS:
        raise DataError(f"{folder.path} is a run of {task}: expected a run of {' or '.join(KINDS)}")
    return KINDS[task]
