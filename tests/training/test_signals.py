"""Signals are recorded and acted on later; the earlier handlers are restored."""

import os
import signal
import threading

import pytest

from vocctl.errors import Interrupted, Terminated
from vocctl.training.signals import catch_signals


@pytest.mark.parametrize(
    ("number", "error_class", "exit_code"), [(signal.SIGINT, Interrupted, 130), (signal.SIGTERM, Terminated, 143)]
)
def test_first_signal_is_recorded(number, error_class, exit_code):
    with catch_signals() as request:
        assert request.signal_received is None
        os.kill(os.getpid(), number)
        assert request.signal_received == number
        error = request.error("stopped")
    assert type(error) is error_class
    assert (error.exit_code, str(error)) == (exit_code, "stopped")


def test_second_sigint_raises_keyboard_interrupt():
    with catch_signals() as request:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert request.signal_received == signal.SIGINT


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_second_sigterm_is_ignored(first):
    with catch_signals() as request:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal_received == first


def test_raise_if_received_raises_after_a_signal():
    with catch_signals() as request:
        request.raise_if_received("stopped")
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Terminated, match="stopped"):
            request.raise_if_received("stopped")


def test_handlers_are_restored_even_after_an_error():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with catch_signals():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(ValueError, match="x"), catch_signals():
        raise ValueError("x")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_each_run_has_its_own_request():
    with catch_signals() as first:
        os.kill(os.getpid(), signal.SIGTERM)
    with catch_signals() as second:
        assert second.signal_received is None
    assert first.signal_received == signal.SIGTERM


def test_handlers_do_not_change_outside_the_main_thread():
    before = signal.getsignal(signal.SIGINT)
    observed = []

    def work() -> None:
        with catch_signals() as request:
            observed.append((request.signal_received, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert observed == [(None, before)]
