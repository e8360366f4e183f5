"""The `vocctl` command: its subcommands, and how an error becomes one line and an exit code.

Exit codes: 0 success, 1 the run failed, 2 usage or config, 3 data or weights, 4 network or credentials, 5 out of memory,
130 interrupted, 143 terminated.
"""

import errno
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
import typer.main

from vocctl import __version__
from vocctl.cli import messages
from vocctl.cli.doctor import doctor
from vocctl.cli.download import download
from vocctl.cli.evaluate import evaluate
from vocctl.cli.export import export
from vocctl.cli.models import models
from vocctl.cli.plot import plot
from vocctl.cli.predict import predict
from vocctl.cli.recipes import recipes
from vocctl.cli.report import report
from vocctl.cli.runs import runs
from vocctl.cli.study import app as study_app
from vocctl.cli.submit import submit
from vocctl.cli.train import train_adv, train_cls, train_seg
from vocctl.cli.usage import usage_line
from vocctl.distributed import world_size
from vocctl.errors import DataError, MemoryExceeded, RunError, VocctlError, is_out_of_memory

app = typer.Typer(
    help="Train, attack and compare vision models on PASCAL VOC.",
    context_settings={"help_option_names": ["-h", "--help"]},  # commands inherit them
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
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
    "models": models,
    "doctor": doctor,
}
for command_name, command in COMMANDS.items():
    app.command(command_name)(command)
app.add_typer(study_app, name="study")


@app.callback(invoke_without_command=True)
def version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        messages.print_line(f"vocctl {__version__}")
        raise typer.Exit


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. An error that the user can fix is one line on stderr."""
    messages.escape_undecodable_names()
    messages.print_logged_notes()
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] == "help":  # `vocctl help COMMAND` is `vocctl COMMAND --help`
        args = [*args[1:2], "--help"]
    code = _run(args)
    error = messages.flush()
    return code if error is None or code else _output_failed(error)


def _run(args: Sequence[str]) -> int:
    try:
        return int(app(args, standalone_mode=False, prog_name="vocctl") or 0)
    except VocctlError as error:
        messages.print_error(str(error))
        return error.exit_code
    except UsageError as error:
        messages.print_error(usage_line(error, args, typer.main.get_command(app).commands))  # type: ignore[attr-defined]
        return 2
    except (KeyboardInterrupt, typer.Abort):
        messages.print_error(
            "interrupted: nothing incomplete was left, except a download's .part file, from which it resumes"
        )
        return 130
    except messages.OutputError as error:
        return _output_failed(error.cause)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich exits when nobody reads typer's help any more
            return 0
        raise
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            return _no_memory()
        if world_size() == 1 or "peer" not in str(error).lower():
            raise
        return messages.wait_for_shutdown()
    except OSError as error:
        if is_out_of_memory(error):
            return _no_memory()
        if error.errno in DISK_FULL:  # typer printed help; writers of files raise RunError themselves
            return _output_failed(error)
        if error.errno not in USER_ERRORS or error.filename is None:
            raise
        messages.print_error(f"{error.filename} cannot be used ({error.strerror}): fix that or name another path")
        return DataError.exit_code


def _output_failed(error: OSError) -> int:
    """The exit code if stdout cannot be written; 0 if nobody reads it any more, as with `| head`."""
    messages.flush()
    if isinstance(error, BrokenPipeError):
        return 0
    messages.print_error(f"the output cannot be written ({error.strerror}): free space, or print it somewhere else")
    return RunError.exit_code


def _no_memory() -> int:
    messages.print_error("out of memory: close other programs, or use smaller images or another --device")
    return MemoryExceeded.exit_code
