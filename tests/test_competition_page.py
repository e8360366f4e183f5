"""The commands of docs/competition.md, in their order, against the local Kaggle."""

import io
import re
import shlex
import shutil
import zipfile
from pathlib import Path

from vocctl.cli.app import main
from vocctl.competition.editions import EDITIONS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "competition.md"
FAST_FLAGS = {  # added to the page's commands, for tiny images
    "train-cls": "--model scratch --size 32 --size-from 0 --batch 8 --epochs 1 --quiet",
    "train-seg": "--encoder scratch --widths 8,8,8 --size 32 --size-from 0 --batch 8 --epochs 1 --quiet",
}


def commands() -> list[list[str]]:
    """The arguments of each command on the page."""
    matches = re.findall(r"^(vocctl .+)$|`(vocctl [^`\n]+)`", PAGE.read_text(encoding="utf-8"), flags=re.M)
    return [shlex.split(fenced or inline)[1:] for fenced, inline in matches]


def zip_of(root: Path) -> bytes:
    """The competition's folder without its solution as Kaggle's zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "solution" not in path.parts:
                archive.write(path, path.relative_to(root))
    return buffer.getvalue()


def test_the_page_is_short_and_has_every_step():
    assert len(PAGE.read_text(encoding="utf-8").split()) < 900
    names = {arguments[0] for arguments in commands()}
    assert names == {"download", "train-cls", "train-seg", "submit"}
    assert len(commands()) > 12


def test_every_command_on_the_page_works(noisy_devkit, kaggle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for part, count in {"train": 20, "test": 6}.items():  # the real edition has 749 and 750 images
        monkeypatch.setitem(EDITIONS["2026"].num_images, part, count)
    shutil.copytree(noisy_devkit, "data/voc2009")
    assert main(["download", "h02a5a", "--from", "data/voc2009", "--out", "comp", "--quiet"]) == 0
    kaggle.slug, kaggle.archive = "kul-computer-vision-ga-2-2026", zip_of(Path("comp"))
    for arguments in commands():
        if "cls.csv" in arguments:
            shutil.copy("runs/submit/h02a5a-cls-a-seg-a.csv", "cls.csv")
            shutil.copy("cls.csv", "seg.csv")
        flags = shlex.split(FAST_FLAGS.get(arguments[0], ""))
        assert main([*arguments, *flags]) == 0, (arguments, capsys.readouterr().err)
    out = capsys.readouterr().out
    assert out.count("public score 0.61234") == 3  # with runs, with --file, and without flags
    assert "has 12 rows and no format errors" in out
    assert "joint Dice" in out
    assert not (tmp_path / "data" / "kul-computer-vision-ga-2-2026.zip").exists()
    assert kaggle.uploaded == Path("runs/submit/h02a5a-cls-a-seg-a.csv").read_bytes()


def test_no_command_has_a_secret_or_an_absolute_path():
    words = [word for arguments in commands() for word in arguments]
    assert [word for word in words if word.startswith("/") or "token" in word.lower()] == []
