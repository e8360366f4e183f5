"""Corrupt and hostile files and flags: one line, a documented exit code, and nothing is written outside the working folder.

Every file that a command reads is corrupted in every way that applies to its kind, and every flag gets absurd values. A seeded
sample runs in the suite, six times as many cases with VOCCTL_LONG=1 (`make test-long`). A command that never reads the file, or
can do without it, may end with 0.
"""

import io
import json
import os
import random
import re
import shutil
import signal
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer

from vocctl.cli.app import app, main

EXIT_CODES = {0, 1, 2, 3, 4, 5}
MAX_SECONDS = 10  # per command
SMALL = ["--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "1", "--quiet"]

Corruption = Callable[[Path, random.Random], None]


def replace_content(path: Path, content: bytes) -> None:
    """Replace the file instead of writing into it: it may be a hard link to the intact folder's file."""
    path.unlink()
    path.write_bytes(content)


def truncate(path: Path, draw: random.Random) -> None:
    replace_content(path, path.read_bytes()[: draw.randrange(1, max(path.stat().st_size, 2))])


def empty(path: Path, draw: random.Random) -> None:
    replace_content(path, b"")


def random_bytes(path: Path, draw: random.Random) -> None:
    replace_content(path, draw.randbytes(max(path.stat().st_size, 64)))


def flip_bits(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(8):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    replace_content(path, bytes(content))


def repeat(path: Path, draw: random.Random) -> None:
    replace_content(path, path.read_bytes() * 3)


def folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path, draw: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def remove(path: Path, draw: random.Random) -> None:
    path.unlink()


def link_to_itself(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def not_utf8(path: Path, draw: random.Random) -> None:
    replace_content(path, path.read_bytes().replace(b"\n", b" \xe9\xff\n") + b"\xff")


def null_bytes(path: Path, draw: random.Random) -> None:
    replace_content(path, b"\0".join(path.read_bytes().split(b"\n")))


def deep_nesting(path: Path, draw: random.Random) -> None:
    replace_content(path, b"a = " * (path.suffix == ".toml") + b"[" * 100_000)


def list_of_values(path: Path, draw: random.Random) -> None:
    replace_content(path, b'[1, "two", null]\n' if path.suffix != ".toml" else b'train = [1, "two"]\n')


def absurd_values(path: Path, draw: random.Random) -> None:
    """Replace every number by another value; the file remains JSON or TOML."""
    text = path.read_text()
    if path.suffix in (".json", ".jsonl"):
        values = [-1, float("inf"), 10**20, float("nan"), None, "x", 0]
        parsers = dict.fromkeys(("parse_int", "parse_float"), lambda _: draw.choice(values))
        documents = text.splitlines() if path.suffix == ".jsonl" else [text]
        text = "".join(json.dumps(json.loads(document, **parsers)) + "\n" for document in documents)
    else:
        words = ["-1", "1e999", "9" * 20, "nan", '"x"', "0"]
        text = re.sub(r'(?<![\w"./-])-?\d[\d.e+-]*', lambda _: draw.choice(words), text)
    replace_content(path, text.encode())


def long_line(path: Path, draw: random.Random) -> None:
    replace_content(path, b"x" * 3_000_000)


def huge_header(path: Path, draw: random.Random) -> None:
    """A PNG, npy or safetensors file whose header declares far more data than the file contains."""
    if path.suffix == ".npy":
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000000, 9000000, 3), }"
        replace_content(path, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    elif path.suffix == ".safetensors":
        replace_content(path, (2**62).to_bytes(8, "little") + b"{}")
    else:
        chunk = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        replace_content(
            path, b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        )


def pickled_array(path: Path, draw: random.Random) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    replace_content(path, stream.getvalue())


FILE = [truncate, empty, random_bytes, flip_bits, repeat, folder, pipe, remove, link_to_itself]
BINARY = [*FILE, huge_header, pickled_array]
TEXT = [*FILE, not_utf8, null_bytes, deep_nesting, list_of_values, absurd_values, long_line]

SEG_DATA, CLS_DATA = "data/tree", "data/h02a5a"
SEG_RUN, CLS_RUN, ADV_RUN = "runs/seg/one", "runs/cls/one", "runs/adv/one"
TRAIN_SEG = ["train-seg", "--data", SEG_DATA, "--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8", *SMALL]
TRAIN_CLS = ["train-cls", "--data", CLS_DATA, "--model", "scratch", *SMALL]
RUN_COMMANDS = [["eval"], ["plot"], ["report"], ["predict", "images"], ["export"], ["runs"], ["submit"], ["train-adv"]]
DEVKIT = f"{SEG_DATA}/VOCdevkit/VOC2009"


def on_run(words: list[str], run: str) -> list[str]:
    """The command applied to this run."""
    return {
        "predict": ["predict", "images", "--run", run, "--out", "masks"],
        "runs": ["runs", "runs"],
        "export": ["export", run, "--images", "1"],
        "submit": ["submit", "--competition", "h02a5a", "--cls", CLS_RUN, "--seg", SEG_RUN, "--data", CLS_DATA, "--dry-run"],
        "train-adv": ["train-adv", "--data", SEG_DATA, "--target", run, "--width", "8", *SMALL],
    }.get(words[0], [words[0], run])  # fmt: skip


VALID_COMMANDS = {
    "train-seg": TRAIN_SEG, "train-cls": TRAIN_CLS, "train-adv": on_run(["train-adv"], SEG_RUN), "eval": ["eval", SEG_RUN],
    "predict": on_run(["predict"], SEG_RUN), "plot": ["plot", SEG_RUN], "export": ["export", CLS_RUN],
    "submit": on_run(["submit"], ""), "report": ["report", CLS_RUN], "runs": ["runs", "runs"],
}  # fmt: skip
SKIPPED_FLAGS = {"--epochs", "--minutes", "--resume"}  # a large number is valid and would train for years


@dataclass(frozen=True)
class Case:
    file: str  # a glob pattern; its first match is corrupted
    corrupt: Corruption
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.corrupt.__name__}-{self.file.split('/')[-1]}-{self.command[0]}"


def _cases() -> list[Case]:
    check = ["download", "--check", SEG_DATA]
    files: list[tuple[str, list[Corruption], list[list[str]]]] = [
        (f"{DEVKIT}/JPEGImages/*.jpg", BINARY, [TRAIN_SEG, ["eval", SEG_RUN, "--data", SEG_DATA], check]),
        (f"{DEVKIT}/SegmentationClass/*.png", BINARY, [TRAIN_SEG, check]),
        (f"{DEVKIT}/ImageSets/Segmentation/train.txt", TEXT, [TRAIN_SEG, check]),
        ("images/*.jpg", BINARY, [["predict", "images", "--run", SEG_RUN, "--out", "masks"]]),
        (f"{CLS_DATA}/**/*.npy", BINARY, [TRAIN_CLS, ["eval", CLS_RUN], on_run(["submit"], "")]),
        (f"{CLS_DATA}/**/*.csv", TEXT, [TRAIN_CLS, on_run(["submit"], "")]),
        ("submission.csv", TEXT, [["submit", "--competition", "h02a5a", "--check", "submission.csv", "--data", CLS_DATA]]),
        ("recipe.toml", TEXT, [[*TRAIN_SEG, "--config", "recipe.toml"], [*TRAIN_CLS, "--config", "recipe.toml"]]),
        (f"{SEG_RUN}/state/*.safetensors", BINARY, [["train-seg", "--resume", SEG_RUN]]),
        ("weights.safetensors", BINARY, [[*TRAIN_SEG, "--weights", "weights.safetensors"]]),
        ("voc.tar", BINARY, [["download", "voc2009", "--archive", "voc.tar", "--out", "data/new"]]),
        ("tree.zip", BINARY, [["download", "h02a5a", "--archive", "tree.zip", "--out", "data/new"]]),
    ]  # fmt: skip
    for run in (SEG_RUN, CLS_RUN):
        commands = [on_run(words, run) for words in RUN_COMMANDS]
        files.append((f"{run}/best.safetensors", BINARY, commands))
        for name in ("config.toml", "run.json", "metrics.jsonl", "thresholds.json", "split.json", "validation_dice.json",
                     "eval/**/*.json"):  # fmt: skip
            files.append((f"{run}/{name}", TEXT, commands))
    on_generator = [["eval", SEG_RUN, "--attack", f"adv:{ADV_RUN}", "--images", "1"], ["plot", ADV_RUN], ["runs"]]
    for name in ("config.toml", "run.json", "metrics.jsonl"):
        files.append((f"{ADV_RUN}/{name}", TEXT, on_generator))
    files.append((f"{ADV_RUN}/best.safetensors", BINARY, on_generator[:1]))
    return [
        Case(file, corrupt, tuple(words))
        for file, corruptions, commands in files
        for corrupt in corruptions
        for words in commands
    ]


def sample_cases() -> list[Case]:
    """60 cases in a seeded order; 360 with VOCCTL_LONG."""
    cases = _cases()
    random.Random(0).shuffle(cases)
    return cases[: 360 if os.environ.get("VOCCTL_LONG") else 60]


@pytest.fixture(scope="module")
def intact(_mock_competition: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which every command works."""
    root = tmp_path_factory.mktemp("intact") / "workspace"
    shutil.copytree(_mock_competition, root)
    before = Path.cwd()
    os.chdir(root)
    try:
        for run in (SEG_RUN, CLS_RUN):
            assert main(["eval", run, "--quiet"]) == 0
        assert main([*on_run(["train-adv"], SEG_RUN), "--name", "one"]) == 0
        assert main([*on_run(["submit"], ""), "--out", "submission.csv"]) == 0
        (root / "images").mkdir()
        for image in sorted(Path(DEVKIT, "JPEGImages").glob("*.jpg"))[:2]:
            shutil.copy(image, root / "images")
        shutil.copy(Path(SEG_RUN, "final.safetensors"), root / "weights.safetensors")
        shutil.copy(Path(SEG_RUN, "config.toml"), root / "recipe.toml")
        shutil.make_archive("voc", "tar", SEG_DATA)
        shutil.make_archive("tree", "zip", CLS_DATA)
    finally:
        os.chdir(before)
    return root


def link_or_copy(source: str, target: str) -> None:
    """Link weights and checkpoints, which are large: vocctl replaces them and never writes into them."""
    (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)


@pytest.mark.parametrize("case", sample_cases(), ids=str)
def test_corrupt_file_is_one_error_line(case: Case, intact: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(intact, root, copy_function=link_or_copy)
    monkeypatch.chdir(root)
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "cache"))
    matches = sorted(path for path in Path().glob(case.file) if path.is_file())
    if not matches:
        pytest.skip(f"no command has written {case.file}")
    case.corrupt(matches[0], random.Random(str(case)))
    check_clean_exit(list(case.command), capsys)
    assert {path.name for path in tmp_path.iterdir()} <= {"workspace", "cache"}


def sample_flags() -> list[tuple[str, str, str]]:
    """(command, flag, value): 60 in a seeded order; 360 with VOCCTL_LONG."""
    values = [
        "",
        "-1",
        "0",
        "nan",
        "-inf",
        "1e999",
        "9" * 20,
        "../../../x",
        "a\nb",
        "\N{BOMB}",
        "1,2,3",
        "x" * 5000,
        "\0",
    ]
    commands = typer.main.get_command(app).commands
    triples = [
        (name, option.opts[0], value)
        for name in VALID_COMMANDS
        for option in commands[name].params
        if option.opts[0].startswith("--") and not option.is_flag and option.opts[0] not in SKIPPED_FLAGS
        for value in values
    ]
    random.Random(1).shuffle(triples)
    return triples[: 360 if os.environ.get("VOCCTL_LONG") else 60]


@pytest.mark.parametrize(("name", "flag", "value"), sample_flags())
def test_absurd_flag_value_is_one_error_line(
    name: str, flag: str, value: str, intact: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    root = tmp_path / "a" / "b" / "c" / "workspace"
    shutil.copytree(intact, root, copy_function=link_or_copy)
    monkeypatch.chdir(root)
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "cache"))
    check_clean_exit([*VALID_COMMANDS[name], flag, value], capsys)


def check_clean_exit(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends in time, with a documented exit code, and with one error line unless the code is 0."""

    def fail_after_timeout(*args: object) -> None:
        pytest.fail(f"still busy after {MAX_SECONDS} s")  # not an Exception, which code that reads images would catch

    capsys.readouterr()
    before = signal.signal(signal.SIGALRM, fail_after_timeout)
    signal.alarm(MAX_SECONDS)
    try:
        exit_code = main(args)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    errors = capsys.readouterr().err
    assert exit_code in EXIT_CODES
    assert "Traceback" not in errors
    assert len([line for line in errors.splitlines() if line.startswith("error:")]) == (exit_code != 0), errors
