"""Output that cannot be written is one line and exit code 1; a reader that has gone, as with `| head`, is not an error."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a device of Linux")
LINES = ["", "--version", "recipes"]  # typer prints the help, vocctl the others


def vocctl(line: str, stdout: int, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vocctl", *line.split()]
    return subprocess.run(command, stdout=stdout, stderr=stderr, text=True, check=False)


@pytest.mark.parametrize("line", LINES)
def test_no_space_for_the_output(line: str) -> None:
    with open("/dev/full", "w") as full:
        process = vocctl(line, full.fileno())
    assert process.returncode == 1
    assert process.stderr.startswith("error: the output cannot be written (No space left on device)")
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize("line", LINES)
def test_nobody_reads_the_output(line: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = vocctl(line, writer)
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, "")


def test_an_error_keeps_its_exit_code_if_it_cannot_be_printed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "w") as full:
        assert vocctl("runs nowhere", subprocess.PIPE, full.fileno()).returncode == 3
    assert vocctl("runs nowhere", subprocess.PIPE, writer).returncode == 3
    os.close(writer)
