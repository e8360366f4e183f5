"""The settings of train-seg and train-cls, as frozen dataclasses that explain their units and refuse nonsense at birth."""

from dataclasses import dataclass, field

from vocctl.config.checks import NORMS, check_budget, check_choice, require

LOSSES = ("ce", "dice", "ce+dice", "focal", "lovasz")
DECODERS = ("unet", "deeplabv3plus", "fpn", "pspnet", "unetplusplus", "upernet", "segformer", "dpt")
PRESETS = ("none", "light", "strong", "affine")
AUGMENTERS = ("cpu", "gpu")
SCHEDULES = ("cosine", "poly", "constant")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SEG_MONITORS = ("mean_iou", "mean_dice", "pixel_accuracy", "val_loss")
CLS_LOSSES = ("bce", "asl", "focal")
CLS_MONITORS = ("map_11_point", "map_all_points", "map_sklearn", "sample_f1", "val_loss")
THRESHOLDS = ("per-class", "global", "0.5")


def _check_scratch_weights(field_name: str, name: str, weights: str) -> None:
    require(
        name != "scratch" or weights in ("auto", "none"),
        f"--{field_name} scratch begins from nothing: leave out --weights {weights}",
    )


MOST_WORKERS = 256  # processes: each starts with a copy of this one, and thousands end the machine


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    path: str = "data/voc2009"  # a VOC devkit tree of any year, or the competition's .npy layout
    train_split: str = "train"
    val_split: str = "val"
    val: float = 0.0  # share of train_split that is held out to validate on, in place of val_split; 0: none
    folds: int = 0  # train_split in so many equal parts, one of them held out; 0: off
    fold: int = 0  # which of them, from 0
    size: int = 160  # pixels: side of a training crop, and the shorter side of a image that is scored
    size_from: int = 96  # pixels: crops grow from this side to size while the run goes on; 0, size or more: they don't
    augment: str = "light"
    augment_on: str = "cpu"  # cpu: in the loader; gpu: on the device that trains, where the images then lie
    workers: int = -1  # processes that augment; -1: none on a CPU (they would take its cores), up to 8 beside a GPU
    cache_dir: str = ""  # decoded images; empty: the user's cache folder (see data/cache.py)

    def __post_init__(self) -> None:
        check_choice("augment", self.augment, PRESETS)
        check_choice("augment_on", self.augment_on, AUGMENTERS)
        require(self.size >= 32 and self.size % 32 == 0, f"size is a multiple of 32 pixels, got {self.size}")
        require(
            self.size_from >= 0 and self.size_from % 32 == 0,
            f"size_from is 0 (off) or a multiple of 32 pixels, got {self.size_from}",
        )
        require(-1 <= self.workers <= MOST_WORKERS, f"workers is -1 (auto) or 0..{MOST_WORKERS}, got {self.workers}")
        require(0 <= self.val < 1, f"val is a share of the training split in [0, 1), got {self.val}")
        require(self.folds == 0 or self.folds >= 2, f"folds is 0 (off), 2 or more, got {self.folds}")
        require(0 <= self.fold < max(self.folds, 1), f"fold is in 0..folds-1, got {self.fold} of {self.folds}")
        require(not (self.val and self.folds), "val and folds each hold images out: set one of them")
        require("\0" not in self.cache_dir, f"cache_dir is a folder, got {self.cache_dir!r}")

    @property
    def holds_out(self) -> bool:
        """Whether the validation images are taken from train_split."""
        return self.val > 0 or self.folds > 0


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    encoder: str = "tf_efficientnet_lite0"  # any timm model with features, or scratch
    decoder: str = "unet"
    skip: bool = True  # the U-Net's decoder sees every stage of the encoder; without: the deepest alone
    widths: tuple[int, ...] = (256, 128, 64)  # channels of the U-Net's decoder, deepest first; it stops at stride 4
    weights: str = "auto"  # auto: ImageNet, none: random, or a file (.safetensors, .pth)

    def __post_init__(self) -> None:
        check_choice("decoder", self.decoder, DECODERS)
        _check_scratch_weights("encoder", self.encoder, self.weights)
        require(
            bool(self.widths) and 0 < min(self.widths) <= max(self.widths) <= 4096,
            f"widths are in 1..4096, deepest first, got {self.widths}",
        )
        require(
            self.skip or self.decoder == "unet",
            f"--no-skip works with --decoder unet alone: {self.decoder} is built on its skip connections, "
            "so leave out one of the two flags",
        )

    @property
    def pretrained(self) -> bool:
        return self.encoder != "scratch" and self.weights != "none"


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    lr: float = 2e-3  # peak rate of what begins at random, after the warm-up
    encoder_lr: float = 0.3  # times lr: the peak rate of what is pretrained, and of a probe
    weight_decay: float = 0.01  # not on norms and biases
    schedule: str = "cosine"
    warmup: float = 0.05  # share of all steps, or of --minutes
    clip_norm: float = 1.0  # largest L2 norm of the gradient; 0: not clipped
    accumulate: int = 1  # batches to a step
    ema: float = 0.98  # decay of the weights' moving average, which is what is scored and kept; 0: none

    def __post_init__(self) -> None:
        check_choice("schedule", self.schedule, SCHEDULES)
        require(self.lr > 0, f"lr is above 0, got {self.lr}")
        require(self.encoder_lr >= 0, f"encoder_lr multiplies lr and is 0 or more, got {self.encoder_lr}")
        require(self.weight_decay >= 0, f"weight_decay is 0 or more, got {self.weight_decay}")
        require(0 <= self.warmup < 1, f"warmup is a share of all steps in [0, 1), got {self.warmup}")
        require(self.clip_norm >= 0, f"clip_norm is 0 (off) or more, got {self.clip_norm}")
        require(self.accumulate >= 1, f"accumulate is 1 or more, got {self.accumulate}")
        require(0 <= self.ema < 1, f"ema is a decay in [0, 1), got {self.ema}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    epochs: int = 30  # passes over the training split; not looked at when minutes is set
    minutes: float = 0.0  # training time that the schedule spans, validation left out; 0: epochs count
    batch: int = 8
    eval_every: int = 1  # epochs between validations
    save_every: float = 10.0  # minutes between states inside an epoch; one is saved after an epoch anyway
    patience: int = 0  # validations without a better monitor before the run stops early; 0: never
    monitor: str = "mean_iou"  # what makes a checkpoint the best: SEG_MONITORS, CLS_MONITORS
    precision: str = "auto"  # auto: bf16 where that is faster, else fp32
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    compile: bool = False  # torch.compile on the network that trains
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        require(self.epochs >= 1, f"epochs is 1 or more, got {self.epochs}")
        require(self.minutes >= 0, f"minutes is 0 (off) or more, got {self.minutes}")
        require(self.batch >= 1, f"batch is 1 or more, got {self.batch}")
        require(self.eval_every >= 1, f"eval_every is 1 or more, got {self.eval_every}")
        require(self.save_every > 0, f"save_every is above 0 minutes, got {self.save_every}")
        require(self.patience >= 0, f"patience is 0 (off) or more, got {self.patience}")
        require(0 <= self.seed < 2**31, f"seed is in [0, 2^31), got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    loss: str = "ce+dice"
    loss_stride: int = 2  # pixels from one that the loss looks at to the next, both ways; 1: every pixel
    class_weights: tuple[float, ...] = ()  # 21 of them, background first, for ce and focal; empty: all 1

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, LOSSES)
        require(1 <= self.loss_stride <= 8, f"loss_stride is in 1..8, got {self.loss_stride}")
        require(
            len(self.class_weights) in (0, 21) and all(w >= 0 for w in self.class_weights),
            f"class_weights are 21 numbers of 0 or more, background first, got {len(self.class_weights)}",
        )
        require(
            not self.class_weights or self.loss in ("ce", "ce+dice", "focal"),
            f"class_weights weigh ce, ce+dice and focal; {self.loss} has no use for them",
        )


@dataclass(frozen=True, kw_only=True)
class AdversarialTrainingConfig:
    adv_train: str = "none"  # adversarial training: the attack on a share of each batch, as pgd-3
    adv_eps: str = "4/255"  # its budget
    adv_norm: str = "linf"
    adv_fraction: float = 0.5  # of each batch

    def __post_init__(self) -> None:
        check_choice("adv_norm", self.adv_norm, NORMS)
        check_budget(self.adv_eps, self.adv_norm)
        require(0 < self.adv_fraction <= 1, f"adv_fraction is a share of each batch in (0, 1], got {self.adv_fraction}")


def _check_attack_precision(adversarial_training: AdversarialTrainingConfig, train: TrainConfig) -> None:
    require(
        adversarial_training.adv_train == "none" or train.precision != "fp16",
        "--adv-train needs gradients to the image, which fp16 rounds to 0: take --precision bf16 or fp32",
    )


@dataclass(frozen=True, kw_only=True)
class TrainSegConfig:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    adversarial_training: AdversarialTrainingConfig = field(default_factory=AdversarialTrainingConfig)

    def __post_init__(self) -> None:
        check_choice("monitor", self.train.monitor, SEG_MONITORS)
        _check_attack_precision(self.adversarial_training, self.train)


@dataclass(frozen=True, kw_only=True)
class ClsModelConfig:
    model: str = "tf_efficientnet_lite0"  # any timm model, or scratch
    weights: str = "auto"  # auto: ImageNet, none: random, or a file (.safetensors, .pth)

    def __post_init__(self) -> None:
        _check_scratch_weights("model", self.model, self.weights)

    @property
    def pretrained(self) -> bool:
        return self.model != "scratch" and self.weights != "none"


@dataclass(frozen=True, kw_only=True)
class ClsLossConfig:
    loss: str = "bce"
    pos_weight: str = "none"  # auto: a class's positives weigh negatives / positives in the training images

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, CLS_LOSSES)
        check_choice("pos_weight", self.pos_weight, ("auto", "none"))


