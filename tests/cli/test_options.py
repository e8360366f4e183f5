"""Help shows every default in one way."""

import re

import typer.main

from vocctl.cli.app import COMMANDS, app
from vocctl.cli.options import options_of
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig


def help_texts() -> list[str]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return [item.help or "" for name in COMMANDS for item in commands[name].params]


def test_defaults_are_shown_in_one_way() -> None:
    in_brackets = [text for help_text in help_texts() for text in re.findall(r"\[dim\]\\?\[(.*?)\]\[/dim\]", help_text)]
    assert len(in_brackets) > 100
    assert [text for text in in_brackets if not re.fullmatch(r"default: .+|required", text)] == []
    assert [text for text in help_texts() if re.search(r"if (omitted|left out)|(?<!\[dim\]\\)\[default", text)] == []


def test_a_default_that_means_off_is_shown_as_off() -> None:
    shown = {}
    for config in (TrainSegConfig(), TrainClsConfig(), TrainAdvConfig()):
        shown |= {option.flag: option.shown_default for option in options_of(config).values()}
    off = ("--val", "--folds", "--size-from", "--mixup", "--freeze-epochs", "--layer-decay", "--minutes", "--patience",
           "--adv-train", "--penalty", "--feature-weight", "--compile/--no-compile")  # fmt: skip
    assert {flag: shown[flag] for flag in off} == dict.fromkeys(off, "off")
    assert (shown["--clip-norm"], shown["--fold"], shown["--seed"]) == ("1.0", "0", "0")
