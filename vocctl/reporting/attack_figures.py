"""Pictures of what attacks left: adversarial, robustness."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vocctl.plots.adversarial import draw_attacked
from vocctl.plots.robustness import Line, draw_robust_runs, draw_robustness, draw_transfer
from vocctl.reporting.config_diff import group_by_config
from vocctl.reporting.options import NothingToPlot, PlotOptions, by_task
from vocctl.runs.attacks import (
    SCORES,
    UNITS,
    AttackRecord,
    TransferRecord,
    attack_records,
    attacked_title,
    file_name,
    transfer_records,
)
from vocctl.runs.evaluations import RunRecord


def adversarial(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """A picture for each folder of RUN/attacks/: the images of the attack that left least, before and after."""
    drawn = []
    for run in runs:
        for seen in attack_records(run.folder.path):
            cases, kept = seen.cases(), seen.about["kept"]
            title = attacked_title(run.name, kept["attack"], seen.about["norm"], kept["eps"])
            drawn.append(draw_attacked(cases[: wish.cases], wish.place(run, f"adversarial-{seen.name}"), title=title))
    if not drawn:
        raise _not_attacked(runs[0])
    return drawn


def robustness(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """Scores against budgets, every attack of a run; transfer grids; several runs of one task under the same attack."""
    drawn = []
    for run in runs:
        for seen in attack_records(run.folder.path):
            drawn.append(draw_scores(run.name, seen, wish.place(run, f"robustness-{seen.name}")))
        for grid in transfer_records(run.folder.path):
            drawn += draw_grids(grid, partial(wish.place, run))
    for alike in by_task(runs):
        drawn += _compared(alike, wish) if len(alike) > 1 else []
    if not drawn:
        raise _not_attacked(runs[0])
    return drawn


def draw_scores(name: str, seen: AttackRecord, path: Path) -> Path:
    title = f"{name}, {seen.about['images']} images"
    return draw_robustness(
        seen.lines(), path, clean=seen.clean, score=SCORES[seen.score], budget=UNITS[seen.about["norm"]], title=title
    )


def draw_grids(seen: TransferRecord, place: Callable[[str], Path]) -> list[Path]:
    """place: from a stem to a path."""
    drawn = []
    for matrix in seen.matrices:
        names = matrix["runs"]
        rows = [matrix["clean"], *matrix["scores"].values()]
        values = np.array([[row[name] for name in names] for row in rows], dtype=float)
        path = place(f"{seen.folder.name}-{file_name(matrix['attack'])}-{matrix['eps'].replace('/', '-')}")
        title = f"{matrix['attack']}, eps {matrix['eps']}, {matrix['images']} images"
        drawn.append(
            draw_transfer(list(matrix["scores"]), names, values, path, score=SCORES[matrix["score"]], title=title)
        )
    return drawn


def _compared(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
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
            for group in group_by_config(runs)
        }
        drawn.append(
            draw_robust_runs(
                lines, wish.shared_place(runs, f"robustness-{seen.name}"), score=SCORES[seen.score],
                budget=UNITS[seen.about["norm"]], title=f"{len(runs)} runs under {attack}, {seen.about['images']} images",
            )
        )  # fmt: skip
    return drawn


def _by_protocol(run: RunRecord) -> dict[str, list[AttackRecord]]:
    found: dict[str, list[AttackRecord]] = {}
    for seen in attack_records(run.folder.path):
        found.setdefault(seen.protocol, []).append(seen)
    return found


def _lines(alike: Sequence[AttackRecord]) -> dict[str, Line]:
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


def _not_attacked(run: RunRecord) -> NothingToPlot:
    where = run.folder.path
    return NothingToPlot(f"{where} was not attacked yet: `vocctl eval {where} --attack noise,fgsm,pgd-20` first")
