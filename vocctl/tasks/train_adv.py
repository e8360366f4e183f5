"""Train the CNN adversary against frozen targets: a config in, a run folder out.

Each step perturbs a batch, shows it to the targets, each of several its share, and follows the white-box gradient back into
the generator. The targets stay as they are: evaluation mode, no gradient for their weights.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks.generator import UNBOUNDED_EPSILON, TrainedGenerator
from vocctl.attacks.objectives import AttackObjective as objective
from vocctl.attacks.objectives import attack_goal
from vocctl.attacks.threat import MAX_PIXEL, Threat
from vocctl.config import TrainAdvConfig, parse_epsilon
from vocctl.data.datasets import TrainDataset
from vocctl.data.splits import Splits, open_splits
from vocctl.devices import DeviceSetup
from vocctl.distributed import all_reduce_sum, rank, world_size
from vocctl.errors import ConfigError
from vocctl.labels import CLASSES, IGNORE, NUM_SEG_CLASSES
from vocctl.losses.adversarial import logit_margin
from vocctl.losses.distributed import all_reduce_sum_autograd
from vocctl.metrics.distortion import psnr
from vocctl.models.adversary import Adversary
from vocctl.robustness.outcomes import (
    AttackedPredictions,
    GroundTruth,
    attacked_predictions,
    goal_match,
    scores,
    thresholds,
)
from vocctl.robustness.victims import Victim, open_victim
from vocctl.runs.folder import RunFolder, create_run, find_run, new_run_dir
from vocctl.seeding import seed_everything
from vocctl.training.signals import InterruptCheck
from vocctl.training.trainer import (
    Loss,
    Recipe,
    Scores,
    TrainingCallbacks,
    TrainResult,
    check_data_unchanged,
    explain_oom,
    resumable,
    run_to_resume,
    train_model,
    training_setup,
    write_run_info,
)

TASK = "train-adv"


KINDS = {"ce": "ce", "cosine": "cospgd"}  # of config.FOOLING, in losses/adversarial.py
CHECKPOINT = "best"  # of the targets
VALIDATED = 100  # images at most, the first ones
STRIDE = 2  # pixels from one whose loss counts to the next, in training
SHARE = 3  # images of each batch that a classifier sees for one of a segmenter's, which says something at every pixel


def run(
    config: TrainAdvConfig,
    out: Path | None = None,
    *,
    name: str | None = None,
    callbacks: TrainingCallbacks = TrainingCallbacks(),
) -> TrainResult:
    """Train from the start into out, or into runs/adv/<name>; the name comes from the config where none is given.

    Raises VocctlError in its kinds: see errors.py.
    """
    setup = training_setup(config.train)
    targets = _targets(config, setup)
    found = tuple(str(target.runs[0].path) for target in targets)  # a name may mean several runs later
    config = replace(config, attack_loss=replace(config.attack_loss, target=found))
    splits = open_splits(config.data, _data_task(targets), callbacks.on_count)
    _refuse_small_batches(config, len(splits.train.images), targets)
    seed_everything(config.train.seed)
    with explain_oom(config.train, config.data):
        model = _adversary(config)
        bound = (
            config.threat.penalty if _soft(config) else f"{config.threat.norm}-{config.threat.eps.replace('/', '-')}"
        )
        plain = f"{'+'.join(target.name for target in targets)[:80]}-{bound}-s{config.train.seed}"
        folder = create_run(new_run_dir(out, name, "adv", plain), TASK, config)
        return _train(folder, config, splits, targets, model, callbacks, resume=False)


def resume(name: str, *, callbacks: TrainingCallbacks = TrainingCallbacks()) -> TrainResult:
    """Go on with a run where its last state stands: on a CPU the same as if it had never stopped.

    Raises DataError: no such run, no state that can be read, or the data has changed since. ConfigError: it has finished, or
    does not work on this hardware.
    """
    folder, config = run_to_resume(name, TASK, TrainAdvConfig())
    targets = _targets(config, training_setup(config.train))
    splits = open_splits(config.data, _data_task(targets), callbacks.on_count)
    check_data_unchanged(folder, splits)
    seed_everything(config.train.seed)
    resumed = resumable(folder, callbacks)
    with explain_oom(config.train, config.data):
        return _train(folder, config, splits, targets, _adversary(config, to_fill=resumed), callbacks, resume=resumed)


def open_adversary(name: str, norm: str, setup: DeviceSetup) -> TrainedGenerator:
    """A trained adversary as an attack. Raises DataError: no such run; ConfigError: trained for another norm."""
    run = find_run(name, TASK)
    config = run.config(TrainAdvConfig())
    if not _soft(config) and config.threat.norm != norm:
        raise ConfigError(f"{run.path} was trained for {config.threat.norm}: attack with --norm {config.threat.norm}")
    model = _adversary(config, to_fill=True)
    run.load_weights("final", model)
    model.to(device=setup.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def generate(images: Tensor, threat: Threat) -> Tensor:
        if _soft(config):
            return model(images)
        return threat.project(model(images, threat.epsilon), images)

    return TrainedGenerator(generate, bounded=not _soft(config))


def _soft(config: TrainAdvConfig) -> bool:
    return config.threat.penalty != "none"


def _adversary(config: TrainAdvConfig, *, to_fill: bool = False) -> Adversary:
    """to_fill: its weights come from the run, so that those which its encoder began with need not be there."""
    budget = "soft" if _soft(config) else config.threat.norm
    generator = replace(config.generator, weights="none") if to_fill else config.generator
    return Adversary(generator, budget, parse_epsilon(config.threat.eps), config.data.size)


def _targets(config: TrainAdvConfig, setup: DeviceSetup) -> list[Victim]:
    if not config.attack_loss.target:
        raise ConfigError("name what is to fail: --target RUN, once for each run of train-cls or train-seg")
    targets = [open_victim([name], CHECKPOINT, str(setup.device)) for name in config.attack_loss.target]
    if config.attack_loss.attack_loss == "margin" and any(target.segments for target in targets):
        raise ConfigError("fool margin is against classifiers: take auto, ce or cosine against a segmenter")
    return targets


def _refuse_small_batches(config: TrainAdvConfig, images: int, targets: list[Victim]) -> None:
    """Each target sees its share of each batch. Raises ConfigError: there are more targets than images.

    Or, of several ranks: a batch of all images would not fall into equal parts.
    """
    if (whole := min(config.train.batch, images)) < len(targets):
        raise ConfigError(f"{len(targets)} targets can't share a batch of {whole} images: raise --batch")
    if whole % world_size():
        raise ConfigError(
            f"all {whole} images make one batch, which {world_size()} processes can't split: take a --batch below that"
        )


def _data_task(targets: list[Victim]) -> str:
    """Masks are read where a segmenter is to fail; the classes on a crop are then those in its mask."""
    return "train-seg" if any(target.segments for target in targets) else "train-cls"


def _train(
    folder: RunFolder, config: TrainAdvConfig, splits: Splits, targets: list[Victim], model: Adversary, callbacks: TrainingCallbacks,
    *, resume: bool,
) -> TrainResult:  # fmt: skip
    if not resume:
        write_run_info(folder, splits, config.train, {"model": sum(p.numel() for p in model.parameters())}, callbacks)
    recipe = Recipe(
        data=config.data, optim=config.optim, train=config.train,
        images=TrainDataset(
            splits.train.images, augment=config.data.augment, seed=config.train.seed, targets=splits.train.targets
        ),
        layers=model.layers,
        loss=lambda network, device: fooling_loss(network, targets, config),
        validate=_validation(splits, targets, config),
    )  # fmt: skip
    return train_model(folder, model, recipe, callbacks, resume=resume)


def fooling_loss(network: nn.Module, targets: list[Victim], config: TrainAdvConfig) -> Loss:
    """Minus what the targets' objectives reach on the adversarial images, mean over the targets, and the penalty.

    Several targets share each batch, so that a step costs what one costs with a single target. All pull as hard: their
    gradients on the images are brought to one length, or the easier one would be all that is learned. Of several ranks each
    has its images of every share, and may have none.
    """
    limits = [
        None if limit is None else torch.from_numpy(limit).float().to(target.setup.device)
        for target, limit in zip(targets, _limits(targets, config), strict=True)
    ]
    weights = [1 if target.segments else SHARE for target in targets]

    def of_batch(pixels: Tensor, labels: Tensor) -> Tensor:
        adv = network(pixels)
        losses, gradients = [], []
        wholes = allocate_batch(len(pixels) * world_size(), weights)
        mine = local_counts(wholes)
        shares = zip(*(batch.split(mine) for batch in (adv.detach(), pixels, labels)), strict=True)
        for target, limit, whole, (seen, clean, label) in zip(targets, limits, wholes, shares, strict=True):
            if len(seen) == 0:
                gradients.append(seen)
                losses.append(seen.sum())
                continue
            seen = seen.clone().requires_grad_()
            known = (
                _predicted(target, clean, limit)
                if config.attack_loss.reference == "prediction"
                else _known(target, label)
            )
            if config.attack_loss.feature_weight:
                logits, features = target.forward.forward_with_features(seen)
                one = -config.attack_loss.feature_weight * feature_distance(target, clean, features)
            else:
                logits, one = target.forward(seen), torch.zeros((), device=pixels.device)
            one = (one - _reached(target, logits, known, config)) * (len(seen) / whole)
            gradients += torch.autograd.grad(one, seen)
            losses.append(one.detach())
        pull = (adv * torch.cat(equalize_gradient_norms(gradients))).sum() / len(targets)
        loss = torch.stack(losses).mean() + pull - pull.detach()
        if config.threat.penalty != "none":
            loss = loss + config.threat.lam * change_in_levels(adv - pixels, config.threat.penalty) / world_size()
        return all_reduce_sum_autograd(loss)

    return of_batch


def allocate_batch(images: int, weights: list[int]) -> list[int]:
    """One image for each weight, and the others in proportion; what that leaves over goes to the first of the heaviest."""
    others = images - len(weights)
    sizes = [1 + others * weight // sum(weights) for weight in weights]
    sizes[weights.index(max(weights))] += images - sum(sizes)
    return sizes


def local_counts(wholes: list[int]) -> list[int]:
    """How many images of each share are this rank's, which has every so-manieth of the batch, as EpochBatches deals them."""
    owners = [share for share, images in enumerate(wholes) for _ in range(images)]
    mine = owners[rank() :: world_size()]
    return [mine.count(share) for share in range(len(wholes))]


