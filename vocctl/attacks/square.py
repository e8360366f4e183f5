"""Square: a random search that needs the model's outputs alone, no gradient.

Source: Andriushchenko et al., arXiv 1912.00049. Each query changes one square window of the current best image; the windows
shrink as the queries are used up. linf (algorithm 2): starts from vertical stripes, and a query sets each channel of the
window to epsilon or -epsilon. l2 (algorithm 3): starts from a grid of tiles, and a query moves the change of one window into
another. Each image has its own windows and signs. images: (B, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

from vocctl.attacks.draws import Generators, draw_per_image
from vocctl.attacks.objectives import Forward, Objective, evaluate
from vocctl.attacks.threat import Threat, norms, per_image

INITIAL_AREA = 0.8  # p: fraction of the image's pixels in the first windows, as in AutoAttack (arXiv 2003.01690)
HALVE_AREA_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries of 10,000 after which p is halved
MIN_L2_SIDE = 3  # pixels; the windows of l2 have an odd side


def square(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *,
    steps: int, step_length: float | None, generators: Generators,
) -> Tensor:  # fmt: skip
    """The images with the highest objective after `steps` queries, that is forward passes per image.

    step_length is not used.
    """
    start = _stripes if threat.norm == "linf" else _tiles
    propose = _propose_linf if threat.norm == "linf" else _propose_l2
    image_size = images.shape[-2:]
    changes = draw_per_image(lambda generator: start(image_size, generator), generators, images.device)
    best = threat.project(images + threat.epsilon * changes, images)
    best_values = evaluate(forward, best, objective)
    for query in range(1, steps):
        side = _window_side(image_size, threat.norm, query / steps)
        proposals = torch.stack(
            [
                propose(x, clean, threat, side, generator)
                for x, clean, generator in zip(best, images, generators, strict=True)
            ]
        )
        values = evaluate(forward, proposals, objective)
        best = torch.where(per_image(values > best_values, best), proposals, best)
        best_values = torch.maximum(values, best_values)
    return best


def _window_side(image_size: torch.Size, norm: str, query_fraction: float) -> int:
    """Side of the next windows in pixels. query_fraction: fraction of the queries that are used, in [0, 1)."""
    p = INITIAL_AREA / 2 ** sum(query_fraction * 10_000 > query for query in HALVE_AREA_AT)
    side = max(round((p * image_size[0] * image_size[1]) ** 0.5), 1)
    if norm == "l2":
        side = max(side, MIN_L2_SIDE) // 2 * 2 + 1
    return min(side, *image_size)


def _random_signs(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=generator) * 2.0 - 1


def _random_window(side: int, image_size: torch.Size, generator: torch.Generator) -> tuple[slice, slice]:
    top, left = (int(torch.randint(0, length - side + 1, (), generator=generator)) for length in image_size)
    return slice(top, top + side), slice(left, left + side)


def _stripes(image_size: torch.Size, generator: torch.Generator) -> Tensor:
    """(3, H, W) change of one image: vertical stripes of one pixel, 1 or -1 in each channel."""
    return _random_signs(generator, 3, 1, image_size[1]).expand(3, *image_size)


def _propose_linf(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
    """best (3, H, W) with one window whose change is epsilon or -epsilon in each channel."""
    rows, columns = _random_window(side, best.shape[-2:], generator)
    proposal = best.clone()
    signs = _random_signs(generator, 3, 1, 1).to(best.device)
    proposal[:, rows, columns] = (clean[:, rows, columns] + threat.epsilon * signs).clamp(0, 1)
    return proposal


def _pyramid(height: int, width: int) -> Tensor:
    """Half of a bump, (height, width), of L2 norm 1: squares that grow from the center, the k-th with weight 1 / k^2.

    So the center has the highest value, and the outermost ring of n squares the lowest, 1 / n^2.
    """
    rows, columns = ((torch.arange(length) - length // 2).abs() for length in (height, width))
    distance = torch.maximum(rows[:, None], columns[None])  # from the center
    weights = 1 / torch.arange(1, max(height, width) // 2 + 2) ** 2
    heights = weights.flip(0).cumsum(0).flip(0)  # sum of the weights of all squares that reach to this distance
    values = heights[distance]
    return values / values.norm()


def _bump(side: int) -> Tensor:
    """eta in the paper, (side, side): a positive and a negative half, each a pyramid; of L2 norm 1."""
    halves = torch.cat([_pyramid(side // 2, side), -_pyramid(side - side // 2, side)])
    return halves / halves.norm()


def _transpose_at_random(bump: Tensor, generator: torch.Generator) -> Tensor:
    return bump.T if torch.randint(0, 2, (), generator=generator) else bump


def _tiles(image_size: torch.Size, generator: torch.Generator) -> Tensor:
    """(3, H, W) change of one image, of L2 norm 1: a grid of bumps, five along the shorter side, with random signs."""
    height, width = image_size
    side = max(min(height, width) // 5, 1)
    bump, tiles = _bump(side), torch.zeros(3, height, width)
    for top in range(height % side // 2, height - side + 1, side):
        for left in range(width % side // 2, width - side + 1, side):
            signs = _random_signs(generator, 3, 1, 1)
            tiles[:, top : top + side, left : left + side] = signs * _transpose_at_random(bump, generator)
    return tiles / norms(tiles[None], "l2")


def _propose_l2(best: Tensor, clean: Tensor, threat: Threat, side: int, generator: torch.Generator) -> Tensor:
    """best (3, H, W) with the change of one window set to 0, and its share of epsilon added to another as a bump.

    Each channel keeps its own norm. At last the change is scaled to epsilon, because clipping to [0, 1] shortens it.
    """
    delta = best - clean
    rows, columns = _random_window(side, best.shape[-2:], generator)
    erased_rows, erased_columns = _random_window(side, best.shape[-2:], generator)
    either = torch.zeros(best.shape[-2:], dtype=torch.bool, device=best.device)
    either[rows, columns] = True
    either[erased_rows, erased_columns] = True
    freed = (delta**2 * either).sum((1, 2))  # (3,) squared norm of the change in the two windows
    unused = (threat.epsilon**2 - (delta**2).sum()).clamp(min=0) / 3  # for each channel
    signs = _random_signs(generator, 3, 1, 1).to(best.device)
    bump = _transpose_at_random(_bump(side), generator).to(best.device)
    direction = _unit_channels(signs * bump + _unit_channels(delta[:, rows, columns]))
    delta[:, erased_rows, erased_columns] = 0
    delta[:, rows, columns] = direction * (freed + unused).sqrt()[:, None, None]
    delta = delta * (threat.epsilon / norms(delta[None], "l2").clamp(min=1e-12))
    return threat.project((clean + delta)[None], clean[None])[0]


def _unit_channels(window: Tensor) -> Tensor:
    """Divide each channel of (3, S, S) by its L2 norm."""
    lengths = torch.linalg.vector_norm(window, dim=(1, 2), keepdim=True)
    return window / lengths.clamp(min=1e-10)
