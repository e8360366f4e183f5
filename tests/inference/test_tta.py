"""Test-time augmentation: which views are taken, and how their probabilities are averaged."""

import pytest
import torch
from torch import Tensor

from vocctl.inference.tta import averaged_probs, views


def random_images(height: int = 32, width: int = 64) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def pointwise_model(images: Tensor) -> Tensor:
    """Logits of each pixel from this pixel alone: the model commutes with mirroring."""
    return 4 * images


def position_model(images: Tensor) -> Tensor:
    """Predicts class 0 in the left half and class 1 in the right half of every image."""
    logits = torch.zeros(len(images), 2, *images.shape[-2:])
    half = images.shape[-1] // 2
    logits[:, 0, :, :half] = 50
    logits[:, 1, :, half:] = 50
    return logits


def test_none_is_the_softmax_of_one_pass():
    images = random_images()
    assert torch.equal(averaged_probs(pointwise_model, images, "none"), pointwise_model(images).softmax(dim=1))


def test_flip_changes_nothing_if_the_model_commutes_with_mirroring():
    images = random_images()
    plain, averaged = averaged_probs(pointwise_model, images, "none"), averaged_probs(pointwise_model, images, "flip")
    assert torch.allclose(plain, averaged, atol=1e-6)


def test_flip_mirrors_the_probabilities_back_before_averaging():
    # mirrored back, the prediction has the classes exchanged: each class has probability 1 in one view and 0 in the other
    probs = averaged_probs(position_model, random_images(), "flip")
    assert torch.allclose(probs, torch.full_like(probs, 0.5))
    assert averaged_probs(position_model, random_images(), "none")[0, 0, 0, 0] == 1


@pytest.mark.parametrize("tta", ["none", "flip", "ms"])
@pytest.mark.parametrize(("height", "width"), [(32, 64), (96, 64), (40, 33)])
def test_probabilities_have_the_size_of_the_images(tta, height, width):
    probs = averaged_probs(pointwise_model, random_images(height, width), tta)
    assert (probs.shape, probs.dtype) == ((2, 3, height, width), torch.float32)
    assert torch.allclose(probs.sum(dim=1), torch.ones(2, height, width), atol=1e-5)


def test_views_of_each_kind():
    shapes = []

    def model(view: Tensor) -> Tensor:
        shapes.append((tuple(view.shape[-2:]), bool(view[0, 0, 0, 0] < view[0, 0, 0, -1])))
        return view

    ramp = torch.linspace(0, 1, 128).expand(1, 3, 128, 128)
    for tta, expected in (
        ("none", [((128, 128), True)]),
        ("flip", [((128, 128), True), ((128, 128), False)]),
        # 0.75 and 1.25 times 128 are 96 and 160; each also mirrored
        ("ms", [((side, side), rising) for side in (96, 128, 160) for rising in (True, False)]),
    ):
        shapes.clear()
        averaged_probs(model, ramp, tta)
        assert shapes == expected


def test_scales_of_a_small_image_stay_multiples_of_32():
    shapes = []
    averaged_probs(lambda view: shapes.append(tuple(view.shape[-2:])) or view, random_images(32, 32), "ms")
    assert set(shapes) == {(32, 32)}


def test_ms_changes_nothing_for_an_image_of_one_color():
    images = torch.tensor([0.2, 0.5, 0.9]).reshape(1, 3, 1, 1).expand(1, 3, 64, 96)
    expected = averaged_probs(pointwise_model, images, "none")
    assert torch.allclose(averaged_probs(pointwise_model, images, "ms"), expected, atol=1e-6)


def test_sides_of_the_scaled_views_are_the_nearest_multiples_of_32():
    # 64 x 96: 0.75 of it is 48 x 72 (48 is a tie, which goes to 64), 1.25 of it is 80 x 120 (80 is a tie, to 64)
    sides = [tuple(view.shape[-2:]) for view, mirrored in views(random_images(64, 96), "ms") if not mirrored]
    assert sides == [(64, 64), (64, 96), (64, 128)]
