"""`vocctl train-seg`, `train-cls` and `train-adv`: flags over a TOML file over a recipe over the defaults, then the task."""

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from vocctl.cli import messages, progress, tables
from vocctl.cli.early_checks import check_new_run, check_resumed_run
from vocctl.cli.options import ConfigFile, Name, Out, PrintConfig, Quiet, Recipe, Resume, Smoke, config_options
from vocctl.cli.smoke import smoke_test
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig, as_tables, given, read_toml
from vocctl.config.recipes import RecipeName, recipe_config
from vocctl.errors import ConfigError
from vocctl.runs.paths import expand_home


@config_options(TrainSegConfig())
def train_seg(
    flags: dict[str, Any],
    name: Name = None,
    out: Out = None,
    recipe: Recipe = None,
    config: ConfigFile = None,
    resume: Resume = None,
    smoke: Smoke = False,
    print_config: PrintConfig = False,
    quiet: Quiet = False,
) -> None:
    """Train a segmenter on VOC images; saves its best and final weights.

    vocctl train-seg --data data/voc2009 --loss dice --no-skip
    """
    _train(
        "train_seg", TrainSegConfig(), flags, _RunFlags(name, out, config, resume, smoke, print_config, quiet, recipe)
    )


@config_options(TrainClsConfig())
def train_cls(
    flags: dict[str, Any],
    name: Name = None,
    out: Out = None,
    recipe: Recipe = None,
    config: ConfigFile = None,
    resume: Resume = None,
    smoke: Smoke = False,
    print_config: PrintConfig = False,
    quiet: Quiet = False,
) -> None:
    """Train a multi-label classifier of the 20 classes on VOC images; saves its best and final weights and its thresholds.

    vocctl train-cls --data data/voc2009 --model scratch
    """
    _train(
        "train_cls", TrainClsConfig(), flags, _RunFlags(name, out, config, resume, smoke, print_config, quiet, recipe)
    )


@config_options(TrainAdvConfig())
def train_adv(
    flags: dict[str, Any],
    name: Name = None,
    out: Out = None,
    config: ConfigFile = None,
    resume: Resume = None,
    smoke: Smoke = False,
    print_config: PrintConfig = False,
    quiet: Quiet = False,
) -> None:
    """Train a generator, a CNN that perturbs images within a budget so that classifiers and segmenters fail.

    vocctl train-adv --data data/voc2009 --target my-segmenter --target my-classifier --eps 8/255
    """
    _train("train_adv", TrainAdvConfig(), flags, _RunFlags(name, out, config, resume, smoke, print_config, quiet))


@dataclass(frozen=True)
class _RunFlags:
    """The flags that are not settings of the run."""

    name: str | None
    out: Path | None
    config: Path | None
    resume: str | None
    smoke: bool
    print_config: bool
    quiet: bool
    recipe: RecipeName | None = None


def _train(module: str, default: TrainingConfig, settings: dict[str, Any], flags: _RunFlags) -> None:
    started = time.perf_counter()
    others = (flags.name, flags.out, flags.config, flags.recipe, flags.smoke, flags.print_config)
    if flags.resume is not None and (settings.keys() - {"path"} or any(others)):
        raise ConfigError("--resume uses the run's saved settings: omit all other flags, except --quiet and --data")
    config = _resolved(module, default, settings, flags)
    if flags.print_config:
        messages.print_line(tomli_w.dumps(as_tables(config)).rstrip())
        return
    data = Path(settings["path"]) if "path" in settings else None
    if flags.resume is not None:
        check_resumed_run(flags.resume, default, module.replace("_", "-"), data)
    else:
        check_new_run(config, default)
    if flags.smoke:
        smoke_test(module, config, quiet=flags.quiet)
        return
    task = importlib.import_module(f"vocctl.tasks.{module}")  # imports torch
    with progress.shown(progress.TrainingView(quiet=flags.quiet)) as view:
        if flags.resume is not None:
            result = task.resume(flags.resume, data=data, reporter=view, command_started=started)
        else:
            result = task.run(config, flags.out, name=flags.name, reporter=view, command_started=started)
    tables.print_train_result(result, is_generator=isinstance(default, TrainAdvConfig))


def _resolved(module: str, default: TrainingConfig, settings: dict[str, Any], flags: _RunFlags) -> TrainingConfig:
    """The settings of the run: the flags over the --config file over the --recipe over the defaults."""
    config = default
    if flags.recipe is not None:
        config = recipe_config(flags.recipe, module.replace("_", "-"), config)
    if flags.config is not None:
        config = read_toml(config, flags.config)
    return expand_home(given(config, **settings))
