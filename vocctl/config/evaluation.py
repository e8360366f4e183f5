"""The options of `vocctl eval`, and the choices that predict, export, attack and submit share with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vocctl.config.checks import check_choice, check_choices, require
from vocctl.config.classification import Thresholds

Checkpoint = Literal["best", "final"]  # the epoch with the best validation score, or the last one
TTA = Literal["none", "flip", "ms"]  # flip: the mirrored image too; ms: three scales, each mirrored too

CHECKPOINTS: tuple[str, ...] = get_args(Checkpoint)
TTAS: tuple[str, ...] = get_args(TTA)


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What to score and how. Raises ConfigError for a value outside its choices."""

    data: Path | None = None  # None: the data set that the run validated on
    split: str | None = None  # None: the images that the run validated on, or with data the run's --val-split
    checkpoint: Checkpoint = "best"
    tta: TTA = "none"
    device: str | None = None  # None: the run's
    thresholds: Thresholds | None = None  # classifiers; None: the run's
    ci: int = 0  # classifiers: bootstrap resamples for 95 % intervals; 0: no intervals

    def __post_init__(self) -> None:
        check_choices(self)
        if self.thresholds is not None:
            check_choice("--thresholds", self.thresholds, get_args(Thresholds))
        require(self.ci >= 0, f"--ci is a number of resamples, 0 or more; got {self.ci}")


def check_checkpoint(name: str) -> None:
    """Raise ConfigError unless name is best or final."""
    check_choice("--checkpoint", name, CHECKPOINTS)


def check_tta(name: str) -> None:
    """Raise ConfigError unless name is one of TTAS."""
    check_choice("--tta", name, TTAS)
