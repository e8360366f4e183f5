"""Settings of the data: what is read, how it is split, resized and augmented."""

from dataclasses import dataclass
from typing import Literal

from vocctl.config.checks import check_choices, require, setting

Augmentation = Literal["none", "light", "strong", "affine"]
AugmentDevice = Literal["auto", "cpu", "gpu"]

MAX_CHOSEN_SIZE = 288  # pixels, of --size 0
MAX_WORKERS = 256  # each process starts with a copy of this one: thousands would bring the machine down


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    path: str = setting("data/voc2009", "VOC devkit of any year, or the competition's .npy folder.", flag="--data")
    train_split: str = setting("train", "Split to train on.")
    val_split: str = setting("val", "Split to validate on.")
    val: float = setting(0.0, "Fraction of the training split to validate on, instead of --val-split; 0: off.")
    folds: int = setting(0, "Number of cross-validation folds of the training split; 0: off.")
    fold: int = setting(0, "Fold index to validate on, from 0.")
    size: int = setting(
        160,
        "Input size in pixels: side of a training crop, shorter side of a validation image; 0 (train-seg): 288, or "
        "less if most training images are smaller, which --freeze-encoder enlarges up to 1.3 times.",
    )
    size_from: int = setting(96, "Progressive resizing: initial crop size in pixels; 0: off.")
    augment: Augmentation = setting("light", "Augmentation preset.")
    augment_on: AugmentDevice = setting(
        "auto",
        "Augment in the data loader (cpu), or on the GPU, which then holds all images; auto: on a GPU with room for them.",
    )
    workers: int = setting(-1, "Data-loading processes; -1: none on a CPU, up to 8 beside a GPU.")
    cache_dir: str = setting("", "Folder of decoded images and of features.", unset="the user's cache folder")

    def __post_init__(self) -> None:
        check_choices(self)
        require(self.size >= 0 and self.size % 32 == 0, f"--size is a multiple of 32 pixels, got {self.size}")
        require(
            self.size_from >= 0 and self.size_from % 32 == 0,
            f"--size-from is 0 (off) or a multiple of 32 pixels, got {self.size_from}",
        )
        require(-1 <= self.workers <= MAX_WORKERS, f"--workers is -1 (auto) or 0..{MAX_WORKERS}, got {self.workers}")
        require(0 <= self.val < 1, f"--val is a fraction of the training split in [0, 1), got {self.val}")
        require(self.folds == 0 or self.folds >= 2, f"--folds is 0 (off), 2 or more, got {self.folds}")
        require(self.fold == 0 or self.folds > 0, f"--fold {self.fold} needs --folds, the number of folds")
        require(
            0 <= self.fold < max(self.folds, 1),
            f"--fold is in 0..{self.folds - 1} with --folds {self.folds}, got {self.fold}",
        )
        require(not (self.val and self.folds), "--val and --folds are mutually exclusive: use one of them")
        require("\0" not in self.cache_dir, f"--cache-dir is a folder, got {self.cache_dir!r}")

    @property
    def holds_out(self) -> bool:
        """Whether the validation images are taken from the training split."""
        return self.val > 0 or self.folds > 0
