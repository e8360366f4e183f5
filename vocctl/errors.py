"""Everything that a user can put right, and the exit code that each ends with.

A message is one line: what is wrong, where, and what to do next. All else is our bug and keeps its traceback.
"""


class VocctlError(Exception):
    """Base of every error that a user can put right."""

    exit_code = 1


class RunError(VocctlError):
    """A run failed on its way: loss not finite, disk full, output folder gone."""

    exit_code = 1


class ConfigError(VocctlError):
    """A flag, a config key or a combination of them makes no sense."""

    exit_code = 2


class DataError(VocctlError):
    """Data, weights or a run folder are missing, broken or of the wrong kind."""

    exit_code = 3


class NetworkError(VocctlError):
    """A server can't be reached, answers with an error, or refuses the credentials."""

    exit_code = 4


class MemoryExceeded(VocctlError):
    """The device or the host ran out of memory."""

    exit_code = 5


NO_MEMORY = ("out of memory", "allocate memory", "not enough memory", "ALLOC_FAILED")  # torch's words for it


def is_out_of_memory(error: BaseException) -> bool:
    """Of the device or the host: Python and numpy raise MemoryError, torch and the system others, known by their words."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


class Interrupted(VocctlError):
    """Ctrl-C: the state is saved and the message says how to go on."""

    exit_code = 130


class Terminated(Interrupted):
    """SIGTERM: as Interrupted, with the code that schedulers look for."""

    exit_code = 143
