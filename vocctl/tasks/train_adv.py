"""Train the CNN adversary against frozen targets: a config in, a run folder out.

Each step perturbs a batch, shows it to the targets, each of several its share, and follows the white-box gradient back into
the generator. The targets stay as they are: evaluation mode, no gradient for their weights.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks.objectives import aim, objective
from vocctl.attacks.table import Generate
from vocctl.attacks.threat import LEVELS, Threat
from vocctl.config import TrainAdvConfig, parse_epsilon
from vocctl.data.datasets import TrainingPhotos
from vocctl.data.splits import Splits, open_splits
from vocctl.distributed import rank, summed, world
from vocctl.errors import ConfigError
from vocctl.labels import CLASSES, IGNORE, NUM_SEG_CLASSES
from vocctl.losses.adversarial import margins
from vocctl.losses.distributed import total
from vocctl.metrics.distortion import psnr
from vocctl.models.adversary import Adversary
from vocctl.robustness.outcomes import Outcome, Truth, goal_match, outcome, scores, thresholds
from vocctl.robustness.victims import Target, open_target
from vocctl.runs.folder import RunFolder, create_run, find_run, place_of
from vocctl.seeding import seed_everything
from vocctl.training.signals import Heed
from vocctl.training.trainer import (
    Hardware,
    Loss,
    Recipe,
    Scores,
    TrainResult,
    Watch,
    describe,
    goes_on,
    hardware_to_train,
    memory_named,
    refuse_changed_data,
    run_to_resume,
    train_model,
)

TASK = "train-adv"


@dataclass(frozen=True)
class Trained:
    generate: Generate
    bounded: bool  # False: trained with a penalty alone, so that it has one strength, whatever the budget


KINDS = {"ce": "ce", "cosine": "cospgd"}  # of config.FOOLING, in losses/adversarial.py
CHECKPOINT = "best"  # of the targets
UNBOUNDED = 1e4  # a norm that no change of pixels in [0, 1] reaches
VALIDATED = 100  # photos at most, the first ones
STRIDE = 2  # pixels from one whose loss counts to the next, in training
SHARE = 3  # photos of each batch that a classifier sees for one of a segmenter's, which says something at every pixel


def run(
    config: TrainAdvConfig, out: Path | None = None, *, name: str | None = None, watch: Watch = Watch()
) -> TrainResult:
    """Train from the start into out, or into runs/adv/<name>; the name comes from the config where none is given.

    Raises VocctlError in its kinds: see errors.py.
    """
    here = hardware_to_train(config.train)
    targets = _targets(config, here)
    found = tuple(str(target.runs[0].path) for target in targets)  # a name may mean several runs later
    config = replace(config, fool=replace(config.fool, target=found))
    splits = open_splits(config.data, _data_task(targets), watch.on_count)
    _refuse_small_batches(config, len(splits.train.photos), targets)
    seed_everything(config.train.seed)
    with memory_named(config.train, config.data):
        model = _adversary(config)
        bound = (
            config.threat.penalty if _soft(config) else f"{config.threat.norm}-{config.threat.eps.replace('/', '-')}"
        )
        plain = f"{'+'.join(target.name for target in targets)[:80]}-{bound}-s{config.train.seed}"
        folder = create_run(place_of(out, name, "adv", plain), TASK, config)
        return _train(folder, config, splits, targets, model, watch, resume=False)


def resume(name: str, *, watch: Watch = Watch()) -> TrainResult:
    """Go on with a run where its last state stands: on a CPU the same as if it had never stopped.

    Raises DataError: no such run, no state that can be read, or the data has changed since. ConfigError: it has finished, or
    does not work on this hardware.
    """
    folder, config = run_to_resume(name, TASK, TrainAdvConfig())
    targets = _targets(config, hardware_to_train(config.train))
    splits = open_splits(config.data, _data_task(targets), watch.on_count)
    refuse_changed_data(folder, splits)
    seed_everything(config.train.seed)
    begun = goes_on(folder, watch)
    with memory_named(config.train, config.data):
        return _train(folder, config, splits, targets, _adversary(config, to_fill=begun), watch, resume=begun)


def open_adversary(name: str, norm: str, here: Hardware) -> Trained:
    """A trained adversary as an attack. Raises DataError: no such run; ConfigError: trained for another norm."""
    run = find_run(name, TASK)
    config = run.config(TrainAdvConfig())
    if not _soft(config) and config.threat.norm != norm:
        raise ConfigError(f"{run.path} was trained for {config.threat.norm}: attack with --norm {config.threat.norm}")
    model = _adversary(config, to_fill=True)
    run.load_weights("final", model)
    model.to(device=here.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def generate(images: Tensor, threat: Threat) -> Tensor:
        if _soft(config):
            return model(images)
        return threat.project(model(images, threat.epsilon), images)

    return Trained(generate, bounded=not _soft(config))


def _soft(config: TrainAdvConfig) -> bool:
    return config.threat.penalty != "none"


def _adversary(config: TrainAdvConfig, *, to_fill: bool = False) -> Adversary:
    """to_fill: its weights come from the run, so that those which its encoder began with need not be there."""
    budget = "soft" if _soft(config) else config.threat.norm
    generator = replace(config.generator, weights="none") if to_fill else config.generator
    return Adversary(generator, budget, parse_epsilon(config.threat.eps), config.data.size)


def _targets(config: TrainAdvConfig, here: Hardware) -> list[Target]:
    if not config.fool.target:
        raise ConfigError("name what is to fail: --target RUN, once for each run of train-cls or train-seg")
    targets = [open_target([name], CHECKPOINT, str(here.device)) for name in config.fool.target]
    if config.fool.fool == "margin" and any(target.segments for target in targets):
        raise ConfigError("fool margin is against classifiers: take auto, ce or cosine against a segmenter")
    return targets


def _refuse_small_batches(config: TrainAdvConfig, photos: int, targets: list[Target]) -> None:
    """Each target sees its share of each batch. Raises ConfigError: there are more targets than photos.

    Or, of several ranks: a batch of all photos would not fall into equal parts.
    """
    if (whole := min(config.train.batch, photos)) < len(targets):
        raise ConfigError(f"{len(targets)} targets can't share a batch of {whole} photos: raise --batch")
    if whole % world():
        raise ConfigError(
            f"all {whole} photos make one batch, which {world()} processes can't split: take a --batch below that"
        )


def _data_task(targets: list[Target]) -> str:
    """Masks are read where a segmenter is to fail; the classes on a crop are then those in its mask."""
    return "train-seg" if any(target.segments for target in targets) else "train-cls"


def _train(
    folder: RunFolder, config: TrainAdvConfig, splits: Splits, targets: list[Target], model: Adversary, watch: Watch,
    *, resume: bool,
) -> TrainResult:  # fmt: skip
    if not resume:
        describe(folder, splits, config.train, {"model": sum(p.numel() for p in model.parameters())}, watch)
    recipe = Recipe(
        data=config.data, optim=config.optim, train=config.train,
        photos=TrainingPhotos(
            splits.train.photos, augment=config.data.augment, seed=config.train.seed, targets=splits.train.targets
        ),
        layers=model.layers,
        loss=lambda network, device: fooling_loss(network, targets, config),
        validate=_validation(splits, targets, config),
    )  # fmt: skip
    return train_model(folder, model, recipe, watch, resume=resume)


def fooling_loss(network: nn.Module, targets: list[Target], config: TrainAdvConfig) -> Loss:
    """Minus what the targets' objectives reach on the adversarial images, mean over the targets, and the penalty.

    Several targets share each batch, so that a step costs what one costs with a single target. All pull as hard: their
    gradients on the images are brought to one length, or the easier one would be all that is learned. Of several ranks each
    has its photos of every share, and may have none.
    """
    limits = [
        None if limit is None else torch.from_numpy(limit).float().to(target.here.device)
        for target, limit in zip(targets, _limits(targets, config), strict=True)
    ]
    weights = [1 if target.segments else SHARE for target in targets]

    def of_batch(pixels: Tensor, labels: Tensor) -> Tensor:
        adv = network(pixels)
        losses, gradients = [], []
        wholes = shared_out(len(pixels) * world(), weights)
        mine = own_part(wholes)
        shares = zip(*(batch.split(mine) for batch in (adv.detach(), pixels, labels)), strict=True)
        for target, limit, whole, (seen, clean, label) in zip(targets, limits, wholes, shares, strict=True):
            if len(seen) == 0:
                gradients.append(seen)
                losses.append(seen.sum())
                continue
            seen = seen.clone().requires_grad_()
            known = _predicted(target, clean, limit) if config.fool.against == "prediction" else _known(target, label)
            if config.fool.feature_weight:
                logits, features = target.forward.with_features(seen)
                one = -config.fool.feature_weight * feature_distance(target, clean, features)
            else:
                logits, one = target.forward(seen), torch.zeros((), device=pixels.device)
            one = (one - _reached(target, logits, known, config)) * (len(seen) / whole)
            gradients += torch.autograd.grad(one, seen)
            losses.append(one.detach())
        pull = (adv * torch.cat(balanced(gradients))).sum() / len(targets)
        loss = torch.stack(losses).mean() + pull - pull.detach()
        if config.threat.penalty != "none":
            loss = loss + config.threat.lam * change_in_levels(adv - pixels, config.threat.penalty) / world()
        return total(loss)

    return of_batch


def shared_out(photos: int, weights: list[int]) -> list[int]:
    """One photo for each weight, and the others in proportion; what that leaves over goes to the first of the heaviest."""
    others = photos - len(weights)
    sizes = [1 + others * weight // sum(weights) for weight in weights]
    sizes[weights.index(max(weights))] += photos - sum(sizes)
    return sizes


def own_part(wholes: list[int]) -> list[int]:
    """How many photos of each share are this rank's, which has every so-manieth of the batch, as EpochBatches deals them."""
    owners = [share for share, photos in enumerate(wholes) for _ in range(photos)]
    mine = owners[rank() :: world()]
    return [mine.count(share) for share in range(len(wholes))]


