"""What differs between the two subtasks of the competition: their runs, their flags and how a run is scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.classification import classification_dice
from vocctl.competition.ensemble import EnsembleSpec, NewCounter
from vocctl.competition.segmentation import segmentation_dice
from vocctl.data.splits import LabeledSplit


@dataclass(frozen=True)
class Subtask:
    name: str  # as in the rows' names
    flag: str  # of `vocctl submit`; without -- also the folder below runs/
    task: str  # the command that trains its runs
    run_files: tuple[str, ...]  # files of a finished run
    image_dice: Callable[[EnsembleSpec, Sequence[LabeledSplit], NewCounter], np.ndarray]  # (N,), of validation images


RUN_FILES = ("run.json", "split.json", "final.safetensors")
CLASSIFICATION = Subtask("classification", "--cls", "train-cls", (*RUN_FILES, "thresholds.json"), classification_dice)
SEGMENTATION = Subtask("segmentation", "--seg", "train-seg", RUN_FILES, segmentation_dice)
