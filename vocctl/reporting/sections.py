"""The report's sections: summary, scores with definitions, figures, tables, settings and commands of each run."""

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

from vocctl.config import as_tables
from vocctl.data.images import read_image
from vocctl.files import is_number
from vocctl.metrics.table import METRICS
from vocctl.plots.report_page import FigureImage, HeadlineScore, RunSection, Table, figure_url
from vocctl.reporting.attack_section import attack_figures, attack_tables
from vocctl.reporting.class_scores import class_intervals
from vocctl.reporting.config_diff import diff_from_default, differing_settings, format_settings
from vocctl.reporting.corruption_section import corruption_figure_images, corruption_score_tables
from vocctl.reporting.kinds import PLOT_KINDS
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.reporting.task_views import view_of
from vocctl.runs.evaluations import Evaluation
from vocctl.runs.records import RunRecord

PLOTS_OF_ONE_RUN = ("curves", "confusion", "classes", "masks", "errors")
PLOTS_OF_SEVERAL_RUNS = ("compare", "curves", "classes")
HEADLINE_SCORES = (
    "mean_iou", "mean_dice", "pixel_accuracy", "competition_dice",
    "map_11_point", "map_all_points", "map_sklearn", "sample_f1", "calibration_error",
)  # fmt: skip


def run_section(run: RunRecord) -> RunSection:
    """Raises DataError: a file of the run cannot be read. RunError: no space for temporary files."""
    run_info = run.folder.info()
    tables = as_tables(run.folder.config(run.kind.defaults))
    return RunSection(
        name=run.name,
        summary=_summary(run, run_info),
        headlines=_headline_scores(run),
        figures=[*draw_figures([run], PLOTS_OF_ONE_RUN), *attack_figures(run), *corruption_figure_images(run)],
        tables=[*_class_tables(run), *attack_tables(run), *corruption_score_tables(run)],
        settings={name: {key: _format_value(value) for key, value in table.items()} for name, table in tables.items()},
        environment=_environment(run, run_info),
        commands=_commands(run, run_info),
    )