def balanced(gradients: list[Tensor]) -> list[Tensor]:
    """The gradients (B, 3, H, W), their lengths over all ranks' photos made equal, to what is their mean."""
    lengths = summed(torch.stack([gradient.square().sum() for gradient in gradients])).sqrt().clamp(min=1e-12)
    return [lengths.mean() / length * gradient for length, gradient in zip(lengths, gradients, strict=True)]


def _reached(target: Target, logits: Tensor, known: Tensor, config: TrainAdvConfig) -> Tensor:
    """What the target's objective reaches, mean over the images: of a segmenter at every other pixel.

    But for the margin, the labels that a photo shows weigh as much together as those that it doesn't, which are many more.
    """
    fool, goal = config.fool.fool, config.fool.goal
    if fool == "auto":
        fool = "cosine" if target.segments or goal != "untargeted" else "margin"
    if fool == "margin":
        return margins(logits, known).mean()
    kind = KINDS[fool]
    if target.segments:  # a loss at every pixel takes as long as the target
        logits, known = (one[..., STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE] for one in (logits, known))
    parts = (
        [known] if target.segments or goal != "untargeted" else [known.where(known == one, IGNORE) for one in (1, 0)]
    )
    return torch.stack([objective(kind, aim(goal, part))(logits, 0.0).mean() for part in parts]).mean()


