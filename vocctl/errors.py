"""Errors that the user can fix, each with its exit code.

A message is one line: what is wrong, where, and how to fix it. Any other exception is our bug and keeps its traceback.
"""


class VocctlError(Exception):
    """Base of every error that the user can fix."""

    exit_code = 1


class RunError(VocctlError):
    """A run failed: the loss is not finite, the disk is full, or the output folder is gone."""

    exit_code = 1


class ConfigError(VocctlError):
    """A flag, a config key or a combination of them is invalid."""

    exit_code = 2


class DataError(VocctlError):
    """Data, weights or a run folder are missing, corrupt or of the wrong kind."""

    exit_code = 3


class NetworkError(VocctlError):
    """A server cannot be reached, answers with an error, or refuses the credentials."""

    exit_code = 4


class MemoryExceeded(VocctlError):
    """The device or the host ran out of memory."""

    exit_code = 5


NO_MEMORY = ("out of memory", "allocate memory", "not enough memory", "ALLOC_FAILED")  # as in torch's messages


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device or the host ran out of memory. torch and the operating system raise errors known by their text."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


class Interrupted(VocctlError):
    """Ctrl-C. The message says what was saved and how to resume."""

    exit_code = 130


class Terminated(Interrupted):
    """SIGTERM: as Interrupted, with the exit code that schedulers expect."""

    exit_code = 143
