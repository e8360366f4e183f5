"""Figures of attacks on runs: the kinds adversarial and robustness."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vocctl.metrics.table import METRICS
from vocctl.plots.adversarial import AttackedCase, draw_attacked_cases
from vocctl.plots.robustness import Line, draw_robustness, draw_robustness_of_runs, draw_transfer
from vocctl.reporting.config_diff import group_by_config
from vocctl.reporting.options import NothingToPlot, PlotOptions, group_by_task
from vocctl.runs.attacks import (
    UNBOUNDED,
    AttackExamples,
    AttackRecord,
    TransferMatrix,
    attack_records,
    file_name,
    transfer_records,
)
from vocctl.runs.records import RunRecord

NUM_CASES = 6  # images in a figure, unless the options set another number
NOISE, WORST_CASE = "noise", "worst case"  # rows of a table of attacks
BUDGET_LABELS = {"linf": "eps, in steps of 1/255 (linf)", "l2": "eps, L2 norm for pixels in [0, 1]"}


def adversarial(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure per folder of RUN/attacks: images under the strongest attack, with the outputs before and after."""
    paths = []
    for run in runs:
        for attack in attack_records(run.folder.path):
            path = options.path(run, f"adversarial-{attack.name}")
            num_images = options.num_images or NUM_CASES
            paths.append(draw_examples(run.name, attack.load_examples(), attack.settings["norm"], path, num_images))
    if not paths:
        raise _not_attacked(runs[0])
    return paths


def draw_examples(name: str, examples: AttackExamples, norm: str, path: Path, num_images: int = NUM_CASES) -> Path:
    """The first examples of one attack at one budget. name: the attacked run's, for the title."""
    budget = "limited by a penalty only" if examples.eps == UNBOUNDED else f"{norm} eps {examples.eps}"
    cases = [
        AttackedCase(
            example.image_id, example.clean, example.adversarial, example.clean_output, example.adversarial_output,
            example.caption,
        )
        for example in examples.examples[:num_images]
    ]  # fmt: skip
    return draw_attacked_cases(cases, path, title=f"{name} under {examples.attack}, {budget}")


def robustness(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """Scores against the budget for each attacked run, transfer matrices, and runs of a task under the same attack."""
    paths = []
    for run in runs:
        for attack in attack_records(run.folder.path):
            paths.append(draw_attack_scores(run.name, attack, options.path(run, f"robustness-{attack.name}")))
        for transfer in transfer_records(run.folder.path):
            for matrix in transfer.matrices:
                path = options.path(run, transfer_stem(transfer.folder, matrix))
                paths.append(draw_transfer_matrix(matrix, path))
    for same_task in group_by_task(runs):
        if len(same_task) > 1:
            paths += _robustness_of_runs(same_task, options)
    if not paths:
        raise _not_attacked(runs[0])
    return paths


def draw_attack_scores(name: str, attack: AttackRecord, path: Path) -> Path:
    """The scores of one folder of RUN/attacks. name: the attacked run's, for the title."""
    return draw_robustness(
        attack.curves(), path, clean=attack.clean_score, score=METRICS[attack.metric].title,
        budget=BUDGET_LABELS[attack.settings["norm"]], title=f"{name}, {attack.settings['images']} images",
    )  # fmt: skip


def transfer_stem(folder: Path, matrix: TransferMatrix) -> str:
    """The file name, without suffix, of the figure of a matrix. folder: of RUN/attacks, where the matrix is from."""
    return f"{folder.name}-{file_name(matrix.attack)}-{matrix.eps.replace('/', '-')}"


def draw_transfer_matrix(matrix: TransferMatrix, path: Path) -> Path:
    rows = [matrix.clean, *matrix.scores.values()]
    values = np.array([[row[run] for run in matrix.runs] for row in rows], dtype=float)
    title = f"{matrix.attack}, eps {matrix.eps}, {matrix.images} images"
    score = METRICS[matrix.metric].title
    return draw_transfer(list(matrix.scores), matrix.runs, values, path, score=score, title=title)


def _robustness_of_runs(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure for each protocol by which all of the runs were attacked. runs: of one task."""
    attacks_of_runs = [_attacks_by_protocol(run) for run in runs]
    paths = []
    for protocol, (first_attack, *_) in attacks_of_runs[0].items():
        if not all(protocol in attacks for attacks in attacks_of_runs):
            continue
        lines_of_runs = [merge_lines(attacks[protocol]) for attacks in attacks_of_runs]
        attack = _strongest_common_attack(lines_of_runs)
        if attack is None:
            continue
        by_folder = {run.folder.path: lines[attack] for run, lines in zip(runs, lines_of_runs, strict=True)}
        lines = {
            group.label or "mean of the seeds": [by_folder[run.folder.path] for run in group.runs]
            for group in group_by_config(runs)
        }
        path = options.shared_path(runs, f"robustness-{first_attack.name}")
        title = f"{len(runs)} runs under {attack}, {first_attack.settings['images']} images"
        score, budget = METRICS[first_attack.metric].title, BUDGET_LABELS[first_attack.settings["norm"]]
        paths.append(draw_robustness_of_runs(lines, path, score=score, budget=budget, title=title))
    return paths


def _attacks_by_protocol(run: RunRecord) -> dict[str, list[AttackRecord]]:
    attacks: dict[str, list[AttackRecord]] = {}
    for attack in attack_records(run.folder.path):
        attacks.setdefault(attack.protocol, []).append(attack)
    return attacks


def merge_lines(attacks: Sequence[AttackRecord]) -> dict[str, Line]:
    """Attack -> its line, starting with the clean score at budget 0, over all evaluations with one protocol.

    The worst case over the attacks of one evaluation is not the worst case over several, so it is then left out.
    """
    return {
        name: ([0.0, *budgets], [attack.clean_score, *scores])
        for attack in attacks
        for name, (budgets, scores) in attack.curves().items()
        if name != WORST_CASE or len(attacks) == 1
    }


def _strongest_common_attack(lines_of_runs: Sequence[dict[str, Line]]) -> str | None:
    """Return the attack with the lowest score of the first run, among those that all runs have at the same budgets.

    The worst case counts as an attack only where it is over the same attacks in all runs.
    """
    first = lines_of_runs[0]
    excluded = {NOISE} if all(lines.keys() == first.keys() for lines in lines_of_runs) else {NOISE, WORST_CASE}
    common = [
        attack
        for attack, (budgets, _) in first.items()
        if attack not in excluded
        and not np.isnan(budgets).any()
        and all(attack in lines and lines[attack][0] == budgets for lines in lines_of_runs)
    ]
    return min(common, key=lambda attack: first[attack][1][-1], default=None)


def _not_attacked(run: RunRecord) -> NothingToPlot:
    path = run.folder.path
    return NothingToPlot(f"{path} has no attacks: run `vocctl eval {path} --attack noise,fgsm,pgd-20` first")
