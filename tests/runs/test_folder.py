"""The run folder: created once, found by path or name, its files complete or absent."""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from vocctl.config import TrainClsConfig, TrainSegConfig
from vocctl.config.training import ProbeOptimConfig
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import write_text
from vocctl.runs.find import distinct_names, find_run, free_name, open_run
from vocctl.runs.folder import RunFolder, create_run
from vocctl.runs.weights import weights_metadata

CONFIG = TrainSegConfig(optim=ProbeOptimConfig(lr=0.25))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path / "runs" / "seg" / "first", "train-seg", CONFIG)


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def partial_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_new_run_records_its_command_and_versions(run):
    info = run.info()
    assert info["task"] == "train-seg"
    assert info["command"].startswith("vocctl")
    assert info["versions"]["torch"] == version("torch")
    assert info["started"].endswith("+00:00")
    assert run.config(TrainSegConfig()) == CONFIG
    assert run.checkpoint_dir.is_dir()
    assert partial_files(run.path) == []


def test_existing_run_is_not_overwritten(run):
    before = (run.path / "config.toml").read_text()
    with pytest.raises(ConfigError, match=f"{run.path} exists: choose another --name, or resume it with --resume"):
        create_run(run.path, "train-seg", TrainSegConfig())
    assert (run.path / "config.toml").read_text() == before


def test_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="exists: choose"):
        create_run(tmp_path / "taken", "train-seg", CONFIG)


def test_empty_folder_can_be_used(tmp_path):
    assert create_run(tmp_path, "train-seg", CONFIG).info()["task"] == "train-seg"


def test_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be created: .*; choose another --out"):
        create_run(tmp_path / "file" / "run", "train-seg", CONFIG)


def test_free_name(tmp_path):
    assert free_name(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_name(tmp_path, "a") == tmp_path / "a-3"


def test_run_is_found_by_path_and_by_name(run, tmp_path):
    assert find_run(str(run.path), "train-seg").path == run.path
    assert find_run("first", "train-seg", tmp_path / "runs").path == run.path


def test_name_of_two_runs_is_ambiguous_without_a_task(run, tmp_path):
    runs = tmp_path / "runs"
    other = create_run(runs / "cls" / "first", "train-cls", TrainClsConfig())
    assert find_run("first", "train-seg", runs).path == run.path
    assert find_run("first", "train-cls", runs).path == other.path
    with pytest.raises(DataError, match=r"first is ambiguous .*: give the run's folder"):
        open_run("first", runs)
    assert open_run(str(run.path), runs).path == run.path
    with pytest.raises(DataError, match=f"config.toml is a file: name the folder of a run, as {run.path}"):
        open_run(str(run.path / "config.toml"), runs)


def test_distinct_names_are_as_short_as_possible(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert distinct_names([Path("seg/a"), Path("seg/b")]) == ["a", "b"]
    assert distinct_names([Path("seg/a"), Path("cls/a"), Path("cls/b")]) == ["seg/a", "cls/a", "b"]
    assert distinct_names([Path("x/seg/a"), Path("y/seg/a")]) == ["x/seg/a", "y/seg/a"]
    assert distinct_names([Path("seg/a"), tmp_path / "cls" / ".." / "seg" / "a"]) == ["a", "a"]  # one folder, twice
    assert distinct_names([Path("/a"), Path("/x/a")]) == ["/a", "x/a"]
    assert distinct_names([]) == []


def test_unknown_run_suggests_the_closest_name(run, tmp_path):
    with pytest.raises(DataError, match=r"no run fist: did you mean first\?"):
        find_run("fist", "train-seg", tmp_path / "runs")
    with pytest.raises(DataError, match=r"no run 0000: .*/ holds 1 run$"):
        find_run("0000", "train-seg", tmp_path / "runs")
    with pytest.raises(DataError, match="holds 0 runs: train one with `vocctl train-seg`"):
        find_run("first", "train-seg", tmp_path / "none")


def test_folder_without_run_json_is_not_a_run(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        find_run(str(tmp_path), "train-seg")


def test_run_of_another_task_is_an_error(run):
    with pytest.raises(DataError, match="is a run of train-seg, not of train-cls"):
        find_run(str(run.path), "train-cls")


def test_corrupt_run_json_is_an_error(run):
    for content in (b"{", b"\xff\xfe\x00", b'{"task": "train-seg", "data": "shapes"}'):
        (run.path / "run.json").write_bytes(content)
        with pytest.raises(DataError, match=r"run\.json is missing or corrupt"):
            find_run(str(run.path), "train-seg")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("run.json", RunFolder.info),
        ("metrics.jsonl", RunFolder.read_metrics),
        ("split.json", lambda run: run.split_ids("val")),
    ],
)
def test_file_that_cannot_be_read_is_not_called_corrupt(run, name, read):
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).mkdir()  # an error of the system for every user, root included
    with pytest.raises(DataError, match=rf"{name} cannot be read: Is a directory; check the file and its permissions"):
        read(run)


def test_update_info_keeps_the_other_keys(run):
    run.update_info(parameters={"model": 3})
    assert run.info()["parameters"] == {"model": 3}
    assert run.task == "train-seg"


def test_appended_metrics_are_read_back(run):
    first = run.append_metrics({"epoch": 1, "mean_iou": 0.5})
    second = run.append_metrics({"epoch": 2, "mean_iou": 0.25})
    assert (first, second) == (len('{"epoch": 1, "mean_iou": 0.5}\n'), run.metrics_path.stat().st_size)
    assert run.read_metrics() == [{"epoch": 1, "mean_iou": 0.5}, {"epoch": 2, "mean_iou": 0.25}]