def _limits(targets: list[Target], config: TrainAdvConfig) -> list[np.ndarray | None]:
    """(20,) of each classifier: its thresholds where its decisions matter here, else one half. None of a segmenter."""
    matter = config.fool.goal != "untargeted" or config.fool.against == "prediction"
    return [
        None if target.segments else thresholds(target, CHECKPOINT) if matter else np.full(len(CLASSES), 0.5)
        for target in targets
    ]


def change_in_levels(delta: Tensor, norm: str) -> Tensor:
    """Mean over photos of the root mean square (l2) or the maximum (linf) of the change, in steps of 1 / 255."""
    flat = delta.flatten(1) * LEVELS
    return (flat.abs().amax(1) if norm == "linf" else (flat.square().mean(1) + 1e-12).sqrt()).mean()


def feature_distance(target: Target, pixels: Tensor, features: Tensor) -> Tensor:
    """1 - cosine of the deepest features of pixels and of the adversarial images, mean over the batch; in [0, 2]."""
    with torch.no_grad():
        clean = target.forward.features(pixels).flatten(1)
    return (1 - F.cosine_similarity(features.flatten(1), clean)).mean()


def _known(target: Target, labels: Tensor) -> Tensor:
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
def _predicted(target: Target, pixels: Tensor, limit: Tensor | None) -> Tensor:
    """What the target says of the clean photos: label maps, or label sets (B, 20) of 1 and 0."""
    logits = target.forward(pixels)
    return logits.argmax(1) if limit is None else decided(logits, limit)


