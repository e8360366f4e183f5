"""Train a small network and record the loss of every step: what one process and several processes must agree on."""

import json
from pathlib import Path

import torch

from run_comparison import reporter_with
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.distributed import is_main_process
from vocctl.tasks import train_adv, train_cls, train_seg
from vocctl.training import trainer
from vocctl.training.reporter import TrainProgress


def record_losses(kind: str, data: str, out: str, loss: str, *targets: str) -> None:
    """Train with batch norm in evaluation mode and without dropout, and write the loss of each step to losses.json in out.

    For a process of its own: it changes torch's layers. kind: seg, cls, probe (a pretrained classifier) or adv. targets: for adv.
    """
    trainer.REPORT_INTERVAL = 0
    for layer in (torch.nn.BatchNorm2d, torch.nn.Dropout):
        layer.train = lambda self, mode=True: torch.nn.Module.train(self, False)
    default, task, flags = {
        "seg": (TrainSegConfig(), train_seg, {"encoder": "scratch", "widths": (16, 16, 16), "loss": loss}),
        "cls": (TrainClsConfig(), train_cls, {"model": "scratch", "loss": loss, "lr": 3e-4}),
        "probe": (TrainClsConfig(), train_cls, {"loss": loss}),
        "adv": (TrainAdvConfig(), train_adv, {"target": targets, "width": 8, "attack_loss": loss, "lr": 4e-3}),
    }[kind]
    common = {"batch": 4, "epochs": 11, "lr": 1e-3, "size": 32, "size_from": 0, "precision": "fp32", "augment": "none"}
    config = given(default, path=data, workers=0, eval_every=100, **common | flags)
    sums: dict[tuple[int, int], float] = {}  # of the losses of an epoch so far

    def add(progress: TrainProgress) -> None:
        sums[progress.epoch, progress.batch] = progress.loss * progress.batch

    task.run(config, Path(out), reporter=reporter_with(progress=add))
    if is_main_process():
        losses = [total - sums.get((epoch, batch - 1), 0.0) for (epoch, batch), total in sums.items()]
        (Path(out) / "losses.json").write_text(json.dumps(losses))
