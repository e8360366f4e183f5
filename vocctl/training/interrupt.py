"""Ctrl-C and SIGTERM asked of a run: noted at once, acted on between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vocctl.errors import Interrupted, Terminated


class StopRequest:
    """asked is the signal that came, or None."""

    asked: signal.Signals | None = None

    def error(self, message: str) -> Interrupted:
        """The error that ends the run with the signal's exit code."""
        return Terminated(message) if self.asked == signal.SIGTERM else Interrupted(message)


@contextmanager
def listening() -> Iterator[StopRequest]:
    """While inside, the first signal is noted; a second Ctrl-C ends the process at once."""
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        if request.asked is not None:
            raise KeyboardInterrupt
        request.asked = signal.Signals(number)

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
