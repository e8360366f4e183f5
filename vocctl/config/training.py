"""Settings of the optimizer, of the training run, and of adversarial training: the same for segmenters and classifiers."""

from dataclasses import dataclass
from typing import Literal

from vocctl.config.checks import Norm, check_budget, check_choices, require, setting

Optimizer = Literal["adamw", "sgd", "nadamw", "lamb", "lion"]
Schedule = Literal["cosine", "poly", "constant"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    optimizer: Optimizer = setting(
        "adamw", "Optimizer; sgd has Nesterov momentum of 0.9. --lr suits adamw: the others need another one."
    )
    lr: float = setting(2e-3, "Peak learning rate of newly initialized layers, after warm-up.")
    weight_decay: float = setting(0.01, "Weight decay; not of norms, biases and position embeddings.")
    schedule: Schedule = setting("cosine", "Learning-rate schedule after warm-up.")
    warmup: float = setting(0.05, "Warm-up, fraction of training.")
    clip_norm: float = setting(1.0, "Gradient clipping norm (L2); 0: off.")
    accumulate: int = setting(1, "Gradient accumulation: batches per optimizer step.")
    ema: float = setting(
        0.98, "Decay of the exponential moving average of the weights, which is validated and saved; 0: off."
    )

    def __post_init__(self) -> None:
        check_choices(self)
        require(self.lr > 0, f"--lr is above 0, got {self.lr}")
        require(self.weight_decay >= 0, f"--weight-decay is 0 or more, got {self.weight_decay}")
        require(0 <= self.warmup < 1, f"--warmup is a fraction in [0, 1), got {self.warmup}")
        require(self.clip_norm >= 0, f"--clip-norm is 0 (off) or more, got {self.clip_norm}")
        require(self.accumulate >= 1, f"--accumulate is 1 or more, got {self.accumulate}")
        require(0 <= self.ema < 1, f"--ema is a decay in [0, 1), got {self.ema}")


@dataclass(frozen=True, kw_only=True)
class ProbeOptimConfig(OptimConfig):
    """Of models whose pretrained layers are trained; a generator's encoder is frozen."""

    encoder_lr: float = setting(
        0.3, "Learning rate of pretrained layers, and of a head fitted by --probe, as a multiple of --lr."
    )
    probe: bool = setting(
        True, "Pretrained models: fit the head, or a segmenter's pixel classifier, to the frozen features first."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.encoder_lr >= 0, f"--encoder-lr is a multiple of --lr, 0 or more, got {self.encoder_lr}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    epochs: int = setting(30, "Passes over the training images; ignored with --minutes.")
    minutes: float = setting(
        0.0, "Wall time of the whole command, instead of --epochs: validation and saving included; 0: off."
    )
    batch: int = setting(8, "Batch size, over all processes.")
    eval_every: int = setting(1, "Epochs between validations.")
    save_every: float = setting(10.0, "Minutes between checkpoints inside an epoch; one is saved after each epoch.")
    patience: int = setting(0, "Early stopping: validations without improvement before training stops; 0: off.")
    monitor: str = setting("mean_iou", "Metric that selects the best checkpoint.")
    precision: Precision = setting(
        "auto",
        "Floating-point format; auto: bf16 where it is fast, fp16 on GPUs that have only that (T4, V100), else fp32.",
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps.")
    compile: bool = setting(False, "Compile the network with torch.compile; the first steps are slow.")
    seed: int = setting(0, "Random seed. The same seed on the same CPU gives the same run.")

    def __post_init__(self) -> None:
        check_choices(self)
        require(self.epochs >= 1, f"--epochs is 1 or more, got {self.epochs}")
        require(self.minutes >= 0, f"--minutes is 0 (off) or more, got {self.minutes}")
        require(self.batch >= 1, f"--batch is 1 or more, got {self.batch}")
        require(self.eval_every >= 1, f"--eval-every is 1 or more, got {self.eval_every}")
        require(self.save_every > 0, f"--save-every is above 0 minutes, got {self.save_every}")
        require(self.patience >= 0, f"--patience is 0 (off) or more, got {self.patience}")
        require(0 <= self.seed < 2**31, f"--seed is in [0, 2^31), got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class AdversarialTrainingConfig:
    adv_train: str = setting("none", "Attack on a part of each batch, such as pgd-3; none: off.")
    adv_eps: str = setting("4/255", "Its budget: 4/255, 4px or 0.0157.")
    adv_norm: Norm = setting("linf", "Its norm.")
    adv_fraction: float = setting(0.5, "Fraction of each batch that is attacked.")

    def __post_init__(self) -> None:
        check_choices(self)
        check_budget(self.adv_eps, self.adv_norm, "--adv-eps")
        require(
            0 < self.adv_fraction <= 1, f"--adv-fraction is a fraction of each batch in (0, 1], got {self.adv_fraction}"
        )


def check_attack_precision(adversarial_training: AdversarialTrainingConfig, train: TrainConfig) -> None:
    """Raise ConfigError for adversarial training in fp16."""
    require(
        adversarial_training.adv_train == "none" or train.precision != "fp16",
        "--adv-train needs gradients with respect to the image, which fp16 rounds to 0: use --precision bf16 or fp32",
    )


def check_scratch_weights(flag: str, name: str, weights: str) -> None:
    """Raise ConfigError if a model that is trained from scratch is given weights."""
    require(
        name != "scratch" or weights in ("auto", "none"),
        f"{flag} scratch uses no pretrained weights: omit --weights {weights}",
    )
