"""Scores, rates and worst cases of both kinds of predictions, worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vocctl.labels import CLASSES, IGNORE
from vocctl.metrics.confusion import confusion_matrix
from vocctl.metrics.robustness import binary_cross_entropy
from vocctl.robustness.outcomes import (
    GroundTruth,
    LabelPredictions,
    MaskPredictions,
    distortion_stats,
    strongest_per_image,
)

IMAGE = np.full((1, 4, 3), 100, np.uint8)
MASKS = [np.array([[0, 1, 1, 255]], np.uint8), np.array([[2, 2, 255, 255]], np.uint8)]
MASK_TRUTH = GroundTruth(("a", "b"), [IMAGE, IMAGE], MASKS)


def mask_predictions(*rows: list[int]) -> MaskPredictions:
    maps = [np.array([row], np.uint8) for row in rows]
    pairs = zip(maps, MASKS, strict=True)
    counts = [confusion_matrix(torch.from_numpy(row), torch.from_numpy(mask)).numpy() for row, mask in pairs]
    return MaskPredictions.from_label_maps(maps, counts)


CLEAN_MASKS = mask_predictions([0, 1, 2, 5], [2, 2, 5, 5])  # one of five labeled pixels is wrong
ATTACKED_MASKS = mask_predictions([0, 2, 3, 7], [2, 1, 5, 5])  # three changed; two of the four correct ones are wrong


def test_masks_attack_loss_is_the_pixel_error_of_each_image() -> None:
    assert CLEAN_MASKS.attack_loss.tolist() == pytest.approx([1 / 3, 0])
    assert ATTACKED_MASKS.attack_loss.tolist() == pytest.approx([2 / 3, 1 / 2])


def test_masks_attack_loss_is_0_without_a_labeled_pixel() -> None:
    void = MaskPredictions.from_label_maps([np.zeros((1, 4), np.uint8)], [np.zeros((21, 21), np.int64)])
    assert void.attack_loss.tolist() == [0]


def test_masks_scores() -> None:
    scores = ATTACKED_MASKS.scores(MASK_TRUTH)
    assert scores["pixel_accuracy"] == pytest.approx(2 / 5)
    assert scores["image_accuracy"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    # IoU, intersection / union: background 1 / 1; class 1: 0 / 3; class 2: 1 / 3; class 3, only predicted, is left out
    assert scores["mean_iou"] == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert next(iter(scores)) == "mean_iou"  # the main metric comes first
    assert ATTACKED_MASKS.sanity_score(MASK_TRUTH) == scores["mean_iou"]


def test_masks_fooling_rates() -> None:
    rates = ATTACKED_MASKS.fooling_rates(CLEAN_MASKS, MASK_TRUTH)
    assert rates == pytest.approx({"prediction_change_rate": 3 / 5, "fooling_rate": 2 / 4})
    wrong = mask_predictions([3, 3, 3, 3], [3, 3, 3, 3])
    assert math.isnan(ATTACKED_MASKS.fooling_rates(wrong, MASK_TRUTH)["fooling_rate"])  # no pixel was correct


def test_masks_target_success() -> None:
    def rate(goal: str) -> float:
        return ATTACKED_MASKS.target_success(CLEAN_MASKS, MASK_TRUTH, goal)["target_success_rate"]

    assert rate("target:bicycle") == pytest.approx(2 / 5)  # class 2, void pixels left out
    assert rate("hide:aeroplane") == 1  # class 1: one pixel was correct, and it is gone
    assert rate("hide:bicycle") == pytest.approx(1 / 2)
    assert math.isnan(rate("hide:person"))
    assert ATTACKED_MASKS.target_success(CLEAN_MASKS, MASK_TRUTH, "untargeted") == {}


LABELS = np.zeros((2, 20), np.uint8)
LABELS[0, 0] = LABELS[1, 1] = 1
LABELS[1, 2:] = 255
LABEL_TRUTH = GroundTruth(("a", "b"), [IMAGE, IMAGE], list(LABELS))


def label_predictions(first: dict[int, float], second: dict[int, float]) -> LabelPredictions:
    probs = np.full((2, 20), 0.1)
    for row, changes in zip(probs, (first, second), strict=True):
        row[list(changes)] = list(changes.values())
    return LabelPredictions(np.array([0.5, 0.6]), probs, np.full(20, 0.4))


CLEAN_LABELS = label_predictions({0: 0.9}, {0: 0.8, 1: 0.7})  # {0}: correct; {0, 1}: wrong
ATTACKED_LABELS = label_predictions({1: 0.45}, {1: 0.9, 5: 0.9})  # {1}; {1} and a label that is ignored


def test_labels_are_predicted_with_the_thresholds() -> None:
    predicted = np.stack(ATTACKED_LABELS.predicted_labels())
    assert [np.flatnonzero(row).tolist() for row in predicted] == [[1], [1, 5]]
    assert predicted.dtype == np.uint8
    nothing = LabelPredictions(np.zeros(1), np.array([[0.2, *[0.1] * 19]]), np.full(20, 0.4))
    assert np.flatnonzero(nothing.predicted_labels()[0]).tolist() == [0]  # the most probable label


def test_labels_scores() -> None:
    scores = ATTACKED_LABELS.scores(LABEL_TRUTH)
    # image a: {1} against {0}, F1 0; image b: {1} against {1}, F1 1
    assert scores["sample_f1"] == pytest.approx(0.5)
    # class 0: b (0.1) ties with a (0.1), precision 1 / 2; class 1: b (0.9) is first, precision 1
    assert scores["map_sklearn"] == pytest.approx(0.75)
    assert next(iter(scores)) == "map_sklearn"  # the main metric comes first


def test_labels_sanity_score_uses_thresholds_of_one_half() -> None:
    uncertain = label_predictions({0: 0.3, 1: 0.45}, {1: 0.9})
    assert uncertain.scores(LABEL_TRUTH)["sample_f1"] == pytest.approx(0.5)
    low_thresholds = LabelPredictions(uncertain.attack_loss, uncertain.probs, np.full(20, 0.2))
    assert low_thresholds.scores(LABEL_TRUTH)["sample_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert low_thresholds.sanity_score(LABEL_TRUTH) == pytest.approx(0.5)


def test_labels_fooling_rates() -> None:
    rates = ATTACKED_LABELS.fooling_rates(CLEAN_LABELS, LABEL_TRUTH)
    assert rates["prediction_change_rate"] == 1
    assert rates["fooling_rate"] == 1  # image a alone was correct
    assert rates["label_flip_rate"] == pytest.approx(3 / 22)  # a: labels 0 and 1; b: label 0; 20 + 2 labels count
    assert rates["label_flip_rate:aeroplane"] == 1
    assert rates["label_flip_rate:bicycle"] == 0.5
    assert len(rates) == 3 + len(CLASSES)


def test_labels_target_success() -> None:
    def rates(goal: str) -> dict[str, float]:
        return ATTACKED_LABELS.target_success(CLEAN_LABELS, LABEL_TRUTH, goal)

    assert rates("target:bicycle") == {"target_success_rate": 1, "exclusive_success_rate": 0.5}
    assert rates("hide:aeroplane") == {"target_success_rate": 1}
    assert rates("hide:bicycle") == {"target_success_rate": 0}  # b: predicted on the clean image, and still predicted
    assert math.isnan(rates("hide:bird")["target_success_rate"])
    assert rates("untargeted") == {}


def test_strongest_attack_of_each_image() -> None:
    strong_on_a = mask_predictions([3, 3, 3, 3], [2, 2, 2, 2])  # losses 1 and 0
    combined, choice = strongest_per_image([CLEAN_MASKS, ATTACKED_MASKS, strong_on_a])
    assert choice.tolist() == [2, 1]
    assert combined.attack_loss.tolist() == pytest.approx([1, 1 / 2])
    assert [row.tolist() for row in combined.predicted_labels()] == [[[3, 3, 3, 3]], [[2, 1, 5, 5]]]
    assert combined.scores(MASK_TRUTH)["pixel_accuracy"] == pytest.approx(1 / 5)
    strong_on_b = LabelPredictions(np.array([0.4, 0.7]), 1 - ATTACKED_LABELS.probs, ATTACKED_LABELS.thresholds)
    combined_labels, choice = strongest_per_image([ATTACKED_LABELS, strong_on_b])
    assert choice.tolist() == [0, 1]
    assert combined_labels.output(0) == ATTACKED_LABELS.output(0)
    assert combined_labels.output(1) == strong_on_b.output(1)


def test_strongest_of_equal_losses_is_the_first() -> None:
    assert strongest_per_image([CLEAN_MASKS, CLEAN_MASKS])[1].tolist() == [0, 0]


def test_worst_case_of_masks_by_hand() -> None:
    """Attack 1 is wrong on image a, attack 2 on image b: the worst case has no pixel right."""
    first, second = mask_predictions([3, 3, 3, 3], [2, 2, 2, 2]), mask_predictions([0, 1, 1, 5], [4, 4, 2, 2])
    worst = MaskPredictions.worst_case([CLEAN_MASKS, first, second], CLEAN_MASKS, MASK_TRUTH)
    assert worst.scores == {"mean_iou": 0, "pixel_accuracy": 0, "image_accuracy": 0}
    assert next(iter(worst.scores)) == "mean_iou"
    assert worst.choice.tolist() == [1, 2]
    assert worst.rates == {}


def test_worst_case_of_labels_has_a_choice_for_each_metric() -> None:
    """Image 0 has label 0, image 1 label 1; the threshold is .4. Ignored labels of image 1 count nowhere.

    Attack 1 lowers the right label below the wrong one, but predicts both: F1 2/3, one flip. Attack 2 predicts neither
    right, but ranks them right: F1 0 with two flips on image 0, of labels 0 and 7.
    """
    clean = label_predictions({0: 0.9}, {1: 0.9})
    ranks = label_predictions({0: 0.5, 1: 0.6}, {0: 0.6, 1: 0.5})
    flips = label_predictions({0: 0.35, 7: 0.41}, {1: 0.9})
    worst = LabelPredictions.worst_case([clean, ranks, flips], clean, LABEL_TRUTH)
    assert worst.choice.tolist() == [1, 1]
    assert worst.scores["map_sklearn"] == ranks.scores(LABEL_TRUTH)["map_sklearn"] == 0.5
    assert worst.scores["sample_f1"] == pytest.approx((0 + 2 / 3) / 2)
    assert worst.rates == pytest.approx({"prediction_change_rate": 1, "fooling_rate": 1, "label_flip_rate": 3 / 22})
    assert clean.scores(LABEL_TRUTH) == {"map_sklearn": 1, "sample_f1": 1}


@given(seed=st.integers(0, 2**32 - 1), num_attacks=st.integers(1, 4), num_images=st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_worst_case_of_labels_is_never_better_than_a_single_attack(
    seed: int, num_attacks: int, num_images: int
) -> None:
    generator = np.random.default_rng(seed)
    targets = generator.choice(np.array([0, 0, 0, 1, IGNORE], np.uint8), (num_images, 20))
    truth = GroundTruth(tuple(map(str, range(num_images))), [IMAGE] * num_images, list(targets))
    thresholds = generator.random(20)
    candidates = []
    for _ in range(num_attacks):
        probs = generator.random((num_images, 20)).round(2)  # with ties, 0 and 1
        candidates.append(LabelPredictions(binary_cross_entropy(probs, targets), probs, thresholds))
    clean = candidates[0]
    worst = LabelPredictions.worst_case(candidates, clean, truth)
    for candidate in candidates:
        for name, score in candidate.scores(truth).items():
            assert np.isnan(score) or worst.scores[name] <= score
        rates = candidate.fooling_rates(clean, truth)
        for name, rate in worst.rates.items():
            assert np.isnan(rate) or rate >= rates[name]


@given(seed=st.integers(0, 2**32 - 1), num_attacks=st.integers(1, 4), num_images=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_worst_case_of_masks_is_never_better_than_a_single_attack(seed: int, num_attacks: int, num_images: int) -> None:
    generator = np.random.default_rng(seed)
    masks = [generator.choice(np.array([0, 0, 1, 5, IGNORE], np.uint8), (3, 4)) for _ in range(num_images)]
    masks[0][0, 0] = 0
    candidates = []
    for _ in range(num_attacks):
        maps = [generator.choice(np.array([0, 1, 5, 9], np.uint8), (3, 4)) for _ in masks]
        pairs = zip(maps, masks, strict=True)
        counts = [confusion_matrix(torch.from_numpy(row), torch.from_numpy(mask)).numpy() for row, mask in pairs]
        candidates.append(MaskPredictions.from_label_maps(maps, counts).without_label_maps())
    truth = GroundTruth(tuple(map(str, range(num_images))), [IMAGE] * num_images, masks)
    worst = MaskPredictions.worst_case(candidates, candidates[0], truth).scores
    for candidate in candidates:
        for name, score in candidate.scores(truth).items():
            assert worst[name] <= score


def test_predictions_without_label_maps_have_the_same_scores() -> None:
    small = ATTACKED_MASKS.without_label_maps()
    assert small.label_maps == ()
    assert small.scores(MASK_TRUTH) == ATTACKED_MASKS.scores(MASK_TRUTH)
    assert strongest_per_image([CLEAN_MASKS, small])[0].attack_loss.tolist() == ATTACKED_MASKS.attack_loss.tolist()
    assert ATTACKED_LABELS.without_label_maps() is ATTACKED_LABELS


def test_first_images_of_a_ground_truth() -> None:
    first = MASK_TRUTH.first(1)
    assert (first.ids, len(first.images), len(first.labels)) == (("a",), 1, 1)
    assert np.stack(LABEL_TRUTH.first(1).labels).shape == (1, 20)


def test_distortion_stats_leave_unchanged_images_out_of_the_mean_psnr() -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    changed = image.copy()
    changed[0, 0, 0] += 51  # 0.2; mean squared error 0.04 / 768
    stats = distortion_stats([image, image], [changed, image])
    assert stats["linf_max"] == pytest.approx(0.2)
    assert (stats["l2_mean"], stats["l2_max"]) == pytest.approx((0.1, 0.2))
    assert stats["psnr_mean"] == pytest.approx(10 * math.log10(768 / 0.04), abs=1e-3)
    assert stats["psnr_min"] == stats["psnr_mean"]
    assert 0.9 < stats["ssim_mean"] < 1
    assert math.isinf(distortion_stats([image], [image])["psnr_mean"])
