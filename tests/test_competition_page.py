"""docs/competition.md, command by command and in its order, as a student would run them; Kaggle is the local server."""

import io
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest

from vocctl.cli.app import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "competition.md"
FAST_SAVE = {  # what makes the page's commands quick on tiny images
    "train-cls": "--model scratch --size 32 --size-from 0 --batch 8 --epochs 1 --quiet",
    "train-seg": "--encoder scratch --widths 8,8,8 --size 32 --size-from 0 --batch 8 --epochs 1 --quiet",
}


def commands() -> list[list[str]]:
    found = re.findall(r"^(vocctl .+)$|`(vocctl [^`\n]+)`", PAGE.read_text(encoding="utf-8"), flags=re.M)
    return [shlex.split(fenced or inline)[1:] for fenced, inline in found]


def zip_of(root: Path) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "solution" not in path.parts:
                archive.write(path, path.relative_to(root))
    return held.getvalue()


def test_the_page_is_one_page_and_has_every_step():
    assert len(PAGE.read_text(encoding="utf-8").split()) < 900
    used = {words[0] for words in commands()}
    assert used == {"download", "train-cls", "train-seg", "submit"}
    assert len(commands()) > 12


def test_every_command_on_the_page_works_in_its_order(noisy_tree, kaggle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vocctl.tasks.download.images_of", lambda slug: {})  # of the real editions: 749 and 750
    shutil.copytree(noisy_tree, "data/voc2009")
    assert main(["download", "h02a5a", "--from", "data/voc2009", "--out", "made", "--quiet"]) == 0
    kaggle.slug, kaggle.archive = "kul-computer-vision-ga-2-2026", zip_of(Path("made"))
    for words in commands():
        if "cls.csv" in words:
            shutil.copy("runs/submit/h02a5a-cls-a-seg-a.csv", "cls.csv")
            shutil.copy("cls.csv", "seg.csv")
        assert main([*words, *shlex.split(FAST_SAVE.get(words[0], ""))]) == 0, (words, capsys.readouterr().err)
    said = capsys.readouterr().out
    assert said.count("public score 0.61234") == 3  # with runs, with --file, and the plain one
    assert "12 rows, no fault" in said
    assert "joint Dice" in said
    assert not (tmp_path / "data" / "kul-computer-vision-ga-2-2026.zip").exists()
    assert kaggle.uploaded == Path("runs/submit/h02a5a-cls-a-seg-a.csv").read_bytes()


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_no_command_hides_a_secret_or_a_path_of_ours(words):
    assert not any(word.startswith("/") or "token" in word.lower() for word in words)
