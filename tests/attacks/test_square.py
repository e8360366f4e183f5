"""Square: the window schedule, the bumps, and that it never asks for a gradient."""

import pytest
import torch
from torch import Tensor

from vocctl.attacks import square as square_module
from vocctl.attacks.square import _bump, _propose_l2, _window_side, square
from vocctl.attacks.threat import Threat, norms


def test_windows_shrink_by_the_schedule():
    """p = .05 of 100 x 100 pixels: side sqrt(500) = 22; after 10 of 10,000 queries p is halved: sqrt(250) = 16."""
    size = torch.Size((100, 100))
    assert _window_side(size, "linf", 0.0) == 22
    assert _window_side(size, "linf", 0.0011) == 16
    assert _window_side(size, "linf", 0.9) == 1  # sqrt(500 / 2^9)
    assert _window_side(size, "l2", 0.0) == 32  # p = .1


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_bump_has_norm_1_and_two_opposite_halves(side):
    bump = _bump(side, torch.device("cpu"))
    assert bump.shape == (side, side)
    assert bump.norm().item() == pytest.approx(1)
    if side > 1:
        half = side // 2
        assert torch.equal(bump[:half], -bump[half : 2 * half])


def test_l2_proposal_uses_the_whole_epsilon():
    """From the clean image nothing is freed; the unused epsilon^2 is shared by the three channels."""
    clean = torch.full((3, 10, 10), 0.5)
    proposal = _propose_l2(clean, clean, Threat("l2", 0.3), side=4, generator=torch.Generator().manual_seed(0))
    change = proposal - clean
    assert change.norm().item() == pytest.approx(0.3, abs=1e-5)
    assert change.flatten(1).norm(dim=1).tolist() == pytest.approx([0.3 / 3**0.5] * 3, abs=1e-5)
    assert (change != 0).any(0).sum() <= 16  # inside one window of 4 x 4 pixels


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_raises_the_objective_by_forward_passes_alone(norm):
    images = torch.full((2, 3, 10, 10), 0.5)
    queries = 0

    def forward(x: Tensor) -> Tensor:
        nonlocal queries
        assert not torch.is_grad_enabled()
        queries += 1
        return x.flatten(1).sum(1, keepdim=True)

    threat = Threat(norm, 0.1)
    adv = square(
        forward, images, lambda logits, _: logits[:, 0], threat, steps=60, generator=torch.Generator().manual_seed(0)
    )
    assert queries == 60
    assert (adv.flatten(1).sum(1) > images.flatten(1).sum(1)).all()
    assert norms(adv - images, norm).max() <= 0.1 + 1e-5


def test_window_schedule_is_scaled_to_the_number_of_queries(monkeypatch):
    """Query q of 60 is query 10,000 q / 60 of the schedule. Query 1: p = .05 / 4 of 100 x 100 pixels, side sqrt(125) = 11."""
    sides = []

    def record_side(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
        sides.append(side)
        return best

    monkeypatch.setattr(square_module, "_propose_linf", record_side)
    square(
        lambda x: x.flatten(1).sum(1, keepdim=True), torch.full((1, 3, 100, 100), 0.5), lambda logits, _: logits[:, 0],
        Threat("linf", 0.1), steps=60, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    # p is halved after 10 and 50 of 10,000 queries (before query 1), 200 (query 2), 500 (4), 1000 (7), 2000 (13), ...
    assert sides == [11] + 2 * [8] + 3 * [6] + 6 * [4] + 12 * [3] + 12 * [2] + 23 * [1]
