"""The settings of train-adv, and of attacks that are measured."""

from dataclasses import dataclass, field

from vocctl.config.checks import NORMS, check_budget, check_choice, check_goal, require
from vocctl.config.training import DataConfig, OptimConfig, TrainConfig

GENERATORS = ("pretrained", "unet", "resnet")
PENALTIES = ("none", "l2", "linf")
ATTACK_LOSSES = ("auto", "ce", "cosine", "margin")
REFERENCES = ("truth", "prediction")
ADV_MONITORS = ("drop", "val_loss")


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    generator: str = "pretrained"  # a decoder over a pretrained encoder that stays as it is; unet, resnet: from nothing
    encoder: str = "tf_efficientnet_lite0"  # of a pretrained one: any timm model with features
    weights: str = "auto"  # of that encoder: ImageNet's, none, or a file
    width: int = 48  # channels at a quarter of the image's sides
    depth: int = 3  # unet: levels, each of half the sides; resnet: residual blocks
    universal: bool = False  # one perturbation for every image, in place of a network

    def __post_init__(self) -> None:
        check_choice("generator", self.generator, GENERATORS)
        require(1 <= self.width <= 4096, f"width is in 1..4096, got {self.width}")
        require(1 <= self.depth <= 32, f"depth is in 1..32, got {self.depth}")
        require(self.generator != "unet" or self.depth <= 6, f"a U-Net's depth is in 1..6, got {self.depth}")


@dataclass(frozen=True, kw_only=True)
class ThreatConfig:
    norm: str = "linf"
    eps: str = "8/255"  # linf: the largest change of a channel; l2: the norm of a image's whole change
    penalty: str = "none"  # l2, linf: no bound by construction, this norm of the change is added to the loss instead
    # weight of the penalty, per level (1 / 255) of the change's root mean square (l2) or maximum (linf)
    lam: float = 0.05

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)
        check_choice("penalty", self.penalty, PENALTIES)
        check_budget(self.eps, self.norm)
        require(self.lam > 0, f"lambda is above 0, got {self.lam}")


@dataclass(frozen=True, kw_only=True)
class AttackLossConfig:
    target: tuple[str, ...] = ()  # runs of train-cls and train-seg that are to fail, all on one image
    # ce: cross-entropy of pixels and labels; cosine: weighed by how much is still right; margin: what absent labels have
    # over present ones; auto: margin against classifiers without a goal, else cosine
    attack_loss: str = "auto"
    # of the distance between the deepest features of the image and of its adversarial image
    feature_weight: float = 0.0
    reference: str = "truth"  # away from the labels, or from what the target says of the clean image
    goal: str = "untargeted"

    def __post_init__(self) -> None:
        check_choice("attack_loss", self.attack_loss, ATTACK_LOSSES)
        check_choice("reference", self.reference, REFERENCES)
        check_goal(self.goal)
        require(
            self.attack_loss != "margin" or self.goal == "untargeted",
            "--attack-loss margin has no goal: take ce or cosine with --goal",
        )
        require(self.feature_weight >= 0, f"feature_weight is 0 or more, got {self.feature_weight}")


@dataclass(frozen=True, kw_only=True)
class TrainAdvConfig:
    data: DataConfig = field(default_factory=lambda: DataConfig(size=224, size_from=0))
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    threat: ThreatConfig = field(default_factory=ThreatConfig)
    attack_loss: AttackLossConfig = field(default_factory=AttackLossConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=4e-4, ema=0.98))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, monitor="val_loss"))

    def __post_init__(self) -> None:
        check_choice("monitor", self.train.monitor, ADV_MONITORS)


@dataclass(frozen=True, kw_only=True)
class AttackConfig:
    attack: tuple[str, ...]  # as attacks/table.py reads them
    eps: tuple[str, ...] = ("1/255", "2/255", "4/255", "8/255")
    norm: str = "linf"
    goal: str = "untargeted"
    reference: str = "truth"
    images: int = 0  # a fixed subset of so many images, the same for every run; 0: all
    seed: int = 0

    def __post_init__(self) -> None:
        require(bool(self.attack and self.eps), "name at least one attack and one eps")
        check_choice("norm", self.norm, NORMS)
        check_choice("reference", self.reference, REFERENCES)
        check_goal(self.goal)
        for eps in self.eps:
            check_budget(eps, self.norm)
        require(self.images >= 0, f"images is 0 (all) or more, got {self.images}")
