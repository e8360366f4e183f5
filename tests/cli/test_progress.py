"""Progress bars of a training run."""

import io

import pytest
from rich.console import Console

from vocctl.cli import messages, progress


@pytest.fixture
def screen(monkeypatch) -> io.StringIO:
    """What a terminal of 100 columns receives."""
    text = io.StringIO()
    monkeypatch.setattr(messages, "err", Console(file=text, force_terminal=True, color_system=None, width=100))
    return text


@pytest.mark.parametrize("totals", [(3, 3, 3), (3, 3, 5)])
def test_each_preparation_step_has_a_bar_until_it_is_complete(screen, totals):
    steps = dict(zip(("decoding train", "decoding val", "fitting the head"), totals, strict=True))
    with progress.shown(progress.TrainingView(quiet=False)) as view:
        for description, total in steps.items():
            for done in range(1, total):
                view.count(description, done, total)
                assert [(task.description, task.completed) for task in view.bar.tasks] == [(description, done)]
            view.count(description, total, total)
            assert view.bar.tasks == []
    assert all(description in screen.getvalue() for description in steps)


def test_quiet_prints_nothing(screen):
    with progress.shown(progress.TrainingView(quiet=True)) as view:
        view.count("decoding train", 1, 2)
        view.note("a note")
    with progress.counter("scoring", "images", quiet=True) as on_count:
        on_count(1, 2)
    assert screen.getvalue() == ""


def test_a_count_that_starts_over_gets_a_new_bar(screen):
    with progress.counter("scoring", "images", quiet=False) as on_count:
        for done in (1, 2, 1):
            on_count(done, 2)
    printed = screen.getvalue()
    assert 0 < printed.index("2/2 images") < printed.rindex("1/2 images")
