"""Ctrl-C and SIGTERM asked of a run: noted at once, acted on between two steps."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from vocctl.errors import Interrupted, Terminated

InterruptCheck = Callable[[], None]  # raises Interrupted where a signal has come


class StopRequest:
    """asked is the signal that came, or None."""

    asked: signal.Signals | None = None

    def error(self, message: str) -> Interrupted:
        """The error that ends the run with the signal's exit code."""
        return Terminated(message) if self.asked == signal.SIGTERM else Interrupted(message)

    def check_interrupt(self, message: str) -> None:
        """Raise that error where a signal has come."""
        if self.asked:
            raise self.error(message)


@contextmanager
def catch_signals() -> Iterator[StopRequest]:
    """While inside, the first signal is noted; a Ctrl-C after it ends the process at once.

    A second SIGTERM doesn't: `timeout` sends one to the process and one to its group, and a save may be under way.
    """
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        if request.asked is None:
            request.asked = signal.Signals(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: whoever runs it there handles its signals
        before.clear()
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
