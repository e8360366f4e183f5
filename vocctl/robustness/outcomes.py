"""Predictions of a victim for clean or adversarial images, and how to score them.

MaskPredictions (segmenters) and LabelPredictions (classifiers) share one interface, Predictions. Other code uses that
interface and never asks which of the two it has.

Scores are those of `vocctl eval`. Segmenters: mean IoU and pixel accuracy from one confusion matrix over all pixels, and
image_accuracy, the mean over the images of their pixel accuracies.
Classifiers: scikit-learn's mAP, and the mean F1 per image of labels predicted with the run's own thresholds.

Rates are fractions in [0, 1]. Those among correct clean predictions are nan if no clean prediction is correct:
prediction_change_rate   pixels, or images, whose prediction differs from the clean prediction
fooling_rate             pixels, or images, whose prediction became wrong, among those whose clean prediction is correct
label_flip_rate          classifiers: pairs of image and label whose prediction changed; label_flip_rate:CLASS for one label
target_success_rate      target:CLASS: pixels, or images, predicted as CLASS
                         hide:CLASS: pixels, or images, of CLASS that are no longer predicted as CLASS, among those that were
exclusive_success_rate   target:CLASS, classifiers: images for which CLASS is the only predicted label
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch

from vocctl.inference.thresholds import binarize
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES
from vocctl.losses.adversarial import attack_losses
from vocctl.metrics import distortion
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.confusion import seg_scores
from vocctl.metrics.multilabel import sample_f1
from vocctl.metrics.robustness import label_flips, pixel_flips
from vocctl.metrics.worst_case import worst_attack, worst_mean_iou

NAN = float("nan")


@dataclass(frozen=True)
class GroundTruth:
    """The images to attack, in a fixed order, with their labels.

    labels: one array per image. Segmenters: masks (H, W). Classifiers: (20,) of 1, 0 or IGNORE.
    """

    ids: tuple[str, ...]
    images: Sequence[np.ndarray]  # (H, W, 3) uint8, at their original sizes
    labels: Sequence[np.ndarray]

    def first(self, count: int) -> "GroundTruth":
        return GroundTruth(self.ids[:count], self.images[:count], self.labels[:count])


@dataclass(frozen=True)
class WorstCase:
    """Each score and rate of the worst case over several attacks has its own choice of an attack for each image.

    No score is above, and no rate below, that of any single attack. choice: (N,) int, of the main metric.
    """

    scores: dict[str, float]
    rates: dict[str, float]
    choice: np.ndarray


class Predictions(Protocol):
    """Predictions for the N images of a GroundTruth, clean or adversarial, in its order."""

    @property
    def attack_loss(self) -> np.ndarray:
        """(N,) how much an attack has achieved on each image; higher is worse for the model."""

    def predicted_labels(self) -> Sequence[np.ndarray]:
        """The predictions of each image in the form of GroundTruth.labels."""

    def output(self, index: int) -> np.ndarray | dict[str, float]:
        """The prediction of one image for a figure: a label map (H, W), or probabilities by class name."""

    def scores(self, truth: GroundTruth) -> dict[str, float]:
        """Scores in [0, 1] by metric; the main metric is the first."""

    def sanity_score(self, truth: GroundTruth) -> float:
        """A score that is 0 if every prediction is wrong. An average precision is not: it has a floor above 0."""

    def fooling_rates(self, clean: Self, truth: GroundTruth) -> dict[str, float]:
        """prediction_change_rate, fooling_rate and label_flip_rate, as the module's docstring defines them."""

    def target_success(self, clean: Self, truth: GroundTruth, goal: str) -> dict[str, float]:
        """target_success_rate and exclusive_success_rate, as the module's docstring defines them; empty if untargeted."""

    def without_label_maps(self) -> Self:
        """A copy that needs little memory. It can be scored and compared by attack_loss, nothing else."""

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """The predictions of the images of all parts, in order, without label maps."""

    @classmethod
    def select(cls, candidates: Sequence[Self], choice: np.ndarray) -> Self:
        """Combine several predictions: of image i those of candidates[choice[i]]. choice: (N,) int."""

    @classmethod
    def worst_case(cls, candidates: Sequence[Self], clean: Self, truth: GroundTruth) -> WorstCase:
        """The worst case over the predictions under several attacks. clean: predictions of the clean images."""


