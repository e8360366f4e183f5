"""Broken and hostile files and flags, a few hundred of them: one line, a documented exit code, nothing outside the target.

Every file that a command reads is harmed in every way that its kind knows, and every flag is given values that no one
means. A seeded sixth in the suite, all with VOCCTL_LONG=1 (`make test-long`). A harm that a command never meets, or that
it can live with, may end in 0.
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

CODES = {0, 1, 2, 3, 4, 5}
PATIENCE = 10  # seconds
SMALL = ["--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "1", "--quiet"]

Harm = Callable[[Path, random.Random], None]


def put(path: Path, held: bytes) -> None:
    """In the file's place: it may be a link to the sound world's."""
    path.unlink()
    path.write_bytes(held)


def cut(path: Path, draw: random.Random) -> None:
    put(path, path.read_bytes()[: draw.randrange(1, max(path.stat().st_size, 2))])


def emptied(path: Path, draw: random.Random) -> None:
    put(path, b"")


def noise(path: Path, draw: random.Random) -> None:
    put(path, draw.randbytes(max(path.stat().st_size, 64)))


def flipped(path: Path, draw: random.Random) -> None:
    held = bytearray(path.read_bytes())
    for _ in range(8):
        held[draw.randrange(len(held))] ^= 1 << draw.randrange(8)
    put(path, bytes(held))


def repeated(path: Path, draw: random.Random) -> None:
    put(path, path.read_bytes() * 3)


def a_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path, draw: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def gone(path: Path, draw: random.Random) -> None:
    path.unlink()


def a_loop(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def latin(path: Path, draw: random.Random) -> None:
    put(path, path.read_bytes().replace(b"\n", b" \xe9\xff\n") + b"\xff")


def nul(path: Path, draw: random.Random) -> None:
    put(path, b"\0".join(path.read_bytes().split(b"\n")))


def nested(path: Path, draw: random.Random) -> None:
    put(path, b"a = " * (path.suffix == ".toml") + b"[" * 100_000)


def a_list(path: Path, draw: random.Random) -> None:
    put(path, b'[1, "two", null]\n' if path.suffix != ".toml" else b'train = [1, "two"]\n')


def other_values(path: Path, draw: random.Random) -> None:
    """Every number another one, some of them words; what is JSON or TOML stays that."""
    text = path.read_text()
    if path.suffix in (".json", ".jsonl"):
        strange = [-1, float("inf"), 10**20, float("nan"), None, "x", 0]
        other = dict.fromkeys(("parse_int", "parse_float"), lambda _: draw.choice(strange))
        documents = text.splitlines() if path.suffix == ".jsonl" else [text]
        text = "".join(json.dumps(json.loads(one, **other)) + "\n" for one in documents)
    else:
        words = ["-1", "1e999", "9" * 20, "nan", '"x"', "0"]
        text = re.sub(r'(?<![\w"./-])-?\d[\d.e+-]*', lambda _: draw.choice(words), text)
    put(path, text.encode())


def a_long_line(path: Path, draw: random.Random) -> None:
    put(path, b"x" * 3_000_000)


def declares_much(path: Path, draw: random.Random) -> None:
    """A PNG or an npy or a safetensors file that promises far more than it holds."""
    if path.suffix == ".npy":
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000000, 9000000, 3), }"
        put(path, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    elif path.suffix == ".safetensors":
        put(path, (2**62).to_bytes(8, "little") + b"{}")
    else:
        about = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        put(path, b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + about + zlib.crc32(about).to_bytes(4, "big"))


def pickled(path: Path, draw: random.Random) -> None:
    held = io.BytesIO()
    np.save(held, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    put(path, held.getvalue())


FILE = [cut, emptied, noise, flipped, repeated, a_folder, a_pipe, gone, a_loop]
BINARY = [*FILE, declares_much, pickled]
TEXT = [*FILE, latin, nul, nested, a_list, other_values, a_long_line]

SEG_DATA, CLS_DATA = "data/tree", "data/h02a5a"
SEG_RUN, CLS_RUN, ADV_RUN = "runs/seg/one", "runs/cls/one", "runs/adv/one"
TRAIN_SEG = ["train-seg", "--data", SEG_DATA, "--encoder", "scratch", "--widths", "8,8,8", *SMALL]
TRAIN_CLS = ["train-cls", "--data", CLS_DATA, "--model", "scratch", *SMALL]
OF_A_RUN = [["eval"], ["plot"], ["report"], ["predict", "images"], ["export"], ["runs"], ["submit"], ["train-adv"]]
DEVKIT = f"{SEG_DATA}/VOCdevkit/VOC2009"


def of_run(words: list[str], run: str) -> list[str]:
    """The command with this run in the place where it takes one."""
    return {
        "predict": ["predict", "images", "--run", run, "--out", "masks"],
        "runs": ["runs", "runs"],
        "export": ["export", run, "--images", "1"],
        "submit": ["submit", "--competition", "h02a5a", "--cls", CLS_RUN, "--seg", SEG_RUN, "--data", CLS_DATA, "--dry-run"],
        "train-adv": ["train-adv", "--data", SEG_DATA, "--target", run, "--width", "8", *SMALL],
    }.get(words[0], [words[0], run])  # fmt: skip


BASE = {
    "train-seg": TRAIN_SEG, "train-cls": TRAIN_CLS, "train-adv": of_run(["train-adv"], SEG_RUN), "eval": ["eval", SEG_RUN],
    "predict": of_run(["predict"], SEG_RUN), "plot": ["plot", SEG_RUN], "export": ["export", CLS_RUN],
    "submit": of_run(["submit"], ""), "report": ["report", CLS_RUN], "runs": ["runs", "runs"],
}  # fmt: skip
ENDLESS = {"--epochs", "--minutes", "--resume"}  # a large number is a wish, not an error


@dataclass(frozen=True)
class Case:
    file: str  # a pattern; the first that it finds is harmed
    harm: Harm
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.harm.__name__}-{self.file.split('/')[-1]}-{self.command[0]}"


def _cases() -> list[Case]:
    check = ["download", "--check", SEG_DATA]
    read: list[tuple[str, list[Harm], list[list[str]]]] = [
        (f"{DEVKIT}/JPEGImages/*.jpg", BINARY, [TRAIN_SEG, ["eval", SEG_RUN, "--data", SEG_DATA], check]),
        (f"{DEVKIT}/SegmentationClass/*.png", BINARY, [TRAIN_SEG, check]),
        (f"{DEVKIT}/ImageSets/Segmentation/train.txt", TEXT, [TRAIN_SEG, check]),
        ("images/*.jpg", BINARY, [["predict", "images", "--run", SEG_RUN, "--out", "masks"]]),
        (f"{CLS_DATA}/**/*.npy", BINARY, [TRAIN_CLS, ["eval", CLS_RUN], of_run(["submit"], "")]),
        (f"{CLS_DATA}/**/*.csv", TEXT, [TRAIN_CLS, of_run(["submit"], "")]),
        ("sent.csv", TEXT, [["submit", "--competition", "h02a5a", "--check", "sent.csv", "--data", CLS_DATA]]),
        ("recipe.toml", TEXT, [[*TRAIN_SEG, "--config", "recipe.toml"], [*TRAIN_CLS, "--config", "recipe.toml"]]),
        (f"{SEG_RUN}/state/*.safetensors", BINARY, [["train-seg", "--resume", SEG_RUN]]),
        ("weights.safetensors", BINARY, [[*TRAIN_SEG, "--weights", "weights.safetensors"]]),
        ("voc.tar", BINARY, [["download", "voc2009", "--archive", "voc.tar", "--out", "data/new"]]),
        ("tree.zip", BINARY, [["download", "h02a5a", "--archive", "tree.zip", "--out", "data/new"]]),
    ]  # fmt: skip
    for run in (SEG_RUN, CLS_RUN):
        commands = [of_run(words, run) for words in OF_A_RUN]
        read.append((f"{run}/best.safetensors", BINARY, commands))
        for name in ("config.toml", "run.json", "metrics.jsonl", "thresholds.json", "split.json", "validation_dice.json",
                     "eval/**/*.json"):  # fmt: skip
            read.append((f"{run}/{name}", TEXT, commands))
    of_adversary = [["eval", SEG_RUN, "--attack", f"adv:{ADV_RUN}", "--images", "1"], ["plot", ADV_RUN], ["runs"]]
    for name in ("config.toml", "run.json", "metrics.jsonl"):
        read.append((f"{ADV_RUN}/{name}", TEXT, of_adversary))
    read.append((f"{ADV_RUN}/best.safetensors", BINARY, of_adversary[:1]))
    return [Case(file, harm, tuple(words)) for file, harms, commands in read for harm in harms for words in commands]


def chosen() -> list[Case]:
    """In a seeded order, 360 of them, or a sixth."""
    cases = _cases()
    random.Random(0).shuffle(cases)
    return cases[: 360 if os.environ.get("VOCCTL_LONG") else 60]


@pytest.fixture(scope="module")
def sound(_mock_competition: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which every command works."""
    root = tmp_path_factory.mktemp("sound") / "world"
    shutil.copytree(_mock_competition, root)
    before = Path.cwd()
    os.chdir(root)
    try:
        for run in (SEG_RUN, CLS_RUN):
            assert main(["eval", run, "--quiet"]) == 0
        assert main([*of_run(["train-adv"], SEG_RUN), "--name", "one"]) == 0
        assert main([*of_run(["submit"], ""), "--out", "sent.csv"]) == 0
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


