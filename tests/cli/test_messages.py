"""What the terminal shows: names without interpretation, names that cannot be encoded, durations and undefined scores."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vocctl.cli import messages, score_tables, tables
from vocctl.tasks.list_runs import RunSummary


def test_names_are_not_interpreted_as_rich_markup_or_emoji(capsys):
    messages.print_line("runs/:car:/a[v2]")
    score_tables.print_comparison("a[v1]", "a[v2]", [])
    run = RunSummary(
        path=Path(":car:[x]"), task="train-seg", data="voc", changed_settings="", seed=0, score=0.5, score_name="mean IoU",
        scored_on="[val]", started="[2026]",
    )  # fmt: skip
    tables.print_runs([run])
    messages.print_error("no run :car:[x]")
    printed = capsys.readouterr()
    for name in ("runs/:car:/a[v2]", "a[v2] compared with a[v1]", ":car:[x]", "[val]", "[2026]"):
        assert name in printed.out
    assert printed.err == "error: no run :car:[x]\n"


def test_an_error_is_one_line_without_terminal_codes(capsys):
    messages.print_error("w.pth has \x1b[1m\x9bbold\x07\ntensors")
    assert capsys.readouterr().err == "error: w.pth has ?[1m?bold? tensors\n"


@pytest.mark.skipif(os.name == "nt", reason="on Windows every file name is valid Unicode")
def test_a_file_name_that_is_not_utf8_is_printed():
    code = (
        "import os; from vocctl.cli import messages; messages.escape_undecodable_names(); "
        "messages.print_line(os.fsdecode(b'\\xff.jpg'))"
    )
    for errors, expected in (
        ("strict", b"\\udcff.jpg\n"),
        ("surrogateescape", b"\xff.jpg\n"),
    ):  # Python uses the second in the C locale
        environment = os.environ | {"PYTHONIOENCODING": f"utf-8:{errors}"}
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=environment)
        assert (process.returncode, process.stdout) == (0, expected)


def test_durations_are_printed_in_minutes_and_from_one_hour_on_in_hours():
    assert [tables.format_duration(seconds) for seconds in (0, 59.6, 3599, 3661)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:01:01",
    ]


def test_an_undefined_score_is_printed_as_a_dash():
    assert [tables.percent(value) for value in (float("nan"), 0.0, 0.12345)] == ["-", "0.0", "12.3"]


def test_what_modules_log_is_printed_once_as_a_note(capsys):
    messages.print_logged_notes()
    for _ in range(2):
        logging.getLogger("vocctl.data").warning("%s lists [a] twice", "train.txt")
    logging.getLogger("vocctl.data").info("not printed")
    assert capsys.readouterr().err == "note: train.txt lists [a] twice\n"
