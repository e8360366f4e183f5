"""Signals are noted, acted on later, and handed back to whoever had them."""

import os
import signal
import threading

import pytest

from vocctl.errors import Interrupted, Terminated
from vocctl.training.signals import catch_signals


@pytest.mark.parametrize(
    ("number", "kind", "code"), [(signal.SIGINT, Interrupted, 130), (signal.SIGTERM, Terminated, 143)]
)
def test_the_first_signal_is_noted(number, kind, code):
    with catch_signals() as request:
        assert request.signal_received is None
        os.kill(os.getpid(), number)
        assert request.signal_received == number
        error = request.error("stopped")
    assert type(error) is kind
    assert (error.exit_code, str(error)) == (code, "stopped")


def test_the_second_ends_it():
    with catch_signals() as request:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert request.signal_received == signal.SIGINT


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_sigterm_lets_the_save_end(first):
    with catch_signals() as request:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal_received == first


def test_heeding_raises_once_a_signal_has_come():
    with catch_signals() as request:
        request.raise_if_received("stopped")
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Terminated, match="stopped"):
            request.raise_if_received("stopped")


def test_handlers_are_put_back_even_after_an_error():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with catch_signals():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(ValueError, match="x"), catch_signals():
        raise ValueError("x")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_each_run_has_a_request_of_its_own():
    with catch_signals() as first:
        os.kill(os.getpid(), signal.SIGTERM)
    with catch_signals() as second:
        assert second.signal_received is None
    assert first.signal_received == signal.SIGTERM


def test_outside_the_main_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with catch_signals() as request:
            seen.append((request.signal_received, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]
