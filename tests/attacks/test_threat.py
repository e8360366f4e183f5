"""Projection onto the ball, rounding to 8 bits, and the check of adversarial images."""

import pytest
import torch

from vocctl.attacks.threat import AttackError, Threat, norms


def random_images(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(seed)) / 255


def test_norms_by_hand():
    delta = torch.zeros(2, 3, 2, 2)
    delta[0, 0, 0, 0], delta[0, 1, 1, 1] = 3.0, -4.0
    assert norms(delta, "linf").tolist() == [4, 0]
    assert norms(delta, "l2").tolist() == [5, 0]


def test_linf_projection_by_hand():
    images = torch.tensor([0.5, 0.0, 1.0]).view(1, 3, 1, 1)
    adv = torch.tensor([0.9, 0.05, 1.5]).view(1, 3, 1, 1)
    assert Threat("linf", 0.1).project(adv, images).flatten().tolist() == pytest.approx([0.6, 0.05, 1.0])


def test_l2_projection_scales_each_image_separately():
    images = torch.full((2, 1, 1, 2), 0.5)
    adv = images + torch.tensor([[[[0.3, 0.4]]], [[[0.03, 0.04]]]])  # norms .5 and .05
    projected = Threat("l2", 0.1).project(adv, images) - images
    assert projected[0].flatten().tolist() == pytest.approx([0.06, 0.08])
    assert projected[1].flatten().tolist() == pytest.approx([0.03, 0.04])


def test_rounding_moves_toward_the_clean_pixel_where_the_nearest_step_is_outside():
    images = torch.full((1, 3, 1, 1), 100 / 255)
    adv = images + torch.tensor([1.6, 1.4, -0.7]).view(1, 3, 1, 1) / 255
    rounded = Threat("linf", 1.6 / 255).quantized(adv, images) * 255
    assert rounded.flatten().round().tolist() == [101, 101, 99]  # 101.6 would be 102, which is 2 away


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 8 / 255), ("linf", 0.5 / 255), ("l2", 0.5), ("l2", 0.02)])
def test_quantized_images_are_multiples_of_1_255_inside_the_ball(norm, epsilon):
    threat = Threat(norm, epsilon)
    images = random_images()
    adv = threat.project(images + torch.randn(images.shape, generator=torch.Generator().manual_seed(1)), images)
    rounded = threat.quantized(adv, images)
    threat.check(rounded, images)
    assert torch.allclose(rounded * 255, (rounded * 255).round(), atol=1e-3)
    if epsilon > 1 / 255:
        assert norms(rounded - images, norm).min() > 0.7 * epsilon  # little of the budget is lost


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (lambda adv: adv.index_fill(1, torch.tensor([0]), torch.nan), "NaN or infinite"),
        (lambda adv: adv - 2, "outside"),
        (lambda adv: (adv + 0.2).clamp(0, 1), "distance"),
    ],
)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_check_refuses_images_outside_the_threat_model(corrupt, message, norm):
    images = random_images()
    Threat(norm, 0.1).check(images, images)
    with pytest.raises(AttackError, match=message):
        Threat(norm, 0.1).check(corrupt(images.clone()), images)
