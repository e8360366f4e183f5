"""What scores on corrupted images add to the report: a table of each folder of RUN/corruptions/, and its figures."""

from math import isnan

from vocctl.data.images import read_image
from vocctl.errors import DataError
from vocctl.metrics.table import METRICS
from vocctl.plots.report_page import Cell, FigureImage, Table, figure_url
from vocctl.runs.corruptions import CorruptionRecord, corruption_records
from vocctl.runs.records import RunRecord


def corruption_score_tables(run: RunRecord) -> list[Table]:
    """A table of each evaluation: a row per corruption, and the means. Raises DataError: a file cannot be read."""
    return [_table(record) for record in corruption_records(run.folder.path)]


def corruption_figure_images(run: RunRecord) -> list[FigureImage]:
    """The png files that the evaluations have written. Raises DataError: a file cannot be read."""
    figures = []
    for record in corruption_records(run.folder.path):
        for path in sorted(record.folder.glob("*.png")):
            try:
                image = read_image(path)
            except DataError as error:
                raise DataError(
                    f"{error}: remove it, or run `vocctl eval {run.folder.path} --corruption` again"
                ) from error
            figures.append(FigureImage(f"Corruptions {record.folder.name}: {path.stem}", figure_url(image)))
    return figures


def _table(record: CorruptionRecord) -> Table:
    metric, score, drop = (METRICS[key] for key in (record.metric, "corruption_score", "relative_drop"))
    headers = ["corruption", *(f"severity {severity}" for severity in record.severities), "mean", drop.label]
    names: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in record.kinds}
    names |= {f"mean of {name}": kinds for name, kinds in record.categories.items() if len(kinds) > 1}
    names |= {"mean": record.kinds}
    rows: list[list[Cell]] = [["clean", *[None] * len(record.severities), _percent(record.clean_score), 0.0]]
    for name, kinds in names.items():
        by_severity = [_percent(record.mean_score(kinds, (severity,))) for severity in record.severities]
        mean = record.mean_score(kinds)
        rows.append([name, *by_severity, _percent(mean), _percent(record.relative_drop(mean))])
    note = f"{score.title}: {score.definition} {drop.title}: {drop.definition}"
    if missing := len(record.missing_cells):
        note = f"{missing} of {len(record.grid)} cells are missing: the same command continues. {note}"
    title = f"Corruptions {record.folder.name}: {metric.label}, {record.images} images"
    return Table(title, headers, rows, note)


def _percent(fraction: float) -> float | None:
    """None if undefined."""
    return None if isnan(fraction) else 100 * fraction
