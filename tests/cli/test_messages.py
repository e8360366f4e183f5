"""Names are printed as they are spelled, and as escapes where the terminal's encoding cannot print them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vocctl.cli import messages, score_tables, tables
from vocctl.tasks.list_runs import RunSummary


def test_names_are_neither_markup_nor_emoji(capsys):
    messages.print_line("runs/:car:/a[v2]")
    score_tables.print_comparison("a[v1]", "a[v2]", [])
    tables.print_runs([RunSummary(Path(":car:[x]"), "train-seg", "voc", "", 0, 0.5, "mean IoU", "[val]", "[2026]")])
    messages.print_error("no run :car:[x]")
    printed = capsys.readouterr()
    for name in ("runs/:car:/a[v2]", "a[v2] compared with a[v1]", ":car:[x]", "[val]", "[2026]"):
        assert name in printed.out
    assert printed.err == "error: no run :car:[x]\n"


@pytest.mark.skipif(os.name == "nt", reason="file names are text on Windows")
def test_a_name_that_is_not_text_is_printed():
    code = (
        "import os; from vocctl.cli import messages; messages.escape_undecodable_names(); "
        "messages.print_line(os.fsdecode(b'\\xff.jpg'))"
    )
    for errors, expected in (("strict", b"\\udcff.jpg\n"), ("surrogateescape", b"\xff.jpg\n")):  # C locale: the second
        environment = os.environ | {"PYTHONIOENCODING": f"utf-8:{errors}"}
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=environment)
        assert (process.returncode, process.stdout) == (0, expected)


def test_format_duration():
    assert [tables.format_duration(seconds) for seconds in (0, 59.6, 3599, 3661)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:01:01",
    ]


def test_an_undefined_score_is_printed_as_a_dash():
    assert [tables.percent(value) for value in (float("nan"), 0.0, 0.12345)] == ["-", "0.0", "12.3"]
