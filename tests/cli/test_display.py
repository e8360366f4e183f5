"""What a terminal is shown while a run goes on."""

import io

import pytest
from rich.console import Console

from vocctl.cli import display


@pytest.fixture
def screen(monkeypatch):
    held = io.StringIO()
    monkeypatch.setattr(display, "err", Console(file=held, force_terminal=True, width=100))
    return held


@pytest.mark.parametrize("others", [(3, 3), (3, 5)])
def test_each_count_before_training_has_a_bar_that_goes_when_it_is_done(screen, others):
    phases = dict(zip(("decoding train", "decoding val", "fitting the head"), (3, *others), strict=True))
    with display.training(quiet=False) as view:
        for what, total in phases.items():
            for done in range(1, total):
                view.count(what, done, total)
                assert [(task.description, task.completed) for task in view.bar.tasks] == [(what, done)]
            view.count(what, total, total)
            assert view.bar.tasks == []
    assert all(what in screen.getvalue() for what in phases)


def test_quiet_shows_nothing(screen):
    with display.training(quiet=True) as view:
        view.count("decoding train", 1, 2)
        view.note("a word")
    assert screen.getvalue() == ""
