"""The paths of a run: where they were given, and where they are now."""

from pathlib import Path

import pytest

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import DataError
from vocctl.runs.folder import RunFolder, create_run
from vocctl.runs.paths import PathRecord, relative_paths


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def test_every_relative_path_is_recorded() -> None:
    config = given(TrainAdvConfig(), path="d", cache_dir="c", weights="w.pth", target=("runs/seg/a", "/b"))
    assert relative_paths(config) == {path: f"{Path.cwd()}/{path}" for path in ("d", "c", "w.pth", "runs/seg/a")}


@pytest.mark.parametrize("weights", ["auto", "none"])
def test_words_are_not_paths(weights: str) -> None:
    assert relative_paths(given(TrainSegConfig(), path="/d", weights=weights)) == {}


def test_a_path_that_is_gone_is_found_where_it_was_given(tmp_path: Path) -> None:
    record = PathRecord({"../d": "/gone/d"}, "/gone/run", "/gone/run")
    assert record.find("../d") == "../d"  # it is not there either
    (tmp_path / "d" / "VOC2009").mkdir(parents=True)
    assert record.find("../d") == record.find("/gone/d") == str(tmp_path / "d")
    assert record.find("/gone/d/VOC2009") == str(tmp_path / "d" / "VOC2009")
    assert record.find("/gone/data") == "/gone/data"
    assert PathRecord({}, "", "/gone/run").find("/gone/d") == "/gone/d"


def test_the_absolute_path_comes_before_the_working_folder(tmp_path: Path) -> None:
    """The working folder may have data of the same name."""
    (tmp_path / "cwd" / "d").mkdir()
    data = tmp_path / "first" / "d"
    data.mkdir(parents=True)
    run = str(tmp_path / "first" / "run")
    assert PathRecord({"d": str(data)}, run, run).find("d") == str(data)


def test_a_copied_project_uses_its_own_data(tmp_path: Path) -> None:
    """Also while the original is there, and from every working folder."""
    data, copied = tmp_path / "project" / "data" / "d", tmp_path / "copy" / "data" / "d"
    record = PathRecord(
        {"data/d": str(data)}, str(tmp_path / "project/runs/seg/one"), str(tmp_path / "copy/runs/seg/one")
    )
    data.mkdir(parents=True)
    assert record.find("data/d") == str(data)  # the run alone was copied
    copied.mkdir(parents=True)
    assert record.find("data/d") == str(copied)


def test_a_run_is_read_from_another_folder_and_after_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("d").mkdir()
    run = create_run(tmp_path / "cwd" / "run", "train-cls", given(TrainClsConfig(), path="d"))
    monkeypatch.chdir("/")
    assert run.config(TrainClsConfig()).data.path == str(tmp_path / "cwd" / "d")
    (tmp_path / "cwd").rename(tmp_path / "moved")
    moved = RunFolder(tmp_path / "moved" / "run")
    assert moved.config(TrainClsConfig()).data.path == str(tmp_path / "moved" / "d")
    (moved.path / "run.json").write_text('{"relative_paths": 3}')
    assert moved.config(TrainClsConfig()).data.path == "d"


def test_missing_data_is_named_with_the_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path / "run", "train-cls", given(TrainClsConfig(), path="d"))
    monkeypatch.chdir("/")
    with pytest.raises(DataError, match=f"is no longer in {tmp_path}/cwd/d: give its folder with --data"):
        run.check_data_folder(run.config(TrainClsConfig()).data.path)