def draw_figures(runs: Sequence[RunRecord], kinds: Sequence[str]) -> list[FigureImage]:
    """Draw the kinds that the runs have data for, to be embedded in the page."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            try:
                paths = PLOT_KINDS[kind].draw(runs, PlotOptions(out=Path(folder)))
            except NothingToPlot:
                continue
            title = PLOT_KINDS[kind].title
            figures += [FigureImage(title, figure_url(read_image(path))) for path in paths]
    return figures


def overview_table(runs: Sequence[RunRecord]) -> Table:
    """One row per run, with the settings that differ between the runs of its task."""
    rows: list[list[str | int | float | None]] = []
    for run in runs:
        settings = [same.settings for same in runs if same.kind is run.kind]
        names = [name for name in differing_settings(settings) if name != "path"]
        score, data = None, "not evaluated"
        if run.evaluation is not None:
            score, data = _percent(run.evaluation.main_score), run.evaluation.info.name
        difference = format_settings(run.settings, names) or "-"
        rows.append(
            [run.name, run.kind.task, difference, run.settings["seed"], run.kind.main_metric.title, score, data]
        )
    return Table("The runs", ["run", "task", "settings that differ", "seed", "score", "%", "evaluated on"], rows)


def _summary(run: RunRecord, run_info: Mapping[str, Any]) -> str:
    """Which model was trained on which data, what differs from the defaults, and on what it was evaluated."""
    view, settings, data = view_of(run), run.settings, run_info.get("data", {})
    parameters = run_info.get("parameters", {}).get("model")
    size = f" ({parameters / 1e6:.1f} M parameters)" if is_number(parameters) else ""
    weights = "from random weights" if view.is_from_scratch(settings) else "from ImageNet weights"
    if settings["weights"] not in ("auto", "none"):
        weights = f"from {settings['weights']}"
    length = f"{settings['minutes']:g} minutes" if settings["minutes"] else f"{settings['epochs']} epochs"
    name = Path(settings["path"]).resolve().name
    images = f"{data['train']} images of {name}" if "train" in data else name
    changed = diff_from_default(run)
    return " ".join(
        (
            f"{view.describe_model(settings)}{size}, trained {weights} for {length} on {images}, loss {settings['loss']}, "
            f"seed {settings['seed']}.",
            f"Settings that differ from the defaults: {changed}."
            if changed
            else "All other settings are the defaults.",
            _evaluation_summary(run),
        )
    )


def _evaluation_summary(run: RunRecord) -> str:
    if run.evaluation is None:
        return f"Not evaluated yet: `vocctl eval {run.folder.path}` adds scores, figures and the gallery."
    info = run.evaluation.info
    tta = "" if info.tta == "none" else f" and test-time augmentation {info.tta}"
    data = f"{info.data} {info.split}, {info.num_images} images"
    return f"Evaluated on {data}, with the {info.checkpoint} weights{tta}."


def _headline_scores(run: RunRecord) -> list[HeadlineScore]:
    """Return the scores of the evaluation, or those of the last validation during training if there is none."""
    if run.evaluation is None:
        scores, intervals = run.records[-1], {}
    else:
        scores, intervals = run.evaluation.scores, run.evaluation.intervals
    headlines = []
    for metric in (METRICS[key] for key in HEADLINE_SCORES if not isnan(scores.get(key, nan))):
        bounds = intervals.get(metric.key, (nan, nan))
        interval = "" if isnan(sum(bounds)) else f" 95 % interval {_format_interval(bounds)}."
        value = f"{metric.format(scores[metric.key])} %"
        headlines.append(HeadlineScore(metric.title, value, metric.definition + interval))
    return headlines


def _class_tables(run: RunRecord) -> list[Table]:
    """The table of classes; none if the run is not evaluated."""
    if run.evaluation is None:
        return []
    frequencies, columns = run.evaluation.class_frequencies(), run.evaluation.per_class
    intervals = {name: _format_interval(bounds) for name, bounds in class_intervals(run.evaluation).items()}
    headers = ["class", *frequencies, *(METRICS[key].label for key in columns)]
    headers.append(f"95 % interval of {run.kind.class_metric.title}")
    rows = [
        [
            name,
            *(column[name] for column in frequencies.values()),
            *(_percent(column[name]) for column in columns.values()),
            intervals.get(name, "-"),
        ]
        for name in run.kind.class_names
    ]
    definitions = " ".join(f"{METRICS[key].title}: {METRICS[key].definition}" for key in columns)
    note = f"{definitions} Intervals: bootstrap over the images. Click a column's header to sort; - means undefined."
    return [Table("Scores by class", headers, rows, note)]


def _environment(run: RunRecord, run_info: Mapping[str, Any]) -> dict[str, str]:
    data = run_info.get("data", {})
    return {
        "run folder": str(run.folder.path),
        "started": run_info.get("started", "-"),
        "device": run_info.get("device", "-"),
        "precision": run_info.get("precision", "-"),
        "data": data.get("path", "-"),
        "data fingerprint": data.get("fingerprint", "-"),
    } | {name: str(value) for name, value in run_info.get("versions", {}).items()}


def _commands(run: RunRecord, run_info: Mapping[str, Any]) -> list[str]:
    """The commands that repeat the training and the evaluation."""
    commands = [run_info["command"]] if "command" in run_info else []
    return commands if run.evaluation is None else [*commands, _eval_command(run, run.evaluation)]


def _eval_command(run: RunRecord, evaluation: Evaluation) -> str:
    info = evaluation.info
    words = ["vocctl", "eval", str(run.folder.path), "--checkpoint", info.checkpoint]
    if info.tta != "none":
        words += ["--tta", info.tta]
    words += view_of(run).eval_flags(evaluation)
    if info.split != "held-out":
        words += ["--data", info.data_path, "--split", info.split]
    return shlex.join(words)


def _format_value(value: Any) -> str:
    """A setting's value."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value == "" else str(value)


def _format_interval(bounds: Sequence[float]) -> str:
    """bounds: in [0, 1]. Returns percentages."""
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def _percent(fraction: float | None) -> float | None:
    """None if undefined."""
    return None if fraction is None or isnan(fraction) else 100 * fraction
