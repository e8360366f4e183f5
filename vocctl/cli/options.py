"""Option types that commands share, and the options that a config's fields become.

`settings(config)` gives a command one option for each field of its config: the name, the type and the default shown in
help come from the config, the text from SETTINGS below. A flag that is left out is None, and the config's value stays.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from vocctl.attacks.table import adv_train_help
from vocctl.config import (
    ADV_MONITORS,
    ATTACK_LOSSES,
    CLS_LOSSES,
    CLS_MONITORS,
    DECODERS,
    GENERATORS,
    LOSSES,
    NORMS,
    PENALTIES,
    PRESETS,
    REFERENCES,
    SCHEDULES,
    SEG_MONITORS,
    THRESHOLDS,
    TrainAdvConfig,
    TrainClsConfig,
)
from vocctl.errors import ConfigError

PANELS = {
    "data": "Data",
    "model": "Model",
    "loss": "Loss",
    "optim": "Optimization",
    "train": "Training",
    "threshold": "Thresholds",
    "adversarial_training": "Adversarial training",
    "generator": "Generator",
    "threat": "Threat",
    "attack_loss": "Objective",
}
WORDS = ("target",)  # fields that hold words: their flag is given once for each
FLAGS = {"path": "--data", "lam": "--lambda"}  # of fields whose flag has another name
SETTINGS = {
    "path": "A VOC devkit of any year, or the competition's .npy folder.",
    "train_split": "Images to train on.",
    "val_split": "Images to validate on.",
    "val": "Share of the training images to validate on, in place of --val-split.",
    "folds": "Cut the training images into so many parts, and validate on one.",
    "fold": "Which part, from 0.",
    "size": "Pixels: side of a crop, shorter side of a scored image.",
    "size_from": "Crops grow from this side to --size; 0: off.",
    "augment": f"{', '.join(PRESETS)}.",
    "augment_on": "cpu: in the loader; gpu: on the device that trains, which holds all images.",
    "workers": "Processes that augment; -1: by the device.",
    "cache_dir": "Where decoded images are kept.",
    "encoder": "Any timm model with features, or scratch.",
    "decoder": f"{', '.join(DECODERS)}.",
    "skip": "The U-Net's skip connections.",
    "widths": "Channels of the U-Net's decoder, deepest first.",
    "model": "Any timm model, or scratch: our plain CNN.",
    "weights": "auto (ImageNet), none, or a .safetensors or .pth file.",
    "loss_stride": "The loss looks at every n-th pixel both ways.",
    "class_weights": "21 numbers, background first.",
    "pos_weight": "auto: rare classes' positives weigh more; none.",
    "lr": "Peak learning rate of what begins at random.",
    "encoder_lr": "Times --lr: the rate of what is pretrained, and of a probe.",
    "layer_decay": "Times the rate for each layer further down; 1: off.",
    "probe": "Pretrained models: the head begins as a linear probe.",
    "freeze_epochs": "Epochs in which the head alone learns.",
    "weight_decay": "Not on norms and biases.",
    "schedule": f"{', '.join(SCHEDULES)}.",
    "warmup": "Share of the run.",
    "clip_norm": "Largest norm of the gradient; 0: any.",
    "accumulate": "Batches to a step.",
    "ema": "Decay of the weights' moving average; 0: none.",
    "epochs": "Passes over the training images.",
    "minutes": "Train so long in place of --epochs.",
    "batch": "Images to a batch.",
    "eval_every": "Epochs between validations.",
    "save_every": "Minutes between states inside an epoch.",
    "patience": "Validations without a better score before stopping; 0: any.",
    "precision": "auto, fp32, bf16, fp16.",
    "device": "auto, cpu, cuda, cuda:1, mps.",
    "compile": "torch.compile on the network that trains; its first steps are slow.",
    "seed": "Same seed, same CPU, same run.",
    "thresholds": f"What a probability must reach: {', '.join(THRESHOLDS)}.",
    "adv_train": adv_train_help(),
    "adv_eps": "Its budget: 4/255, 4px or 0.0157.",
    "adv_norm": f"{', '.join(NORMS)}.",
    "adv_fraction": "Of each batch.",
    "generator": f"{', '.join(GENERATORS)}.",
    "width": "Channels at a quarter of the image's sides.",
    "depth": "unet: levels; resnet: blocks.",
    "universal": "One perturbation for every image.",
    "norm": f"{', '.join(NORMS)}.",
    "eps": "Budget for pixels in 0..1: 8/255, 8px or 0.03; l2: of the whole image.",
    "penalty": f"{', '.join(PENALTIES)}: in place of a bound, a term of the loss.",
    "lam": "Weight of the penalty.",
    "target": "A run that is to fail; give it again for several.",
    "attack_loss": f"{', '.join(ATTACK_LOSSES)}.",
    "feature_weight": "Of the distance between deepest features.",
    "reference": f"{', '.join(REFERENCES)}: away from what.",
    "goal": "untargeted, target:CLASS, hide:CLASS.",
}

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; the result and errors alone.")]
Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders, or their names under runs/.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file of settings; flags go over it.")]
Resume = Annotated[str | None, typer.Option("--resume", help="Go on with this run (name or folder), as it was set.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run's folder, in place of runs/.")]
Name = Annotated[str | None, typer.Option("--name", help="The run's name under runs/; made up if left out.")]


def settings(config: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate command(flags, ...) with an option for each field of config; flags holds those that were given."""
    options = {
        field.name: (section.name, getattr(getattr(config, section.name), field.name))
        for section in fields(config)
        for field in fields(getattr(config, section.name))
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [one for one in inspect.signature(command).parameters.values() if one.name != "flags"]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(config, name, section, value)
            )
            for name, (section, value) in options.items()
        ]

        @functools.wraps(command)
        def called(**values: Any) -> None:
            flags = {name: values.pop(name) for name in options}
            command(_parsed(flags, options), **values)

        del called.__wrapped__
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        called.__signature__ = inspect.Signature([*parameters, *added])  # type: ignore[attr-defined]
        hints = get_type_hints(command, include_extras=True)
        called.__annotations__ = {one.name: hints[one.name] for one in own} | {p.name: p.annotation for p in added}
        return called

    return decorate


