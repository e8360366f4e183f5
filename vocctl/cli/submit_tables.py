"""The results of `vocctl submit` on the terminal."""

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


def print_submission(submission: Submission) -> None:
    """Print the chosen runs, the expected score, warnings, the csv, and how to submit it."""
    for text in submission.choices:
        print_line(text)
    expected = submission.expected
    low, high = expected.interval
    images = f"{expected.cls_images}"
    if expected.seg_images != expected.cls_images:
        images += f" and {expected.seg_images}"
    out.print(
        f"expected joint Dice [bold]{expected.joint:.4f}[/], 95 % interval {low:.4f} to {high:.4f} "
        f"(classification {expected.classification:.4f}, segmentation {expected.segmentation:.4f}; {images} validation images)"
    )
    for rule in expected.rules:
        gain = "{:+.4f}, 95 % interval {:+.4f} to {:+.4f}".format(rule.gain, *rule.interval)
        print_line(f"{rule.rule}: {f'used, threshold {rule.threshold:g}' if rule.used else 'not used'} (gain {gain})")
    if not expected.rules:
        print_line(
            "suppression, mask labels: not used, because classifiers and segmenters have no common validation images"
        )
    for text in submission.warnings:
        out.print(f"[bold yellow]warning:[/] {escape(text)}")
    command = f"`vocctl submit --file {submission.file}` uploads it"
    advice = "submit the notebook's output" if submission.in_notebook else command
    print_line(f"Saved {2 * submission.num_images} rows for {submission.competition} in {submission.file}; {advice}")


def print_upload(result: UploadResult) -> None:
    """Print the public score, or how to ask for it later."""
    remaining = "" if result.remaining_today is None else f"; {result.remaining_today} submissions left today"
    if result.status.status == "complete":
        out.print(f"public score [bold]{escape(result.status.public_score) or '-'}[/]{remaining}")
    else:
        print_line(f"submitted but not scored yet{remaining}: `vocctl submit --history --wait 60` asks again")
    print_line(f"https://www.kaggle.com/competitions/{result.competition}/submissions")


def print_offline_score(result: OfflineScore, file: Path, worst: int) -> None:
    """Print the Dice of each class, the score, and the worst images. worst: how many."""
    score, (low, high) = result.score, result.interval
    table = Table(title=escape(f"{file}, {len(score.per_image)} images"), title_justify="left")
    for header in ("class", "classification", "segmentation"):
        table.add_column(header, justify="left" if header == "class" else "right")
    for name, value in score.class_dice.items():
        table.add_row(name, percent(value), percent(score.pixel_dice[name]))
    out.print(table)
    out.print(
        f"joint Dice [bold]{score.joint:.5f}[/] (95 % interval {low:.4f} to {high:.4f})   "
        f"classification {score.classification:.5f}   segmentation {score.segmentation:.5f}"
    )
    out.print(
        "The competition's score: Dice of each row, 2 |X n Y| / (|X| + |Y|), averaged over the rows; border pixels are "
        "background. Per class, in %: the Dice counted over images, and over the pixels of all images; -: neither in the "
        "ground truth nor predicted.",
        style="dim",
    )
    if score.missing_rows:
        print_line(f"{score.missing_rows} rows are missing and count as empty: Kaggle would refuse the file")
    for csv_id in score.worst(worst):
        cls_dice, seg_dice = score.per_image[csv_id]
        print_line(f"worst: image {csv_id}, classification {cls_dice:.3f}, segmentation {seg_dice:.3f}")


def print_submission_log(records: list[dict[str, Any]]) -> None:
    """Print a row for each submission. records: as submission_log.history returns them."""
    if not records:
        print_line("no submission yet: `vocctl submit --dry-run` writes one")
        return
    table = Table(title="submissions, oldest first", title_justify="left")
    for header in ("time", "file", "runs", "expected", "public", "status"):
        table.add_column(header, justify="right" if header in ("expected", "public") else "left", overflow="fold")
    for record in records:
        runs = ", ".join(name.rpartition("/")[2] for kind in ("cls", "seg") for name in record.get(kind, []))
        expected = record.get("expected")
        status = record["status"] + (f": {record['reason']}" if record.get("reason") else "")
        scores = [f"{expected['joint']:.4f}" if expected else "-", record.get("public_score") or "-"]
        table.add_row(*map(escape, (record["time"][:16], record["file"], runs or "-", *scores, status)))
    out.print(table)
    if any(record["status"] == "pending" for record in records):
        print_line("some submissions are not scored yet: `vocctl submit --history --wait 60` asks Kaggle")
