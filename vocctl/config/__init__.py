"""Every setting of every task, as frozen dataclasses that validate themselves. loading.py layers TOML and flags over
them.

To add a flag to a train command, add a field to the config of its section, with `setting` and a check of its value, and use
it where the config is used. The flag, its help and the run's config.toml derive from the field.
"""

from vocctl.config.attacks import (
    AttackConfig,
    AttackLossConfig,
    GeneratorConfig,
    Reference,
    ThreatConfig,
    TrainAdvConfig,
)
from vocctl.config.checks import Norm, check_goal, did_you_mean, flag_of, parse_epsilon
from vocctl.config.classification import (
    ClsDataConfig,
    ClsLossConfig,
    ClsModelConfig,
    ClsOptimConfig,
    ThresholdConfig,
    Thresholds,
    TrainClsConfig,
)
from vocctl.config.data import Augmentation, DataConfig
from vocctl.config.evaluation import CHECKPOINTS, TTA, Checkpoint, EvalOptions, check_checkpoint, check_tta
from vocctl.config.loading import as_tables, from_tables, given, read_toml
from vocctl.config.segmentation import Decoder, LossConfig, ModelConfig, TrainSegConfig
from vocctl.config.training import AdversarialTrainingConfig, OptimConfig, TrainConfig

TrainingConfig = TrainSegConfig | TrainClsConfig | TrainAdvConfig

__all__ = [
    "CHECKPOINTS",
    "TTA",
    "AdversarialTrainingConfig",
    "AttackConfig",
    "AttackLossConfig",
    "Augmentation",
    "Checkpoint",
    "ClsDataConfig",
    "ClsLossConfig",
    "ClsModelConfig",
    "ClsOptimConfig",
    "DataConfig",
    "Decoder",
    "EvalOptions",
    "GeneratorConfig",
    "LossConfig",
    "ModelConfig",
    "Norm",
    "OptimConfig",
    "Reference",
    "ThreatConfig",
    "ThresholdConfig",
    "Thresholds",
    "TrainAdvConfig",
    "TrainClsConfig",
    "TrainConfig",
    "TrainSegConfig",
    "TrainingConfig",
    "as_tables",
    "check_checkpoint",
    "check_goal",
    "check_tta",
    "did_you_mean",
    "flag_of",
    "from_tables",
    "given",
    "parse_epsilon",
    "read_toml",
]
