"""Square: a random search that asks the model for values alone, never for a gradient.

Source: Andriushchenko et al., arXiv 1912.00049: squares of a color that shrink as the queries are used up. linf starts from
vertical stripes; l2 moves the budget of one square into another. images: (B, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

from vocctl.attacks.gradient import evaluate
from vocctl.attacks.objectives import Forward, Objective
from vocctl.attacks.threat import Threat, norms, per_image

FIRST_SHARE = {"linf": 0.05, "l2": 0.1}  # of the image's pixels that the first squares cover
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries


def square(
    forward: Forward,
    images: Tensor,
    objective: Objective,
    threat: Threat,
    *,
    queries: int,
    generator: torch.Generator,
) -> Tensor:
    """The best images found with so many forward passes a image."""
    start = _stripes if threat.norm == "linf" else _tiles
    best = threat.project(images + start(images, threat.epsilon, generator), images)
    reached = evaluate(forward, best, objective)
    propose = _linf_square if threat.norm == "linf" else _l2_square
    for query in range(1, queries):
        side = _side(images.shape[-2:], threat.norm, query / queries)
        tried = torch.stack(
            [propose(one, clean, threat, side, generator) for one, clean in zip(best, images, strict=True)]
        )
        values = evaluate(forward, tried, objective)
        better = values > reached
        best = torch.where(per_image(better, best), tried, best)
        reached = torch.maximum(values, reached)
    return best


def _side(size: torch.Size, norm: str, done: float) -> int:
    """Side of the next squares, in pixels."""
    share = FIRST_SHARE[norm] / 2 ** sum(done * 10_000 > mark for mark in HALVED_AT)
    return int(min(max(round((share * size[0] * size[1]) ** 0.5), 1), *size))


def _signs(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    return (torch.randint(0, 2, shape, generator=generator) * 2.0 - 1).to(device)


def _place(side: int, size: torch.Size, generator: torch.Generator) -> tuple[slice, slice]:
    corner = [int(torch.randint(0, length - side + 1, (), generator=generator)) for length in size]
    return slice(corner[0], corner[0] + side), slice(corner[1], corner[1] + side)


def _stripes(images: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    signs = _signs((len(images), 3, 1, images.shape[-1]), generator, images.device)
    return epsilon * signs.expand_as(images)


def _linf_square(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
    """best with one square whose change is epsilon or -epsilon, a sign for each channel."""
    rows, columns = _place(side, best.shape[-2:], generator)
    tried = best.clone()
    signs = _signs((3, 1, 1), generator, best.device)
    tried[:, rows, columns] = (clean[:, rows, columns] + threat.epsilon * signs).clamp(0, 1)
    return tried


def _bump(side: int, device: torch.device) -> Tensor:
    """(side, side): nested rectangles that grow toward the center, one half positive and one negative; of norm 1."""
    half = torch.zeros(max(side // 2, 1), side)
    height, width = half.shape
    for ring in range((min(height, width) + 1) // 2):
        half[ring : height - ring, ring : width - ring] += 1 / (ring + 1) ** 2
    whole = torch.cat([half, -half])[:side] if side > 1 else half
    whole = torch.nn.functional.pad(whole, (0, 0, 0, side - len(whole)))
    return (whole / whole.norm()).to(device)


def _turned(bump: Tensor, generator: torch.Generator) -> Tensor:
    return bump.T if torch.randint(0, 2, (), generator=generator) else bump


def _tiles(images: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Bumps over a 5 x 5 grid, a sign for each channel; of norm epsilon."""
    height, width = images.shape[-2:]
    side = max(min(height, width) // 5, 1)
    bump = _bump(side, images.device)
    start = torch.zeros_like(images)
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            signs = _signs((len(images), 3, 1, 1), generator, images.device)
            start[:, :, top : top + side, left : left + side] = signs * _turned(bump, generator)
    return epsilon * start / per_image(norms(start, "l2"), start)


def _l2_square(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
    """best with the change of one window wiped out, and its budget put as a bump into another."""
    delta = best - clean
    rows, columns = _place(side, best.shape[-2:], generator)
    gone_rows, gone_columns = _place(side, best.shape[-2:], generator)
    touched = torch.zeros(best.shape[-2:], dtype=torch.bool, device=best.device)
    touched[rows, columns] = True
    touched[gone_rows, gone_columns] = True
    freed = (delta**2 * touched).sum((1, 2))  # (3,)
    unused = (threat.epsilon**2 - (delta**2).sum()).clamp(min=0) / 3
    window = delta[:, rows, columns]
    signs = _signs((3, 1, 1), generator, best.device)
    fresh = signs * _turned(_bump(side, best.device), generator) + window / window.norm().clamp(min=1e-10)
    lengths = torch.linalg.vector_norm(fresh, dim=(1, 2)).clamp(min=1e-10)
    delta[:, gone_rows, gone_columns] = 0
    delta[:, rows, columns] = fresh * ((freed + unused).sqrt() / lengths)[:, None, None]
    return threat.project((clean + delta)[None], clean[None])[0]