@dataclass(frozen=True)
class MaskPredictions:
    """Predictions of a segmenter. attack_loss: 1 - pixel accuracy of the image, 0 if it has no labeled pixel."""

    attack_loss: np.ndarray  # (N,)
    confusions: np.ndarray  # (N, 21, 21) pixels; rows are the ground truth
    label_maps: tuple[np.ndarray, ...]  # (H, W) uint8 each, at the images' original sizes; empty once dropped

    @classmethod
    def from_label_maps(cls, label_maps: Sequence[np.ndarray], confusions: Sequence[np.ndarray]) -> Self:
        counts = np.stack(confusions)
        labeled = counts.sum((1, 2))
        wrong = labeled - np.trace(counts, axis1=1, axis2=2)
        return cls(wrong / np.maximum(labeled, 1), counts, tuple(label_maps))

    def predicted_labels(self) -> Sequence[np.ndarray]:
        return self.label_maps

    def output(self, index: int) -> np.ndarray:
        return self.label_maps[index]

    def scores(self, truth: GroundTruth) -> dict[str, float]:
        total = seg_scores(torch.from_numpy(self.confusions.sum(0)))
        return {
            "mean_iou": total.mean_iou,
            "pixel_accuracy": total.pixel_accuracy,
            "image_accuracy": float(1 - self.attack_loss.mean()),
        }

    def sanity_score(self, truth: GroundTruth) -> float:
        return self.scores(truth)["mean_iou"]

    def fooling_rates(self, clean: Self, truth: GroundTruth) -> dict[str, float]:
        flips = [pixel_flips(*maps) for maps in zip(clean.label_maps, self.label_maps, truth.labels, strict=True)]
        labeled, correct = sum(image.labeled for image in flips), sum(image.correct_before for image in flips)
        return {
            "prediction_change_rate": sum(image.changed for image in flips) / max(labeled, 1),
            "fooling_rate": sum(image.fooled for image in flips) / correct if correct else NAN,
        }

    def target_success(self, clean: Self, truth: GroundTruth, goal: str) -> dict[str, float]:
        kind, _, class_name = goal.partition(":")
        if kind == "untargeted":
            return {}
        label = SEG_CLASSES.index(class_name)
        counted = [mask != IGNORE for mask in truth.labels]
        if kind == "target":
            successes = [predicted == label for predicted in self.label_maps]
            fallback = 0.0
        else:
            counted = [
                (before == label) & (mask == label) for before, mask in zip(clean.label_maps, truth.labels, strict=True)
            ]
            successes = [predicted != label for predicted in self.label_maps]
            fallback = NAN
        total = sum(int(pixels.sum()) for pixels in counted)
        hits = sum(int((success & pixels).sum()) for success, pixels in zip(successes, counted, strict=True))
        return {"target_success_rate": hits / total if total else fallback}

    def without_label_maps(self) -> Self:
        return replace(self, label_maps=())

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        losses = np.concatenate([part.attack_loss for part in parts])
        return cls(losses, np.concatenate([part.confusions for part in parts]), ())

    @classmethod
    def select(cls, candidates: Sequence[Self], choice: np.ndarray) -> Self:
        rows = np.arange(len(choice))
        has_maps = all(candidate.label_maps for candidate in candidates)
        return cls(
            np.stack([candidate.attack_loss for candidate in candidates])[choice, rows],
            np.stack([candidate.confusions for candidate in candidates])[choice, rows],
            tuple(candidates[k].label_maps[index] for index, k in enumerate(choice)) if has_maps else (),
        )

    @classmethod
    def worst_case(cls, candidates: Sequence[Self], clean: Self, truth: GroundTruth) -> WorstCase:
        """Accuracies: the lowest of each image, exact. Mean IoU: by worst_mean_iou. Rates need label maps and are left out."""
        losses = np.stack([candidate.attack_loss for candidate in candidates])
        choice = worst_mean_iou(np.stack([candidate.confusions for candidate in candidates]), losses)
        mean_iou = cls.select(candidates, choice).scores(truth)["mean_iou"]
        accuracies = cls.select(candidates, worst_attack(losses)).scores(truth)
        return WorstCase(accuracies | {"mean_iou": mean_iou}, {}, choice)


