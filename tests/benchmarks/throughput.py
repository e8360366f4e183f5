"""Training speed: vocctl compared with a bare loop of the same step, and with the same job in Lightning.

    python tests/benchmarks/throughput.py TASK DATA [SECONDS]

TASK: seg or cls, at its default size. Encoder, weights, batch and augmentation are the same; models start with a random
head, because fitting it first is not a training step. Each way is measured three times for SECONDS, alternately.
Printed: the median images per second and their ratios, and the fraction of vocctl's time spent waiting for data in the
last epoch.

ours        `vocctl train-seg` or `train-cls`: cached images, augmented; moving average, clipping; all crops of full size
default     the same with progressive resizing, if that is the default
bare        forward, backward, clip, step and moving average on one batch that is already on the device: the model's cost
lightning   as in its tutorials: a LightningModule, a DataLoader that decodes and augments, fp32, channels first; smp's U-Net
            or timm's model with the library's own loss
lightning+  the same with our precision and memory format

Lightning is not a dependency of vocctl: install it with `pip install lightning`; without it the first three are measured.
"""

import importlib.util
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from vocctl.compat import declare_missing_ops
from vocctl.data.augment import preset

declare_missing_ops()

import numpy as np
import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.config.data import MAX_CHOSEN_SIZE
from vocctl.data.source import open_dataset
from vocctl.devices import device_setup, disable_malloc_trim, to_pixels
from vocctl.losses import classification, segmentation
from vocctl.models.classifier import Classifier
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.models.segmenter import Segmenter
from vocctl.models.weights import load_pretrained
from vocctl.tasks import train_cls, train_seg
from vocctl.training.accelerator import make_accelerator
from vocctl.training.ema import MovingAverage
from vocctl.training.optim import build_optimizer, clip_and_step

ROUNDS = 3
waits: dict[bool, list[float]] = {False: [], True: []}  # progressive resizing -> fraction of time per run


def config_of(task: str, data: Path, seconds: float, *, growing: bool = False) -> Any:
    default = TrainSegConfig() if task == "seg" else TrainClsConfig()
    own = {
        "size": default.data.size or MAX_CHOSEN_SIZE,
        "size_from": default.data.size_from if growing else 0,
        "probe": False,
    }
    return given(default, path=str(data), minutes=seconds / 60, eval_every=10_000, **own)


def ours(task: str, data: Path, seconds: float, *, growing: bool = False) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        (train_seg if task == "seg" else train_cls).run(config_of(task, data, seconds, growing=growing), out)
        last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    waits[growing].append(last["data_wait"])
    batch = config_of(task, data, seconds).train.batch
    return last["step"] * batch / last["train_seconds"]


