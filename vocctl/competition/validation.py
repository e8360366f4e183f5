"""A classifier and a segmenter, each one run or an ensemble, on held-out images and on the test images.

The held-out images are those that every run validated on. There the score is measured as the test images will get it:
thresholds and the rules of competition/fusion.py are chosen on four fifths and judged on the fifth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vocctl.competition.ensemble import (
    EnsembleSpec,
    Steps,
    cached_test_set,
    common_validation_splits,
    mean_classifier_probs,
    mean_mask_probs,
    restrict_to,
)
from vocctl.competition.fusion import (
    AREA_THRESHOLDS,
    SUPPRESS_THRESHOLDS,
    RuleEvaluation,
    add_mask_labels,
    allowed_classes,
    argmax_labels,
    class_fractions,
    evaluate_rule,
)
from vocctl.competition.test_set import TestSet
from vocctl.config import CHECKPOINTS, TrainClsConfig, TrainSegConfig
from vocctl.data.splits import LabeledSplit
from vocctl.files import is_number, read_json
from vocctl.inference.thresholds import binarize, cross_fitted_predictions, fit_thresholds
from vocctl.labels import CLASSES, IGNORE
from vocctl.metrics.bootstrap import interval, resampled
from vocctl.metrics.dice import competition_dice
from vocctl.metrics.multilabel import sample_f1
from vocctl.runs.folder import RunFolder

RESAMPLES = 1000
VALIDATION_DICE = "validation_dice.json"  # of a run: checkpoint -> its half of the score there


@dataclass(frozen=True)
class ExpectedScore:
    """On the held-out images. Shares in [0, 1]; intervals of 95 %, from bootstrap draws of the images."""

    joint: float
    classification: float
    segmentation: float
    interval: tuple[float, float]  # of joint
    cls_images: int
    seg_images: int
    rules: tuple[RuleEvaluation, ...]  # empty where no image was held out from both


@dataclass(frozen=True)
class DecisionParams:
    """What the held-out images decided, for the test images."""

    thresholds: np.ndarray  # (20,)
    rule_out: float  # 0: off
    proof: float  # above 1: off


def select_checkpoints(runs: EnsembleSpec, steps: Steps) -> tuple[EnsembleSpec, list[str]]:
    """Of best and final weights, for each kind those with the higher half of the score on the held-out images; and why.

    What was the best by a run's own monitor, mean average precision say, need not be the best by this score.
    """
    reasons = []
    for kind, group, word in (("cls", runs.cls, "classification"), ("seg", runs.seg, "segmentation")):
        if not all((run.path / "final.safetensors").is_file() for run in group):
            reasons.append(f"{word}: best weights, there are no final ones")
            continue
        halves = validation_dice(kind, runs, steps)
        chosen = max(halves, key=lambda checkpoint: halves[checkpoint])
        runs = _with_checkpoint(runs, kind, chosen)
        shown = ", ".join(f"{checkpoint} {100 * half:.1f}" for checkpoint, half in halves.items())
        reasons.append(f"{word}: {chosen} weights, by Dice on the held-out images ({shown})")
    return runs, reasons


def _with_checkpoint(runs: EnsembleSpec, kind: str, checkpoint: str) -> EnsembleSpec:
    if kind == "cls":
        return replace(runs, cls_checkpoint=checkpoint)
    return replace(runs, seg_checkpoint=checkpoint)


def validation_dice(kind: str, runs: EnsembleSpec, steps: Steps) -> dict[str, float]:
    """Checkpoint -> the kind's half of the score on the images that all its runs held out.

    Of one run without test-time augmentation it is kept in the run's validation_dice.json, until its weights are newer.
    """
    group = runs.cls if kind == "cls" else runs.seg
    is_kept = len(group) == 1 and runs.tta == "none"
    if is_kept and (known := _known_halves(group[0])) is not None:
        return known
    _, parts = common_validation_splits(group)
    halves = {}
    for checkpoint in CHECKPOINTS:
        tried = _with_checkpoint(runs, kind, checkpoint)
        if kind == "seg":
            halves[checkpoint] = float(_masks_on_held_out(tried, parts, None, steps)[0].mean())
        else:
            halves[checkpoint] = float(_label_dice(*_decided(tried, parts, steps)[1:]).mean())
    if is_kept:
        group[0].write_json(VALIDATION_DICE, halves)
    return halves


def _known_halves(run: RunFolder) -> dict[str, float] | None:
    """What validation_dice.json says; None where it is missing, broken or older than the weights."""
    kept, weights = run.path / VALIDATION_DICE, [run.path / f"{checkpoint}.safetensors" for checkpoint in CHECKPOINTS]
    if not kept.is_file() or any(path.is_file() and path.stat().st_mtime > kept.stat().st_mtime for path in weights):
        return None
    try:
        known: dict[str, float] = read_json(kept)
    except (OSError, ValueError):
        return None
    is_whole = known.keys() == set(CHECKPOINTS) and all(is_number(half) and 0 <= half <= 1 for half in known.values())
    return known if is_whole else None


def _decided(
    runs: EnsembleSpec, parts: Sequence[LabeledSplit], steps: Steps
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 20) each: probabilities, decisions by thresholds that the other four fifths gave, targets."""
    targets = parts[0].targets
    assert targets is not None
    probs = mean_classifier_probs(runs, [part.images for part in parts], steps)
    return probs, cross_fitted_predictions(probs, targets, _kind_of_thresholds(runs)), targets


def _kind_of_thresholds(runs: EnsembleSpec) -> str:
    return runs.cls[0].config(TrainClsConfig()).threshold.thresholds


