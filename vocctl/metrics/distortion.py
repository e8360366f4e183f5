"""How visible a perturbation is. images, adv: (B, 3, H, W) in [0, 1]. Each function returns one value per image, (B,)."""

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2  # (K1 L)^2 and (K2 L)^2 with L = 1, the range of the pixels


def linf(images: Tensor, adv: Tensor) -> Tensor:
    """The largest change of any channel of any pixel."""
    return (adv - images).flatten(1).abs().amax(1)


def l2(images: Tensor, adv: Tensor) -> Tensor:
    """The L2 norm of the change over all channels and pixels."""
    return (adv - images).double().flatten(1).norm(dim=1).float()


def psnr(images: Tensor, adv: Tensor) -> Tensor:
    """10 log10(1 / mean squared error) over all channels and pixels, in dB; inf for an unchanged image."""
    return -10 * (adv - images).double().square().flatten(1).mean(1).log10().float()


def ssim(images: Tensor, adv: Tensor) -> Tensor:
    """Structural similarity in [-1, 1]; 1 for an unchanged image. Wang et al., IEEE TIP 2004.

    Gaussian windows of 11 x 11 pixels, computed for each channel; the mean over the channels and over the windows that lie
    inside the image. An image with a shorter side under 11 pixels has windows of that side.
    """
    side = min(SSIM_WINDOW, *images.shape[-2:])
    offsets = torch.arange(side, device=images.device) - (side - 1) / 2
    weights = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    kernel = (weights / weights.sum()).double()
    x, y = (planes.double().flatten(0, 1)[:, None] for planes in (images, adv))  # (3 B, 1, H, W)

    def blur(planes: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    index = numerator / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return index.flatten(1).mean(1).view(len(images), -1).mean(1).float()
