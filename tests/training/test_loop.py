"""The loop on a model of three weights: what a step is divided by, whose scores count, what comes before the end."""

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from vocctl.training.loop import Job, fit, make_accelerator

from vocctl.config import OptimConfig, TrainConfig
from vocctl.errors import Terminated
from vocctl.runs.folder import RunFolder
from vocctl.training import loop
from vocctl.training.checkpoint import TrainState
from vocctl.training.ema import MovingAverage
from vocctl.training.signals import InterruptCheck, StopRequest


def job_of(folder: Path, *, batches: int, **changes: Any) -> Job:
    """Batches of white images; the loss is the mean of a 1 x 1 convolution, whose gradient is 1 at each weight."""
    (folder / "state").mkdir(parents=True)
    model = nn.Conv2d(3, 1, 1, bias=False)
    optimizer = torch.optim.SGD([{"params": list(model.parameters()), "peak": 1.0}], lr=1.0)
    optim = OptimConfig(
        schedule="constant", warmup=0.0, clip_norm=0.0, ema=0.0, accumulate=changes.pop("accumulate", 1)
    )
    white = (torch.full((2, 3, 4, 4), 255, dtype=torch.uint8), torch.zeros(2, dtype=torch.uint8))
    given: dict[str, Any] = {
        "validate": lambda model, check_interrupt: {"mean_iou": 0.5},
        "conclude": lambda check_interrupt: None,
        "stop": StopRequest(),
        "train": TrainConfig(epochs=1),
    }
    return Job(
        accelerator=make_accelerator(torch.device("cpu"), "fp32"), model=model, average=MovingAverage(model, 0.0),
        optimizer=optimizer, loss_fn=lambda pixels, targets: model(pixels).mean(),
        batches_from=lambda epoch, batch: [white] * (batches - batch), batches=batches, optim=optim,
        run=RunFolder(folder),
        on_progress=lambda look: None, on_epoch=lambda record: None, **(given | changes),
    )  # fmt: skip


@pytest.mark.parametrize(("batches", "accumulate", "steps"), [(4, 2, 2), (4, 3, 2), (1, 8, 1)])
def test_the_last_batches_of_an_epoch_make_a_step_as_large_as_any(
    tmp_path: Path, batches: int, accumulate: int, steps: int
) -> None:
    job = job_of(tmp_path, batches=batches, accumulate=accumulate)
    before = job.model.weight.detach().clone()
    assert fit(job, TrainState()).step == steps
    assert torch.allclose(before - job.model.weight, torch.tensor(float(steps)))  # a gradient of 1, a rate of 1


def test_the_first_ranks_scores_are_everyones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.distributed, "broadcast_object", lambda scores: {"mean_iou": 0.25})
    end = fit(job_of(tmp_path, batches=1), TrainState())
    assert (end.best, end.scores) == (0.25, {"mean_iou": 0.25})


def test_a_run_has_finished_once_it_is_concluded(tmp_path: Path) -> None:
    seen = []

    def conclude(check_interrupt: object) -> None:
        seen.append(sorted(path.name for path in tmp_path.glob("*.safetensors")))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(job_of(tmp_path, batches=1, conclude=conclude), TrainState())
    assert seen == [["best.safetensors", "final.safetensors"]]
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-0000001-0000-000001.safetensors"]


@pytest.mark.parametrize(("seconds", "saved"), [(0.0, [0, 1, 2, 3, 4, 5]), (0.3, [0, 4, 5])])
def test_states_that_take_long_are_not_written_after_every_short_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, saved: list[int]
) -> None:
    """The first and the last always are, the last before it is scored and when all is done."""
    found = slow_states(monkeypatch, seconds)
    fit(job_of(tmp_path, batches=2, train=TrainConfig(epochs=5)), TrainState())
    assert [position.epoch for position in found] == saved


def test_a_signal_while_images_are_scored_saves_what_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, stop = slow_states(monkeypatch, 0.3), StopRequest()

    def validate(model: nn.Module, check_interrupt: InterruptCheck) -> dict[str, float]:
        stop.asked = signal.SIGTERM if len(metrics.read_text().splitlines()) == 2 else None
        check_interrupt()
        return {"mean_iou": 0.5}

    metrics = tmp_path / "metrics.jsonl"
    job = job_of(tmp_path, batches=2, train=TrainConfig(epochs=5), validate=validate, stop=stop)
    metrics.touch()
    with pytest.raises(Terminated, match="all is saved"):
        fit(job, TrainState())
    assert [(position.epoch, position.batch) for position in found] == [(0, 2), (2, 2)]


def slow_states(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[TrainState]:
    """Where the run was at each state, which takes so long to write."""
    found: list[TrainState] = []

    def save(folder: Path, position: TrainState, *rest: object) -> None:
        found.append(replace(position))
        time.sleep(seconds)

    monkeypatch.setattr(loop, "save_checkpoint", save)
    return found