def decided(logits: Tensor, limits: Tensor) -> Tensor:
    """(B, K) of 1 and 0, as inference/thresholds.py decides: no photo without a label. limits: (K,) of probabilities."""
    chosen = logits.sigmoid() >= limits
    most = F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return (chosen | (most & ~chosen.any(1, keepdim=True))).long()


def _validation(
    splits: Splits, targets: list[Target], config: TrainAdvConfig
) -> Callable[[nn.Module, Hardware, Heed], Scores]:
    """Scores on the first validation photos, at their own size and after rounding to 8 bits.

    drop: 1 - attacked / clean. match: how much of a goal was reached; left out where these photos don't show it. val_loss,
    lower is better: 1 - match where there is one, else 1 - drop; and the penalty where there is one. All are means over the
    targets.
    """
    ids = splits.val.photos.ids[:VALIDATED]
    photos = [splits.source.image(image_id) for image_id in ids]
    masks = [splits.source.mask(image_id) for image_id in ids] if splits.val.targets is None else []
    labels = splits.val.targets[:VALIDATED] if splits.val.targets is not None else _classes_of(masks)
    truth = Truth(tuple(ids), photos, masks, labels)
    limits = _limits(targets, config)
    threat = Threat(config.threat.norm, UNBOUNDED if _soft(config) else parse_epsilon(config.threat.eps))
    clean: list[Outcome] = []

    def seen(target: Target, shown: list[np.ndarray], heed: Heed) -> Outcome:
        return outcome(target, shown, truth, lambda done, total: heed())

    def perturbed(scored: nn.Module, here: Hardware, heed: Heed) -> Iterator[tuple[Tensor, Tensor]]:
        for photo in photos:
            heed()
            pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].to(here.device) / 255
            with torch.inference_mode():
                adv = threat.quantized(scored(pixels), pixels)
            threat.check(adv, pixels)
            yield pixels.cpu(), adv.cpu()

    def validate(scored: nn.Module, here: Hardware, heed: Heed) -> Scores:
        if not clean:
            clean.extend(seen(target, photos, heed) for target in targets)
        pairs = list(perturbed(scored, here, heed))
        shown = [(adv[0] * LEVELS).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy() for _, adv in pairs]
        held: dict[str, list[float]] = {}
        ratios, matches = [], []
        for target, before, limit in zip(targets, clean, limits, strict=True):
            after = seen(target, shown, heed)
            name = "mean_iou" if target.segments else "map_sklearn"
            was, left = (scores(one, truth, limit)[name] for one in (before, after))
            ratios.append(left / was if was > 0 else math.nan)
            matches.append(goal_match(before, after, truth, limit, config.fool.goal).get("match", math.nan))
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
