"""Settings of train-cls."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from vocctl.config.checks import check_choice, check_choices, require, setting
from vocctl.config.data import DataConfig
from vocctl.config.training import (
    AdversarialTrainingConfig,
    ProbeOptimConfig,
    TrainConfig,
    check_attack_precision,
    check_scratch_weights,
)

LabelLoss = Literal["bce", "asl", "focal"]
ClsMonitor = Literal["map_11_point", "map_all_points", "map_sklearn", "sample_f1", "val_loss"]
Thresholds = Literal["per-class", "global", "0.5"]
PosWeight = Literal["auto", "none"]


@dataclass(frozen=True, kw_only=True)
class ClsModelConfig:
    model: str = setting("tf_efficientnet_lite2", "Any timm model, or scratch: our plain CNN.")
    weights: str = setting("auto", "auto (ImageNet), none (random), or a .safetensors or .pth file.")
    freeze_encoder: bool = setting(
        False, "Train the head only, on features from the cache, of images and mirrored images."
    )
    mask_evidence: bool = setting(
        True,
        "Pretrained models and training images with masks: also fit a pixel classifier, and average what it finds with the "
        "image's logits.",
    )
    freeze_bn: bool = setting(
        True, "Pretrained batch norms keep their statistics; they are folded into the convolutions before them."
    )

    def __post_init__(self) -> None:
        check_scratch_weights("--model", self.model, self.weights)
        require(
            not self.freeze_encoder or self.pretrained,
            "--freeze-encoder keeps pretrained features: random weights have none, so omit it, or --model scratch and "
            "--weights none",
        )

    @property
    def backbone(self) -> str:
        """Name of the timm model, or scratch."""
        return self.model

    @property
    def pretrained(self) -> bool:
        return self.model != "scratch" and self.weights != "none"

    @property
    def uses_mask_evidence(self) -> bool:
        """A frozen classifier reads pooled features alone."""
        return self.mask_evidence and self.pretrained and not self.freeze_encoder


@dataclass(frozen=True, kw_only=True)
class ClsDataConfig(DataConfig):
    mixup: float = setting(
        0.0, "Mixup: blend each image and its labels with another; alpha of the Beta distribution; 0: off."
    )
    cutmix: float = setting(
        0.0, "CutMix: paste a box of another image, and mix the labels by area; alpha of Beta; 0: off."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, alpha in (("--mixup", self.mixup), ("--cutmix", self.cutmix)):
            require(0 <= alpha < math.inf, f"{flag} is the alpha of a Beta distribution, 0 (off) or more; got {alpha}")

    @property
    def mixes(self) -> bool:
        """Whether training images and their labels are mixed with others."""
        return self.mixup > 0 or self.cutmix > 0


@dataclass(frozen=True, kw_only=True)
class ClsLossConfig:
    loss: LabelLoss = setting("bce", "Loss.")
    pos_weight: PosWeight = setting("none", "Weight of a class's positives; auto: negatives / positives.")

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True, kw_only=True)
class ClsOptimConfig(ProbeOptimConfig):
    layer_decay: float = setting(1.0, "Layer-wise learning-rate decay, from the head down; 1: off.")
    freeze_epochs: int = setting(0, "Epochs with a frozen backbone at the start; 0: off.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.layer_decay <= 1, f"--layer-decay is a factor in (0, 1], got {self.layer_decay}")
        require(self.freeze_epochs >= 0, f"--freeze-epochs is 0 or more, got {self.freeze_epochs}")


@dataclass(frozen=True, kw_only=True)
class ThresholdConfig:
    thresholds: Thresholds = setting("global", "Decision thresholds: fitted for each class, fitted for all, or 0.5.")

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True, kw_only=True)
class TrainClsConfig:
    monitors: ClassVar[tuple[str, ...]] = get_args(ClsMonitor)  # choices of --monitor

    data: ClsDataConfig = field(default_factory=lambda: ClsDataConfig(size=288, size_from=0, augment="affine"))
    model: ClsModelConfig = field(default_factory=ClsModelConfig)
    loss: ClsLossConfig = field(default_factory=ClsLossConfig)
    optim: ClsOptimConfig = field(default_factory=lambda: ClsOptimConfig(lr=2e-3, encoder_lr=0.005))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch=16, monitor="map_sklearn"))
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    adversarial_training: AdversarialTrainingConfig = field(default_factory=AdversarialTrainingConfig)

    def __post_init__(self) -> None:
        check_choice("--monitor", self.train.monitor, self.monitors)
        require(self.data.size > 0, "--size 0 is for train-seg: give a multiple of 32 pixels")
        check_attack_precision(self.adversarial_training, self.train)
        require(
            self.adversarial_training.adv_train == "none" or not self.data.mixes,
            "--mixup and --cutmix cannot be combined with --adv-train: attacks need labels that are 0 or 1",
        )
        require(
            not self.model.freeze_encoder or not (self.data.mixes or self.adversarial_training.adv_train != "none"),
            "--mixup, --cutmix and --adv-train change images, which --freeze-encoder does not read: omit one of them",
        )
