"""The results of `vocctl eval --attack` on the terminal: scores by attack and budget, transfer matrices, sanity checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out, print_line
from vocctl.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocctl.robustness.sanity import SanityCheck
    from vocctl.runs.attacks import AttackRow
    from vocctl.tasks.attack import AttackResult, TransferResult

MIN_WIDTH = 128  # characters; a narrower table would cut numbers and headers
RATES = ("prediction_change_rate", "fooling_rate", "label_flip_rate", "target_success_rate", "exclusive_success_rate")
DISTORTION = ("linf_max", "l2_mean", "psnr_mean", "ssim_mean")


def print_attack_result(result: AttackResult) -> None:
    """Print a row for each attack and budget, the definitions of the columns, and the sanity checks."""
    clean, *attacked = result.rows
    rates = [key for key in RATES if any(key in row.rates for row in attacked)]
    columns = (*clean.scores, *rates, *DISTORTION)
    table = Table(title=escape(_title(result)), title_justify="left")
    for header in ("attack", "eps", *(METRICS[key].title for key in columns)):
        table.add_column(header, justify="left" if header == "attack" else "right")
    previous_eps = clean.eps
    for row in result.rows:
        if row.eps != previous_eps:
            table.add_section()
            previous_eps = row.eps
        style = "bold" if row.attack in ("clean", "worst case") else None
        table.add_row(escape(_short_name(row.attack)), row.eps, *(_cell(row, key) for key in columns), style=style)
    Console(width=max(out.width, MIN_WIDTH), highlight=False, emoji=False, quiet=out.quiet).print(table)
    definitions = _definitions(
        columns, has_thresholds=result.task == "train-cls", has_worst_case=bool(result.worst_attacks)
    )
    out.print(definitions, style="dim", markup=False)
    _print_sanity(result.sanity)
    print_line(f"Saved attack.json and table.csv in {result.folder}")


def _title(result: AttackResult) -> str:
    victim = "+".join(member.rsplit("/", 1)[-1] for member in result.members)
    goal = "" if result.goal == "untargeted" else f", {result.goal}"
    return f"{victim} under attack, {result.norm}{goal}: {result.data} {result.split}, {result.images} images"


def _cell(row: AttackRow, key: str) -> str:
    """Return the value of a column as text; it is empty where the column does not apply to the row."""
    values = row.scores | row.rates | row.distortion
    return METRICS[key].format(values[key]) if key in values else ""


def _short_name(attack: str) -> str:
    """Return an attack's name; the run of adv:RUN is shortened from its path to the name of its folder."""
    return f"adv:{attack.rstrip('/').rsplit('/', 1)[-1]}" if attack.startswith("adv:") and "/" in attack else attack


def _definitions(columns: Sequence[str], *, has_thresholds: bool, has_worst_case: bool) -> str:
    """Return what the table's numbers mean, one line per column."""
    note = "Scores and rates are in %. Adversarial images are rounded to 8 bits and checked to be inside the budget."
    if has_thresholds:
        note += " Labels are predicted with the run's own thresholds."
    lines = [note]
    lines += [f"{METRICS[key].title}: {METRICS[key].definition}" for key in columns]
    if has_worst_case:
        lines.append(
            "worst case: over all attacks and the clean images, for each column on its own: the attack that is worst for each "
            "image. Never above a single attack. Mean IoU and mAP, which have no value per image, are searched."
        )
    return "\n".join(lines)


def print_transfer_matrix(result: TransferResult) -> None:
    """Print the scores of one attack at one budget: a row for each source run, a column for each target run."""
    metric = METRICS[result.metric]
    title = f"{result.attack}, eps {result.eps}: {metric.label}, adversarial images of the source run tested on the target run"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("source \\ target", justify="left")
    for name in result.runs:
        table.add_column(escape(name), justify="right")
    table.add_row("clean", *(metric.format(result.clean[name]) for name in result.runs), style="bold")
    for source, scores in result.scores.items():
        table.add_row(escape(source), *(metric.format(scores[name]) for name in result.runs))
    out.print(table)


def print_transfer_sanity(result: TransferResult) -> None:
    """Print the sanity checks of every run; they are the same for all matrices of one evaluation."""
    for name, checks in result.sanity.items():
        _print_sanity(checks, name)
    print_line(f"Saved transfer.json in {result.folder}")


def _print_sanity(checks: Sequence[SanityCheck], run: str = "") -> None:
    """run: the name of the run that was checked; empty: the only one."""
    of_run = f" of {run}" if run else ""
    for check in checks:
        verdict = "[green]passed[/]" if check.passed else "[bold red]FAILED[/]"
        meaning = "." if check.passed else f": {check.failure_meaning}."
        out.print(f'Sanity check "{check.name}"{escape(of_run)} {verdict} {escape(f"({check.measured}){meaning}")}')