def equalize_gradient_norms(gradients: list[Tensor]) -> list[Tensor]:
    """The gradients (B, 3, H, W), their lengths over all ranks' images made equal, to what is their mean."""
    lengths = all_reduce_sum(torch.stack([gradient.square().sum() for gradient in gradients])).sqrt().clamp(min=1e-12)
    return [lengths.mean() / length * gradient for length, gradient in zip(lengths, gradients, strict=True)]


def _reached(target: Victim, logits: Tensor, known: Tensor, config: TrainAdvConfig) -> Tensor:
    """What the target's objective reaches, mean over the images: of a segmenter at every other pixel.

    But for the margin, the labels that a image shows weigh as much together as those that it doesn't, which are many more.
    """
    fool, goal = config.attack_loss.attack_loss, config.attack_loss.goal
    if fool == "auto":
        fool = "cosine" if target.segments or goal != "untargeted" else "margin"
    if fool == "margin":
        return logit_margin(logits, known).mean()
    kind = KINDS[fool]
    if target.segments:  # a loss at every pixel takes as long as the target
        logits, known = (one[..., STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE] for one in (logits, known))
    parts = (
        [known] if target.segments or goal != "untargeted" else [known.where(known == one, IGNORE) for one in (1, 0)]
    )
    return torch.stack([objective(kind, attack_goal(goal, part))(logits, 0.0).mean() for part in parts]).mean()


