"""Scores from one confusion matrix, compared with values worked out by hand and with torchmetrics."""

import math

import pytest
import torch

from vocctl.compat import declare_missing_ops

declare_missing_ops()  # torchmetrics imports torchvision, which fails without them
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex  # noqa: E402

from vocctl.errors import DataError  # noqa: E402
from vocctl.labels import IGNORE, SEG_CLASSES  # noqa: E402
from vocctl.metrics.confusion import (  # noqa: E402
    confusion_matrix,
    dice_per_class,
    image_mean_iou,
    iou_per_class,
    mean_present,
    pixel_accuracy,
    seg_scores,
)

TRUTH = torch.tensor([[0, 0, 1], [1, 2, IGNORE]], dtype=torch.uint8)
PREDICTED = torch.tensor([[0, 1, 1], [1, 0, 2]], dtype=torch.uint8)


def random_label_maps(seed: int, classes: int = 21) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions and ground truth, (4, 20, 15) each. About 60 % of the pixels agree, and 10 % are void."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (4, 20, 15), generator=generator)
    predicted = torch.where(torch.rand(truth.shape, generator=generator) < 0.6, truth, truth.roll(1))
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = IGNORE
    return predicted, truth


def test_rows_of_the_matrix_are_the_ground_truth_and_void_pixels_are_not_counted():
    # the last pixel is void: its predicted 2 counts nowhere
    assert confusion_matrix(PREDICTED, TRUTH, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_iou_dice_and_pixel_accuracy_equal_values_worked_out_by_hand():
    confusion = confusion_matrix(PREDICTED, TRUTH, 3)
    # class 0: 1 / (2 + 2 - 1); class 1: 2 / (2 + 3 - 2); class 2: 0 / (1 + 0 - 0)
    assert iou_per_class(confusion).tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    # class 0: 2 / (2 + 2); class 1: 4 / (2 + 3); class 2: 0
    assert dice_per_class(confusion).tolist() == pytest.approx([1 / 2, 4 / 5, 0])
    assert pixel_accuracy(confusion) == 3 / 5
    assert mean_present(iou_per_class(confusion), confusion) == pytest.approx(1 / 3)


def test_a_class_in_neither_ground_truth_nor_prediction_is_undefined():
    confusion = torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert iou_per_class(confusion).isnan().tolist() == [False, False, True]
    assert dice_per_class(confusion).isnan().tolist() == [False, False, True]
    # class 0: 3 / (4 + 3 - 3) = 3/4; class 1: 4 / (4 + 5 - 4) = 4/5
    assert mean_present(iou_per_class(confusion), confusion) == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_a_class_that_is_only_predicted_has_0_and_is_not_in_the_mean():
    confusion = torch.tensor([[3, 1], [0, 0]])
    assert iou_per_class(confusion).tolist() == [3 / 4, 0]
    assert mean_present(iou_per_class(confusion), confusion) == 3 / 4  # class 0 alone


def test_classes_outside_of_a_perfect_image_of_one_class_are_absent():
    truth = torch.zeros(4, 4, dtype=torch.long)
    scores = seg_scores(confusion_matrix(truth, truth))
    assert (scores.mean_iou, scores.mean_dice, scores.pixel_accuracy) == (1, 1, 1)
    assert scores.absent == SEG_CLASSES[1:]
    assert scores.iou["background"] == 1
    assert all(math.isnan(scores.iou[name]) for name in scores.absent)


def test_scores_without_a_labeled_pixel_are_an_error_and_the_image_mean_is_undefined():
    confusion = confusion_matrix(torch.zeros(2, 2, dtype=torch.uint8), torch.full((2, 2), IGNORE))
    assert confusion.sum() == 0
    for score in (seg_scores, pixel_accuracy, lambda counts: mean_present(iou_per_class(counts), counts)):
        with pytest.raises(DataError, match="the ground truth has no labeled pixel"):
            score(confusion)
    assert image_mean_iou(confusion[None]).isnan().all()


def test_image_mean_iou_counts_false_positive_classes():
    confusion = torch.zeros(21, 21, dtype=torch.long)
    confusion[0, 0], confusion[0, 5] = 3, 1
    # background 3/4, class 5 is a false positive: 0; the other 19 are in neither
    assert image_mean_iou(torch.stack([confusion, 7 * confusion])).tolist() == pytest.approx([3 / 8, 3 / 8])


def test_the_matrices_of_single_images_sum_to_the_matrix_of_all():
    predicted, truth = random_label_maps(0)
    parts = sum(confusion_matrix(p, t) for p, t in zip(predicted, truth, strict=True))
    assert torch.equal(parts, confusion_matrix(predicted, truth))
    assert parts.dtype == torch.int64
    assert parts.sum() == (truth != IGNORE).sum()


@pytest.mark.parametrize("seed", range(4))
def test_iou_and_dice_agree_with_torchmetrics_on_random_label_maps(seed):
    predicted, truth = random_label_maps(seed)
    confusion = confusion_matrix(predicted, truth)
    settings = {"num_classes": 21, "average": None, "ignore_index": IGNORE, "validate_args": False}
    assert torch.allclose(iou_per_class(confusion).float(), MulticlassJaccardIndex(**settings)(predicted, truth))
    assert torch.allclose(dice_per_class(confusion).float(), MulticlassF1Score(**settings)(predicted, truth))


@pytest.mark.parametrize("seed", range(4))
def test_iou_agrees_with_torchmetrics_where_classes_are_absent(seed):
    predicted, truth = random_label_maps(seed, classes=6)  # 15 of the 21 are absent: nan for us, 0 for torchmetrics
    settings = {"num_classes": 21, "average": None, "ignore_index": IGNORE, "validate_args": False}
    ours = iou_per_class(confusion_matrix(predicted, truth))
    assert ours.isnan().sum() == 15
    assert torch.allclose(ours.nan_to_num(0).float(), MulticlassJaccardIndex(**settings)(predicted, truth))


def test_seg_scores_are_means_of_the_class_scores():
    predicted, truth = random_label_maps(0, classes=6)
    confusion = confusion_matrix(predicted, truth)
    scores = seg_scores(confusion)
    iou = iou_per_class(confusion)
    assert scores.mean_iou == pytest.approx(iou[:6].mean().item())
    assert scores.mean_dice == pytest.approx(dice_per_class(confusion)[:6].mean().item())
    assert scores.absent == SEG_CLASSES[6:]
    assert list(scores.iou) == list(scores.dice) == list(SEG_CLASSES)
    assert scores.iou["bicycle"] == iou[2].item()
