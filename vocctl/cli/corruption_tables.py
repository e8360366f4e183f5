"""The result of `vocctl eval --corruption` on the terminal: scores by corruption and severity, with their means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out, print_line
from vocctl.metrics.table import METRICS

if TYPE_CHECKING:
    from vocctl.runs.corruptions import CorruptionRecord


def print_corruptions(run: str, record: CorruptionRecord) -> None:
    """Print a row for each corruption and for the mean of each category, and the definitions."""
    metric, drop = METRICS[record.metric], METRICS["relative_drop"]
    title = f"{run}, {metric.label} by severity: {record.data} {record.split}, {record.images} images"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("corruption", no_wrap=True)
    for severity in record.severities:
        table.add_column(str(severity), justify="right")
    table.add_column("mean", justify="right")
    table.add_column(f"{drop.title}, %", justify="right")

    def add_row(name: str, kinds: tuple[str, ...], style: str | None = None) -> None:
        by_severity = [record.mean_score(kinds, (severity,)) for severity in record.severities]
        mean = record.mean_score(kinds)
        scores = [metric.format(score) for score in (*by_severity, mean)]
        table.add_row(name, *scores, drop.format(record.relative_drop(mean)), style=style)

    for category, kinds in record.categories.items():
        for kind in kinds:
            add_row(kind, (kind,))
        if len(kinds) > 1:
            add_row(f"mean of {category}", kinds, "bold")
        table.add_section()
    add_row("mean", record.kinds, "bold")
    out.print(table)
    score = METRICS["corruption_score"]
    mean = record.mean_score()
    values = f"{score.title} {score.format(mean)}   {drop.title} {drop.format(record.relative_drop(mean))}"
    out.print(f"clean {metric.title} {metric.format(record.clean_score)}   {values}")
    out.print(
        "Scores and drops are in %; - means undefined. The random numbers depend on the seed and the image.",
        style="dim",
    )
    for row in (metric, score, drop):
        out.print(escape(f"{row.title}: {row.definition}"), style="dim")
    print_line(f"Saved corruption.json, table.csv, curves.png and images.png in {record.folder}")