def _limits(targets: list[Victim], config: TrainAdvConfig) -> list[np.ndarray | None]:
    """(20,) of each classifier: its thresholds where its decisions matter here, else one half. None of a segmenter."""
    matter = config.attack_loss.goal != "untargeted" or config.attack_loss.reference == "prediction"
    return [
        None if target.segments else thresholds(target, CHECKPOINT) if matter else np.full(len(CLASSES), 0.5)
        for target in targets
    ]


def change_in_levels(delta: Tensor, norm: str) -> Tensor:
    """Mean over images of the root mean square (l2) or the maximum (linf) of the change, in steps of 1 / 255."""
    flat = delta.flatten(1) * MAX_PIXEL
    return (flat.abs().amax(1) if norm == "linf" else (flat.square().mean(1) + 1e-12).sqrt()).mean()


def feature_distance(target: Victim, pixels: Tensor, features: Tensor) -> Tensor:
    """1 - cosine of the deepest features of pixels and of the adversarial images, mean over the batch; in [0, 2]."""
    with torch.no_grad():
        clean = target.forward.features(pixels).flatten(1)
    return (1 - F.cosine_similarity(features.flatten(1), clean)).mean()


def _known(target: Victim, labels: Tensor) -> Tensor:
    """Masks (B, H, W) for a segmenter; for a classifier targets (B, 20), or the classes that the masks hold."""
    if target.segments or labels.ndim == 2:
        return labels
    return classes_in(labels)


