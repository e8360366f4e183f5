"""Square: a random search that needs the model's outputs alone, no gradient.

Source: Andriushchenko et al., arXiv 1912.00049. Each query changes one square window of the current best image; the windows
shrink as the queries are used up. linf (algorithm 2): starts from vertical stripes, and a query sets each channel of the
window to epsilon or -epsilon. l2 (algorithm 3): starts from a grid of tiles, and a query moves the change of one window into
another. images: (B, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

from vocctl.attacks.objectives import Forward, Objective, evaluate
from vocctl.attacks.threat import Threat, norms, per_image

INITIAL_AREA = {"linf": 0.05, "l2": 0.1}  # p: fraction of the image's pixels in the first windows
HALVE_AREA_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries of 10,000 after which p is halved


def square(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *, steps: int, generator: torch.Generator
) -> Tensor:
    """The images with the highest objective after `steps` queries, that is forward passes per image."""
    start = _stripes if threat.norm == "linf" else _tiles
    best = threat.project(images + start(images, threat.epsilon, generator), images)
    best_values = evaluate(forward, best, objective)
    propose = _propose_linf if threat.norm == "linf" else _propose_l2
    for query in range(1, steps):
        side = _window_side(images.shape[-2:], threat.norm, query / steps)
        proposals = torch.stack(
            [propose(x, clean, threat, side, generator) for x, clean in zip(best, images, strict=True)]
        )
        values = evaluate(forward, proposals, objective)
        best = torch.where(per_image(values > best_values, best), proposals, best)
        best_values = torch.maximum(values, best_values)
    return best


def _window_side(image_size: torch.Size, norm: str, query_fraction: float) -> int:
    """Side of the next windows in pixels. query_fraction: fraction of the queries that are used, in [0, 1)."""
    p = INITIAL_AREA[norm] / 2 ** sum(query_fraction * 10_000 > query for query in HALVE_AREA_AT)
    return int(min(max(round((p * image_size[0] * image_size[1]) ** 0.5), 1), *image_size))


def _random_signs(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    return (torch.randint(0, 2, shape, generator=generator) * 2.0 - 1).to(device)


def _random_window(side: int, image_size: torch.Size, generator: torch.Generator) -> tuple[slice, slice]:
    top, left = (int(torch.randint(0, length - side + 1, (), generator=generator)) for length in image_size)
    return slice(top, top + side), slice(left, left + side)


def _stripes(images: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """(B, 3, H, W) changes: vertical stripes of one pixel, epsilon or -epsilon in each channel."""
    signs = _random_signs((len(images), 3, 1, images.shape[-1]), generator, images.device)
    return epsilon * signs.expand_as(images)


def _propose_linf(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
    """best (3, H, W) with one window whose change is epsilon or -epsilon in each channel."""
    rows, columns = _random_window(side, best.shape[-2:], generator)
    proposal = best.clone()
    signs = _random_signs((3, 1, 1), generator, best.device)
    proposal[:, rows, columns] = (clean[:, rows, columns] + threat.epsilon * signs).clamp(0, 1)
    return proposal


def _bump(side: int, device: torch.device) -> Tensor:
    """eta in the paper, (side, side): a positive and a negative half, each a pyramid of nested rectangles; of L2 norm 1."""
    half = torch.zeros(max(side // 2, 1), side)
    height, width = half.shape
    for ring in range((min(height, width) + 1) // 2):
        half[ring : height - ring, ring : width - ring] += 1 / (ring + 1) ** 2
    bump = torch.cat([half, -half])[:side] if side > 1 else half
    bump = torch.nn.functional.pad(bump, (0, 0, 0, side - len(bump)))  # an odd side has one row of zeros
    return (bump / bump.norm()).to(device)


def _transpose_at_random(bump: Tensor, generator: torch.Generator) -> Tensor:
    return bump.T if torch.randint(0, 2, (), generator=generator) else bump


def _tiles(images: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """(B, 3, H, W) changes of L2 norm epsilon: a 5 x 5 grid of bumps with a random sign in each channel."""
    height, width = images.shape[-2:]
    side = max(min(height, width) // 5, 1)
    bump = _bump(side, images.device)
    tiles = torch.zeros_like(images)
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            signs = _random_signs((len(images), 3, 1, 1), generator, images.device)
            tiles[:, :, top : top + side, left : left + side] = signs * _transpose_at_random(bump, generator)
    return epsilon * tiles / per_image(norms(tiles, "l2"), tiles)


def _propose_l2(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
    """best (3, H, W) with the change of one window set to 0, and its share of epsilon added to another as a bump."""
    delta = best - clean
    rows, columns = _random_window(side, best.shape[-2:], generator)
    erased_rows, erased_columns = _random_window(side, best.shape[-2:], generator)
    either = torch.zeros(best.shape[-2:], dtype=torch.bool, device=best.device)
    either[rows, columns] = True
    either[erased_rows, erased_columns] = True
    freed = (delta**2 * either).sum((1, 2))  # (3,) squared norm of the change in the two windows
    unused = (threat.epsilon**2 - (delta**2).sum()).clamp(min=0) / 3  # for each channel
    window = delta[:, rows, columns]
    signs = _random_signs((3, 1, 1), generator, best.device)
    bump = _transpose_at_random(_bump(side, best.device), generator)
    direction = signs * bump + window / window.norm().clamp(min=1e-10)
    lengths = torch.linalg.vector_norm(direction, dim=(1, 2)).clamp(min=1e-10)
    delta[:, erased_rows, erased_columns] = 0
    delta[:, rows, columns] = direction * ((freed + unused).sqrt() / lengths)[:, None, None]
    return threat.project((clean + delta)[None], clean[None])[0]
