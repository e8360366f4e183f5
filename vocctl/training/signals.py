"""Ctrl-C and SIGTERM: remembered when they arrive, acted on between two training steps."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from vocctl.errors import Interrupted, Terminated

InterruptCheck = Callable[[], None]  # raises Interrupted if a signal was received


class StopRequest:
    """The first SIGINT or SIGTERM that was received, or None."""

    signal_received: signal.Signals | None = None

    def error(self, message: str) -> Interrupted:
        """Return the error that ends the run with the signal's exit code."""
        return Terminated(message) if self.signal_received == signal.SIGTERM else Interrupted(message)

    def raise_if_received(self, message: str) -> None:
        """Raise Interrupted, or Terminated after SIGTERM, if a signal was received."""
        if self.signal_received:
            raise self.error(message)


@contextmanager
def catch_signals() -> Iterator[StopRequest]:
    """Remember the first SIGINT or SIGTERM inside the block. A second Ctrl-C ends the process at once.

    A second SIGTERM does not: `timeout` sends one to the process and one to its group, and a save may be in progress.
    """
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if request.signal_received is None:
            request.signal_received = signal.Signals(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread, which alone can handle signals
        previous.clear()
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
