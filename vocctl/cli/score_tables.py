"""The results of `vocctl eval` on the terminal: scores by class with their definitions, and paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out
from vocctl.cli.tables import percent

if TYPE_CHECKING:
    from vocctl.tasks.evaluate_cls import ClsEvalResult, PairedComparison
    from vocctl.tasks.evaluate_seg import SegEvalResult

AP_HEADS = {"11_point": "AP 11-point", "all_points": "AP all points", "sklearn": "AP sklearn"}


def print_seg_scores(result: SegEvalResult) -> None:
    """Print one evaluation of a segmenter, with the definitions below the table."""
    scores = result.scores
    data = f"{result.data} {result.split}, {result.images} images"
    table = _table(
        f"{result.run.name}, {result.checkpoint} weights, tta {result.tta}: {data}", ("class", "IoU", "Dice")
    )
    for name, iou in scores.iou.items():
        table.add_row(name, percent(iou), percent(scores.dice[name]))
    table.add_section()
    table.add_row("[bold]mean[/]", f"[bold]{percent(scores.mean_iou)}[/]", percent(scores.mean_dice))
    out.print(table)
    out.print(
        f"mean IoU [bold]{percent(scores.mean_iou)}[/]   pixel accuracy {percent(scores.pixel_accuracy)}   "
        f"competition Dice {percent(result.competition_dice)}   (all in %)"
    )
    out.print(
        "IoU: TP / (TP + FP + FN), from one confusion matrix over all pixels at the images' original size, "
        "without void pixels (255). Dice: 2 TP / (2 TP + FP + FN), from the same matrix. Competition Dice: per image over all pairs of "
        "foreground pixel and class, with void as background; mean over the images.",
        style="dim",
    )
    absent = f": {len(scores.absent)} here ({', '.join(scores.absent)})" if scores.absent else ", none here"
    out.print(
        f"A class without ground truth is not in the means{absent}. - means neither ground truth nor prediction.",
        style="dim",
    )
    out.print(f"{result.folder}: scores.json, confusion.csv, labels/", markup=False)


def print_cls_scores(result: ClsEvalResult) -> None:
    """Print one evaluation of a classifier or an ensemble, with the definitions below the table."""
    model = result.run.name if len(result.members) == 1 else f"{len(result.members)} runs"
    data = f"{result.data} {result.split}, {result.images} images"
    heads = ("class", "images", *AP_HEADS.values(), "precision", "recall", "F1")
    table = _table(f"{model}, {result.checkpoint} weights, tta {result.tta}: {data}", heads)
    for name, count in result.positives.items():
        aps = [percent(result.ap[key][name]) for key in AP_HEADS]
        at_threshold = [percent(result.per_class[key][name]) for key in ("precision", "recall", "f1")]
        table.add_row(name, str(count), *aps, *at_threshold)
    scores = result.scores
    table.add_section()
    means = [f"[bold]{percent(scores[f'map_{key}'])}[/]" for key in AP_HEADS]
    table.add_row("[bold]mean[/]", "", *means, "", "", percent(scores["macro_f1"]))
    out.print(table)
    for name, (low, high) in result.intervals.items():
        out.print(f"{name} {percent(scores[name])}, 95 % interval {percent(low)} to {percent(high)}")
    out.print(
        f"competition Dice (F1 per image) [bold]{percent(scores['sample_f1'])}[/]   micro F1 {percent(scores['micro_f1'])}"
        f"   exact match {percent(scores['exact_match'])}   Hamming accuracy {percent(scores['hamming_accuracy'])}   "
        f"calibration error {percent(scores['calibration_error'])}   (all in %)"
    )
    out.print(
        "AP 11-point: as VOC2007 to VOC2009 define it. AP all points: as VOC2010 and later define it. AP sklearn: without "
        "interpolation. An image with only difficult objects of a class is not scored for this class. - means a class "
        "without positives, which is not in any mean. "
        f"Predicted labels: {result.thresholds} thresholds, {result.decided}; the most probable class where no class "
        "reaches its threshold. Calibration error: expected, over 15 bins of all pairs of image and class.",
        style="dim",
    )
    out.print(f"{result.folder}: scores.json, predictions.csv, errors.csv, confused_with.csv", markup=False)


def print_comparison(first: str, second: str, rows: Sequence[PairedComparison]) -> None:
    """Print a paired bootstrap comparison, one row per score. first, second: the runs' names."""
    heads = ("score", "first", "second", "difference", "95 % interval", "p")
    table = _table(f"{second} compared with {first}, paired bootstrap over the images", heads)
    for row in rows:
        interval = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
        difference = f"{100 * (row.second - row.first):+.1f}"
        table.add_row(row.score, percent(row.first), percent(row.second), difference, interval, f"{row.p:.3f}")
    out.print(table)


def _table(title: str, heads: Sequence[str]) -> Table:
    """A table whose first column is text and whose other columns are numbers."""
    table = Table(title=escape(title), title_justify="left")
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index else "left")
    return table
