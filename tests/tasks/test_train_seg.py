"""Training end to end on eight drawn images: repeatable, resumable after any death, stopped kindly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vocctl.config import TrainSegConfig, given
from vocctl.errors import ConfigError, DataError, RunError, Terminated
from vocctl.inference.predict import predict_probs
from vocctl.tasks import train_seg
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.train_seg import resume, run
from vocctl.training import launch, trainer
from vocctl.training.reporter import SilentReporter, TrainProgress


def reporter_with(**receivers: Callable[..., object]) -> SilentReporter:
    """A reporter that calls receivers["note"], ["count"], ["progress"] or ["epoch"]."""
    reporter = SilentReporter()
    vars(reporter).update(receivers)
    return reporter


TIMES = ("images_per_second", "data_wait", "train_seconds", "val_seconds")


def tiny_config(data: Path, **flags: object) -> TrainSegConfig:
    small = {"encoder": "scratch", "widths": (16, 16, 16), "size": 32, "batch": 2, "epochs": 2, "precision": "fp32"}
    return given(TrainSegConfig(), path=str(data), **(small | flags))


def metrics(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / "final.safetensors"), load_file(other / "final.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_leaves_its_folder_and_learns(tiny: Path, tmp_path: Path) -> None:
    result = run(
        tiny_config(tiny, epochs=25, lr=0.003, encoder_lr=1.0, ema=0.9, loss_stride=1, eval_every=5), tmp_path / "run"
    )
    records = metrics(tmp_path / "run")
    assert [record["epoch"] for record in records] == [5, 10, 15, 20, 25]
    assert records[-1]["train_loss"] < 0.7 * records[0]["train_loss"]
    # gray ground, a red and a blue square: the ground alone gives a mean IoU of at most 1/3
    assert result.scores["mean_iou"] > 0.5
    held = {path.name for path in (tmp_path / "run").iterdir()}
    assert held == {
        "config.toml", "run.json", "split.json", "metrics.jsonl", "best.safetensors", "final.safetensors", "state"
    }  # fmt: skip
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["data"]["train"] == 8
    assert about["parameters"]["with skips"] > about["parameters"]["without skips"]


def test_same_seed_same_run_and_another_seed_another(tiny: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(tiny_config(tiny, seed=seed, augment="strong"), tmp_path / name)
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


def test_workers_change_nothing(tiny: Path, tmp_path: Path) -> None:
    for name, workers in (("none", 0), ("two", 2)):
        run(tiny_config(tiny, workers=workers, epochs=1, augment="strong"), tmp_path / name)
    assert same_weights(tmp_path / "none", tmp_path / "two")


def started(data: Path, out: Path, *flags: str, apart: bool = False) -> subprocess.Popen[str]:
    """apart: in a session of its own, as torchrun starts each process."""
    command = [sys.executable, "-m", "vocctl", "train-seg", "--data", str(data), "--out", str(out), *flags]
    small = (
        "--encoder scratch --widths 16,16,16 --size 64 --batch 1 --precision fp32 --augment strong --save-every 0.0001"
    )
    return subprocess.Popen([*command, *small.split()], stderr=subprocess.PIPE, text=True, start_new_session=apart)


def wait_for_state(out: Path, *, after_batch: int = 3) -> None:
    """Until a state from the middle of an epoch is there."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        inside = [int(path.stem.split("-")[-1]) for path in out.glob("state/step-*.safetensors")]
        if any(batch >= after_batch for batch in inside):
            return
        time.sleep(0.005)
    raise AssertionError("no state came")


def test_images_that_lie_on_the_device_train_and_resume_the_same(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, augment_on="gpu", augment="strong", epochs=4)
    run(config, tmp_path / "alone")
    first = reporter_with(epoch=lambda record: os.kill(os.getpid(), signal.SIGINT) if record["epoch"] == 2 else None)
    with pytest.raises(Exception, match="resume with"):
        run(config, tmp_path / "stopped", reporter=first)
    resume(str(tmp_path / "stopped"))
    assert same_weights(tmp_path / "alone", tmp_path / "stopped")
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "stopped")


