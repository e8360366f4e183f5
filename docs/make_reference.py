"""Write the tables of docs/commands.md that derive from the code: flags, attacks, metrics, plot kinds, exit codes.

    python docs/make_reference.py

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; NAME is a key of `tables()`. tests/test_docs.py fails if
the committed tables differ from what this script writes.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer.main

from vocctl import errors
from vocctl.attacks.table import ATTACKS, VICTIMS
from vocctl.cli import study
from vocctl.cli.app import COMMANDS, app
from vocctl.cli.options import ConfigOption, options_of
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig
from vocctl.metrics.table import METRICS
from vocctl.reporting.kinds import PLOT_KINDS

PAGE = Path(__file__).with_name("commands.md")
BLOCK = re.compile(r"(?<=<!-- table: )([^>]+)( -->\n).*?(?=<!-- end -->)", flags=re.S)
CONFIGS: dict[str, TrainingConfig] = {
    "train-seg": TrainSegConfig(),
    "train-cls": TrainClsConfig(),
    "train-adv": TrainAdvConfig(),
}
TYPE_NAMES = {str: "text", int: "int", float: "float", Path: "path", bool: ""}


def render(page: str) -> str:
    """Return the page with every table between markers written again. Raises KeyError: a marker names no table."""
    texts = tables()
    return BLOCK.sub(lambda block: f"{block[1]}{block[2]}{texts[block[1]]}", page)


def tables() -> dict[str, str]:
    """Markdown tables by name."""
    flags = {f"flags of {name}": flag_table(name, command) for name, command in COMMANDS.items()}
    flags |= {
        f"flags of study {name}": flag_table(f"study {name}", command) for name, command in study.COMMANDS.items()
    }
    return {
        **flags,
        "attacks": attack_table(),
        "metrics": metric_table(),
        "plot kinds": plot_kind_table(),
        "exit codes": exit_code_table(),
    }


def flag_table(name: str, command: Callable[..., None]) -> str:
    """Arguments and flags of a command; of a train command also the settings of its config."""
    settings = options_of(CONFIGS[name]) if name in CONFIGS else {}
    hints = get_type_hints(command, include_extras=True)
    typer_command: Any = typer.main.get_command(app)
    for word in name.split():  # "study run" is a command of the group study
        typer_command = typer_command.commands[word]
    parameters = typer_command.params
    rows = [_typer_row(item, hints[item.name]) for item in parameters if item.name in hints.keys() - settings.keys()]
    if not settings:
        return markdown(("flag", "value", "default", "description"), rows)
    rows = [(*row[:3], "", row[3]) for row in rows]
    rows += [_setting_row(option) for option in settings.values()]
    return markdown(("flag", "value", "default", "TOML key", "description"), rows)


def _typer_row(parameter: Any, hint: Any) -> tuple[str, ...]:
    """hint: the parameter's annotated type."""
    names, kind = [*parameter.opts, *parameter.secondary_opts], get_args(hint)[0]
    value = parameter.metavar or _type_name(kind)
    if parameter.param_type_name == "argument":
        names, value = [parameter.metavar], ""
    help_text, default = _split_default(parameter.help or "")
    if not default and parameter.default not in (None, "") and parameter.default is not False:
        default = str(parameter.default)
    if parameter.required:
        default = "required"
    return ", ".join(f"`{name}`" for name in names), value, default, help_text


def _setting_row(option: ConfigOption) -> tuple[str, ...]:
    flags = ", ".join(f"`{flag}`" for flag in option.flag.split("/"))
    default = option.shown_default if option.hint is not bool else "on" if option.default else "off"
    key = f"`{option.section}.{option.field.name}`"
    return flags, _type_name(option.hint), default, key, _split_default(option.help)[0]


def _type_name(hint: Any) -> str:
    members = [member for member in get_args(hint) if member is not type(None)]
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in members)
    if get_origin(hint) is tuple:
        return "text, repeatable" if members[0] is str else f"{_type_name(members[0])},..."
    if get_origin(hint) is list:
        return f"{_type_name(members[0])}, repeatable"
    return _type_name(members[0]) if members else TYPE_NAMES[hint]


def _split_default(help_text: str) -> tuple[str, str]:
    """Split a help text in rich's markup into description and default."""
    default = re.search(r"\[dim\]\\?\[(?:default: )?(.*?)\]\[/dim\]", help_text)
    if default:
        help_text = help_text.replace(default[0], "")
    help_text = re.sub(r"\[bold\](.*?)\[/(?:bold)?\]", r"`\1`", help_text)
    return " ".join(help_text.split()), default[1] if default else ""


def attack_table() -> str:
    heads = ("`--attack`", "access", "loss", "default steps", "restarts", "`--adv-train`", "runs", "description")
    rows = []
    for attack in ATTACKS.values():
        loss = attack.loss if attack.function and attack.access != "model-free" else ""
        victims = ", ".join(VICTIMS[task] for task in attack.tasks)
        row = (
            f"`{attack.name}:RUN`" if attack.trained else f"`{attack.name}`",
            attack.access,
            loss,
            str(attack.default_steps) if attack.iterative else "",
            "yes" if attack.restarts else "",
            "yes" if attack.for_training else "",
            victims,
            attack.description,
        )
        rows.append(row)
    return markdown(heads, rows)


def metric_table() -> str:
    rows = [(f"`{row.key}`", row.title, row.better, row.definition) for row in METRICS.values()]
    return markdown(("key", "title", "better", "definition"), rows)


def plot_kind_table() -> str:
    rows = [(f"`{kind.name}`", ", ".join(kind.tasks), kind.description) for kind in PLOT_KINDS.values()]
    return markdown(("`--kind`", "runs of", "shows"), rows)


def exit_code_table() -> str:
    """One row for each class of vocctl/errors.py; the base class shares its code with RunError."""
    classes = [item for item in vars(errors).values() if inspect.isclass(item) and item is not errors.VocctlError]
    rows = [("0", "", "Success.")]
    rows += [(str(item.exit_code), f"`{item.__name__}`", " ".join((item.__doc__ or "").split())) for item in classes]
    return markdown(("code", "error", "meaning"), rows)


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table, with the bars inside its cells escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    heads = list(heads)
    return "".join(f"| {' | '.join(row)} |\n" for row in [heads, ["---"] * len(heads), *cells])


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
