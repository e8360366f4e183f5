"""What one attack at one budget did to all images of a split: its scores, and what the worst of several did.

Scores are those of `vocctl eval`: mean IoU and pixel accuracy from one confusion matrix over all pixels; scikit-learn's mAP
and the mean F1 per image, of labels decided by the run's own thresholds. The worst case takes of each image the attack with
the lowest pixel accuracy (segmenters) or the highest binary cross-entropy (classifiers), the clean image among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vocctl.distributed import all_gather_dict
from vocctl.inference.thresholds import binarize
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES
from vocctl.metrics import distortion
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.confusion import confusion_matrix, seg_scores
from vocctl.metrics.multilabel import sample_f1
from vocctl.metrics.robustness import binary_cross_entropy, label_flips, pixel_flips, worst_attack
from vocctl.robustness.victims import OnImage, Victim, label_maps, label_probs


@dataclass(frozen=True)
class GroundTruth:
    """Of the images that are attacked, in their order: masks of a segmenter, targets (N, 20) of a classifier."""

    ids: tuple[str, ...]
    images: list[np.ndarray]  # (H, W, 3) uint8, at their own size
    masks: list[np.ndarray]
    targets: np.ndarray


@dataclass(frozen=True)
class AttackedPredictions:
    """Predictions under one attack. counts: (N, 21, 21) and maps of a segmenter; probs: (N, 20) of a classifier.

    maps: at the images' own size; none where they are no longer needed.
    """

    damage: np.ndarray  # (N,) 1 - pixel accuracy, or binary cross-entropy
    counts: np.ndarray | None = None
    maps: tuple[np.ndarray, ...] = ()
    probs: np.ndarray | None = None


@dataclass(frozen=True)
class AttackRow:
    """Shares in [0, 1]; nan where undefined. visibility: linf and l2 of the change, PSNR in dB, SSIM."""

    attack: str
    eps: str
    scores: dict[str, float]
    fooling_rates: dict[str, float]
    distortion: dict[str, float]


def attacked_predictions(
    target: Victim, images: Sequence[np.ndarray], truth: GroundTruth, on_image: OnImage | None = None
) -> AttackedPredictions:
    """The target's predictions for these images, which are truth's or adversarial ones of them."""
    if not target.segments:
        probs = label_probs(target, images, on_image)
        return AttackedPredictions(binary_cross_entropy(probs, truth.targets), probs=probs)
    mine = {}
    for index, predicted in label_maps(target, images, on_image):
        mask = torch.from_numpy(truth.masks[index].copy())
        mine[index] = (predicted, confusion_matrix(torch.from_numpy(predicted.copy()), mask).numpy())
    held = all_gather_dict(mine)
    maps, each = zip(*(held[index] for index in range(len(images))), strict=True)
    counts = np.stack(each)
    labeled = counts.sum((1, 2))
    wrong = labeled - np.trace(counts, axis1=1, axis2=2)  # 0 of a image without a labeled pixel
    return AttackedPredictions(wrong / np.maximum(labeled, 1), counts=counts, maps=maps)


def thresholds(target: Victim, checkpoint: str) -> np.ndarray:
    """(20,) the run's own, the mean of several runs' own."""
    kind = target.config.threshold.thresholds
    return np.mean([run.thresholds(checkpoint, kind) for run in target.runs], axis=0)


def scores(seen: AttackedPredictions, truth: GroundTruth, limits: np.ndarray | None) -> dict[str, float]:
    if seen.counts is not None:
        whole = seg_scores(torch.from_numpy(seen.counts.sum(0)))
        return {
            "mean_iou": whole.mean_iou,
            "pixel_accuracy": whole.pixel_accuracy,
            "image_accuracy": float(1 - seen.damage.mean()),
        }
    assert seen.probs is not None
    assert limits is not None
    chosen = binarize(seen.probs, limits) & (truth.targets != IGNORE)
    return {
        "map_sklearn": mean_defined(class_aps(seen.probs, truth.targets)["sklearn"]),
        "sample_f1": float(sample_f1(chosen, truth.targets == 1).mean()),
    }


def fooling_rates(
    clean: AttackedPredictions, seen: AttackedPredictions, truth: GroundTruth, limits: np.ndarray | None, goal: str
) -> dict[str, float]:
    """changed: against the clean prediction; fooled: of what was right; flip:CLASS of a classifier; match: of the goal."""
    match = goal_match(clean, seen, truth, limits, goal)
    if seen.counts is None:
        assert seen.probs is not None
        assert clean.probs is not None
        assert limits is not None
        before, after = binarize(clean.probs, limits), binarize(seen.probs, limits)
        flips = label_flips(before, after, truth.targets)
        shares = {
            "changed": flips.prediction_change_rate,
            "fooled": flips.fooling_rate,
            "flipped": flips.label_flip_rate,
        }
        shares |= {f"flip:{name}": float(share) for name, share in zip(CLASSES, flips.flip_rate_by_class, strict=True)}
        return shares | match
    each = [pixel_flips(*maps) for maps in zip(clean.maps, seen.maps, truth.masks, strict=True)]
    labeled, right = sum(one.labeled for one in each), sum(one.correct_before for one in each)
    shares = {
        "changed": sum(one.changed for one in each) / max(labeled, 1),
        "fooled": sum(one.fooled for one in each) / right if right else float("nan"),
    }
    return shares | match


def _label_match(before: np.ndarray, after: np.ndarray, truth: GroundTruth, kind: str, name: str) -> dict[str, float]:
    """target: images where the class is found, and where it alone is. hide: of those where it was found rightly, now not."""
    place = CLASSES.index(name)
    if kind == "target":
        alone = after[:, place] & (after.sum(1) == 1)
        return {"match": float(after[:, place].mean()), "match_alone": float(alone.mean())}
    found = before[:, place] & (truth.targets[:, place] == 1)
    return {"match": float((~after[found, place]).mean()) if found.any() else float("nan")}


def _pixel_match(
    clean: AttackedPredictions, seen: AttackedPredictions, truth: GroundTruth, kind: str, name: str
) -> dict[str, float]:
    """target: labeled pixels predicted as the class. hide: of its pixels that were found, those now something else."""
    place = SEG_CLASSES.index(name)
    if kind == "target":
        hits = sum(
            int(((one == place) & (mask != IGNORE)).sum()) for one, mask in zip(seen.maps, truth.masks, strict=True)
        )
        return {"match": hits / max(sum(int((mask != IGNORE).sum()) for mask in truth.masks), 1)}
    found = [(one == place) & (mask == place) for one, mask in zip(clean.maps, truth.masks, strict=True)]
    total = sum(int(one.sum()) for one in found)
    gone = sum(int((one & (after != place)).sum()) for one, after in zip(found, seen.maps, strict=True))
    return {"match": gone / total if total else float("nan")}


def goal_match(
    clean: AttackedPredictions, seen: AttackedPredictions, truth: GroundTruth, limits: np.ndarray | None, goal: str
) -> dict[str, float]:
    """match, and match_alone of a classifier's target; empty where the goal is none."""
    if goal == "untargeted":
        return {}
    kind, _, name = goal.partition(":")
    if seen.probs is None:
        return _pixel_match(clean, seen, truth, kind, name)
    assert clean.probs is not None
    assert limits is not None
    return _label_match(binarize(clean.probs, limits), binarize(seen.probs, limits), truth, kind, name)


