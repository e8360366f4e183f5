"""`vocctl train-seg`, `train-cls` and `train-adv`: flags over a TOML file over the defaults, then the task."""

import importlib
from pathlib import Path
from typing import Any

from vocctl.cli import progress, tables
from vocctl.cli.options import ConfigFile, Name, Out, Quiet, Resume, settings
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given, read_toml
from vocctl.errors import ConfigError


@settings(TrainSegConfig())
def train_seg(
    flags: dict[str, Any],
    name: Name = None,
    out: Out = None,
    config: ConfigFile = None,
    resume: Resume = None,
    quiet: Quiet = False,
) -> None:
    """Train a segmenter on VOC images and keep its best and final weights.

    vocctl train-seg --data data/voc2009 --loss dice --no-skip
    """
    _train("vocctl.tasks.train_seg", TrainSegConfig(), flags, name, out, config, resume, quiet)


@settings(TrainClsConfig())
def train_cls(
    flags: dict[str, Any],
    name: Name = None,
    out: Out = None,
    config: ConfigFile = None,
    resume: Resume = None,
    quiet: Quiet = False,
) -> None:
    """Train a classifier of the 20 classes on VOC images; keeps its best and final weights, and its thresholds.

    vocctl train-cls --data data/voc2009 --model scratch
    """
    _train("vocctl.tasks.train_cls", TrainClsConfig(), flags, name, out, config, resume, quiet)


@settings(TrainAdvConfig())
def train_adv(
    flags: dict[str, Any],
    name: Name = None,
    out: Out = None,
    config: ConfigFile = None,
    resume: Resume = None,
    quiet: Quiet = False,
) -> None:
    """Train a CNN adversary that perturbs images so that classifiers and segmenters fail, within a budget.

    vocctl train-adv --data data/voc2009 --target my-segmenter --target my-classifier --eps 8/255
    """
    _train("vocctl.tasks.train_adv", TrainAdvConfig(), flags, name, out, config, resume, quiet)


def _train(
    module: str,
    default: Any,
    flags: dict[str, Any],
    name: str | None,
    out: Path | None,
    config: Path | None,
    resume: str | None,
    quiet: bool,
) -> None:
    if resume is not None and (flags or name or out or config):
        raise ConfigError("--resume uses the run's saved settings: omit all other flags, except --quiet")
    chosen = given(read_toml(default, config) if config else default, **flags)

    task = importlib.import_module(module)  # imports torch
    with progress.training_view(quiet=quiet) as view:
        if resume is not None:
            result = task.resume(resume, reporter=view)
        else:
            result = task.run(chosen, out, name=name, reporter=view)
    tables.print_train_result(result, is_adversary=isinstance(default, TrainAdvConfig))
