"""Train the CNN adversary against frozen victims: a config in, a run folder out.

Each step perturbs a batch, shows it to the victims, and follows their white-box gradient back into the generator. The
victims do not change: they are in evaluation mode, and their weights get no gradient.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vocctl.attacks.generator import UNBOUNDED_EPSILON
from vocctl.attacks.threat import MAX_PIXEL, Threat
from vocctl.config import TrainAdvConfig, parse_epsilon
from vocctl.data.datasets import TrainDataset
from vocctl.data.splits import open_cls_splits, open_seg_splits
from vocctl.devices import DeviceSetup
from vocctl.distributed import world_size
from vocctl.errors import ConfigError
from vocctl.metrics.distortion import psnr
from vocctl.robustness.generator import build_adversary, has_penalty
from vocctl.robustness.generator_loss import (
    VICTIM_CHECKPOINT,
    GeneratorLoss,
    perturbation_levels,
)
from vocctl.robustness.outcomes import GroundTruth, Predictions
from vocctl.robustness.victims import Victim, open_victim
from vocctl.runs.folder import RunFolder
from vocctl.seeding import seed_everything
from vocctl.training import launch
from vocctl.training.reporter import Reporter
from vocctl.training.signals import InterruptCheck
from vocctl.training.task import Scores, TrainResult

COMMAND = "train-adv"
MAX_VALIDATED = 100  # the first this many validation images are attacked


def run(
    config: TrainAdvConfig,
    out: Path | None = None,
    *,
    name: str | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Train a new run into out, or into runs/adv/<name>. Raises VocctlError as training/launch.py's train does."""
    return launch.train(
        GeneratorTask, config, COMMAND, out=out, name=name, reporter=reporter, command_started=command_started
    )


