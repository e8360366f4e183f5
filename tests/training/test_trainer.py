"""The trainer on a model of three weights: step size, whose scores count, what is saved when."""

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vocctl.config import DataConfig, OptimConfig, TrainConfig
from vocctl.devices import DeviceSetup
from vocctl.errors import Terminated
from vocctl.runs.folder import RunFolder
from vocctl.training import trainer
from vocctl.training.checkpoint import TrainState
from vocctl.training.reporter import SilentReporter
from vocctl.training.signals import InterruptCheck, StopRequest
from vocctl.training.task import Scores
from vocctl.training.trainer import Trainer

SETUP = DeviceSetup(torch.device("cpu"), "fp32")


class WhiteImages:
    """Two white images, again and again."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return 2 * self.batches

    def __getitem__(self, key: object) -> tuple[Tensor, Tensor]:
        return torch.full((3, 4, 4), 255, dtype=torch.uint8), torch.zeros((), dtype=torch.uint8)


@dataclass
class ConvTask:
    """The loss is the mean of a 1 x 1 convolution without bias on white images: its gradient is 1 at each weight."""

    dataset: Any
    config: Any
    splits: Any
    model: nn.Module = field(default_factory=lambda: nn.Conv2d(3, 1, 1, bias=False))
    scores: Callable[[InterruptCheck], Scores] = lambda check_interrupt: {"mean_iou": 0.5}
    after: Callable[[str], None] = lambda checkpoint: None
    on_step: Callable[[], None] = lambda: None
    num_validated: int = 40
    find_unused_parameters: bool = False

    def lr_scales(self) -> dict[str, float]:
        return {"weight": 1.0}

    def before_training(self, check_interrupt: InterruptCheck, *, resumed: bool) -> None:
        pass

    def on_epoch_start(self, epoch: int) -> None:
        pass

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        self.on_step()
        return network(images).mean()

    def validate(self, model: nn.Module, check_interrupt: InterruptCheck, limit: int | None = None) -> Scores:
        self.validated = limit or self.num_validated
        return self.scores(check_interrupt)

    def on_saved(self, run: RunFolder, checkpoint: str, model: nn.Module, check_interrupt: InterruptCheck) -> None:
        self.after(checkpoint)


def make_trainer(
    folder: Path,
    *,
    batches: int,
    epochs: int = 1,
    minutes: float = 0.0,
    accumulate: int = 1,
    stop: StopRequest | None = None,
    **task: Any,
) -> Trainer:
    (folder / "state").mkdir(parents=True)
    optim = OptimConfig(lr=1.0, schedule="constant", warmup=0.0, clip_norm=0.0, ema=0.0, accumulate=accumulate)
    config = SimpleNamespace(
        optim=optim,
        train=TrainConfig(epochs=epochs, minutes=minutes, batch=2),
        data=DataConfig(size=32, size_from=0, workers=0),
    )
    images = WhiteImages(batches)
    result = Trainer(
        ConvTask(images, config, SimpleNamespace(train=SimpleNamespace(images=images)), **task),
        RunFolder(folder),
        SETUP,
        SilentReporter(),
        stop or StopRequest(),
        command_started=trainer.time.perf_counter(),
    )
    result.start()
    optimizer = torch.optim.SGD([{"params": list(result.model.parameters()), "peak_lr": 1.0}], lr=1.0)  # exact steps
    result.raw_optimizer = result.optimizer = optimizer
    return result


@pytest.mark.parametrize(("batches", "accumulate", "steps"), [(4, 2, 2), (4, 3, 2), (1, 8, 1)])
def test_accumulated_step_of_fewer_batches_has_the_same_size(
    tmp_path: Path, batches: int, accumulate: int, steps: int
) -> None:
    trained = make_trainer(tmp_path, batches=batches, accumulate=accumulate)
    before = trained.model.weight.detach().clone()
    trained.fit()
    assert trained.state.step == steps
    assert torch.allclose(before - trained.model.weight, torch.tensor(float(steps)))  # gradient 1, learning rate 1


def test_all_processes_use_the_main_process_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "broadcast_object", lambda scores: {"mean_iou": 0.25})
    result = make_trainer(tmp_path, batches=1).fit()
    assert (result.best, result.scores) == (0.25, {"mean_iou": 0.25})


@pytest.mark.parametrize(("step", "validation", "minutes"), [(1.0, 0.5, 2), (0.2, 1.0, 3), (2.0, 0.0, 1)])
def test_minutes_include_validations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float, validation: float, minutes: int
) -> None:
    """A clock on which a step takes `step` seconds and each validated image `validation`; a validation has 40 images."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def advance(seconds: float) -> None:
        clock.now += seconds

    trained = make_trainer(tmp_path, batches=5, minutes=minutes, on_step=lambda: advance(step))
    trained.task.scores = lambda check: advance(validation * trained.task.validated) or {"mean_iou": 0.5}
    trained.fit()
    assert 60 * minutes - 5 * step <= clock.now <= 60 * minutes + step
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert sum(record["val_seconds"] for record in records[:-1]) <= 0.1 * 60 * minutes
    assert records[-1]["step"] == trained.state.step


def test_a_run_is_not_marked_finished_until_its_final_weights_are_saved(tmp_path: Path) -> None:
    weights = []

    def fail(checkpoint: str) -> None:
        if checkpoint == "final":
            weights.append(sorted(path.name for path in tmp_path.glob("*.safetensors")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_trainer(tmp_path, batches=1, after=fail).fit()
    assert weights == [["best.safetensors", "final.safetensors"]]
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-0000001-0000-000001.safetensors"]


@pytest.mark.parametrize(("seconds", "epochs"), [(0.0, [0, 1, 2, 3, 4, 5]), (0.3, [0, 4, 5])])
def test_slow_checkpoints_are_not_written_after_every_short_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, epochs: list[int]
) -> None:
    """Those after the first and the last epoch always are written, and one more when the run is done."""
    states = record_checkpoints(monkeypatch, seconds)
    make_trainer(tmp_path, batches=2, epochs=5).fit()
    assert [state.epoch for state in states] == epochs


def test_a_signal_during_validation_saves_the_unsaved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states, stop = record_checkpoints(monkeypatch, 0.3), StopRequest()

    def validate(check_interrupt: InterruptCheck) -> Scores:
        stop.signal_received = signal.SIGTERM if len(metrics.read_text().splitlines()) == 2 else None
        check_interrupt()
        return {"mean_iou": 0.5}

    metrics = tmp_path / "metrics.jsonl"
    stopped = make_trainer(tmp_path, batches=2, epochs=5, scores=validate, stop=stop)
    metrics.touch()
    with pytest.raises(Terminated, match="all is saved"):
        stopped.fit()
    assert [(state.epoch, state.batch) for state in states] == [(0, 2), (2, 2)]


def record_checkpoints(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[TrainState]:
    """Replace saving: it takes this many seconds and appends the state to the list that is returned."""
    states: list[TrainState] = []

    def save(folder: Path, state: TrainState, *rest: object) -> None:
        states.append(replace(state))
        time.sleep(seconds)

    monkeypatch.setattr(trainer, "save_checkpoint", save)
    return states


def test_patience_of_1_stops_at_the_first_validation_without_improvement(tmp_path: Path) -> None:
    trained = make_trainer(tmp_path, batches=1, epochs=5)
    trained.train = replace(trained.train, patience=1)
    trained.fit()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert trained.state.best_epoch == 1
