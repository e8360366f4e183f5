"""What `vocctl submit` shows: the csv with its expected score, the public score, and a score worked out offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out, print_line
from vocctl.cli.tables import percent

if TYPE_CHECKING:
    from vocctl.competition.offline_score import OfflineScore
    from vocctl.competition.upload import UploadResult
    from vocctl.tasks.submit import Submission


def prepared(submission: Submission) -> None:
    """The csv, who made it, and the score to expect of it."""
    for text in submission.picked:
        print_line(text)
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
        print_line(f"{rule.rule}: {f'used, at {rule.value:g}' if rule.used else 'not used'} (gain {gain})")
    if not expected.rules:
        print_line("rule-out, proof: not used, no image is held out from both kinds of run")
    for text in submission.notes:
        out.print(f"[bold yellow]note:[/] {escape(text)}")
    then = (
        "submit the notebook's output"
        if submission.in_notebook
        else f"`vocctl submit --file {submission.file}` uploads it"
    )
    print_line(f"{submission.file}: {2 * submission.images} rows for {submission.competition}; {then}")


def uploaded(result: UploadResult) -> None:
    """The public score, or where to look for it."""
    outcome = result.outcome
    left = f"; {result.left} submissions left today" if result.left >= 0 else ""
    if outcome.status == "complete":
        out.print(f"public score [bold]{escape(outcome.public_score) or '-'}[/]{left}")
    else:
        print_line(f"submitted, not scored yet{left}: `vocctl submit --history --wait 60` asks again")
    print_line(f"https://www.kaggle.com/competitions/{result.competition}/submissions")


def submission_score(result: OfflineScore, file: Path, worst: int) -> None:
    score, (low, high) = result.score, result.interval
    table = Table(title=escape(f"{file}, {len(score.per_image)} images"), title_justify="left")
    for head in ("class", "classification", "segmentation"):
        table.add_column(head, justify="left" if head == "class" else "right")
    for name, value in score.class_dice.items():
        table.add_row(name, percent(value), percent(score.pixel_dice[name]))
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
        print_line(f"{score.lacking} rows are missing and count as empty: Kaggle would refuse the file")
    for number in score.worst(worst):
        classes, pixels = score.per_image[number]
        print_line(f"worst: image {number}, classification {classes:.3f}, segmentation {pixels:.3f}")


def print_submission_log(records: list[dict[str, Any]]) -> None:
    """Print the submission log, oldest first. records: lines of the log."""
    if not records:
        print_line("no submission yet: `vocctl submit --dry-run` writes one")
        return
    table = Table(title="submissions, oldest first", title_justify="left")
    for head in ("time", "file", "runs", "expected", "public", "status"):
        table.add_column(head, justify="right" if head in ("expected", "public") else "left", overflow="fold")
    for record in records:
        runs = ", ".join(name.rpartition("/")[2] for kind in ("cls", "seg") for name in record.get(kind, []))
        expected = record.get("expected")
        status = record["status"] + (f": {record['reason']}" if record.get("reason") else "")
        scores = [f"{expected['joint']:.4f}" if expected else "-", record.get("public_score") or "-"]
        table.add_row(*map(escape, (record["time"][:16], record["file"], runs or "-", *scores, status)))
    out.print(table)
    if any(record["status"] == "pending" for record in records):
        print_line("some submissions are not scored yet: `vocctl submit --history --wait 60` asks Kaggle")
