"""`vocctl download` of the competition: from the local Kaggle, from a zip, from a VOC devkit; and every error."""

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
def comp(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The competition's folder. The working folder is an empty one."""
    build_competition(tmp_path / "comp", tiny)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "comp"


def zip_of(root: Path, **more: bytes) -> bytes:
    """The folder without its solution as Kaggle's zip. more: further files, name -> content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "solution" not in path.parts:
                archive.write(path, path.relative_to(root))
        for name, body in more.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def check_failure(capsys: pytest.CaptureFixture[str], args: list[str], code: int, *parts: str) -> None:
    """The command fails with this code and one line that contains the parts."""
    assert main(["download", *args, "--quiet"]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]


def test_download_from_kaggle(kaggle, comp, capsys):
    kaggle.archive = zip_of(comp)
    assert main(["download", SLUG]) == 0
    assert f"{ROOT}: ready; train 8, test 4" in capsys.readouterr().out
    assert (np.load(ROOT / "test" / "img" / "test_3.npy") == np.load(comp / "test" / "img" / "test_3.npy")).all()
    assert [path.name for path in Path("data").iterdir()] == [SLUG]  # no zip, no partial files
    num_calls = len(kaggle.calls)
    assert main(["download", f"https://www.kaggle.com/competitions/{SLUG}/data"]) == 0
    assert "already downloaded; train 8, test 4" in capsys.readouterr().out
    assert len(kaggle.calls) == num_calls


def test_an_interrupted_download_is_resumed(kaggle, comp, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    kaggle.archive = zip_of(comp, **{"more.bin": bytes(3_000_000)})
    kaggle.break_at = 1_500_000
    assert main(["download", SLUG, "--quiet"]) == 0
    assert kaggle.ranges == [None, "bytes=1048576-"]
    assert (ROOT / "train" / "train_set.csv").is_file()


def test_a_zip_with_a_path_outside_of_the_folder(kaggle, comp, capsys):
    kaggle.archive = zip_of(comp, **{"../../evil": b"x"})
    check_failure(capsys, [SLUG], 3, "'../../evil' would be written outside of the output folder")
    assert not ROOT.exists()
    assert not list(comp.parent.rglob("evil"))


def test_a_pickled_array_is_refused(kaggle, comp, capsys):
    np.save(comp / "train" / "seg" / "train_3.npy", np.array([print], dtype=object), allow_pickle=True)
    kaggle.archive = zip_of(comp)
    check_failure(capsys, [SLUG], 3, "1 invalid files", "train_3.npy", "not a plain .npy array")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda comp: (comp / "test" / "img" / "test_0.npy").unlink(), "test_0.npy (is missing"),
        (
            lambda comp: np.save(comp / "train" / "img" / "train_9.npy", np.zeros((2, 2, 3), np.uint8)),
            "does not list train_9",
        ),
        (
            lambda comp: np.save(comp / "train" / "seg" / "train_0.npy", np.zeros((2, 2), np.uint8)),
            "a mask must have the size of its image",
        ),
        (
            lambda comp: np.save(comp / "test" / "img" / "test_0.npy", np.zeros((9, 9), np.uint8)),
            "uint8 array of 3 dimensions",
        ),
        (lambda comp: np.save(comp / "test" / "img" / "test_0.npy", np.zeros((9, 9, 3))), "float64"),
        (lambda comp: np.save(comp / "train" / "seg" / "train_0.npy", np.full((32, 32), 77, np.uint8)), "label 77"),
        (lambda comp: (comp / "test" / "test_set.csv").write_text("Id,cat\n"), "does not start with Id and the 20"),
        (lambda comp: (comp / "train" / "train_set.csv").unlink(), "not the competition's data"),
    ],
)
def test_every_file_is_checked(kaggle, comp, capsys, damage, message):
    damage(comp)
    kaggle.archive = zip_of(comp)
    check_failure(capsys, [SLUG], 3, message)


def test_a_wrong_number_of_images(kaggle, comp, capsys):
    kaggle.slug, kaggle.archive = "kul-computer-vision-ga-2-2026", zip_of(comp)
    check_failure(capsys, ["h02a5a"], 3, "8 images in train, the competition has 749", "delete data/h02a5a")


@pytest.mark.parametrize(
    ("status", "message"), [(401, "new token"), (403, f"competitions/{SLUG}/rules"), (404, "--years"), (503, "later")]
)
def test_http_errors(kaggle, comp, capsys, status, message):
    kaggle.failures["DownloadDataFiles"] = (status, {"code": status, "message": "no"})
    check_failure(capsys, [SLUG], 4, message)
    assert not ROOT.exists()


def test_no_credentials(kaggle, comp, capsys, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    check_failure(capsys, [SLUG], 4, "no Kaggle credentials found", "https://www.kaggle.com/settings/api")


def test_a_zip_downloaded_in_a_browser(comp, capsys, tmp_path):
    archive = tmp_path / "browser.zip"
    archive.write_bytes(zip_of(comp))
    assert main(["download", SLUG, "--archive", str(archive), "--quiet"]) == 0
    assert archive.is_file()  # the user's file is never deleted
    assert (ROOT / "test" / "test_set.csv").is_file()


def test_a_zip_at_our_own_path_is_kept(comp):
    archive = Path("data") / f"{SLUG}.zip"
    archive.parent.mkdir()
    archive.write_bytes(zip_of(comp))
    assert main(["download", SLUG, "--archive", str(archive), "--quiet"]) == 0
    assert main(["download", SLUG, "--quiet"]) == 0  # already downloaded
    assert archive.is_file()


def test_from_a_devkit(comp, tiny, capsys):
    assert main(["download", "h02a5a", "--from", str(tiny), "--quiet"]) == 0
    assert "data/h02a5a: ready; train 8, test 4" in capsys.readouterr().out
    assert main(["download", "h02a5a", "--from", str(tiny), "--quiet"]) == 0
    assert "already downloaded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["voc2009", "--from", "comp"], 2, "vocctl download h02a5a --from comp"),
        (["h02a5a", "--from", "nowhere"], 3, "nowhere is no"),
        (["h02a5a", "--from", "comp", "--archive", "file.zip"], 2, "mutually exclusive"),
        (["h02a5a", "--url", "http://127.0.0.1/x"], 2, "leave out --url"),
        (["h02a5a", "--archive", "b.zip"], 3, "b.zip is not a file"),
        (["https://example.org/competitions/a-b"], 2, "is not the URL of a competition"),
    ],
)
def test_wrong_arguments(comp, capsys, args, code, message):
    Path("comp").mkdir()
    Path("file.zip").touch()
    check_failure(capsys, args, code, message)
    assert not Path("data").exists()


def test_years_lists_the_data_sets(capsys):
    assert main(["download", "--years"]) == 0
    out = capsys.readouterr().out
    for name in ("voc2009", "shapes", "kul-h02a5a-computer-vision-ga2-2022", "kul-computer-vision-ga-2-2026"):
        assert name in out
