"""Square: the window schedule, the bumps, the shares of the channels, and that it never asks for a gradient."""

import pytest
import torch
from torch import Tensor

from vocctl.attacks import square as square_module
from vocctl.attacks.square import _bump, _propose_l2, _pyramid, _tiles, _window_side, square
from vocctl.attacks.threat import Threat, norms


def seeded(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(image) for image in range(count)]


def test_windows_shrink_by_the_schedule():
    """p = .8 of 100 x 100 pixels: side sqrt(8000) = 89; after 10 of 10,000 queries p is halved: sqrt(4000) = 63."""
    size = torch.Size((100, 100))
    assert _window_side(size, "linf", 0.0) == 89
    assert _window_side(size, "linf", 0.0011) == 63
    assert _window_side(size, "linf", 0.9) == 4  # sqrt(8000 / 2^9)
    assert _window_side(torch.Size((10, 1000)), "linf", 0.0) == 10  # at most the shorter side


def test_windows_of_l2_have_an_odd_side_of_3_or_more():
    size = torch.Size((100, 100))
    assert [_window_side(size, "l2", fraction) for fraction in (0.0, 0.0011, 0.9)] == [89, 63, 5]
    assert _window_side(torch.Size((10, 10)), "l2", 0.9) == 3


def test_pyramid_by_hand():
    """5 x 3 pixels: squares of 1, 3 and 5 pixels around the center with weights 1, 1/4 and 1/9, cut at the border."""
    outer, middle, center = 1 / 9, 1 / 9 + 1 / 4, 1 / 9 + 1 / 4 + 1
    ring = [middle, middle, middle]
    expected = torch.tensor([[outer] * 3, ring, [middle, center, middle], ring, [outer] * 3])
    assert torch.allclose(_pyramid(5, 3), expected / expected.norm())


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 21])
def test_bump_has_norm_1_and_two_opposite_pyramids(side):
    bump = _bump(side)
    assert bump.shape == (side, side)
    assert bump.norm().item() == pytest.approx(1)
    half = side // 2
    if side > 1:
        assert (bump[:half] > 0).all()
        assert bump[:half].norm().item() == pytest.approx(0.5**0.5)
    assert (bump[half:] < 0).all()
    assert bump[half:].argmin() == (side - half) // 2 * side + side // 2  # the largest change is in the middle


@pytest.mark.parametrize(("height", "width"), [(33, 33), (33, 57), (4, 9)])
def test_l2_starts_from_a_centered_grid_of_tiles_of_norm_1(height, width):
    tiles = _tiles(torch.Size((height, width)), torch.Generator().manual_seed(0))
    assert tiles.norm().item() == pytest.approx(1)
    side = max(min(height, width) // 5, 1)
    changed = (tiles != 0).all(0)
    assert changed.sum() == (height // side) * (width // side) * side**2
    assert changed.any(1).nonzero()[0].item() == height % side // 2


def test_l2_proposal_uses_the_whole_epsilon():
    """From the clean image nothing is freed; the unused epsilon^2 is shared by the three channels."""
    clean = torch.full((3, 10, 10), 0.5)
    proposal = _propose_l2(clean, clean, Threat("l2", 0.3), side=4, generator=torch.Generator().manual_seed(0))
    change = proposal - clean
    assert change.norm().item() == pytest.approx(0.3, abs=1e-5)
    assert change.flatten(1).norm(dim=1).tolist() == pytest.approx([0.3 / 3**0.5] * 3, abs=1e-5)
    assert (change != 0).any(0).sum() <= 16  # inside one window of 4 x 4 pixels


def test_l2_proposal_weighs_the_old_window_by_channel():
    """The window is the whole image: each channel is the bump, with a sign, plus its own change divided by its own norm.

    A common norm for the three channels would make the change of a small channel vanish beside the bump.
    """
    clean, generator = torch.full((3, 5, 5), 0.5), torch.Generator().manual_seed(0)
    old = torch.randn(3, 5, 5, generator=generator) * torch.tensor([0.1, 0.001, 0.01])[:, None, None]
    change = _propose_l2(clean + old, clean, Threat("l2", 0.1), side=5, generator=generator) - clean
    directions = []
    for bump in (_bump(5), -_bump(5), _bump(5).T, -_bump(5).T):
        direction = bump + old / old.flatten(1).norm(dim=1)[:, None, None]
        directions.append(direction / direction.flatten(1).norm(dim=1)[:, None, None])
    unit = change / change.flatten(1).norm(dim=1)[:, None, None]
    for channel in range(3):
        assert min((unit[channel] - direction[channel]).abs().max() for direction in directions) < 1e-4


def test_l2_proposal_fills_epsilon_where_clipping_shortens_the_change():
    """The image is white, so every positive change is clipped; the rest of the change is scaled up to epsilon first."""
    clean, generator = torch.full((3, 12, 12), 1.0), torch.Generator().manual_seed(0)
    threat = Threat("l2", 0.5)
    best = threat.project(clean + 0.5 * _tiles(torch.Size((12, 12)), generator), clean)
    before, after = (best - clean).norm(), (_propose_l2(best, clean, threat, 3, generator) - clean).norm()
    assert before < after <= 0.5 + 1e-5


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
        forward, images, lambda logits, _: logits[:, 0], threat, steps=60, step_length=None, generators=seeded(2)
    )
    assert queries == 60
    assert (adv.flatten(1).sum(1) > images.flatten(1).sum(1)).all()
    assert norms(adv - images, norm).max() <= 0.1 + 1e-5


def test_window_schedule_is_scaled_to_the_number_of_queries(monkeypatch):
    """Query q of 60 is query 10,000 q / 60 of the schedule. Query 1: p = .8 / 4 of 100 x 100 pixels, side sqrt(2000) = 45."""
    sides = []

    def record_side(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
        sides.append(side)
        return best

    monkeypatch.setattr(square_module, "_propose_linf", record_side)
    square(
        lambda x: x.flatten(1).sum(1, keepdim=True), torch.full((1, 3, 100, 100), 0.5), lambda logits, _: logits[:, 0],
        Threat("linf", 0.1), steps=60, step_length=None, generators=seeded(1),
    )  # fmt: skip
    # p is halved after 10 and 50 of 10,000 queries (before query 1), 200 (query 2), 500 (4), 1000 (7), 2000 (13), ...
    assert sides == [45] + 2 * [32] + 3 * [22] + 6 * [16] + 12 * [11] + 12 * [8] + 12 * [6] + 11 * [4]
