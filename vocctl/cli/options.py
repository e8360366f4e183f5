"""Option types that commands share, and the options that a config's fields become.

`config_options(config)` gives a command one option for each field of its config: the flag, its type, choices, default and
help come from the field. A flag that is not given is None, and the config's value stays.
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from vocctl.attacks.table import adv_train_help
from vocctl.cli.complete import OF_SETTINGS, devices, evaluations, run_names
from vocctl.config import TrainingConfig, flag_of
from vocctl.config.recipes import RecipeName
from vocctl.errors import ConfigError

PANELS = {  # section of a config -> heading in help
    "data": "Data",
    "model": "Model",
    "loss": "Loss",
    "optim": "Optimization",
    "train": "Training",
    "threshold": "Thresholds",
    "adversarial_training": "Adversarial training",
    "generator": "Generator",
    "threat": "Threat model",
    "attack_loss": "Objective",
}

DERIVED_HELP = {"adv_train": adv_train_help}  # fields whose help a table makes

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print results, errors and warnings about the data only, no progress.")
]
Runs = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Run folders, or their names under runs/.", autocompletion=run_names),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, or its name under runs/.", autocompletion=run_names)
]
Evaluation = Annotated[
    str | None,
    typer.Option(
        "--evaluation",
        help="Name of a folder in RUN/eval/. [dim]\\[default: the newest][/dim]",
        autocompletion=evaluations,
    ),
]
MovedData = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the images, if it was moved. [dim]\\[default: where they were][/dim]"),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", help="auto, cpu, cuda, cuda:1, mps. [dim]\\[default: the run's][/dim]", autocompletion=devices
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; flags override it.")]
Recipe = Annotated[
    RecipeName | None, typer.Option("--recipe", help="Settings for a kind of machine; `vocctl recipes` lists them.")
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume", help="Resume this run (name or folder) with its saved settings.", autocompletion=run_names
    ),
]
Smoke = Annotated[
    bool,
    typer.Option(
        "--smoke",
        help="Try these settings: a few steps, a validation, save, resume and eval on a few images; nothing is kept.",
    ),
]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Print all settings as TOML, which --config reads, and stop.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder, instead of one under runs/.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the run under runs/. [dim]\\[default: generated][/dim]")
]


@dataclass(frozen=True)
class ConfigOption:
    """A field of a config as a command-line option."""

    section: str
    field: "Field[Any]"
    hint: Any  # the field's type
    default: Any

    @property
    def flag(self) -> str:
        flag = flag_of(self.field)
        return f"{flag}/--no-{flag[2:]}" if self.hint is bool else flag

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.hint) if get_origin(self.hint) is Literal else ()

    @property
    def shown_default(self) -> str:
        """The default as help and docs show it."""
        value = self.default
        if not value and value is not False and self.field.metadata["unset"]:
            return str(self.field.metadata["unset"])
        if isinstance(value, bool):
            return "on" if value else "off"
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        off = re.search(r"(\w+): off", self.help)  # "0: off" in the help text
        return "off" if off is not None and shown in (off[1], f"{off[1]}.0") else shown

    @property
    def help(self) -> str:
        derived = DERIVED_HELP.get(self.field.name)
        return derived() if derived else str(self.field.metadata["help"])

    def annotation(self) -> Any:
        """The annotated type that Typer reads. A tuple of numbers is one text with commas, a tuple of strings a
        repeated flag."""
        item = get_args(self.hint)[0] if get_origin(self.hint) is tuple else None
        kind: Any = self.hint if item is None else list[str] if item is str else str
        default = "required" if self.shown_default == "required" else f"default: {self.shown_default}"
        option = typer.Option(
            self.flag, help=f"{self.help} [dim]\\[{default}][/dim]", rich_help_panel=PANELS[self.section], show_default=False,
            autocompletion=OF_SETTINGS.get(f"{self.section}.{self.field.name}"),
        )  # fmt: skip
        return Annotated[kind | None, option]

    def parse(self, value: Any) -> Any:
        """Convert what Typer returns to the field's type. Raises ConfigError: not numbers."""
        if get_origin(self.hint) is not tuple:
            return value
        item = get_args(self.hint)[0]
        if item is str:
            return tuple(value)
        try:
            return tuple(item(part) for part in value.split(","))
        except ValueError as error:
            raise ConfigError(f"{flag_of(self.field)} takes numbers separated by commas, got {value!r}") from error


def options_of(config: TrainingConfig) -> dict[str, ConfigOption]:
    """The options of a config's fields, by field name."""
    options = {}
    for section in fields(config):
        values = getattr(config, section.name)
        hints = get_type_hints(type(values))
        for item in fields(values):
            hint = Literal[config.monitors] if item.name == "monitor" else hints[item.name]
            options[item.name] = ConfigOption(section.name, item, hint, getattr(values, item.name))
    return options


def config_options(config: TrainingConfig) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate command(flags, ...) with an option for each field of config; flags holds those that were given."""
    options = options_of(config)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "flags"]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option.annotation())
            for name, option in options.items()
        ]

        @functools.wraps(command)
        def wrapper(**values: Any) -> None:
            flags = {name: values.pop(name) for name in options}
            command(_parse(flags, options), **values)

        del wrapper.__wrapped__
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        wrapper.__signature__ = inspect.Signature([*parameters, *added])  # type: ignore[attr-defined]
        hints = get_type_hints(command, include_extras=True)
        wrapper.__annotations__ = {parameter.name: hints[parameter.name] for parameter in own}
        wrapper.__annotations__ |= {parameter.name: parameter.annotation for parameter in added}
        return wrapper

    return decorate


def _parse(flags: Mapping[str, Any], options: Mapping[str, ConfigOption]) -> dict[str, Any]:
    """The flags that were given, as values of their fields."""
    return {name: options[name].parse(value) for name, value in flags.items() if value not in (None, [])}
