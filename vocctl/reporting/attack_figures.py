"""Pictures of what attacks left: adversarial, robustness."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vocctl.plots.adversarial import draw_attacked
from vocctl.plots.robustness import Line, draw_robust_runs, draw_robustness, draw_transfer
from vocctl.reporting.config_diff import groups
from vocctl.reporting.options import NothingToDraw, Wish, by_task
from vocctl.runs.attacks import (
    SCORES,
    UNITS,
    SeenAttack,
    SeenTransfer,
    attacked_title,
    file_name,
    seen_attacks,
    seen_transfers,
)
from vocctl.runs.evaluations import SeenRun


def adversarial(runs: Sequence[SeenRun], wish: Wish) -> list[Path]:
    """A picture for each folder of RUN/attacks/: the photos of the attack that left least, before and after."""
    drawn = []
    for run in runs:
        for seen in seen_attacks(run.folder.path):
            cases, kept = seen.cases(), seen.about["kept"]
            title = attacked_title(run.name, kept["attack"], seen.about["norm"], kept["eps"])
            drawn.append(draw_attacked(cases[: wish.cases], wish.place(run, f"adversarial-{seen.name}"), title=title))
    if not drawn:
        raise _not_attacked(runs[0])
    return drawn


def robustness(runs: Sequence[SeenRun], wish: Wish) -> list[Path]:
    """Scores against budgets, every attack of a run; transfer grids; several runs of one task under the same attack."""
    drawn = []
    for run in runs:
        for seen in seen_attacks(run.folder.path):
            drawn.append(draw_scores(run.name, seen, wish.place(run, f"robustness-{seen.name}")))
        for grid in seen_transfers(run.folder.path):
            drawn += draw_grids(grid, partial(wish.place, run))
    for alike in by_task(runs):
        drawn += _compared(alike, wish) if len(alike) > 1 else []
    if not drawn:
        raise _not_attacked(runs[0])
    return drawn


def draw_scores(name: str, seen: SeenAttack, path: Path) -> Path:
    title = f"{name}, {seen.about['photos']} photos"
    return draw_robustness(
        seen.lines(), path, clean=seen.clean, score=SCORES[seen.score], budget=UNITS[seen.about["norm"]], title=title
    )


def draw_grids(seen: SeenTransfer, place: Callable[[str], Path]) -> list[Path]:
    """place: from a stem to a path."""
    drawn = []
    for matrix in seen.matrices:
        names = matrix["runs"]
        rows = [matrix["clean"], *matrix["scores"].values()]
        values = np.array([[row[name] for name in names] for row in rows], dtype=float)
        path = place(f"{seen.folder.name}-{file_name(matrix['attack'])}-{matrix['eps'].replace('/', '-')}")
        title = f"{matrix['attack']}, eps {matrix['eps']}, {matrix['photos']} photos"
        drawn.append(
            draw_transfer(list(matrix["scores"]), names, values, path, score=SCORES[matrix["score"]], title=title)
        )
    return drawn


def _compared(runs: Sequence[SeenRun], wish: Wish) -> list[Path]:
    """One picture for each protocol that all of them were attacked by: clean against robust."""
    by_run = [_by_protocol(run) for run in runs]
    drawn = []
    for protocol, (seen, *_) in by_run[0].items():
        if not all(protocol in found for found in by_run):
            continue
        held = {str(run.folder.path): _lines(found[protocol]) for run, found in zip(runs, by_run, strict=True)}
        if (attack := _strongest_shared(list(held.values()))) is None:
            continue
        lines = {
            group.label or "mean of the seeds": [held[str(run.folder.path)][attack] for run in group.runs]
            for group in groups(runs)
        }
        drawn.append(
            draw_robust_runs(
                lines, wish.shared_place(runs, f"robustness-{seen.name}"), score=SCORES[seen.score],
                budget=UNITS[seen.about["norm"]], title=f"{len(runs)} runs under {attack}, {seen.about['photos']} photos",
            )
        )  # fmt: skip
    return drawn


def _by_protocol(run: SeenRun) -> dict[str, list[SeenAttack]]:
    found: dict[str, list[SeenAttack]] = {}
    for seen in seen_attacks(run.folder.path):
        found.setdefault(seen.protocol, []).append(seen)
    return found


def _lines(alike: Sequence[SeenAttack]) -> dict[str, Line]:
    """By attack, of all evaluations by one protocol: what was left, from the clean score on.

    Of several evaluations each has a worst case of its own, which is none of the whole.
    """
    return {
        attack: ([0.0, *budgets], [seen.clean, *scores])
        for seen in alike
        for attack, (budgets, scores) in seen.lines().items()
        if attack != "worst case" or len(alike) == 1
    }


def _strongest_shared(lines: Sequence[dict[str, Line]]) -> str | None:
    """Of the attacks that all runs were put to at the same budgets, the one that leaves the first run least.

    The worst of several is one of them where it is the worst of the same ones.
    """
    first = lines[0]
    passed_over = {"noise"} if all(other.keys() == first.keys() for other in lines) else {"noise", "worst case"}
    shared = [
        attack
        for attack in first
        if attack not in passed_over and all(attack in other and other[attack][0] == first[attack][0] for other in lines)
        and not np.isnan(first[attack][0]).any()
    ]  # fmt: skip
    return min(shared, key=lambda attack: first[attack][1][-1], default=None)


def _not_attacked(run: SeenRun) -> NothingToDraw:
    where = run.folder.path
    return NothingToDraw(f"{where} was not attacked yet: `vocctl eval {where} --attack noise,fgsm,pgd-20` first")
