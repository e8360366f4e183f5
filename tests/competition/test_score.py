"""The competition's score on cases worked out by hand."""

import numpy as np
import pytest

from vocctl.competition.ground_truth import GroundTruth
from vocctl.competition.rle import encode_label_map
from vocctl.competition.score import dice, score
from vocctl.errors import DataError


def classes(*labels: int) -> np.ndarray:
    """Return which of the 20 classes are present, (20,) bool. labels: from 1 to 20."""
    vector = np.zeros(20, bool)
    vector[[label - 1 for label in labels]] = True
    return vector


# Image 0 has 2 x 2 pixels: three of class 1. Image 1 has 1 x 4 pixels: two of class 3 and one of class 2.
TRUTHS = [
    GroundTruth("0", classes(1), np.array([[1, 1], [1, 0]], np.uint8)),
    GroundTruth("1", classes(2, 3), np.array([[3, 3, 2, 0]], np.uint8)),
]
PERFECT = {"0_classification": "1 1", "0_segmentation": "1 3", "1_classification": "2 2", "1_segmentation": "7 1 9 2"}


def test_a_perfect_file_scores_1():
    assert score(PERFECT, TRUTHS).joint == 1


def test_overlapping_masks():
    result = score(PERFECT | {"0_segmentation": "1 2", "1_segmentation": "9 3"}, TRUTHS)
    # image 0: 2 * 2 / (2 + 3) = 4/5; image 1: class 3 on three pixels, two of them right: 2 * 2 / (3 + 3) = 2/3
    assert result.per_image["0"] == pytest.approx((1, 4 / 5))
    assert result.per_image["1"] == pytest.approx((1, 2 / 3))
    assert result.segmentation == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert result.joint == pytest.approx((1 + (4 / 5 + 2 / 3) / 2) / 2)
    # per class, over the pixels of both images: 2 * intersection / (predicted + ground truth)
    # aeroplane (class 1): 2 * 2 / (2 + 3); bicycle (2): 2 * 0 / (0 + 1); bird (3): 2 * 2 / (3 + 2)
    assert result.pixel_dice["aeroplane"] == pytest.approx(4 / 5)
    assert result.pixel_dice["bird"] == pytest.approx(4 / 5)
    assert result.pixel_dice["bicycle"] == 0
    assert np.isnan(result.pixel_dice["train"])


def test_a_mask_without_a_right_pixel_or_of_a_wrong_class_scores_0():
    assert score(PERFECT | {"0_segmentation": "4 1"}, TRUTHS).per_image["0"] == (1, 0)
    assert score(PERFECT | {"0_segmentation": "5 3"}, TRUTHS).per_image["0"] == (1, 0)  # class 2 on class 1's pixels


def test_missing_rows_score_0():
    classification = {name: runs for name, runs in PERFECT.items() if "class" in name}
    result = score(classification, TRUTHS)
    assert (result.classification, result.segmentation, result.joint, result.missing_rows) == (1, 0, 0.5, 2)


def test_an_empty_row_scores_0():
    result = score(PERFECT | {"1_classification": ""}, TRUTHS)
    assert result.per_image["1"] == (0, 1)
    assert result.joint == pytest.approx(3 / 4)
    assert result.missing_rows == 0


def test_two_empty_masks_score_1_and_one_empty_mask_scores_0():
    empty = [GroundTruth("0", classes(1), np.array([[0, 255]], np.uint8))]
    assert score({"0_classification": "1 1", "0_segmentation": ""}, empty).joint == 1
    assert score({"0_classification": "1 1", "0_segmentation": "1 1"}, empty).segmentation == 0


def test_void_pixels_count_as_background():
    void = [GroundTruth("0", classes(1), np.array([[1, 255]], np.uint8))]
    # two pixels are predicted: the first is right, the void one is wrong: 2 * 1 / (2 + 1)
    assert score({"0_classification": "1 1", "0_segmentation": "1 2"}, void).segmentation == pytest.approx(2 / 3)


def test_dice_of_label_sets():
    result = score(PERFECT | {"0_classification": "1 2", "1_classification": "3 1"}, TRUTHS)
    # image 0: predicted {1, 2}, ground truth {1}: 2 * 1 / (2 + 1); image 1: predicted {3}, ground truth {2, 3}: the same
    assert result.classification == pytest.approx(2 / 3)
    # per class, over both images: aeroplane and bird are right once: 1; bicycle is a false positive in image 0 and a false
    # negative in image 1: 0
    assert (result.class_dice["aeroplane"], result.class_dice["bicycle"], result.class_dice["bird"]) == (1, 0, 1)


def test_the_joint_score_is_the_mean_of_both_dice_as_on_the_leaderboard():
    """The leaderboard showed 0.87588 for a submission with the scores 0.89810 and 0.85364."""
    assert pytest.approx(0.87588, abs=2e-5) == (0.89810 + 0.85364) / 2
    result = score(PERFECT | {"0_segmentation": "1 2"}, TRUTHS)
    assert result.joint == pytest.approx((result.classification + result.segmentation) / 2)


def test_the_worst_images_come_first():
    assert score(PERFECT | {"1_segmentation": ""}, TRUTHS).worst(1) == ["1"]


def test_dice_of_run_lengths_equals_dice_of_the_boolean_stacks():
    generator = np.random.default_rng(0)
    for _ in range(50):
        first, second = generator.integers(0, 4, (2, 5, 7)).astype(np.uint8)
        stacks = [np.stack([labels == label for label in range(1, 21)]) for labels in (first, second)]
        expected = 2 * (stacks[0] & stacks[1]).sum() / (stacks[0].sum() + stacks[1].sum())
        assert dice(encode_label_map(first), encode_label_map(second)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "message"),
    [({"9_segmentation": "1 1"}, "no 9_segmentation"),
     ({"0_segmentation": "1"}, "0_segmentation is invalid: the number of values is odd"),
     ({"0_segmentation": "80 2"}, "ends at 81, beyond 80")],
)  # fmt: skip
def test_rows_that_cannot_be_scored_are_errors(rows, message):
    with pytest.raises(DataError, match=message):
        score(rows, TRUTHS)
