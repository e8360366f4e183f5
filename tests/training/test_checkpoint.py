"""The state of a run: all of it there and back, and what a crash leaves."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.optim import AdamW

from vocctl.errors import DataError, RunError
from vocctl.runs.weights import write_tensors
from vocctl.training.checkpoint import TrainState, load_checkpoint, load_latest_checkpoint, save_checkpoint


def parts_of(seed: int, width: int = 4) -> tuple[nn.Module, nn.Module, AdamW]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))
    average = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))
    return model, average, AdamW(model.parameters(), lr=0.1, fused=True)


def train(model: nn.Module, optimizer: AdamW, steps: int) -> None:
    """Steps on pixels that the global generator draws."""
    model.train()
    for _ in range(steps):
        model(torch.rand(2, 3, 6, 6)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run" / "state"
    made.mkdir(parents=True)
    return made


def test_a_run_that_goes_on_does_what_it_would_have_done(folder):
    model, average, optimizer = parts_of(0)
    train(model, optimizer, 3)
    path = save_checkpoint(folder, TrainState(step=3), model, average, optimizer)
    train(model, optimizer, 3)
    other, other_average, other_optimizer = parts_of(1)
    torch.manual_seed(77)
    load_checkpoint(path, other, other_average, other_optimizer)
    train(other, other_optimizer, 3)  # the same pixels, as the generator is back in its place
    assert same(other, model)
    assert same(other_average, average)


def test_going_on_channels_last(folder):
    model, average, optimizer = parts_of(0)
    model.to(memory_format=torch.channels_last)
    train(model, optimizer, 3)
    path = save_checkpoint(folder, TrainState(step=3), model, average, optimizer)
    train(model, optimizer, 3)
    other, other_average, other_optimizer = parts_of(1)
    other.to(memory_format=torch.channels_last)
    load_checkpoint(path, other, other_average, other_optimizer)
    train(other, other_optimizer, 3)
    assert all(torch.allclose(a, b) for a, b in zip(other.parameters(), model.parameters(), strict=True))


def test_the_position_comes_back_whole(folder):
    position = TrainState(
        step=7, epoch=2, batch=3, seconds=1.5, loss_sum=0.1, best=0.3, best_epoch=1, epochs_without_improvement=2, metrics_bytes=99,
        scaler={"scale": 65536.0},
    )  # fmt: skip
    path = save_checkpoint(folder, position, *parts_of(0))
    assert load_checkpoint(path, *parts_of(1)) == position
    assert load_checkpoint(save_checkpoint(folder, TrainState(), *parts_of(0)), *parts_of(1)) == TrainState()


def test_without_a_moving_average_the_model_is_held_once(folder):
    model, _, optimizer = parts_of(0)
    path = save_checkpoint(folder, TrainState(), model, model, optimizer)
    other, _, other_optimizer = parts_of(1)
    load_checkpoint(path, other, other, other_optimizer)
    assert same(other, model)
    with pytest.raises(DataError, match="does not fit this run"):
        load_checkpoint(path, *parts_of(1))  # this run averages, that one did not


def test_rates_are_not_taken_from_the_state(folder):
    model, average, optimizer = parts_of(0)
    train(model, optimizer, 1)
    path = save_checkpoint(folder, TrainState(), model, average, optimizer)
    other, other_average, other_optimizer = parts_of(1)
    other_optimizer.param_groups[0]["lr"] = 0.7
    load_checkpoint(path, other, other_average, other_optimizer)
    assert other_optimizer.param_groups[0]["lr"] == 0.7


def save_steps(folder: Path, *steps: int) -> list[Path]:
    return [save_checkpoint(folder, TrainState(step=step), *parts_of(step)) for step in steps]


def test_the_last_two_are_kept(folder):
    paths = save_steps(folder, 1, 2, 10, 11)
    assert sorted(folder.iterdir()) == paths[-2:]
    assert load_latest_checkpoint(folder, *parts_of(0)).step == 11


def test_the_order_is_that_of_steps_epochs_and_batches(folder):
    places = [
        TrainState(step=9, epoch=1, batch=9),
        TrainState(step=10, epoch=1, batch=10),
        TrainState(step=10, epoch=2),
    ]
    paths = [save_checkpoint(folder, place, *parts_of(0)) for place in places]
    assert load_latest_checkpoint(folder, *parts_of(0)) == places[-1]
    assert len(set(paths)) == 3


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_state_cut_short_gives_way_to_the_one_before(folder, length):
    _, newest = save_steps(folder, 1, 2)
    os.truncate(newest, length if length >= 0 else newest.stat().st_size - 1)
    assert load_latest_checkpoint(folder, *parts_of(5)).step == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        {"tensors": "generator.cpu", "value": None},
        {"tensors": "generator.cpu", "value": torch.zeros(3)},
        {"tensors": "optimizer.99.exp_avg", "value": torch.zeros(3)},
        {"tensors": "optimizer.x.exp_avg", "value": torch.zeros(3)},
        {"train_state": {"step": "many"}},
        {"train_state": {"metrics_bytes": -5}},
        {"train_state": {"scores": 3}},
        {"train_state": {"scores": {"mean_iou": "high"}}},
        {"train_state": {"seconds": [1]}},
        {"train_state": {"best": "none"}},
        {"train_state": {"finished": "no"}},
    ],
)
def test_a_doctored_state_gives_way_to_the_one_before(folder, spoilt):
    _, newest = save_steps(folder, 1, 2)
    with safe_open(newest, "pt") as held:
        tensors = {name: held.get_tensor(name).clone() for name in held.keys()}  # noqa: SIM118
        position = json.loads(held.metadata()["train_state"]) | spoilt.get("train_state", {})
    if "tensors" in spoilt:
        tensors[spoilt["tensors"]] = spoilt["value"]
    kept = {name: value for name, value in tensors.items() if value is not None}
    write_tensors(newest, kept, {"train_state": json.dumps(position)}, run=folder.parent)
    with pytest.raises(DataError, match="does not fit this run"):
        load_checkpoint(newest, *parts_of(0))
    assert load_latest_checkpoint(folder, *parts_of(5)).step == 1


def test_a_half_written_state_is_not_seen(folder):
    (path,) = save_steps(folder, 1)
    path.with_name("step-0000002-0000-000000.safetensors.part").write_bytes(b"half")
    assert load_latest_checkpoint(folder, *parts_of(0)).step == 1


def test_a_file_of_another_kind_is_not_a_state(folder):
    save_steps(folder, 1)
    write_tensors(folder / "step-0000009-0000-000000.safetensors", {"x": torch.zeros(1)}, {}, run=folder.parent)
    assert load_latest_checkpoint(folder, *parts_of(0)).step == 1


def test_no_state(folder):
    for make in (folder.rmdir, folder.mkdir):
        make()
        with pytest.raises(DataError, match="has no checkpoint: start the run again under another --name"):
            load_latest_checkpoint(folder, *parts_of(0))


def test_a_state_of_another_model(folder):
    (path,) = save_steps(folder, 1)
    with pytest.raises(DataError, match="does not fit this run") as caught:
        load_checkpoint(path, *parts_of(0, width=5))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_position_of_another_version(folder):
    path = folder / "step-0000001-0000-000000.safetensors"
    write_tensors(path, {"generator.cpu": torch.get_rng_state()}, {"train_state": '{"steps": 3}'}, run=folder.parent)
    with pytest.raises(DataError, match="does not fit this run"):
        load_checkpoint(path, *parts_of(0))


def test_no_space_left_keeps_the_states_before(folder, monkeypatch):
    (before,) = save_steps(folder, 1)

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(RunError, match="No space left on device; free space, then resume with --resume") as caught:
        save_steps(folder, 2)
    assert str(folder.parent) in str(caught.value)
    assert list(folder.iterdir()) == [before]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        save_checkpoint(tmp_path / "run" / "state", TrainState(), *parts_of(0))
