"""Norms and PSNR worked out by hand, SSIM against torchmetrics."""

import math

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from vocctl.metrics.distortion import l2, linf, psnr, ssim


def noisy_pair(noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 40, 52, generator=generator)
    return images, (images + noise * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def test_norms_and_psnr_by_hand():
    images, adv = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    adv[0, 0, 0, 0], adv[0, 2, 1, 1] = 0.3, 0.4
    assert linf(images, adv).item() == pytest.approx(0.4)
    assert l2(images, adv).item() == pytest.approx(0.5)
    assert psnr(images, adv).item() == pytest.approx(10 * math.log10(12 / 0.25))  # mean squared error (.09 + .16) / 12


@pytest.mark.parametrize(("levels", "floor"), [(2, 42.110), (4, 36.090), (8, 30.069), (16, 24.048)])
def test_psnr_floor_of_a_linf_ball(levels, floor):
    images = torch.full((1, 3, 8, 8), 0.5)
    assert psnr(images, images + levels / 255).item() == pytest.approx(floor, abs=2e-3)


def test_unchanged_images_have_infinite_psnr_and_ssim_1():
    images, _ = noisy_pair(0)
    assert psnr(images, images).isinf().all()
    assert ssim(images, images).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_ssim_equals_torchmetrics(noise):
    images, adv = noisy_pair(noise)
    # torchmetrics pads the border: drop the windows that do not lie inside the image
    _, full_map = structural_similarity_index_measure(
        adv, images, data_range=1.0, reduction="none", return_full_image=True
    )
    expected = full_map[:, :, 5:-5, 5:-5].flatten(1).mean(1)
    assert ssim(images, adv).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_ssim_of_images_smaller_than_the_window():
    images = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert ssim(images, images).tolist() == pytest.approx([1, 1])