def _option(config: Any, name: str, section: str, value: Any) -> Any:
    """The annotated type of one field's option."""
    kind: Any = str if isinstance(value, tuple) else type(value)
    if name in WORDS:
        kind = list[str]
    flag = FLAGS.get(name, "--" + name.replace("_", "-"))
    flag = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    losses = CLS_LOSSES if isinstance(config, TrainClsConfig) else LOSSES
    monitors = {TrainClsConfig: CLS_MONITORS, TrainAdvConfig: ADV_MONITORS}.get(type(config), SEG_MONITORS)
    of_task = {"loss": f"{', '.join(losses)}.", "monitor": f"What makes the best: {', '.join(monitors)}."}
    text = of_task.get(name) or SETTINGS[name]
    option = typer.Option(
        flag,
        help=f"{text} [dim]\\[{shown or 'empty'}][/dim]",
        rich_help_panel=PANELS[section],
        show_default=False,
    )
    return Annotated[kind | None, option]


def _parsed(flags: dict[str, Any], options: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """Those that were given; lists of numbers made of their text."""
    given = {name: value for name, value in flags.items() if value is not None and value != []}
    for name, value in given.items():
        if name in WORDS:
            given[name] = tuple(value)
        elif isinstance(options[name][1], tuple):
            given[name] = _numbers(name, value, int if name == "widths" else float)
    return given


def _numbers(name: str, text: str, kind: Any) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        flag = name.replace("_", "-")
        raise ConfigError(f"--{flag} takes numbers with commas between, got {text!r}") from error
