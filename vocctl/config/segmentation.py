"""Settings of train-seg."""

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

PixelLoss = Literal["ce", "dice", "ce+dice", "focal", "lovasz"]
Decoder = Literal[
    "unet", "linear", "mlp", "deeplabv3plus", "fpn", "pspnet", "unetplusplus", "upernet", "segformer", "dpt"
]
SegMonitor = Literal["mean_iou", "mean_dice", "pixel_accuracy", "val_loss"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    encoder: str = setting("tf_efficientnet_lite2", "Any timm model with features, or scratch: our plain CNN.")
    decoder: Decoder = setting(
        "mlp", "Decoder over the encoder's features; linear and mlp classify each pixel by its features of all strides."
    )
    skip: bool = setting(
        True, "Skip connections of unet, linear and mlp; without, the decoder sees the deepest features only."
    )
    widths: tuple[int, ...] = setting(
        (256, 128, 64), "Channels of the U-Net's decoder, deepest first; it ends at stride 4."
    )
    freeze_encoder: bool = setting(
        False, "Train the decoder only, on the encoder's fixed features; linear and mlp read them from the cache."
    )
    cache_features: bool = setting(
        True,
        "With --freeze-encoder: compute features once per image and mirrored image, not in each step from augmented images.",
    )
    weights: str = setting("auto", "auto (ImageNet), none (random), or a .safetensors or .pth file.")
    freeze_bn: bool = setting(
        True, "Pretrained batch norms keep their statistics; they are folded into the convolutions before them."
    )

    def __post_init__(self) -> None:
        check_choices(self)
        check_scratch_weights("--encoder", self.encoder, self.weights)
        require(
            bool(self.widths) and 0 < min(self.widths) <= max(self.widths) <= 4096,
            f"--widths are in 1..4096, deepest first, got {self.widths}",
        )
        require(
            not self.freeze_encoder or self.pretrained,
            "--freeze-encoder keeps pretrained features: random weights have none, so omit it, or --encoder scratch and "
            "--weights none",
        )
        require(
            self.skip or self.decoder in ("unet", "linear", "mlp"),
            f"--no-skip works only with --decoder unet, linear or mlp: {self.decoder} cannot do without its skip "
            "connections, so omit one of the two flags",
        )

    @property
    def backbone(self) -> str:
        """Name of the timm model, or scratch."""
        return self.encoder

    @property
    def pretrained(self) -> bool:
        return self.encoder != "scratch" and self.weights != "none"


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    loss: PixelLoss = setting("ce+dice", "Loss.")
    loss_stride: int = setting(2, "Compute the loss on every n-th pixel per axis; 1: on every pixel.")
    class_weights: tuple[float, ...] = setting(
        (), "21 class weights for ce, ce+dice and focal, background first.", unset="all 1"
    )

    def __post_init__(self) -> None:
        check_choices(self)
        require(1 <= self.loss_stride <= 8, f"--loss-stride is in 1..8, got {self.loss_stride}")
        require(
            len(self.class_weights) in (0, 21) and all(weight >= 0 for weight in self.class_weights),
            f"--class-weights are 21 numbers of 0 or more, background first, got {len(self.class_weights)}",
        )
        require(
            not self.class_weights or self.loss in ("ce", "ce+dice", "focal"),
            f"--class-weights apply to ce, ce+dice and focal; {self.loss} does not use them",
        )


@dataclass(frozen=True, kw_only=True)
class TrainSegConfig:
    monitors: ClassVar[tuple[str, ...]] = get_args(SegMonitor)  # choices of --monitor

    data: DataConfig = field(default_factory=lambda: DataConfig(size=0, size_from=0))
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: ProbeOptimConfig = field(default_factory=lambda: ProbeOptimConfig(lr=1e-3, encoder_lr=0.1))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch=4))
    adversarial_training: AdversarialTrainingConfig = field(default_factory=AdversarialTrainingConfig)

    def __post_init__(self) -> None:
        check_choice("--monitor", self.train.monitor, self.monitors)
        check_attack_precision(self.adversarial_training, self.train)
        require(
            self.adversarial_training.adv_train == "none" or not self.reads_cached_features,
            "--adv-train attacks images, which cached features do not follow: add --no-cache-features",
        )

    @property
    def reads_cached_features(self) -> bool:
        """Whether training reads the encoder's features from the cache, not images."""
        model = self.model
        return model.freeze_encoder and model.cache_features and model.decoder in ("linear", "mlp")