def estimate_score(runs: EnsembleSpec, steps: Steps) -> tuple[ExpectedScore, DecisionParams]:
    """Raises DataError: runs of one kind that share no held-out image, or whose data are missing."""
    cls_source, cls_parts = common_validation_splits(runs.cls)
    seg_source, seg_parts = common_validation_splits(runs.seg)
    cls_ids, seg_ids = cls_parts[0].images.ids, seg_parts[0].images.ids
    both = set(cls_ids) & set(seg_ids) if cls_source.root.resolve() == seg_source.root.resolve() else set()
    if both:  # one set of images, so that the rules can be measured and the halves belong together
        cls_parts, seg_parts = restrict_to(cls_parts, both), restrict_to(seg_parts, both)
        cls_ids, seg_ids = cls_parts[0].images.ids, seg_parts[0].images.ids
    probs, chosen, targets = _decided(runs, cls_parts, steps)
    by_id = {image_id: place for place, image_id in enumerate(cls_ids)}
    order = [by_id[image_id] for image_id in seg_ids] if both else None
    painted, shares = _masks_on_held_out(
        runs, seg_parts, None if order is None else (probs[order], chosen[order]), steps
    )
    rules: tuple[RuleEvaluation, ...] = ()
    cls_dice, seg_dice = _label_dice(chosen, targets), painted[:, 0]
    if order is not None:
        back = np.argsort(order)
        labeled = np.stack(
            [_label_dice(add_mask_labels(chosen, shares[back], least), targets) for least in AREA_THRESHOLDS], axis=1
        )
        out, seg_dice = evaluate_rule("rule-out", SUPPRESS_THRESHOLDS, painted)
        proof, cls_dice = evaluate_rule("proof", AREA_THRESHOLDS, labeled)
        seg_dice, rules = seg_dice[back], (out, proof)
    decisions = DecisionParams(
        thresholds=fit_thresholds(probs, targets, _kind_of_thresholds(runs)),
        rule_out=rules[0].value if rules and rules[0].used else SUPPRESS_THRESHOLDS[0],
        proof=rules[1].value if rules and rules[1].used else AREA_THRESHOLDS[0],
    )
    return _expected(cls_dice, seg_dice, bool(both), rules), decisions


def predict_test_set(
    runs: EnsembleSpec, test_set: TestSet, decisions: DecisionParams, steps: Steps
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(place of the image, its classes (20,) bool, its label map (H, W) uint8), image by image; none is empty."""
    cached = [cached_test_set(test_set, run.config(TrainClsConfig()).data, steps) for run in runs.cls]
    probs = mean_classifier_probs(runs, cached, steps)
    chosen = binarize(probs, decisions.thresholds)
    cached = [cached_test_set(test_set, run.config(TrainSegConfig()).data, steps) for run in runs.seg]
    for index, mask_probs in mean_mask_probs(runs, cached, steps("segmenting", "images")):
        labels = argmax_labels(mask_probs)
        classes = add_mask_labels(chosen[index], class_fractions(labels), decisions.proof)
        if decisions.rule_out > 0:
            labels = argmax_labels(mask_probs, allowed_classes(probs[index], chosen[index], decisions.rule_out))
        yield index, classes, labels


def _masks_on_held_out(
    runs: EnsembleSpec, parts: Sequence[LabeledSplit], known: tuple[np.ndarray, np.ndarray] | None, steps: Steps
) -> tuple[np.ndarray, np.ndarray]:
    """(N, rules) Dice of each image under each value of rule-out, off first; (N, 20) its classes' shares without it.

    known: the classifier's probabilities and decisions, (N, 20) each; without them there is the first column alone.
    """
    values = SUPPRESS_THRESHOLDS if known is not None else SUPPRESS_THRESHOLDS[:1]
    images = parts[0].images
    painted, shares = np.zeros((len(images), len(values))), np.zeros((len(images), len(CLASSES)))
    for index, probs in mean_mask_probs(runs, [part.images for part in parts], steps("segmenting", "images")):
        truth = images.original_mask(index)
        plain = argmax_labels(probs)
        shares[index] = class_fractions(plain)
        painted[index] = competition_dice(plain, truth)
        for place in range(1, len(values)):
            assert known is not None
            allowed = allowed_classes(known[0][index], known[1][index], values[place])
            if shares[index][~allowed].any():  # else the map stays as it is
                painted[index, place] = competition_dice(argmax_labels(probs, allowed), truth)
    return painted, shares


def _label_dice(chosen: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return sample_f1(chosen & (targets != IGNORE), targets == 1)


def _expected(
    cls_dice: np.ndarray, seg_dice: np.ndarray, paired: bool, rules: tuple[RuleEvaluation, ...]
) -> ExpectedScore:
    """paired: both halves are of the same images in the same order, and are drawn together."""
    halves = [(cls_dice + seg_dice) / 2] if paired else [cls_dice / 2, seg_dice / 2]
    drawn = sum(_means_of_draws(values, seed) for seed, values in enumerate(halves))
    return ExpectedScore(
        joint=float(cls_dice.mean() + seg_dice.mean()) / 2,
        classification=float(cls_dice.mean()),
        segmentation=float(seg_dice.mean()),
        interval=interval(np.asarray(drawn)),
        cls_images=len(cls_dice),
        seg_images=len(seg_dice),
        rules=rules,
    )


def _means_of_draws(values: np.ndarray, seed: int) -> np.ndarray:
    """(RESAMPLES,): the mean of the values over images that are drawn anew each time."""
    images = len(values)
    return resampled(lambda counts: {"mean": float((values * counts).sum() / images)}, images, RESAMPLES, seed)["mean"]
