"""How visible a change is. images, adv: (B, 3, H, W) in [0, 1]; each result is (B,), a value a image.

Sources: PSNR is 10 log10(1 / mean squared error) over all pixels and channels, inf where nothing changed. SSIM: Wang et al.,
IEEE TIP 2004: Gaussian windows of 11 pixels and sigma 1.5, K1 = .01, K2 = .03, on each channel, mean over channels and over
the windows that lie inside the image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def linf(images: Tensor, adv: Tensor) -> Tensor:
    """Largest change of any channel of any pixel."""
    return (adv - images).flatten(1).abs().amax(1)


def l2(images: Tensor, adv: Tensor) -> Tensor:
    """Norm of the whole change."""
    return (adv - images).double().flatten(1).norm(dim=1).float()


def psnr(images: Tensor, adv: Tensor) -> Tensor:
    """In dB."""
    return -10 * (adv - images).double().square().flatten(1).mean(1).log10().float()


def ssim(images: Tensor, adv: Tensor) -> Tensor:
    """In [-1, 1]; 1 where nothing changed. Images of fewer than 11 pixels a side have smaller windows."""
    side = min(WINDOW, *images.shape[-2:])
    place = torch.arange(side, device=images.device) - (side - 1) / 2
    weights = torch.exp(-(place**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    x, y = (planes.double().flatten(0, 1)[:, None] for planes in (images, adv))  # (3 B, 1, H, W)

    def blurred(planes: Tensor) -> Tensor:
        kernel = weights.double()
        return F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))

    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    index = alike / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return index.flatten(1).mean(1).view(len(images), -1).mean(1).float()
