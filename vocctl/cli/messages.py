"""Lines on the terminal: results on stdout, notes and errors on stderr.

In a distributed run only the main process prints results and notes; any process may print an error.
"""

import io
import logging
import sys
import time
from functools import partial

from rich.console import Console
from rich.markup import escape

from vocctl.distributed import is_main_process, rank, world_size

PlainConsole = partial(Console, highlight=False, soft_wrap=True, emoji=False)  # `:car:` in a name is not an emoji
out = PlainConsole(quiet=not is_main_process())
err = PlainConsole(stderr=True, quiet=not is_main_process())
SHUTDOWN_SECONDS = 5.0  # torchrun ends the other processes within this time after one has failed


def escape_undecodable_names() -> None:
    """Make stdout and stderr print a file name that is not text in the terminal's encoding, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def print_line(text: str) -> None:
    """Print to stdout without markup: a path, a JSON document."""
    out.print(text, markup=False)


def print_error(message: str) -> None:
    """Print one error line to stderr.

    Every process of a distributed run prints, because any of them may be the only one that fails. The others wait first,
    so that torchrun ends them silently when the main process has failed for the same reason.
    """
    if not is_main_process():
        time.sleep(SHUTDOWN_SECONDS)
        message = f"rank {rank()} of {world_size()}: {message}"
    PlainConsole(stderr=True).print(f"[bold red]error:[/] {escape(' '.join(message.split()))}")


def print_note(text: str, *, quiet: bool) -> None:
    """Print to stderr, unless --quiet."""
    if not quiet:
        err.print(text, markup=False)


class _NoteHandler(logging.Handler):
    """Prints what the modules below the command line log, each message once: a list is read several times."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.printed:
            self.printed.add(message)
            err.print(f"note: {message}", markup=False)


def print_logged_notes() -> None:
    """Print what vocctl logs to stderr, also with --quiet: these notes are about the user's data."""
    logging.getLogger("vocctl").handlers = [_NoteHandler()]


def wait_for_shutdown() -> int:
    """Wait until torchrun ends this process, because another one has failed and reports why.

    Returns the exit code to use if torchrun does not end it.
    """
    time.sleep(2 * SHUTDOWN_SECONDS)
    print_error("another process of this run has ended; its own message gives the reason")
    return 1
