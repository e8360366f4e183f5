"""Norms and PSNR by hand, SSIM against torchmetrics, and the PSNR floor of a linf ball."""

import math

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from vocctl.metrics.distortion import l2, linf, psnr, ssim


def pair(noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 40, 52, generator=generator)
    return images, (images + noise * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def test_norms_and_psnr_by_hand():
    images, adv = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    adv[0, 0, 0, 0], adv[0, 2, 1, 1] = 0.3, 0.4
    assert linf(images, adv).item() == pytest.approx(0.4)
    assert l2(images, adv).item() == pytest.approx(0.5)
    assert psnr(images, adv).item() == pytest.approx(10 * math.log10(12 / 0.25))  # mean squared error .25 / 12


@pytest.mark.parametrize(("levels", "floor"), [(2, 42.110), (4, 36.090), (8, 30.069), (16, 24.048)])
def test_the_psnr_floor_of_a_linf_ball(levels, floor):
    images = torch.full((1, 3, 8, 8), 0.5)
    assert psnr(images, images + levels / 255).item() == pytest.approx(floor, abs=2e-3)


def test_nothing_changed():
    images, _ = pair(0)
    assert psnr(images, images).isinf().all()
    assert ssim(images, images).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_ssim_is_that_of_torchmetrics(noise):
    images, adv = pair(noise)
    # theirs counts windows over a padded border too: its map, cut to the windows that lie inside, is ours
    _, whole = structural_similarity_index_measure(
        adv, images, data_range=1.0, reduction="none", return_full_image=True
    )
    theirs = whole[:, :, 5:-5, 5:-5].flatten(1).mean(1)
    assert ssim(images, adv).tolist() == pytest.approx(theirs.tolist(), abs=1e-5)


def test_small_images_have_smaller_windows():
    images = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert ssim(images, images).tolist() == pytest.approx([1, 1])
