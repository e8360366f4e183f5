"""What `vocctl submit` shows: the csv with its expected score, the public score, and a score worked out offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from vocctl.cli.display import line, out, share

if TYPE_CHECKING:
    from vocctl.competition.offline_score import OfflineScore
    from vocctl.competition.upload import UploadResult
    from vocctl.tasks.submit import Submission


def prepared(submission: Submission) -> None:
    """The csv, who made it, and the score to expect of it."""
    for text in submission.picked:
        line(text)
    expected = submission.expected
    low, high = expected.interval
    images = f"{expected.cls_images}"
    if expected.seg_images != expected.cls_images:
        images += f" and {expected.seg_images}"
    out.print(
        f"expected joint Dice [bold]{expected.joint:.4f}[/], 95 % interval {low:.4f} to {high:.4f} "
        f"(classification {expected.classification:.4f}, segmentation {expected.segmentation:.4f}; {images} held-out images)"
    )
    for rule in expected.rules:
        gain = f"{rule.gain:+.4f}, 95 % interval {rule.low:+.4f} to {rule.high:+.4f}"
        line(f"{rule.rule}: {f'used, at {rule.value:g}' if rule.used else 'not used'} (gain {gain})")
    if not expected.rules:
        line("rule-out, proof: not used, no image is held out from both kinds of run")
    for text in submission.notes:
        out.print(f"[bold yellow]note:[/] {escape(text)}")
    then = (
        "submit the notebook's output"
        if submission.in_notebook
        else f"`vocctl submit --file {submission.file}` uploads it"
    )
    line(f"{submission.file}: {2 * submission.images} rows for {submission.competition}; {then}")


def uploaded(result: UploadResult) -> None:
    """The public score, or where to look for it."""
    outcome = result.outcome
    left = f"; {result.left} submissions left today" if result.left >= 0 else ""
    if outcome.status == "complete":
        out.print(f"public score [bold]{escape(outcome.public_score) or '-'}[/]{left}")
    else:
        line(f"submitted, not scored yet{left}: `vocctl submit --history --wait 60` asks again")
    line(f"https://www.kaggle.com/competitions/{result.competition}/submissions")


def submission_score(result: OfflineScore, file: Path, worst: int) -> None:
    score, (low, high) = result.score, result.interval
    table = Table(title=escape(f"{file}, {len(score.per_image)} images"), title_justify="left")
    for head in ("class", "classification", "segmentation"):
        table.add_column(head, justify="left" if head == "class" else "right")
    for name, value in score.class_dice.items():
        table.add_row(name, share(value), share(score.pixel_dice[name]))
    out.print(table)
    out.print(
        f"joint Dice [bold]{score.joint:.5f}[/] (95 % interval {low:.4f} to {high:.4f})   "
        f"classification {score.classification:.5f}   segmentation {score.segmentation:.5f}"
    )
    out.print(
        "The competition's score: Dice of each row, 2 |X n Y| / (|X| + |Y|), mean over the rows; border as background. Per "
        "class, in %: the same of images and of pixels, over all images; - stands for neither truth nor prediction.",
        style="dim",
    )
    if score.lacking:
        line(f"{score.lacking} rows are missing and count as empty: Kaggle would refuse the file")
    for number in score.worst(worst):
        classes, pixels = score.per_image[number]
        line(f"worst: image {number}, classification {classes:.3f}, segmentation {pixels:.3f}")
