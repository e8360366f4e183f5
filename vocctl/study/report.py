"""`vocctl study report`: tables as CSV, Markdown and LaTeX, figures, and one page, in the study's report/ folder."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from vocctl import __version__
from vocctl.config import as_tables
from vocctl.data.images import read_image
from vocctl.files import create_folder, write_text
from vocctl.metrics.table import METRICS
from vocctl.plots.compare import ComparedGroup, draw_comparison
from vocctl.plots.report_page import FigureImage, GalleryCard, ReportPage, RunSection, Table, figure_url, render_page
from vocctl.plots.search import draw_search
from vocctl.reporting.segmenter_view import LEGEND
from vocctl.reporting.task_views import view_of
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import RUN_KINDS
from vocctl.runs.records import RunRecord, flat_settings
from vocctl.study.folder import StudyFolder
from vocctl.study.results import StudyResult, TrialResult, results_of
from vocctl.study.table import as_csv, as_latex, as_markdown, table
from vocctl.study.trials import optuna_study
from vocctl.study.words import summary

GALLERY_IMAGES = 12  # of a study, each under every arm
FIGURE_NOTE = (
    "Dot: run. Diamond: mean difference from the first row over the seeds, with the 95 % interval that accounts for seeds and "
    "images."
)
TABLE_NOTE = (
    "Mean ± standard deviation over the seeds. Difference: from the first row, over common seeds; 95 % interval that accounts "
    "for seeds and images; p value after Holm's correction. Minutes: of training, without validation."
)


@dataclass(frozen=True)
class StudyReport:
    results: list[StudyResult]
    page: Path
    files: list[Path]


def write_report(
    folder: StudyFolder, storage: RDBStorage, on_step: Callable[[int, int], None] = lambda done, total: None
) -> StudyReport:
    """Collect the results and write report/. Raises DataError: a run is gone or corrupt. RunError: no space."""
    results = results_of(folder, storage)
    create_folder(folder.report_folder)
    files: list[Path] = []
    sections, cards = [], []
    for number, result in enumerate(results):
        figure = _draw(folder, result, storage)
        files += _write_tables(folder, result) + ([figure] if figure else [])
        sections.append(_section(folder, result, figure))
        cards += _cards(result)
        on_step(number + 1, len(results))
    page = folder.report_folder / "index.html"
    write_text(page, render_page(_page(folder, sections, cards)))
    return StudyReport(results, page, [*files, page])


def _write_tables(folder: StudyFolder, result: StudyResult) -> list[Path]:
    rows = table(result)
    paths = []
    for suffix, text in ((".csv", as_csv(rows)), (".md", as_markdown(rows)), (".tex", as_latex(rows))):
        paths.append(folder.report_folder / f"{result.study.name}{suffix}")
        write_text(paths[-1], text)
    return paths


def _draw(folder: StudyFolder, result: StudyResult, storage: RDBStorage) -> Path | None:
    """The figure of a study; None before its first run has finished."""
    path = folder.report_folder / f"{result.study.name}.png"
    title, metric = result.study.question or result.study.name, result.metric
    if result.study.search is not None:
        if not result.trials:
            return None
        in_order = sorted(result.trials, key=lambda trial: int(trial.name.rpartition("-")[2]))
        return draw_search(
            [metric.scale * trial.score for trial in in_order], _importance(folder, result, storage), path,
            title=title, score=metric.label, higher_is_better=metric.better == "higher",
        )  # fmt: skip
    groups = [
        ComparedGroup(
            arm.name, arm.scores, [trial.seed for trial in arm.trials],
            None if arm.difference is None else (arm.difference.value, arm.difference.low, arm.difference.high),
        )
        for arm in result.arms
        if arm.trials
    ]  # fmt: skip
    if not groups:
        return None
    return draw_comparison(groups, path, title=title, score=metric.title, note=FIGURE_NOTE)


def _importance(folder: StudyFolder, result: StudyResult, storage: RDBStorage) -> dict[str, float]:
    """How much of the score's variance each setting explains; empty with fewer than four trials or settings all equal."""
    if len(result.trials) < 4:
        return {}
    trials = optuna_study(folder, result.study, storage)
    try:
        return dict(optuna.importance.get_param_importances(trials))
    except (ValueError, RuntimeError):  # no variance, or no setting that all trials have
        return {}


def _section(folder: StudyFolder, result: StudyResult, figure: Path | None) -> RunSection:
    study = result.study
    rows = table(result)
    base = study.config(study.base, study.seeds[0])
    figures = [FigureImage(study.question or study.name, figure_url(read_image(figure)))] if figure else []
    return RunSection(
        name=study.name,
        summary=" ".join(filter(None, (study.question, summary(result)))),
        headlines=(),
        figures=figures,
        tables=[Table(study.name, rows[0], rows[1:], TABLE_NOTE if study.search is None else "")],
        settings={name: {key: str(value) for key, value in values.items()} for name, values in as_tables(base).items()},
        environment=_environment(result),
        commands=[
            f"vocctl study run {folder.path / 'study.toml'} --out {folder.path}",
            f"vocctl study report {folder.path}",
        ],
    )


def _environment(result: StudyResult) -> dict[str, str]:
    if not result.trials:
        return {}
    info = RunFolder(result.trials[0].run).info()
    about = {"command": result.study.command, "metric": METRICS[result.study.main_metric].definition}
    return about | {
        "device": str(info.get("device", "")),
        **{key: str(text) for key, text in info.get("versions", {}).items()},
    }


def _page(folder: StudyFolder, sections: list[RunSection], cards: list[GalleryCard]) -> ReportPage:
    return ReportPage(
        runs=str(folder.path.resolve()),
        title=folder.file.title,
        created=f"Created on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by vocctl {__version__}. The page is self-contained and "
        "loads nothing from the network.",
        sections=sections,
        overview=None,
        cards=cards,
        gallery_note="The same images under every arm, runs of one seed; evenly spaced from the base's worst to its best.",
        legend=LEGEND if any(card.layers for card in cards) else {},
    )


def _cards(result: StudyResult) -> list[GalleryCard]:
    """The same images under each arm, of the first seed that the base has finished."""
    if not result.arms or not result.arms[0].trials or result.arms[0].trials[0].evaluation is None:
        return []
    first = result.arms[0].trials[0]
    shown = [(arm.name, trial) for arm in result.arms for trial in arm.trials if trial.seed == first.seed]
    ranked = view_of(_record(first, "")).rank_images(first.evaluation)
    chosen = ranked[:: max(math.ceil(len(ranked) / GALLERY_IMAGES), 1)]
    cards = []
    for image_id in chosen:
        for name, trial in shown:
            record = _record(trial, f"{result.study.name}: {name}")
            if trial.evaluation is not None and image_id in trial.evaluation.image_ids:
                cards.append(view_of(record).gallery_card(record, trial.evaluation, image_id))
    return cards


def _record(trial: TrialResult, name: str) -> RunRecord:
    folder = RunFolder(trial.run)
    return RunRecord(folder, RUN_KINDS[folder.task], flat_settings(folder), trial.evaluation, name)
