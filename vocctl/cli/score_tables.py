"""The results of `vocctl eval` on the terminal: scores with their definitions, and paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out, print_line
from vocctl.metrics.table import METRICS, mean_of_classes

if TYPE_CHECKING:
    from vocctl.runs.evaluations import Evaluation
    from vocctl.tasks.evaluate_cls import PairedComparison


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the scores of each class, then the other scores, then the definitions."""
    info, kind = evaluation.info, evaluation.kind
    images = f"{info.data} {info.split}, {info.num_images} images"
    frequencies = evaluation.class_frequencies()
    class_metrics = [METRICS[key] for key in evaluation.per_class]
    headers = ("class", *frequencies, *(metric.title for metric in class_metrics))
    table = _table(f"{evaluation.model_name}, {info.checkpoint} weights, tta {info.tta}: {images}", headers)
    for name in kind.class_names:
        scores = [metric.format(evaluation.per_class[metric.key][name]) for metric in class_metrics]
        counts = [f"{by_class[name]:.{0 if unit == 'images' else 1}f}" for unit, by_class in frequencies.items()]
        table.add_row(name, *counts, *scores)
    table.add_section()
    mean_metrics = [mean_of_classes(metric.key) for metric in class_metrics]
    means = [metric.format(evaluation.scores[metric.key]) if metric else "" for metric in mean_metrics]
    table.add_row("mean", *("" for _ in frequencies), *means, style="bold")
    out.print(table)
    others = [METRICS[key] for key in evaluation.scores if METRICS[key] not in mean_metrics]
    headlines = [kind.main_metric, *others]
    out.print("   ".join(f"{metric.title} {metric.format(evaluation.scores[metric.key])}" for metric in headlines))
    for key, (low, high) in evaluation.intervals.items():
        metric = METRICS[key]
        score, *bounds = map(metric.format, (evaluation.scores[key], low, high))
        out.print(f"{metric.title} {score}, 95 % interval {bounds[0]} to {bounds[1]}")
    out.print("Scores are in %; - means undefined. " + escape(evaluation.note), style="dim")
    for metric in (*class_metrics, *others):
        out.print(escape(f"{metric.title}: {metric.definition}"), style="dim")
    print_line(f"Saved {' and '.join(evaluation.files)} in {info.folder}")


def print_comparison(first: str, second: str, rows: Sequence[PairedComparison]) -> None:
    """Print a paired bootstrap comparison, one row per metric. first, second: the runs' names."""
    headers = ("score", "first", "second", "difference", "95 % interval", "p")
    table = _table(f"{second} compared with {first}, paired bootstrap over the images", headers)
    for row in rows:
        metric = METRICS[row.metric]
        interval = f"{metric.scale * row.low:+.1f} to {metric.scale * row.high:+.1f}"
        difference = f"{metric.scale * (row.second - row.first):+.1f}"
        values = (metric.format(row.first), metric.format(row.second))
        table.add_row(metric.title, *values, difference, interval, f"{row.p:.3f}")
    out.print(table)


def _table(title: str, headers: Sequence[str]) -> Table:
    """A table whose first column is text and whose other columns are numbers."""
    table = Table(title=escape(title), title_justify="left")
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index else "left")
    return table