def distortion_stats(images: Sequence[np.ndarray], adv: Sequence[np.ndarray]) -> dict[str, float]:
    """PSNR is inf of a image that did not change: its mean is over those that did, inf where none did."""
    values = []
    for image, changed in zip(images, adv, strict=True):
        one, other = (torch.from_numpy(array.copy()).permute(2, 0, 1)[None] / 255 for array in (image, changed))
        measures = (distortion.linf, distortion.l2, distortion.psnr, distortion.ssim)
        values.append([measure(one, other).item() for measure in measures])
    linf, l2, psnr, ssim = np.array(values).T
    seen = psnr[np.isfinite(psnr)]
    mean_psnr = float(seen.mean()) if seen.size else float("inf")
    return {
        "linf_max": float(linf.max()), "l2_mean": float(l2.mean()), "l2_max": float(l2.max()),
        "psnr_mean": mean_psnr, "psnr_min": float(psnr.min()), "ssim_mean": float(ssim.mean()),
    }  # fmt: skip


def worst_case(outcomes: Sequence[AttackedPredictions]) -> tuple[AttackedPredictions, np.ndarray]:
    """Of each image the outcome with the most damage, and which that was."""
    chosen = worst_attack(np.stack([one.damage for one in outcomes]))
    rows = np.arange(len(chosen))
    damage = np.stack([one.damage for one in outcomes])[chosen, rows]
    if outcomes[0].probs is not None:
        return AttackedPredictions(damage, probs=np.stack([one.probs for one in outcomes])[chosen, rows]), chosen  # type: ignore[misc]
    counts = np.stack([one.counts for one in outcomes])[chosen, rows]  # type: ignore[misc]
    maps = tuple(outcomes[k].maps[n] for n, k in enumerate(chosen)) if all(one.maps for one in outcomes) else ()
    return AttackedPredictions(damage, counts=counts, maps=maps), chosen