def classes_in(masks: Tensor) -> Tensor:
    """(B, 20) int64, 1 where a mask (B, H, W) holds the class; IGNORE is none."""
    held = torch.zeros(len(masks), IGNORE + 1, dtype=torch.long, device=masks.device)
    held.scatter_(1, masks.flatten(1), 1)
    return held[:, 1:NUM_SEG_CLASSES]


@torch.no_grad()
def _predicted(target: Victim, pixels: Tensor, limit: Tensor | None) -> Tensor:
    """What the target says of the clean images: label maps, or label sets (B, 20) of 1 and 0."""
    logits = target.forward(pixels)
    return logits.argmax(1) if limit is None else decided(logits, limit)


def decided(logits: Tensor, limits: Tensor) -> Tensor:
    """(B, K) of 1 and 0, as inference/thresholds.py decides: no image without a label. limits: (K,) of probabilities."""
    chosen = logits.sigmoid() >= limits
    most = F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return (chosen | (most & ~chosen.any(1, keepdim=True))).long()


def _validation(
    splits: Splits, targets: list[Victim], config: TrainAdvConfig
) -> Callable[[nn.Module, DeviceSetup, InterruptCheck], Scores]:
    """Scores on the first validation images, at their own size and after rounding to 8 bits.

    drop: 1 - attacked / clean. match: how much of a goal was reached; left out where these images don't show it. val_loss,
    lower is better: 1 - match where there is one, else 1 - drop; and the penalty where there is one. All are means over the
    targets.
    """
    ids = splits.val.images.ids[:VALIDATED]
    images = [splits.source.image(image_id) for image_id in ids]
    masks = [splits.source.mask(image_id) for image_id in ids] if splits.val.targets is None else []
    labels = splits.val.targets[:VALIDATED] if splits.val.targets is not None else _classes_of(masks)
    truth = GroundTruth(tuple(ids), images, masks, labels)
    limits = _limits(targets, config)
    threat = Threat(config.threat.norm, UNBOUNDED_EPSILON if _soft(config) else parse_epsilon(config.threat.eps))
    clean: list[AttackedPredictions] = []

    def seen(target: Victim, shown: list[np.ndarray], check_interrupt: InterruptCheck) -> AttackedPredictions:
        return attacked_predictions(target, shown, truth, lambda done, all_reduce_sum_autograd: check_interrupt())

    def perturbed(
        scored: nn.Module, setup: DeviceSetup, check_interrupt: InterruptCheck
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for image in images:
            check_interrupt()
            pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(setup.device) / 255
            with torch.inference_mode():
                adv = threat.quantized(scored(pixels), pixels)
            threat.check(adv, pixels)
            yield pixels.cpu(), adv.cpu()

    def validate(scored: nn.Module, setup: DeviceSetup, check_interrupt: InterruptCheck) -> Scores:
        if not clean:
            clean.extend(seen(target, images, check_interrupt) for target in targets)
        pairs = list(perturbed(scored, setup, check_interrupt))
        shown = [(adv[0] * MAX_PIXEL).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy() for _, adv in pairs]
        held: dict[str, list[float]] = {}
        ratios, matches = [], []
        for target, before, limit in zip(targets, clean, limits, strict=True):
            after = seen(target, shown, check_interrupt)
            name = "mean_iou" if target.segments else "map_sklearn"
            was, left = (scores(one, truth, limit)[name] for one in (before, after))
            ratios.append(left / was if was > 0 else math.nan)
            matches.append(goal_match(before, after, truth, limit, config.attack_loss.goal).get("match", math.nan))
            held.setdefault(name, []).append(left)
        drop, match = 1 - float(np.mean(ratios)), float(np.mean(matches))
        found = {name: float(np.mean(values)) for name, values in held.items()}
        if not math.isnan(match):
            found["match"] = match
        loss = 1 - found.get("match", drop)
        if _soft(config):
            changes = torch.stack([change_in_levels(adv - pixels, config.threat.penalty) for pixels, adv in pairs])
            loss += config.threat.lam * changes.mean().item()
        noise = torch.cat([psnr(pixels, adv) for pixels, adv in pairs]).clamp(max=99)
        return {"val_loss": loss, "drop": drop, **found, "psnr": noise.mean().item()}

    return validate


def _classes_of(masks: list[np.ndarray]) -> np.ndarray:
    return np.stack([classes_in(torch.from_numpy(mask.copy()).long()[None])[0].numpy() for mask in masks]).astype(
        np.uint8
    )
