"""What differs between the two subtasks of the competition: their runs and how a run is scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.classification import classification_dice
from vocctl.competition.ensemble import EnsembleSpec, NewCounter
from vocctl.competition.segmentation import segmentation_dice
from vocctl.data.splits import LabeledSplit
from vocctl.runs.kinds import CLS, SEG, RunKind


@dataclass(frozen=True)
class Subtask:
    name: str  # as in the rows' names
    kind: RunKind  # of its runs
    run_files: tuple[str, ...]  # files of a finished run
    image_dice: Callable[[EnsembleSpec, Sequence[LabeledSplit], NewCounter], np.ndarray]  # (N,), of validation images

    @property
    def flag(self) -> str:
        """The flag of `vocctl submit` that names its runs."""
        return f"--{self.kind.folder}"


RUN_FILES = ("run.json", "split.json", "final.safetensors")
CLASSIFICATION = Subtask("classification", CLS, (*RUN_FILES, "thresholds.json"), classification_dice)
SEGMENTATION = Subtask("segmentation", SEG, RUN_FILES, segmentation_dice)
