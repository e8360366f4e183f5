"""Commands that do several things: a flag that has no effect on what is done is refused, instead of ignored."""

from collections.abc import Collection

import typer

from vocctl.errors import ConfigError


def check_no_other_flags(context: typer.Context, mode: str, allowed: Collection[str]) -> None:
    """Raise ConfigError if a flag was typed that neither is in allowed nor applies to everything.

    mode: what is done, for the message, such as a flag with its value or "download voc2009". allowed: long flags.
    """
    typed = {parameter.name: max(parameter.opts, key=len) for parameter in context.command.params}
    others = [
        flag
        for name, flag in typed.items()
        if name is not None and flag.startswith("--") and flag not in (*allowed, "--quiet")
        and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]  # fmt: skip
    if others:
        raise ConfigError(
            f"{mode} cannot be combined with {', '.join(others)}: omit {'it' if len(others) == 1 else 'them'}"
        )