def bare(config: Any, seconds: float) -> float:
    """config: of train-seg or train-cls."""
    is_segmenter = isinstance(config, TrainSegConfig)
    setup = device_setup(config.train.device, config.train.precision)
    accelerator = make_accelerator(setup)
    model = Segmenter(config.model) if is_segmenter else Classifier(config.model, config.data.size)
    model.to(device=setup.device, memory_format=torch.channels_last)
    if setup.device.type == "cpu":
        disable_malloc_trim()
        if setup.precision == "bf16":
            train_depthwise_in_fp32(model)
    average = MovingAverage(model, config.optim.ema)
    network, optimizer = accelerator.prepare(
        model, build_optimizer(model, dict.fromkeys(dict(model.named_parameters()), 1.0), config.optim)
    )
    batch, side = config.train.batch, config.data.size
    pixels = to_pixels(torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8), setup.device)
    if is_segmenter:
        stride = config.loss.loss_stride
        masks = torch.randint(0, 21, (batch, side, side), device=setup.device)
        labels = masks[:, stride // 2 :: stride, stride // 2 :: stride]
        loss_fn = segmentation.loss_function(config.loss, setup.device)
        forward = lambda: loss_fn(network(pixels, stride), labels)  # noqa: E731
    else:
        labels = torch.randint(0, 2, (batch, 20), device=setup.device)
        label_loss = classification.loss_function(config.loss, None)
        forward = lambda: label_loss(network(pixels), labels)  # noqa: E731
    model.train()

    def step(number: int) -> None:
        accelerator.backward(forward())
        clip_and_step(accelerator, optimizer, model.parameters(), config.optim.clip_norm)
        average.update(model, number)

    return batch * speed_of(step, seconds, setup.device)


def speed_of(step: Callable[[int], None], seconds: float, device: torch.device) -> float:
    """Steps per second, without the first three."""
    for number in range(1, 4):
        step(number)
    if device.type == "cuda":
        torch.cuda.synchronize()
    start, number = time.perf_counter(), 3
    while time.perf_counter() - start < seconds:
        number += 1
        step(number)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (number - 3) / (time.perf_counter() - start)


class Decoded(Dataset):
    """Images as a tutorial reads them: decoded from the files each time."""

    def __init__(self, task: str, data: Path, augment: str, size: int) -> None:
        self.source = open_dataset(data)
        labels = None if task == "seg" else self.source.labels("train")
        self.ids = self.source.ids("train") if labels is None else list(labels)
        self.targets = None if labels is None else np.stack(list(labels.values()))
        transform = preset(augment, size)  # before albumentations is imported: it switches its version check off
        import albumentations as A

        self.transform = A.Compose([transform, A.Normalize()])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.source.image(self.ids[index])
        if self.targets is None:
            augmented = self.transform(image=image, mask=self.source.mask(self.ids[index]))
            target = torch.from_numpy(augmented["mask"].astype(np.int64))
        else:
            augmented = self.transform(image=image)
            target = torch.from_numpy((self.targets[index] == 1).astype(np.float32))
        return torch.from_numpy(augmented["image"].transpose(2, 0, 1).copy()), target


def lightning_speed(task: str, data: Path, seconds: float, *, as_ours: bool) -> float:
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    config = config_of(task, data, seconds)
    setup = device_setup(config.train.device, config.train.precision)

    class Job(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            if task == "seg":
                self.model: nn.Module = smp.Unet(f"tu-{config.model.backbone}", encoder_weights=None, classes=21)
                load_pretrained(self.model.encoder.model, config.model.backbone, "auto")
                self.loss: nn.Module = nn.CrossEntropyLoss(ignore_index=255)
            else:
                self.model = timm.create_model(config.model.backbone, num_classes=20)
                load_pretrained(self.model, config.model.backbone, "auto")
                self.loss = nn.BCEWithLogitsLoss()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            images, targets = batch
            loss = self.loss(self.model(images), targets)
            self.log("train_loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=3e-4)

    class Clock(lightning.Callback):
        steps, start = 0, 0.0

        def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
            self.steps += 1
            if self.steps == 3:
                self.start = time.perf_counter()
            if self.steps > 3 and time.perf_counter() - self.start >= seconds:
                self.speed = (self.steps - 3) / (time.perf_counter() - self.start)
                trainer.should_stop = True

    clock, job = Clock(), Job()
    if as_ours:
        job.to(memory_format=torch.channels_last)
    precision = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}[setup.precision if as_ours else "fp32"]
    images = Decoded(task, data, config.data.augment, config.data.size)
    loader = DataLoader(images, batch_size=config.train.batch, shuffle=True, drop_last=True)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1000, precision=precision, callbacks=[clock], logger=False, enable_checkpointing=False,
            enable_model_summary=False, enable_progress_bar=False, default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(job, loader)
    return config.train.batch * clock.speed


def main() -> None:
    task, data = sys.argv[1], Path(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 20.0
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: ours(task, data, seconds),
        "default": lambda: ours(task, data, seconds, growing=True),
        "bare": lambda: bare(config_of(task, data, seconds), seconds),
    }
    if importlib.util.find_spec("lightning"):
        ways["lightning"] = lambda: lightning_speed(task, data, seconds, as_ours=False)
        ways["lightning+"] = lambda: lightning_speed(task, data, seconds, as_ours=True)
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            measured[name].append(way())
    for name, speeds in measured.items():
        ratios = [
            median(ours / other for ours, other in zip(measured[way], speeds, strict=True))
            for way in ("ours", "default")
        ]
        listed = ", ".join(f"{speed:.1f}" for speed in speeds)
        print(
            f"{name:11}{median(speeds):7.1f} images/s ({listed}); ours is {ratios[0]:.2f} of it, default {ratios[1]:.2f}"
        )
    print(f"waiting for data: ours {median(waits[False]):.1%} of the time, default {median(waits[True]):.1%}")


if __name__ == "__main__":
    main()
