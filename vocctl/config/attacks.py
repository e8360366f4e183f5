"""Settings of train-adv, and of attacks that `vocctl eval --attack` runs."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from vocctl.config.checks import (
    Norm,
    check_budget,
    check_choice,
    check_choices,
    check_goal,
    parse_epsilon,
    require,
    setting,
)
from vocctl.config.data import DataConfig
from vocctl.config.training import OptimConfig, TrainConfig

Generator = Literal["pretrained", "unet", "resnet"]
Penalty = Literal["none", "l2", "linf"]
GeneratorObjective = Literal["auto", "ce", "cosine", "margin"]
Reference = Literal["truth", "prediction"]
AdvMonitor = Literal["drop", "val_loss"]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    generator: Generator = setting(
        "pretrained", "Architecture: a decoder over a frozen pretrained encoder, or from scratch."
    )
    encoder: str = setting("tf_efficientnet_lite0", "Encoder of a pretrained generator: any timm model with features.")
    weights: str = setting("auto", "Its weights: auto (ImageNet), none (random), or a .safetensors or .pth file.")
    width: int = setting(48, "Channels at a quarter of the image's sides.")
    depth: int = setting(3, "unet: levels, each halves the sides; resnet: residual blocks.")
    universal: bool = setting(False, "Learn one perturbation for all images instead of a network.")

    def __post_init__(self) -> None:
        check_choices(self)
        require(
            self.encoder != "scratch",
            "--encoder scratch is for train-seg: a generator from scratch is --generator unet or resnet",
        )
        require(1 <= self.width <= 4096, f"--width is in 1..4096, got {self.width}")
        require(1 <= self.depth <= 32, f"--depth is in 1..32, got {self.depth}")
        require(self.generator != "unet" or self.depth <= 6, f"--depth of a U-Net is in 1..6, got {self.depth}")


@dataclass(frozen=True, kw_only=True)
class ThreatConfig:
    norm: Norm = setting("linf", "Norm of the budget.")
    eps: str = setting("8/255", "Budget for pixels in [0, 1]: 8/255, 8px or 0.03; l2: of the whole image.")
    penalty: Penalty = setting(
        "none", "Penalize this norm of the perturbation in the loss, instead of a bound; none: off."
    )
    lam: float = setting(
        0.05, "Weight of the penalty, per level (1/255) of root mean square (l2) or maximum (linf).", flag="--lambda"
    )

    def __post_init__(self) -> None:
        check_choices(self)
        check_budget(self.eps, self.norm)
        require(self.lam > 0, f"--lambda is above 0, got {self.lam}")


@dataclass(frozen=True, kw_only=True)
class AttackLossConfig:
    target: tuple[str, ...] = setting((), "Run to attack; repeat for several.", unset="required")
    attack_loss: GeneratorObjective = setting(
        "auto",
        "Objective: cross-entropy, cosine-weighted cross-entropy, or the margin of absent over present labels; auto: margin "
        "against classifiers without a --goal, else cosine.",
    )
    feature_weight: float = setting(
        0.0, "Weight of the distance between the deepest features of clean and adversarial images; 0: off."
    )
    reference: Reference = setting("truth", "Reference labels: the truth, or the victim's clean prediction.")
    goal: str = setting("untargeted", "untargeted, target:CLASS or hide:CLASS.")

    def __post_init__(self) -> None:
        check_choices(self)
        check_goal(self.goal)
        require(
            self.attack_loss != "margin" or self.goal == "untargeted",
            "--attack-loss margin cannot be combined with --goal: use ce or cosine",
        )
        require(self.feature_weight >= 0, f"--feature-weight is 0 or more, got {self.feature_weight}")


@dataclass(frozen=True, kw_only=True)
class TrainAdvConfig:
    monitors: ClassVar[tuple[str, ...]] = get_args(AdvMonitor)  # choices of --monitor

    data: DataConfig = field(default_factory=lambda: DataConfig(size=224, size_from=0))
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    threat: ThreatConfig = field(default_factory=ThreatConfig)
    attack_loss: AttackLossConfig = field(default_factory=AttackLossConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=4e-4, ema=0.98))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, monitor="val_loss"))

    def __post_init__(self) -> None:
        check_choice("--monitor", self.train.monitor, self.monitors)
        require(self.data.size > 0, "--size 0 is for train-seg: give a multiple of 32 pixels")


@dataclass(frozen=True, kw_only=True)
class AttackConfig:
    attack: tuple[str, ...]  # as attacks/table.py parses them
    eps: tuple[str, ...] = ("1/255", "2/255", "4/255", "8/255")
    norm: Norm = "linf"
    step: str | None = None  # length of the steps of PGD and its relatives, written as eps; None: STEP_RATIO * eps
    goal: str = "untargeted"
    reference: Reference = "truth"
    images: int = 0  # a fixed subset of this size, the same for every run; 0: all
    seed: int = 0

    def __post_init__(self) -> None:
        require(bool(self.attack and self.eps), "name at least one --attack and one --eps")
        check_choices(self)
        check_goal(self.goal)
        for eps in self.eps:
            check_budget(eps, self.norm)
        if self.step is not None:
            parse_epsilon(self.step, "--step")
        require(self.images >= 0, f"--images is 0 (all) or more, got {self.images}")