def resume(
    name: str,
    *,
    data: Path | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Resume a run from its newest checkpoint. Raises VocctlError as training/launch.py's resume does."""
    return launch.resume(
        GeneratorTask, TrainAdvConfig(), COMMAND, name, data=data, reporter=reporter, command_started=command_started
    )


class GeneratorTask:
    """A generator of perturbations, the victims that it is to fool, and how far their scores drop. See training/task.py."""

    def __init__(self, config: TrainAdvConfig, setup: DeviceSetup, reporter: Reporter, resumed: bool) -> None:
        self.setup = setup
        self.victims = open_victims(config, setup)
        paths = tuple(str(victim.runs[0].path) for victim in self.victims)  # a name may mean another run later
        self.config = replace(config, attack_loss=replace(config.attack_loss, target=paths))
        # masks are read if a segmenter is attacked; the classes of a crop are then those in its mask
        self.reads_masks = any(victim.task == "train-seg" for victim in self.victims)
        open_splits = open_seg_splits if self.reads_masks else open_cls_splits
        self.splits = open_splits(config.data, reporter.count)
        check_batch_size(config, len(self.splits.train.images), len(self.victims))
        seed_everything(config.train.seed)
        self.model = build_adversary(config, load_pretrained=not resumed)
        self.dataset = TrainDataset(self.splits.train, augment=config.data.augment, seed=config.train.seed)
        self.generator_loss = GeneratorLoss(self.victims, self.config)
        # of the victims, by the number of images; computed at the first validation
        self.clean_predictions: dict[int, list[Predictions]] = {}
        self.find_unused_parameters = False
        self.parameter_counts = {"model": sum(parameter.numel() for parameter in self.model.parameters())}
        self.run_name = _run_name(config, self.victims)

    def lr_scales(self) -> dict[str, float]:
        return self.model.lr_scales()

    def before_training(self, check_interrupt: InterruptCheck, *, resumed: bool) -> None:
        """There is nothing to prepare."""

    def on_epoch_start(self, epoch: int) -> None:
        """All epochs are alike."""

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return self.generator_loss(network, images, targets)

    def on_saved(self, run: RunFolder, checkpoint: str, model: nn.Module, check_interrupt: InterruptCheck) -> None:
        """A generator is its weights alone."""

    @property
    def num_validated(self) -> int:
        return len(self._images)

    def validate(self, model: nn.Module, check_interrupt: InterruptCheck, limit: int | None = None) -> Scores:
        """Scores of the victims on adversarial images at their original sizes, rounded to 8 bits; means over the victims.

        drop: 1 - attacked / clean score. target_success_rate: with a goal, left out where these images cannot show it.
        val_loss, lower is better: 1 - target_success_rate with a goal, otherwise 1 - drop; plus the penalty if there is one.
        """
        count = limit or self.num_validated
        goal, truths = self.config.attack_loss.goal, self._ground_truths(count)
        if count not in self.clean_predictions:
            self.clean_predictions[count] = self._predict(self._images[:count], truths, check_interrupt)
        pairs = list(self._adversarial_pairs(self._images[:count], model, check_interrupt))
        predictions = self._predict([_to_uint8(adversarial) for _, adversarial in pairs], truths, check_interrupt)
        attacked_scores: dict[str, list[float]] = {}
        ratios, success_rates = [], []
        for victim, truth, before, after in zip(
            self.victims, truths, self.clean_predictions[count], predictions, strict=True
        ):
            clean_score, score = (result.scores(truth)[victim.metric] for result in (before, after))
            ratios.append(score / clean_score if clean_score > 0 else math.nan)
            success_rates.append(after.target_success(before, truth, goal).get("target_success_rate", math.nan))
            attacked_scores.setdefault(victim.metric, []).append(score)
        drop, success = 1 - float(np.mean(ratios)), float(np.mean(success_rates))
        result = {metric: float(np.mean(values)) for metric, values in attacked_scores.items()}
        if not math.isnan(success):
            result["target_success_rate"] = success
        loss = 1 - result.get("target_success_rate", drop)
        if has_penalty(self.config):
            penalty = self.config.threat.penalty
            sizes = torch.stack([perturbation_levels(adversarial - images, penalty) for images, adversarial in pairs])
            loss += self.config.threat.lam * sizes.mean().item()
        noise = torch.cat([psnr(images, adversarial) for images, adversarial in pairs]).clamp(max=99)
        return {"val_loss": loss, "drop": drop, **result, "psnr": noise.mean().item()}

    @cached_property
    def _images(self) -> list[np.ndarray]:
        """The first validation images, at their original sizes."""
        return [self.splits.source.image(image_id) for image_id in self.splits.val.images.ids[:MAX_VALIDATED]]

    def _ground_truths(self, count: int) -> list[GroundTruth]:
        """The first validation images, for each victim with its kind of labels: masks, or label sets."""
        source, split = self.splits.source, self.splits.val.take(np.arange(count))
        ids, targets = split.images.ids, list(split.targets)
        masks = [source.mask(image_id) for image_id in ids] if self.reads_masks else []
        labels = {"train-seg": masks, "train-cls": targets}
        return [GroundTruth(ids, self._images[:count], labels[victim.task]) for victim in self.victims]

    def _predict(
        self, images: list[np.ndarray], truths: list[GroundTruth], check_interrupt: InterruptCheck
    ) -> list[Predictions]:
        """The predictions of each victim."""
        return [
            victim.predict(images, truth, lambda done, total: check_interrupt())
            for victim, truth in zip(self.victims, truths, strict=True)
        ]

    def _adversarial_pairs(
        self, images: list[np.ndarray], model: nn.Module, check_interrupt: InterruptCheck
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each clean and adversarial image, (1, 3, H, W) in [0, 1] on the CPU."""
        epsilon = UNBOUNDED_EPSILON if has_penalty(self.config) else parse_epsilon(self.config.threat.eps)
        threat = Threat(self.config.threat.norm, epsilon)
        for image in images:
            check_interrupt()
            pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(self.setup.device) / 255
            with torch.inference_mode():
                adversarial = threat.quantized(model(pixels), pixels)
            threat.check(adversarial, pixels)
            yield pixels.cpu(), adversarial.cpu()


def open_victims(config: TrainAdvConfig, setup: DeviceSetup) -> list[Victim]:
    """Open the runs to attack. Raises ConfigError: none is named. DataError: not found."""
    if not config.attack_loss.target:
        raise ConfigError("no run to attack: name one with --target RUN; repeat it for several")
    return [open_victim([name], VICTIM_CHECKPOINT, str(setup.device)) for name in config.attack_loss.target]


def check_batch_size(config: TrainAdvConfig, num_images: int, num_victims: int) -> None:
    """Raise ConfigError if a batch has fewer images than victims, or cannot be split evenly over the processes."""
    batch = min(config.train.batch, num_images)
    if batch < num_victims:
        raise ConfigError(f"{num_victims} targets cannot share a batch of {batch} images: raise --batch")
    if batch % world_size():
        raise ConfigError(
            f"all {batch} images make one batch, which {world_size()} processes cannot split evenly: lower --batch"
        )


def _run_name(config: TrainAdvConfig, victims: list[Victim]) -> str:
    eps = config.threat.eps.replace("/", "-")
    bound = config.threat.penalty if has_penalty(config) else f"{config.threat.norm}-{eps}"
    return f"{'+'.join(victim.name for victim in victims)[:80]}-{bound}-s{config.train.seed}"


def _to_uint8(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] to (H, W, 3) uint8."""
    return (image[0] * MAX_PIXEL).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
