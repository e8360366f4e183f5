"""Which photos of a batch adversarial training attacks, and in which precision."""

import pytest
import torch
from torch import Tensor, nn

from vocctl.config import HardenConfig
from vocctl.tasks import harden
from vocctl.tasks.harden import hardening


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 20))


def batch(photos: int) -> tuple[Tensor, Tensor]:
    images = torch.randint(50, 200, (photos, 3, 4, 4), generator=torch.Generator().manual_seed(0)) / 255
    return images, torch.ones(photos, 20, dtype=torch.long)


def attacked(share: float, photos: int) -> int:
    network, (images, labels) = model(), batch(photos)
    changed = hardening(HardenConfig(adv="fgsm", adv_share=share), network, network)(images, labels)
    return int((changed != images).flatten(1).any(1).sum())


@pytest.mark.parametrize(("share", "expected"), [(1, 8), (0.5, 4), (0.1, 1), (0.01, 1)])
def test_a_share_of_the_batch_is_attacked(share, expected):
    assert attacked(share, 8) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.5, [1, 1, 1, 1]), (0.25, [1, 1, 0, 0]), (0.1, [1, 0, 0, 0])])
def test_ranks_share_what_one_process_would_attack(monkeypatch, share, expected):
    monkeypatch.setattr(harden, "world", lambda: 4)
    counts = []
    for number in range(4):
        monkeypatch.setattr(harden, "rank", lambda number=number: number)
        counts.append(attacked(share, 2))
    assert counts == expected


@pytest.mark.parametrize(("dtype", "kept"), [(torch.float16, False), (torch.bfloat16, True)])
def test_gradients_are_never_taken_in_fp16(dtype, kept):
    network, seen = model(), []

    def forward(pixels: Tensor) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return network(pixels).float()

    with torch.autocast("cpu", dtype=dtype):
        hardening(HardenConfig(adv="fgsm"), network, forward)(*batch(2))
        assert torch.is_autocast_enabled("cpu")
    assert seen == [kept]