@dataclass(frozen=True, kw_only=True)
class ClsOptimConfig(OptimConfig):
    probe: bool = True  # pretrained: the head begins as a linear probe, batch norms keep their statistics
    layer_decay: float = 1.0  # times the rate of a layer for each layer further down; 1: one rate for the body
    freeze_epochs: int = 0  # epochs at the start in which the head alone learns

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.layer_decay <= 1, f"layer_decay is a factor in (0, 1], got {self.layer_decay}")
        require(self.freeze_epochs >= 0, f"freeze_epochs is 0 or more, got {self.freeze_epochs}")


@dataclass(frozen=True, kw_only=True)
class ThresholdConfig:
    thresholds: str = "global"  # what a probability must reach: one fitted for all, fitted per class, or 0.5

    def __post_init__(self) -> None:
        check_choice("thresholds", self.thresholds, THRESHOLDS)


@dataclass(frozen=True, kw_only=True)
class TrainClsConfig:
    data: DataConfig = field(default_factory=lambda: DataConfig(size=288, size_from=0, augment="affine"))
    model: ClsModelConfig = field(default_factory=ClsModelConfig)
    loss: ClsLossConfig = field(default_factory=ClsLossConfig)
    optim: ClsOptimConfig = field(default_factory=lambda: ClsOptimConfig(lr=2e-3, encoder_lr=0.005))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch=16, monitor="map_sklearn"))
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    adversarial_training: AdversarialTrainingConfig = field(default_factory=AdversarialTrainingConfig)

    def __post_init__(self) -> None:
        check_choice("monitor", self.train.monitor, CLS_MONITORS)
        _check_attack_precision(self.adversarial_training, self.train)
