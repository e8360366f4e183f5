"""`vocctl download` of the competition: from the local Kaggle, from a zip, from a VOC tree; and all that may be wrong."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vocctl.cli.app import main
from vocctl.competition.mock_competition import build_competition

SLUG = "test-competition"
ROOT = Path("data") / SLUG


@pytest.fixture
def made(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The competition's files, without a solution; the working folder is another."""
    build_competition(tmp_path / "made", tiny)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "made"


def zip_of(root: Path, **more: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "solution" not in path.parts:
                archive.write(path, path.relative_to(root))
        for name, body in more.items():
            archive.writestr(name, body)
    return held.getvalue()


def fails(capsys: pytest.CaptureFixture[str], args: list[str], code: int, *says: str) -> None:
    assert main(["download", *args, "--quiet"]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    for text in says:
        assert text in lines[0]


def test_from_kaggle(kaggle, made, capsys):
    kaggle.archive = zip_of(made)
    assert main(["download", SLUG]) == 0
    assert f"{ROOT}: ready; train 8, test 4" in capsys.readouterr().out
    assert (np.load(ROOT / "test" / "img" / "test_3.npy") == np.load(made / "test" / "img" / "test_3.npy")).all()
    assert [path.name for path in Path("data").iterdir()] == [SLUG]  # no zip, no part
    asked = len(kaggle.calls)
    assert main(["download", f"https://www.kaggle.com/competitions/{SLUG}/data"]) == 0
    assert "already downloaded; train 8, test 4" in capsys.readouterr().out
    assert len(kaggle.calls) == asked  # nobody was asked


def test_a_download_that_breaks_is_resumed(kaggle, made, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    kaggle.archive = zip_of(made, **{"more.bin": bytes(3_000_000)})
    kaggle.break_at = 1_500_000
    assert main(["download", SLUG, "--quiet"]) == 0
    assert kaggle.ranges == [None, "bytes=1048576-"]
    assert (ROOT / "train" / "train_set.csv").is_file()


def test_a_zip_with_a_path_outside(kaggle, made, capsys):
    kaggle.archive = zip_of(made, **{"../../evil": b"x"})
    fails(capsys, [SLUG], 3, "'../../evil' leads out of its folder")
    assert not ROOT.exists()
    assert not list(made.parent.rglob("evil"))


def test_an_array_that_would_run_code(kaggle, made, capsys):
    np.save(made / "train" / "seg" / "train_3.npy", np.array([print], dtype=object), allow_pickle=True)
    kaggle.archive = zip_of(made)
    fails(capsys, [SLUG], 3, "1 faults", "train_3.npy", "not a plain .npy array")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda made: (made / "test" / "img" / "test_0.npy").unlink(), "test_0.npy (is missing"),
        (
            lambda made: np.save(made / "train" / "img" / "train_9.npy", np.zeros((2, 2, 3), np.uint8)),
            "does not list train_9",
        ),
        (
            lambda made: np.save(made / "train" / "seg" / "train_0.npy", np.zeros((2, 2), np.uint8)),
            "as large as its image",
        ),
        (
            lambda made: np.save(made / "test" / "img" / "test_0.npy", np.zeros((9, 9), np.uint8)),
            "uint8 array of 3 dimensions",
        ),
        (lambda made: np.save(made / "test" / "img" / "test_0.npy", np.zeros((9, 9, 3))), "float64"),
        (lambda made: np.save(made / "train" / "seg" / "train_0.npy", np.full((32, 32), 77, np.uint8)), "label 77"),
        (lambda made: (made / "test" / "test_set.csv").write_text("Id,cat\n"), "does not start with Id and the 20"),
        (lambda made: (made / "train" / "train_set.csv").unlink(), "not the competition's data"),
    ],
)
def test_every_file_is_looked_at(kaggle, made, capsys, spoil, says):
    spoil(made)
    kaggle.archive = zip_of(made)
    fails(capsys, [SLUG], 3, says)


def test_another_number_of_images_than_the_edition_has(kaggle, made, capsys):
    kaggle.slug, kaggle.archive = "kul-computer-vision-ga-2-2026", zip_of(made)
    fails(capsys, ["h02a5a"], 3, "8 images in train, the competition has 749", "delete data/h02a5a")


@pytest.mark.parametrize(
    ("status", "says"), [(401, "new token"), (403, f"competitions/{SLUG}/rules"), (404, "--years"), (503, "later")]
)
def test_refusals(kaggle, made, capsys, status, says):
    kaggle.fails["DownloadDataFiles"] = (status, {"code": status, "message": "no"})
    fails(capsys, [SLUG], 4, says)
    assert not ROOT.exists()


def test_no_credentials(kaggle, made, capsys, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    fails(capsys, [SLUG], 4, "no Kaggle credentials", "https://www.kaggle.com/settings/api")


def test_a_zip_fetched_in_a_browser(made, capsys, tmp_path):
    archive = tmp_path / "browser.zip"
    archive.write_bytes(zip_of(made))
    assert main(["download", SLUG, "--archive", str(archive), "--quiet"]) == 0
    assert archive.is_file()  # the user's file is never deleted
    assert (ROOT / "test" / "test_set.csv").is_file()


def test_a_zip_that_lies_where_ours_would(made):
    archive = Path("data") / f"{SLUG}.zip"
    archive.parent.mkdir()
    archive.write_bytes(zip_of(made))
    assert main(["download", SLUG, "--archive", str(archive), "--quiet"]) == 0
    assert main(["download", SLUG, "--quiet"]) == 0  # all is there
    assert archive.is_file()


def test_from_a_tree(made, tiny, capsys):
    assert main(["download", "h02a5a", "--from", str(tiny), "--quiet"]) == 0
    assert "data/h02a5a: ready; train 8, test 4" in capsys.readouterr().out
    assert main(["download", "h02a5a", "--from", str(tiny), "--quiet"]) == 0
    assert "already downloaded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["voc2009", "--from", "tree"], 2, "vocctl download h02a5a --from tree"),
        (["h02a5a", "--from", "nowhere"], 3, "nowhere is no folder"),
        (["h02a5a", "--from", "a", "--archive", "b"], 2, "exclude each other"),
        (["h02a5a", "--url", "http://127.0.0.1/x"], 2, "leave out --url"),
        (["h02a5a", "--archive", "b.zip"], 3, "b.zip is no file"),
        (["https://example.org/competitions/a-b"], 2, "no competition's address"),
    ],
)
def test_what_a_user_may_get_wrong(made, capsys, args, code, says):
    fails(capsys, args, code, says)
    assert not Path("data").exists()


def test_what_can_be_downloaded_is_listed(capsys):
    assert main(["download", "--years"]) == 0
    listed = capsys.readouterr().out
    for name in ("voc2009", "shapes", "kul-h02a5a-computer-vision-ga2-2022", "kul-computer-vision-ga-2-2026"):
        assert name in listed