def test_killed_in_the_middle_of_an_epoch_and_resumed_is_the_same_bit_for_bit(tiny: Path, tmp_path: Path) -> None:
    """Without a moving average; test_kills.py has one."""
    flags = ("--epochs", "3", "--ema", "0")
    alone = started(tiny, tmp_path / "alone", *flags)
    assert alone.wait(120) == 0
    killed = started(tiny, tmp_path / "killed", *flags)
    wait_for_state(tmp_path / "killed")
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(30) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "final.safetensors").exists()
    again = subprocess.run(
        [sys.executable, "-m", "vocctl", "train-seg", "--resume", str(tmp_path / "killed")], check=False
    )
    assert again.returncode == 0
    assert same_weights(tmp_path / "alone", tmp_path / "killed")
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "killed")


def test_stopped_after_an_epochs_last_step_it_still_writes_that_epochs_line(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "REPORT_INTERVAL", 0)
    config = tiny_config(tiny)
    run(config, tmp_path / "alone")
    before_the_last = (1, 3)  # of eight images in batches of two: the signal is seen after the fourth
    asking = reporter_with(
        progress=lambda look: (
            os.kill(os.getpid(), signal.SIGINT) if (look.epoch, look.batch) == before_the_last else None
        )
    )
    with pytest.raises(Exception, match="stopped at step 4"):
        run(config, tmp_path / "stopped", reporter=asking)
    assert not (tmp_path / "stopped" / "metrics.jsonl").exists()
    resume(str(tmp_path / "stopped"))
    assert metrics(tmp_path / "stopped") == metrics(tmp_path / "alone")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(tiny: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = started(tiny, tmp_path / "run", "--epochs", "500")
    wait_for_state(tmp_path / "run")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"resume with --resume {tmp_path / 'run'}" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_signal_to_the_whole_group_leaves_the_workers_alone_and_saves(tiny: Path, tmp_path: Path) -> None:
    process = started(tiny, tmp_path / "run", "--epochs", "500", "--workers", "2", apart=True)
    wait_for_state(tmp_path / "run")
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert f"resume with --resume {tmp_path / 'run'}" in said.splitlines()[-1]


def test_a_signal_while_images_are_scored_is_heeded_and_costs_no_step(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tiny, epochs=1)
    run(config, tmp_path / "alone")

    def asked(*words: object, **named: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return predict_probs(*words, **named)

    with monkeypatch.context() as patch:
        patch.setattr(train_seg, "predict_probs", asked)
        with pytest.raises(Terminated, match="all is saved: resume with --resume"):
            run(config, tmp_path / "stopped")
    assert [path.name for path in (tmp_path / "stopped" / "state").iterdir()] == [
        "step-0000004-0000-000004.safetensors"
    ]
    assert not (tmp_path / "stopped" / "metrics.jsonl").exists()
    resume(str(tmp_path / "stopped"))
    assert same_weights(tmp_path / "alone", tmp_path / "stopped")
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "stopped")


def test_a_loss_that_is_not_finite_names_its_step_and_keeps_the_states(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not finite at step [1-9]"):
        run(tiny_config(tiny, lr=1e30, clip_norm=0.0, warmup=0.0, epochs=5), tmp_path / "run")
    assert not (tmp_path / "run" / "final.safetensors").exists()


def test_minutes_end_the_run_and_it_says_that_it_cannot_be_repeated(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    result = run(tiny_config(tiny, minutes=0.03), tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert 1.8 <= result.seconds < 10
    assert any("cannot be repeated" in note for note in notes)


def test_minutes_that_end_between_the_batches_of_one_step_let_it_end(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, minutes=1e-6, accumulate=3), tmp_path / "run")
    assert [record["step"] for record in metrics(tmp_path / "run")] == [1]


def test_minutes_used_up_before_a_death_in_validation_leave_it_the_validation(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*words: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(train_seg.SegmentationTask, "validate", die)
        with pytest.raises(ZeroDivisionError):
            run(tiny_config(tiny, minutes=1e-6), tmp_path / "run")
    result = resume(str(tmp_path / "run"))
    assert [record["step"] for record in metrics(tmp_path / "run")] == [1]
    assert result.best == result.scores["mean_iou"] == metrics(tmp_path / "run")[0]["mean_iou"]
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_a_run_that_died_before_it_was_described_is_described_when_it_begins_anew(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*words: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(launch, "write_run_info", die)
        with pytest.raises(ZeroDivisionError):
            run(tiny_config(tiny, epochs=1), tmp_path / "run")
    assert not (tmp_path / "run" / "split.json").exists()
    resume(str(tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["train"] == 8
    assert evaluate(str(tmp_path / "run")).info.num_images == 4


def test_a_run_that_died_before_its_first_state_begins_anew(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, encoder="tf_efficientnet_lite0", epochs=1)
    run(config, tmp_path / "alone")

    def die(look: TrainProgress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(config, tmp_path / "died", reporter=reporter_with(progress=die))
    assert list((tmp_path / "died" / "state").iterdir()) == []
    notes: list[str] = []
    resume(str(tmp_path / "died"), reporter=reporter_with(note=notes.append))
    assert any("it starts again" in note for note in notes)
    assert same_weights(tmp_path / "alone", tmp_path / "died")
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "died")


def test_patience_stops_early(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, epochs=50, patience=1, lr=1e-12, ema=0.0), tmp_path / "run")
    assert len(metrics(tmp_path / "run")) < 50


def test_accumulating_two_batches_makes_half_the_steps(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, accumulate=2, epochs=1), tmp_path / "run")
    assert metrics(tmp_path / "run")[0]["step"] == 2  # eight images, batches of two, two to a step


@pytest.mark.parametrize("loss", ["ce", "dice", "ce+dice", "focal", "lovasz"])
def test_every_loss_trains(tiny: Path, tmp_path: Path, loss: str) -> None:
    assert run(tiny_config(tiny, loss=loss, epochs=1), tmp_path / "run").scores["val_loss"] > 0


def test_a_vit_with_dpt_trains_evaluates_and_resumes(tiny: Path, tmp_path: Path) -> None:
    flags = {"encoder": "vit_tiny_patch16_224", "decoder": "dpt", "weights": "none", "size": 64, "widths": (8, 8, 8)}
    config = tiny_config(tiny, **flags, batch=4, epochs=2)
    run(config, tmp_path / "alone")
    first = reporter_with(epoch=lambda record: os.kill(os.getpid(), signal.SIGINT) if record["epoch"] == 1 else None)
    with pytest.raises(Exception, match="resume with"):
        run(config, tmp_path / "stopped", reporter=first)
    resume(str(tmp_path / "stopped"))
    assert same_weights(tmp_path / "alone", tmp_path / "stopped")
    assert evaluate(str(tmp_path / "stopped")).info.num_images == 4


def test_resuming_refuses_what_would_mislead(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, epochs=1), tmp_path / "run")
    with pytest.raises(ConfigError, match="has finished"):
        resume(str(tmp_path / "run"))
    mask = next((tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass").glob("*.png"))
    other = mask.with_name("tiny_001.png") if mask.name != "tiny_001.png" else mask.with_name("tiny_002.png")
    mask.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match="has changed"):
        resume(str(tmp_path / "run"))


def test_images_in_both_splits_are_told_of(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    run(
        tiny_config(tiny, val_split="trainval", epochs=1),
        tmp_path / "run",
        reporter=reporter_with(note=notes.append),
    )
    assert any("8 images are in both splits" in note for note in notes)
