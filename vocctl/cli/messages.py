"""Lines on the terminal: results on stdout, notes and errors on stderr.

In a distributed run only the main process prints results and notes; any process may print an error.
"""

import errno
import io
import logging
import os
import re
import sys
import time
from typing import Any

from rich.console import Console
from rich.markup import escape

from vocctl.distributed import is_main_process, rank, world_size

SHUTDOWN_SECONDS = 5.0  # torchrun ends the other processes within this time after one has failed


class OutputError(Exception):
    """stdout cannot be written, or nobody reads it any more."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _PlainConsole(Console):
    """A console that prints texts as they are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, soft_wrap=True, emoji=False, **options)  # `:car:` in a name is not an emoji


class _OutConsole(_PlainConsole):
    """For results. If they cannot be written, the command ends: app.py's main catches OutputError."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")

    def print(self, *texts: Any, **options: Any) -> None:
        try:
            super().print(*texts, **options)
        except OSError as error:
            raise OutputError(error) from error


class _ErrConsole(_PlainConsole):
    """For notes and errors. If they cannot be written, the command continues without them: no result depends on them."""

    def on_broken_pipe(self) -> None:
        self.quiet = True

    def print(self, *texts: Any, **options: Any) -> None:
        try:
            super().print(*texts, **options)
        except OSError:
            self.quiet = True


out = _OutConsole(quiet=not is_main_process())
err = _ErrConsole(stderr=True, quiet=not is_main_process())


def escape_undecodable_names() -> None:
    """Make stdout and stderr print a file name that is not text in the terminal's encoding, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def flush() -> OSError | None:
    """Write what stdout and stderr hold back; return the error of stdout.

    A stream that fails is closed: else Python tries again when it exits, prints a traceback and changes the exit code.
    """
    errors = {}
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None: the shell closed it
            try:
                stream.flush()
            except OSError as error:
                errors[stream] = error
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return errors.get(sys.stdout)


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
    line = re.sub(
        r"[\x00-\x1f\x7f-\x9f]", "?", " ".join(message.split())
    )  # a file's text may hold the terminal's codes
    _ErrConsole(stderr=True).print(f"[bold red]error:[/] {escape(line)}")


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
    """Print what vocctl logs to stderr, also with --quiet: it warns of data that may make the results wrong."""
    logging.getLogger("vocctl").handlers = [_NoteHandler()]


def wait_for_shutdown() -> int:
    """Wait until torchrun ends this process, because another one has failed and reports why.

    Returns the exit code to use if torchrun does not end it.
    """
    time.sleep(2 * SHUTDOWN_SECONDS)
    print_error("another process of this run has ended; its own message gives the reason")
    return 1
