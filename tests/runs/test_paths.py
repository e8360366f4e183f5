"""The paths that a run keeps: absolute, and as they were given."""

from pathlib import Path

import pytest

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import DataError
from vocctl.runs.folder import create_run
from vocctl.runs.paths import PathRecord, absolute_paths, check_data_folder


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def test_every_path_becomes_absolute() -> None:
    cwd = str(Path.cwd())
    config = given(TrainAdvConfig(), path="d", cache_dir="c", weights="w.pth", target=("runs/seg/a", "/b"))
    absolute, given_paths = absolute_paths(config)
    assert (absolute.data.path, absolute.data.cache_dir, absolute.generator.weights) == (
        f"{cwd}/d",
        f"{cwd}/c",
        f"{cwd}/w.pth",
    )
    assert absolute.attack_loss.target == (f"{cwd}/runs/seg/a", "/b")
    assert given_paths == {f"{cwd}/{path}": path for path in ("d", "c", "w.pth", "runs/seg/a")}


@pytest.mark.parametrize("weights", ["auto", "none"])
def test_words_are_not_paths(weights: str) -> None:
    assert absolute_paths(given(TrainSegConfig(), path="/d", weights=weights))[0].model.weights == weights
    assert absolute_paths(given(TrainSegConfig(), path="/d"))[0].data.cache_dir == ""


def test_a_path_that_is_gone_is_found_where_it_was_given(tmp_path: Path) -> None:
    record = PathRecord({"/gone/d": "../d"}, "/gone/run", "/gone/run")
    assert record.find("/gone/d") == "/gone/d"  # it is not there either
    (tmp_path / "d" / "VOC2009").mkdir(parents=True)
    assert record.find("/gone/d") == str(tmp_path / "d")
    assert record.find("/gone/d/VOC2009") == str(tmp_path / "d" / "VOC2009")
    assert record.find("/gone/data") == "/gone/data"
    assert PathRecord({}, "", "/gone/run").find("/gone/d") == "/gone/d"


def test_the_absolute_path_comes_before_the_working_folder(tmp_path: Path) -> None:
    """The working folder may have data of the same name."""
    (tmp_path / "cwd" / "d").mkdir()
    data = tmp_path / "first" / "d"
    data.mkdir(parents=True)
    run = str(tmp_path / "first" / "run")
    assert PathRecord({str(data): "d"}, run, run).find(str(data)) == str(data)


def test_a_copied_project_uses_its_own_data(tmp_path: Path) -> None:
    """Also while the original is there, and from every working folder."""
    data, copied = tmp_path / "project" / "data" / "d", tmp_path / "copy" / "data" / "d"
    record = PathRecord(
        {str(data): "data/d"}, str(tmp_path / "project/runs/seg/one"), str(tmp_path / "copy/runs/seg/one")
    )
    data.mkdir(parents=True)
    assert record.find(str(data)) == str(data)  # the run alone was copied
    copied.mkdir(parents=True)
    assert record.find(str(data)) == str(copied)


def test_a_run_is_read_from_another_folder_and_after_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("d").mkdir()
    run = create_run(tmp_path / "cwd" / "run", "train-cls", given(TrainClsConfig(), path="d"))
    monkeypatch.chdir("/")
    assert run.config(TrainClsConfig()).data.path == str(tmp_path / "cwd" / "d")
    (tmp_path / "cwd").rename(tmp_path / "moved")
    moved = type(run)(tmp_path / "moved" / "run")
    assert moved.config(TrainClsConfig()).data.path == str(tmp_path / "moved" / "d")
    (moved.path / "run.json").write_text('{"given_paths": 3}')
    assert moved.config(TrainClsConfig()).data.path == str(tmp_path / "cwd" / "d")


def test_missing_data_is_named_with_the_flag() -> None:
    with pytest.raises(DataError, match="the data of run is no longer in /gone/d: give its folder with --data"):
        check_data_folder(Path("run"), "/gone/d")