@dataclass(frozen=True)
class LabelPredictions:
    """Predictions of a classifier. attack_loss: binary cross-entropy, mean over the image's labels."""

    attack_loss: np.ndarray  # (N,)
    probs: np.ndarray  # (N, 20)
    thresholds: np.ndarray  # (20,)

    def predicted_labels(self) -> Sequence[np.ndarray]:
        return list(self._label_sets().astype(np.uint8))

    def output(self, index: int) -> dict[str, float]:
        return dict(zip(CLASSES, self.probs[index].tolist(), strict=True))

    def scores(self, truth: GroundTruth) -> dict[str, float]:
        targets = np.stack(truth.labels)
        return {
            "map_sklearn": mean_defined(class_aps(self.probs, targets)["sklearn"]),
            "sample_f1": float(self._f1_per_image(targets).mean()),
        }

    def sanity_score(self, truth: GroundTruth) -> float:
        return replace(self, thresholds=np.full(len(CLASSES), 0.5)).scores(truth)["sample_f1"]

    def fooling_rates(self, clean: Self, truth: GroundTruth) -> dict[str, float]:
        flips = label_flips(clean._label_sets(), self._label_sets(), np.stack(truth.labels))
        rates = {
            "prediction_change_rate": flips.prediction_change_rate,
            "fooling_rate": flips.fooling_rate,
            "label_flip_rate": flips.label_flip_rate,
        }
        return rates | {
            f"label_flip_rate:{name}": float(rate) for name, rate in zip(CLASSES, flips.flip_rate_by_class, strict=True)
        }

    def target_success(self, clean: Self, truth: GroundTruth, goal: str) -> dict[str, float]:
        kind, _, class_name = goal.partition(":")
        if kind == "untargeted":
            return {}
        column, predicted = CLASSES.index(class_name), self._label_sets()
        success = predicted[:, column]
        if kind == "target":
            exclusive = success & (predicted.sum(1) == 1)
            return {"target_success_rate": float(success.mean()), "exclusive_success_rate": float(exclusive.mean())}
        correct = clean._label_sets()[:, column] & (np.stack(truth.labels)[:, column] == 1)
        return {"target_success_rate": float((~success[correct]).mean()) if correct.any() else NAN}

    def without_label_maps(self) -> Self:
        return self

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        losses = np.concatenate([part.attack_loss for part in parts])
        return cls(losses, np.concatenate([part.probs for part in parts]), parts[0].thresholds)

    @classmethod
    def select(cls, candidates: Sequence[Self], choice: np.ndarray) -> Self:
        rows = np.arange(len(choice))
        return cls(
            np.stack([candidate.attack_loss for candidate in candidates])[choice, rows],
            np.stack([candidate.probs for candidate in candidates])[choice, rows],
            candidates[0].thresholds,
        )

    @classmethod
    def worst_case(cls, candidates: Sequence[Self], clean: Self, truth: GroundTruth) -> WorstCase:
        """F1 and the rates: of each image the lowest F1 and the most flips, exact.

        mAP has no values per image. The lowest of these choices is taken: for each image the attack with the highest logit
        margin (losses/adversarial.py), the one with the highest cross-entropy, and each attack alone.
        """
        targets, num_images = np.stack(truth.labels), len(truth.ids)
        margins = np.stack([candidate._logit_margin(targets) for candidate in candidates])
        losses = np.stack([candidate.attack_loss for candidate in candidates])
        choices = [worst_attack(margins), worst_attack(losses)]
        choices += [np.full(num_images, attack) for attack in range(len(candidates))]
        mean_aps = [cls.select(candidates, choice).scores(truth)["map_sklearn"] for choice in choices]
        lowest = int(np.argmin(np.nan_to_num(mean_aps, nan=np.inf)))
        f1 = np.stack([candidate._f1_per_image(targets) for candidate in candidates])
        before, keep = clean._label_sets(), targets != IGNORE
        flips = np.stack([((candidate._label_sets() != before) & keep).sum(1) for candidate in candidates])
        rates = cls.select(candidates, worst_attack(flips)).fooling_rates(clean, truth)
        return WorstCase(
            {"map_sklearn": mean_aps[lowest], "sample_f1": float(f1.min(0).mean())},
            {name: rate for name, rate in rates.items() if ":" not in name},
            choices[lowest],
        )

    def _label_sets(self) -> np.ndarray:
        """(N, 20) bool."""
        return binarize(self.probs, self.thresholds)

    def _f1_per_image(self, targets: np.ndarray) -> np.ndarray:
        return sample_f1(self._label_sets() & (targets != IGNORE), targets == 1)

    def _logit_margin(self, targets: np.ndarray) -> np.ndarray:
        """(N,) the loss margin of losses/adversarial.py."""
        logits = torch.logit(torch.from_numpy(self.probs).double(), eps=1e-12)
        return attack_losses(logits, torch.from_numpy(targets).long(), "margin", step_fraction=0.0).numpy()


def strongest_per_image(candidates: Sequence[Predictions]) -> tuple[Predictions, np.ndarray]:
    """For each image the candidate with the highest attack loss, the first of equals; and its index, (N,)."""
    choice = worst_attack(np.stack([candidate.attack_loss for candidate in candidates]))
    return type(candidates[0]).select(candidates, choice), choice


def distortion_stats(images: Sequence[np.ndarray], adversarial: Sequence[np.ndarray]) -> dict[str, float]:
    """Size of the perturbation over all images, as metrics/distortion.py defines it. images: (H, W, 3) uint8 each.

    The PSNR of an unchanged image is inf: the mean is over the changed images, inf if there are none.
    """
    values = []
    for pair in zip(images, adversarial, strict=True):
        clean, changed = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255 for image in pair)
        measures = (distortion.linf, distortion.l2, distortion.psnr, distortion.ssim)
        values.append([measure(clean, changed).item() for measure in measures])
    linf, l2, psnr, ssim = np.array(values).T
    finite_psnr = psnr[np.isfinite(psnr)]
    return {
        "linf_max": float(linf.max()), "l2_mean": float(l2.mean()), "l2_max": float(l2.max()),
        "psnr_mean": float(finite_psnr.mean()) if finite_psnr.size else float("inf"), "psnr_min": float(psnr.min()),
        "ssim_mean": float(ssim.mean()),
    }  # fmt: skip
