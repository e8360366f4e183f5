"""Option types that commands share, and how an option shows a default that lives in the config."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from vocctl.config import TrainSegConfig


def default_of(field: str) -> str:
    """The config's default of a field, as help shows it."""
    config = TrainSegConfig()
    for section in fields(config):
        values = getattr(config, section.name)
        if hasattr(values, field):
            value = getattr(values, field)
            return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    raise AttributeError(field)


def setting(field: str, text: str, *names: str, panel: str | None = None) -> Any:
    """A typer option for a config field; its help ends with the default."""
    shown = default_of(field) or "empty"
    return typer.Option(
        *(names or ("--" + field.replace("_", "-"),)),
        help=f"{text} [dim]\\[{shown}][/dim]",
        rich_help_panel=panel,
        show_default=False,
    )


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; the result and errors alone.")]
Device = Annotated[str | None, setting("device", "auto, cpu, cuda, cuda:1, mps.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data", help="A VOC devkit of any year, or the competition's .npy folder.", show_default=False),
]
