"""Checkpoints: everything is restored, and what a crash leaves behind is skipped."""

import json
import os
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.optim import AdamW, Optimizer

from vocctl.config import OptimConfig
from vocctl.config.training import Optimizer as OptimizerName
from vocctl.errors import DataError, RunError
from vocctl.runs.weights import write_tensors
from vocctl.training.checkpoint import TrainState, load_checkpoint, load_latest_checkpoint, save_checkpoint
from vocctl.training.optim import build_optimizer, set_lr


def build_parts(seed: int, width: int = 4) -> tuple[nn.Module, nn.Module, AdamW]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))
    average = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))
    return model, average, AdamW(model.parameters(), lr=0.1, fused=True)


def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
    """Steps on pixels that the global generator draws."""
    model.train()
    for _ in range(steps):
        model(torch.rand(2, 3, 6, 6)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def are_equal(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "state"
    folder.mkdir(parents=True)
    return folder


def test_resumed_training_equals_uninterrupted_training(folder):
    model, average, optimizer = build_parts(0)
    train(model, optimizer, 3)
    path = save_checkpoint(folder, TrainState(step=3), model, average, optimizer)
    train(model, optimizer, 3)
    restored, restored_average, restored_optimizer = build_parts(1)
    torch.manual_seed(77)
    load_checkpoint(path, restored, restored_average, restored_optimizer)
    train(restored, restored_optimizer, 3)  # on the same pixels, because the generator is restored too
    assert are_equal(restored, model)
    assert are_equal(restored_average, average)


def test_resuming_with_channels_last_weights(folder):
    model, average, optimizer = build_parts(0)
    model.to(memory_format=torch.channels_last)
    train(model, optimizer, 3)
    path = save_checkpoint(folder, TrainState(step=3), model, average, optimizer)
    train(model, optimizer, 3)
    restored, restored_average, restored_optimizer = build_parts(1)
    restored.to(memory_format=torch.channels_last)
    load_checkpoint(path, restored, restored_average, restored_optimizer)
    train(restored, restored_optimizer, 3)
    assert all(torch.allclose(a, b) for a, b in zip(restored.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_every_optimizer_resumes_as_if_it_had_not_stopped(folder, name):
    config = OptimConfig(optimizer=name, lr=0.01)

    def build(seed: int) -> tuple[nn.Module, nn.Module, Optimizer]:
        model, _, _ = build_parts(seed)
        model[0].bias.requires_grad_(False)  # has no state
        optimizer = build_optimizer(model, {key: 0.1 if key[0] == "0" else 1.0 for key in model.state_dict()}, config)
        set_lr(optimizer, 0.5)
        return model, model, optimizer

    model, _, optimizer = build(0)
    train(model, optimizer, 3)
    path = save_checkpoint(folder, TrainState(step=3), model, model, optimizer)
    train(model, optimizer, 3)
    restored, _, restored_optimizer = build(1)
    with torch.no_grad():
        restored[0].bias.copy_(model[0].bias)
    load_checkpoint(path, restored, restored, restored_optimizer)
    train(restored, restored_optimizer, 3)
    assert are_equal(restored, model)


def test_slots_of_none_and_of_integers(folder):
    """SGD without momentum keeps None; an older timm counts LAMB's steps in an integer of the group."""
    model, _, _ = build_parts(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, 1)
    optimizer.state[model[0].weight]["momentum_buffer"] = None
    optimizer.param_groups[0]["step"] = 7
    path = save_checkpoint(folder, TrainState(), model, model, optimizer)
    restored, _, _ = build_parts(1)
    restored_optimizer = torch.optim.SGD(restored.parameters(), lr=0.1)
    load_checkpoint(path, restored, restored, restored_optimizer)
    assert restored_optimizer.param_groups[0]["step"] == 7
    assert type(restored_optimizer.param_groups[0]["step"]) is int
    assert restored_optimizer.state[restored[0].weight].get("momentum_buffer") is None


def test_every_field_of_the_train_state_is_restored(folder):
    state = TrainState(
        step=7, epoch=2, batch=3, seconds=1.5, loss_sum=0.1, best=0.3, best_epoch=1, epochs_without_improvement=2, metrics_bytes=99,
        scaler={"scale": 65536.0},
    )  # fmt: skip
    path = save_checkpoint(folder, state, *build_parts(0))
    assert load_checkpoint(path, *build_parts(1)) == state
    assert load_checkpoint(save_checkpoint(folder, TrainState(), *build_parts(0)), *build_parts(1)) == TrainState()


def test_without_ema_the_weights_are_stored_once(folder):
    model, _, optimizer = build_parts(0)
    path = save_checkpoint(folder, TrainState(), model, model, optimizer)
    restored, _, restored_optimizer = build_parts(1)
    load_checkpoint(path, restored, restored, restored_optimizer)
    assert are_equal(restored, model)
    with pytest.raises(DataError, match="does not fit this run"):
        load_checkpoint(path, *build_parts(1))  # this model has a moving average, the checkpoint has none


def test_learning_rates_are_not_restored(folder):
    model, average, optimizer = build_parts(0)
    train(model, optimizer, 1)
    path = save_checkpoint(folder, TrainState(), model, average, optimizer)
    restored, restored_average, restored_optimizer = build_parts(1)
    restored_optimizer.param_groups[0]["lr"] = 0.7
    load_checkpoint(path, restored, restored_average, restored_optimizer)
    assert restored_optimizer.param_groups[0]["lr"] == 0.7


def save_steps(folder: Path, *steps: int) -> list[Path]:
    return [save_checkpoint(folder, TrainState(step=step), *build_parts(step)) for step in steps]


def test_two_newest_checkpoints_are_kept(folder):
    paths = save_steps(folder, 1, 2, 10, 11)
    assert sorted(folder.iterdir()) == paths[-2:]
    assert load_latest_checkpoint(folder, *build_parts(0)).step == 11


def test_checkpoints_are_ordered_by_step_epoch_and_batch(folder):
    train_states = [
        TrainState(step=9, epoch=1, batch=9),
        TrainState(step=10, epoch=1, batch=10),
        TrainState(step=10, epoch=2),
    ]
    paths = [save_checkpoint(folder, state, *build_parts(0)) for state in train_states]
    assert load_latest_checkpoint(folder, *build_parts(0)) == train_states[-1]
    assert len(set(paths)) == 3


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_truncated_checkpoint_is_skipped(folder, length):
    _, newest = save_steps(folder, 1, 2)
    os.truncate(newest, length if length >= 0 else newest.stat().st_size - 1)
    assert load_latest_checkpoint(folder, *build_parts(5)).step == 1


@pytest.mark.parametrize(
    "corruption",
    [
        {"tensors": "generator.cpu", "value": None},
        {"tensors": "generator.cpu", "value": torch.zeros(3)},
        {"tensors": "optimizer.99.exp_avg", "value": torch.zeros(3)},
        {"tensors": "optimizer.x.exp_avg", "value": torch.zeros(3)},
        {"tensors": "optimizer_group.9.step", "value": torch.zeros(())},
        {"tensors": "optimizer_group.0.lr", "value": torch.zeros(())},
        {"train_state": {"step": "many"}},
        {"train_state": {"metrics_bytes": -5}},
        {"train_state": {"scores": 3}},
        {"train_state": {"scores": {"mean_iou": "high"}}},
        {"train_state": {"seconds": [1]}},
        {"train_state": {"best": "none"}},
        {"train_state": {"finished": "no"}},
    ],
)
def test_corrupt_checkpoint_is_skipped(folder, corruption):
    _, newest = save_steps(folder, 1, 2)
    with safe_open(newest, "pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        state = json.loads(file.metadata()["train_state"]) | corruption.get("train_state", {})
    if "tensors" in corruption:
        tensors[corruption["tensors"]] = corruption["value"]
    tensors = {name: value for name, value in tensors.items() if value is not None}
    write_tensors(newest, tensors, {"train_state": json.dumps(state)}, run=folder.parent)
    with pytest.raises(DataError, match="does not fit this run"):
        load_checkpoint(newest, *build_parts(0))
    assert load_latest_checkpoint(folder, *build_parts(5)).step == 1


def test_incomplete_checkpoint_is_ignored(folder):
    (path,) = save_steps(folder, 1)
    path.with_name("step-0000002-0000-000000.safetensors.part").write_bytes(b"half")
    assert load_latest_checkpoint(folder, *build_parts(0)).step == 1


def test_file_that_is_not_a_checkpoint_is_skipped(folder):
    save_steps(folder, 1)
    write_tensors(folder / "step-0000009-0000-000000.safetensors", {"x": torch.zeros(1)}, {}, run=folder.parent)
    assert load_latest_checkpoint(folder, *build_parts(0)).step == 1


def test_missing_checkpoint_is_an_error(folder):
    for make in (folder.rmdir, folder.mkdir):
        make()
        with pytest.raises(DataError, match="has no checkpoint: start the run again under another --name"):
            load_latest_checkpoint(folder, *build_parts(0))


def test_checkpoint_of_another_model_is_an_error(folder):
    (path,) = save_steps(folder, 1)
    with pytest.raises(DataError, match="does not fit this run") as caught:
        load_checkpoint(path, *build_parts(0, width=5))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_train_state_of_another_version_is_an_error(folder):
    path = folder / "step-0000001-0000-000000.safetensors"
    write_tensors(path, {"generator.cpu": torch.get_rng_state()}, {"train_state": '{"steps": 3}'}, run=folder.parent)
    with pytest.raises(DataError, match="does not fit this run"):
        load_checkpoint(path, *build_parts(0))


def test_full_disk_keeps_the_earlier_checkpoint(folder, monkeypatch):
    (before,) = save_steps(folder, 1)

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(RunError, match="No space left on device; free space, then resume with --resume") as caught:
        save_steps(folder, 2)
    assert str(folder.parent) in str(caught.value)
    assert list(folder.iterdir()) == [before]


def test_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        save_checkpoint(tmp_path / "run" / "state", TrainState(), *build_parts(0))
