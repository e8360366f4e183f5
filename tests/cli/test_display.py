"""What a terminal is shown while a run goes on."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from vocctl.cli import display
from vocctl.tasks.list_runs import RunSummary


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


def test_a_name_is_shown_as_it_is_spelt(capsys):
    display.line("runs/:car:/a[v2]")
    display.comparison("a[v1]", "a[v2]", [])
    display.run_list([RunSummary(Path(":car:[x]"), "train-seg", "voc", "", 0, 0.5, "mean IoU", "[val]", "[2026]")])
    display.error("no run :car:[x]")
    said = capsys.readouterr()
    for name in ("runs/:car:/a[v2]", "a[v2] against a[v1]", ":car:[x]", "[val]", "[2026]"):
        assert name in said.out
    assert said.err == "error: no run :car:[x]\n"


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_shown_all_the_same():
    code = "import os; from vocctl.cli import display; display.line(os.fsdecode(b'\\xff.jpg'))"
    for errors, shown in (("strict", b"\\udcff.jpg\n"), ("surrogateescape", b"\xff.jpg\n")):  # the latter: a C locale's
        given = os.environ | {"PYTHONIOENCODING": f"utf-8:{errors}"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=given)
        assert (done.returncode, done.stdout) == (0, shown)
