"""The tables of an attack, with their definitions under them; printed to the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out
from vocctl.cli.tables import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocctl.robustness.sanity_checks import Check
    from vocctl.tasks.attack import AttackResult, TransferResult

WIDTH = 112  # columns; narrower, the figures would be cut
HEADS = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel acc.",
    "image_accuracy": "acc. per image",
    "map_sklearn": "mAP (sklearn)",
    "sample_f1": "F1 per image",
}
FOOLING = {"changed": "changed", "fooled": "fooled", "flipped": "flipped", "match": "match", "match_alone": "alone"}


def attack_result(result: AttackResult) -> None:
    clean, *rest = result.rows
    where = f"{result.data} {result.split}, {result.images} images"
    goal = "" if result.goal == "untargeted" else f", {result.goal}"
    who = "+".join(name.rsplit("/", 1)[-1] for name in result.members)
    table = Table(title=escape(f"{who} under attack, {result.norm}{goal}: {where}"), title_justify="left")
    shares = [key for key in FOOLING if any(key in row.fooling_rates for row in rest)]
    heads = ("attack", "eps", *(HEADS[key] for key in clean.scores), *(FOOLING[key] for key in shares))
    for head in (*heads, "linf, px", "L2", "PSNR, dB", "SSIM"):
        table.add_column(head, justify="left" if head == "attack" else "right")
    before = clean.eps
    for row in result.rows:
        if row.eps != before:
            table.add_section()
            before = row.eps
        scores = [percent(row.scores[key]) for key in clean.scores]
        turned = [percent(row.fooling_rates[key]) if key in row.fooling_rates else "" for key in shares]
        seen = row.distortion
        visible = [""] * 4
        if seen:
            levels, psnr = f"{255 * seen['linf_max']:.0f}", f"{seen['psnr_mean']:.1f}"
            visible = [levels, f"{seen['l2_mean']:.2f}", psnr, f"{seen['ssim_mean']:.3f}"]
        style = "bold" if row.attack in ("clean", "worst case") else None
        table.add_row(escape(_short(row.attack)), row.eps, *scores, *turned, *visible, style=style)
    Console(width=max(out.width, WIDTH), highlight=False, emoji=False, quiet=out.quiet).print(table)
    out.print(_definitions(result), style="dim")
    _sanity(result.sanity)
    out.print(f"{result.folder}: attack.json, table.csv", markup=False)


def _short(attack: str) -> str:
    """An adversary by its folder's name alone."""
    return f"adv:{attack.rstrip('/').rsplit('/', 1)[-1]}" if attack.startswith("adv:") and "/" in attack else attack


def _definitions(result: AttackResult) -> str:
    scores = "Scores in %, of images rounded to 8 bits and checked to be inside the budget. "
    if result.task == "train-seg":
        turned = "changed: pixels predicted as another class than before; fooled: of those right before, now wrong. "
        worst = "Worst case: of each image the attack with the lowest pixel accuracy. "
    else:
        turned = (
            "changed: images whose set of labels is another one; fooled: of those exactly right before, now not; flipped: "
            "pairs of image and label that turned. Decisions by the run's thresholds. "
        )
        worst = "Worst case: of each image the attack with the highest binary cross-entropy. "
    match = ""
    if result.goal.startswith("target"):
        match = "match: pixels, or images, found to be the class. "
    elif result.goal.startswith("hide"):
        match = "match: of the class's pixels, or images, that were found, those that no longer are. "
    seen = "linf: largest of all images, px = 1/255; L2, PSNR and SSIM: means over images."
    return scores + turned + match + (worst if result.worst_by else "") + seen


def transfer_matrix(result: TransferResult) -> None:
    table = Table(
        title=escape(f"{result.attack}, eps {result.eps}: score in %, by what it was crafted on"), title_justify="left"
    )
    for head in ("crafted on \\ tested on", *result.runs):
        table.add_column(escape(head), justify="left" if head.startswith("crafted") else "right")
    table.add_row("clean", *(percent(result.clean[name]) for name in result.runs), style="bold")
    for crafted, tested in result.scores.items():
        table.add_row(escape(crafted), *(percent(tested[name]) for name in result.runs))
    out.print(table)


def transfer_sanity(result: TransferResult) -> None:
    for name, checks in result.sanity.items():
        _sanity(checks, f" of {name}")
    out.print(f"{result.folder}: transfer.json", markup=False)


def _sanity(checks: Sequence[Check], of: str = "") -> None:
    for check in checks:
        verdict = "[green]passed[/]" if check.passed else "[bold red]FAILED[/]"
        said = f"{check.measured}{'' if check.passed else f'. {check.means}'}"
        out.print(f"sanity{escape(of)}, {check.name}: {verdict}: {escape(said)}")