def linked(source: str, place: str) -> None:
    """Weights and states are large, and vocctl never writes into one that is there."""
    (os.link if source.endswith(".safetensors") else shutil.copy2)(source, place)


@pytest.mark.parametrize("case", chosen(), ids=str)
def test_a_hostile_file(case: Case, sound: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    root = tmp_path / "world"
    shutil.copytree(sound, root, copy_function=linked)
    monkeypatch.chdir(root)
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "cache"))
    found = sorted(path for path in Path().glob(case.file) if path.is_file())
    if not found:
        pytest.skip(f"this world has no {case.file}")
    case.harm(found[0], random.Random(str(case)))
    ends_well(list(case.command), capsys)
    assert {path.name for path in tmp_path.iterdir()} <= {"world", "cache"}


def _flags() -> list[tuple[str, str, str]]:
    """(command, flag, value)"""
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
        for name in BASE
        for option in commands[name].params
        if option.opts[0].startswith("--") and not option.is_flag and option.opts[0] not in ENDLESS
        for value in values
    ]
    random.Random(1).shuffle(triples)
    return triples[: 360 if os.environ.get("VOCCTL_LONG") else 60]


@pytest.mark.parametrize(("name", "flag", "value"), _flags())
def test_a_hostile_flag(name: str, flag: str, value: str, sound: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    root = tmp_path / "a" / "b" / "c" / "world"
    shutil.copytree(sound, root, copy_function=linked)
    monkeypatch.chdir(root)
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "cache"))
    ends_well([*BASE[name], flag, value], capsys)


def ends_well(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In time, with a code that is documented, and one line where it is not 0."""

    def too_long(*args: object) -> None:
        pytest.fail(f"still busy after {PATIENCE} s")  # no Exception, which a reader of images would catch

    capsys.readouterr()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    try:
        code = main(words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    said = capsys.readouterr().err
    assert code in CODES
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.startswith("error:")]) == (code != 0), said
