"""Test-time augmentation: what an average of views must be."""

import pytest
import torch
from torch import Tensor

from vocctl.inference.tta import averaged_probs


def pixels(height: int = 32, width: int = 64) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def per_pixel(images: Tensor) -> Tensor:
    """A model that looks at a pixel alone: turning the image turns its answer."""
    return 4 * images


def by_place(images: Tensor) -> Tensor:
    """Class 0 is sure of the left half, class 1 of the right, whatever is shown."""
    logits = torch.zeros(len(images), 2, *images.shape[-2:])
    half = images.shape[-1] // 2
    logits[:, 0, :, :half] = 50
    logits[:, 1, :, half:] = 50
    return logits


def test_none_is_the_softmax_of_one_look():
    images = pixels()
    assert torch.equal(averaged_probs(per_pixel, images, "none"), per_pixel(images).softmax(dim=1))


def test_flip_changes_nothing_for_a_model_that_turns_with_the_image():
    images = pixels()
    plain, flipped = averaged_probs(per_pixel, images, "none"), averaged_probs(per_pixel, images, "flip")
    assert torch.allclose(plain, flipped, atol=1e-6)


def test_flip_averages_what_a_model_says_of_both_sides():
    # turned back, the mirror image's left half was its right: each class gets 1 once and 0 once
    probs = averaged_probs(by_place, pixels(), "flip")
    assert torch.allclose(probs, torch.full_like(probs, 0.5))
    assert averaged_probs(by_place, pixels(), "none")[0, 0, 0, 0] == 1


@pytest.mark.parametrize("tta", ["none", "flip", "ms"])
@pytest.mark.parametrize(("height", "width"), [(32, 64), (96, 64), (40, 33)])
def test_probabilities_at_the_batchs_own_size(tta, height, width):
    probs = averaged_probs(per_pixel, pixels(height, width), tta)
    assert (probs.shape, probs.dtype) == ((2, 3, height, width), torch.float32)
    assert torch.allclose(probs.sum(dim=1), torch.ones(2, height, width), atol=1e-5)


def test_which_views_are_shown():
    seen = []

    def callbacks(view: Tensor) -> Tensor:
        seen.append((tuple(view.shape[-2:]), bool(view[0, 0, 0, 0] < view[0, 0, 0, -1])))
        return view

    ramp = torch.linspace(0, 1, 128).expand(1, 3, 128, 128)
    for tta, expected in (
        ("none", [((128, 128), True)]),
        ("flip", [((128, 128), True), ((128, 128), False)]),
        # .75 and 1.25 of 128 are 96 and 160; each is shown both ways
        ("ms", [((side, side), straight) for side in (96, 128, 160) for straight in (True, False)]),
    ):
        seen.clear()
        averaged_probs(callbacks, ramp, tta)
        assert seen == expected


def test_scales_of_a_small_image_stay_multiples_of_32():
    seen = []
    averaged_probs(lambda view: seen.append(tuple(view.shape[-2:])) or view, pixels(32, 32), "ms")
    assert set(seen) == {(32, 32)}


def test_ms_of_a_image_of_one_color_changes_nothing():
    images = torch.tensor([0.2, 0.5, 0.9]).reshape(1, 3, 1, 1).expand(1, 3, 64, 96)
    expected = averaged_probs(per_pixel, images, "none")
    assert torch.allclose(averaged_probs(per_pixel, images, "ms"), expected, atol=1e-6)