def test_metrics_are_truncated_to_a_checkpoint(run):
    length = run.append_metrics({"epoch": 1})
    run.append_metrics({"epoch": 2})
    run.truncate_metrics(length)
    assert run.read_metrics() == [{"epoch": 1}]
    run.append_metrics({"epoch": 2})
    assert [record["epoch"] for record in run.read_metrics()] == [1, 2]


def test_truncating_never_lengthens_the_file(run):
    length = run.append_metrics({"epoch": 1})
    run.truncate_metrics(length + 100)  # a line that never reached the disk
    assert run.metrics_path.stat().st_size == length


def test_incomplete_last_line_is_ignored(run):
    run.append_metrics({"epoch": 1})
    with run.metrics_path.open("a") as stream:
        stream.write('{"epoch": 2, "mean')
    assert run.read_metrics() == [{"epoch": 1}]


def test_metrics_without_an_epoch_are_an_error(run):
    run.truncate_metrics(0)  # nothing to cut
    for make in (lambda: None, run.metrics_path.touch):
        make()
        with pytest.raises(DataError, match=f"holds no epoch yet: continue training with --resume {run.path}"):
            run.read_metrics()


@pytest.mark.parametrize("second", [{"epoch": 2}, {"epoch": "two", "lr": 0.1}, {"epoch": 2, "lr": None}])
def test_corrupt_metrics_are_an_error(run, second):
    run.append_metrics({"epoch": 1, "lr": 0.1})
    run.append_metrics(second)
    with pytest.raises(DataError, match=r"metrics\.jsonl is corrupt"):
        run.read_metrics()


def test_metrics_in_a_missing_folder_are_an_error(tmp_path):
    with pytest.raises(RunError, match="then resume with --resume"):
        RunFolder(tmp_path / "gone").append_metrics({"epoch": 1})


def test_saved_weights_are_loaded_back(run):
    model, other = linear(0), linear(1)
    run.save_weights("best", model, weights_metadata(7, 2))
    run.load_weights("best", other)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)
    assert partial_files(run.path) == []
    with safe_open(run.path / "best.safetensors", "pt") as file:
        assert file.metadata()["step"] == "7"
        assert file.metadata()["epoch"] == "2"
        assert file.metadata()["torch"] == version("torch")


def test_weights_are_flushed_to_the_disk_before_the_rename(run, monkeypatch):
    sizes = []

    def record(file):
        assert not (run.path / "best.safetensors").exists()
        sizes.append(os.fstat(file.fileno()).st_size)

    monkeypatch.setattr(os, "fsync", record)
    run.save_weights("best", linear(), {})
    assert sizes == [(run.path / "best.safetensors").stat().st_size]


def test_channels_last_weights_are_loaded_back(run):
    model = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    other = nn.Conv2d(2, 3, 3)
    run.save_weights("best", model, {})
    run.load_weights("best", other)
    assert torch.equal(model.weight, other.weight)


def test_weights_of_another_model_are_an_error(run):
    run.save_weights("best", linear(), {})
    for other in (nn.Linear(4, 2), nn.Conv2d(3, 2, 1)):
        with pytest.raises(DataError, match=r"best\.safetensors does not fit the run's model") as caught:
            run.load_weights("best", other)
        assert "size mismatch for weight" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_weights_with_nan_are_an_error(run):
    model = linear()
    torch.nn.init.constant_(model.bias, torch.nan)
    run.save_weights("best", model, {})
    with pytest.raises(DataError, match=r"best\.safetensors has NaN or infinite values in bias"):
        run.load_weights("best", linear())


def test_missing_and_truncated_weights_are_errors(run):
    with pytest.raises(DataError, match=r"best\.safetensors is missing"):
        run.load_weights("best", linear())
    run.save_weights("best", linear(), {})
    os.truncate(run.path / "best.safetensors", 40)
    with pytest.raises(DataError, match=r"best\.safetensors is corrupt"):
        run.load_weights("best", linear())


def test_no_space_left_keeps_the_old_weights(run, monkeypatch):
    run.save_weights("best", linear(0), {})
    before = (run.path / "best.safetensors").read_bytes()

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(RunError, match="No space left on device; free space, then resume with --resume"):
        run.save_weights("best", linear(1), {})
    assert (run.path / "best.safetensors").read_bytes() == before
    assert partial_files(run.path) == []


def test_next_save_removes_the_partial_files_of_a_killed_process(run):
    leftover = run.path / "final.safetensors.part"
    leftover.mkdir()
    (leftover / ".tmpx7Q").write_bytes(b"half")
    run.save_weights("best", linear(), {})
    assert partial_files(run.path) == []
    config_mode, weights_mode = ((run.path / name).stat().st_mode for name in ("config.toml", "best.safetensors"))
    assert weights_mode & 0o777 == config_mode & 0o777  # users who may read the config may read the weights


def test_weights_in_a_missing_folder_are_an_error(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        RunFolder(tmp_path / "gone").save_weights("best", linear(), {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_no_space_left_keeps_the_old_text(tmp_path):
    path = tmp_path / "run.json"
    write_text(path, "old")
    path.with_name("run.json.part").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"run\.json cannot be written: No space left on device"):
        write_text(path, "new" * 10_000)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_text_that_is_not_utf8_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(RunError, match=r"run\.json cannot be written: .* choose another folder or name"):
        write_text(tmp_path / "run.json", os.fsdecode(b"\xff.jpg"))
    assert list(tmp_path.iterdir()) == []


def test_run_json_is_plain_json(run):
    assert json.loads((run.path / "run.json").read_text()) == run.info()
