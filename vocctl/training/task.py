"""What the trainer needs to know of a training command, and the result that it returns.

train-seg, train-cls and train-adv each provide one TrainingTask; training/trainer.py trains any of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn
from torch.utils.data import Dataset

from vocctl.config import TrainingConfig
from vocctl.data.splits import Splits
from vocctl.runs.folder import RunFolder
from vocctl.training.signals import InterruptCheck

Scores = dict[str, float]


class TrainingTask(Protocol):
    """A model, its data, its loss and its validation."""

    @property
    def config(self) -> TrainingConfig: ...

    @property
    def splits(self) -> Splits: ...

    @property
    def model(self) -> nn.Module: ...

    @property
    def dataset(self) -> Dataset:
        """The training images with their targets, augmented, or their features. Read after before_training."""
        ...

    @property
    def run_name(self) -> str:
        """The run folder's name, if the user gives none."""
        ...

    @property
    def parameter_counts(self) -> dict[str, int]:
        """Parameters of the model, by description; "model" first."""
        ...

    @property
    def find_unused_parameters(self) -> bool:
        """Whether some steps leave some parameters without a gradient."""
        ...

    def lr_scales(self) -> dict[str, float]:
        """The learning rate of each parameter of the model as a multiple of --lr, by its name."""
        ...

    def before_training(self, check_interrupt: InterruptCheck, *, resumed: bool) -> None:
        """Prepare data and model before the first step of this process, in training time.

        resumed: a checkpoint is about to replace the model's weights.
        """
        ...

    def on_epoch_start(self, epoch: int) -> None:
        """Called in training mode. epoch: from 0."""
        ...

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The scalar to minimize. network: the model, wrapped for distributed training or compiled.

        images: (B, 3, S, S) float32 in [0, 1]. targets: (B, S, S) masks or (B, 20) labels, int64.
        """
        ...

    @property
    def num_validated(self) -> int:
        """Number of images that a validation scores."""
        ...

    def validate(self, model: nn.Module, check_interrupt: InterruptCheck, limit: int | None = None) -> Scores:
        """Scores of the validation images, fractions in [0, 1], by keys of metrics/table.py.

        limit: score the first images only, to measure how long a validation takes.
        """
        ...

    def on_saved(self, run: RunFolder, checkpoint: str, model: nn.Module, check_interrupt: InterruptCheck) -> None:
        """Called when weights are saved as the checkpoint best or final, mostly those that were validated last."""
        ...


@dataclass(frozen=True)
class TrainResult:
    run: Path
    best_epoch: int
    best: float  # best value of the monitored metric
    monitor: str
    scores: Scores  # of the last validation; fractions in [0, 1]
    seconds: float  # of training, without validation
