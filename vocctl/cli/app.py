"""The `vocctl` command: its subcommands, and how an error becomes one line and an exit code.

Exit codes: 0 success, 1 the run failed, 2 usage or config, 3 data or weights, 4 network or credentials, 5 out of memory,
130 interrupted, 143 terminated.
"""

import errno
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from vocctl import __version__
from vocctl.cli import messages
from vocctl.cli.download import download
from vocctl.cli.evaluate import evaluate
from vocctl.cli.export import export
from vocctl.cli.plot import plot
from vocctl.cli.predict import predict
from vocctl.cli.recipes import recipes
from vocctl.cli.report import report
from vocctl.cli.runs import runs
from vocctl.cli.submit import submit
from vocctl.cli.train import train_adv, train_cls, train_seg
from vocctl.config import did_you_mean
from vocctl.distributed import world_size
from vocctl.errors import DataError, MemoryExceeded, VocctlError, is_out_of_memory

app = typer.Typer(
    help="Train, attack and compare vision models on PASCAL VOC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 success, 1 the run failed, 2 usage or config, 3 data or weights, 4 network, 5 out of memory, "
    "130 interrupted, 143 terminated.",
)
UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer moved it from version to version
USER_ERRORS = (
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
)  # of a path that the user named: pathlib raises these where it answers False for a missing one
COMMANDS: dict[str, Callable[..., None]] = {
    "download": download,
    "train-cls": train_cls,
    "train-seg": train_seg,
    "train-adv": train_adv,
    "eval": evaluate,
    "plot": plot,
    "submit": submit,
    "report": report,
    "predict": predict,
    "export": export,
    "runs": runs,
    "recipes": recipes,
}
for command_name, command in COMMANDS.items():
    app.command(command_name)(command)


@app.callback(invoke_without_command=True)
def version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        messages.print_line(f"vocctl {__version__}")
        raise typer.Exit


def main(args: list[str] | None = None) -> int:
    """Run one command; return the exit code. An error that the user can fix is one line on stderr."""
    messages.escape_undecodable_names()
    try:
        return int(app(args, standalone_mode=False, prog_name="vocctl") or 0)
    except VocctlError as error:
        messages.print_error(str(error))
        return error.exit_code
    except UsageError as error:
        messages.print_error(_usage(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        messages.print_error(
            "interrupted: nothing incomplete was left, except a download's .part file, from which it resumes"
        )
        return 130
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            return _no_memory()
        if world_size() == 1 or "peer" not in str(error).lower():
            raise
        return messages.wait_for_shutdown()
    except BrokenPipeError:  # the reader of our output is gone, as with `| head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except OSError as error:
        if is_out_of_memory(error):
            return _no_memory()
        if error.errno not in USER_ERRORS or error.filename is None:
            raise
        messages.print_error(f"{error.filename} cannot be used ({error.strerror}): fix that or name another path")
        return DataError.exit_code


def _no_memory() -> int:
    messages.print_error("out of memory: close other programs, or use smaller images or another --device")
    return MemoryExceeded.exit_code


def _usage(error: Exception) -> str:
    """One line for an unknown flag or command, a missing or a wrong value; with the closest valid name."""
    message = " ".join(getattr(error, "format_message", lambda: str(error))().split())
    if message.startswith("No such command"):
        name = message.split("'")[1]
        hint = did_you_mean(name, COMMANDS) or ":"
        return f"{name!r} is not a command{hint} `vocctl --help` lists them"
    similar = getattr(error, "possibilities", None)
    if similar:
        return f"no option {getattr(error, 'option_name', '')}, did you mean {similar[0]}?"
    if choice := re.search(r"'(--[\w-]+)'.*?'(.*?)' is not one of (.*?)\.?$", message):
        flag, value, choices = choice[1], choice[2], choice[3].replace("'", "").split(", ")
        return f"{flag} is one of {', '.join(choices)}; got {value!r}{did_you_mean(value, choices)}"
    return f"{message.rstrip('.')}: `vocctl COMMAND --help` lists the options"
