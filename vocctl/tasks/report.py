"""Write one HTML page on one run or several: configs, scores with definitions, figures, tables and a gallery."""

import html
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from vocctl import __version__
from vocctl.errors import ConfigError, DataError
from vocctl.files import read_text, write_text
from vocctl.plots.report_page import ReportPage, render_page
from vocctl.reporting.gallery import MAX_CARDS, SELECTION_RULE, gallery_cards
from vocctl.reporting.sections import PLOTS_OF_SEVERAL_RUNS, draw_figures, overview_table, run_section
from vocctl.reporting.segmenter_view import LEGEND
from vocctl.runs.find import free_name
from vocctl.runs.records import RunRecord, read_runs


def report(
    names: Sequence[str],
    path: Path | None = None,
    *,
    evaluation: str | None = None,
    data: Path | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the page and return its path.

    path: None: report.html, or report-2.html, ... if that is the report of other runs. evaluation: a folder of RUN/eval;
    None: the newest one that all runs have. data: where its images are now; None: where they were.
    Raises ConfigError: path is not an .html file in an existing folder. DataError: a run of train-adv, or a file of a run is
    missing or corrupt. RunError: no space, read-only.
    """
    if path is not None:
        _check_path(path)
    runs = read_runs(list(dict.fromkeys(names)), evaluation, data)
    _check_no_generator(runs)
    folders = " ".join(str(run.folder.path.resolve()) for run in runs)
    path = path or free_name(Path(), "report", ".html", is_same=lambda page: _is_report_of(page, folders))
    steps = 2 * len(runs) + 1
    sections, cards = [], []
    for index, run in enumerate(runs):
        sections.append(run_section(run))
        on_step(index + 1, steps)
    for index, run in enumerate(runs):
        cards += gallery_cards(run, MAX_CARDS // len(runs))
        on_step(len(runs) + index + 1, steps)
    has_several = len(runs) > 1
    page = ReportPage(
        runs=folders,
        title=f"{len(runs)} runs" if has_several else runs[0].name,
        created=f"Created on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by vocctl {__version__}. The page is self-contained and "
        "loads nothing from the network.",
        sections=sections,
        overview=overview_table(runs) if has_several else None,
        figures=draw_figures(runs, PLOTS_OF_SEVERAL_RUNS) if has_several else (),
        cards=cards,
        gallery_note=f"{len(cards)} images, {SELECTION_RULE}",
        legend=LEGEND if any(card.layers for card in cards) else {},
    )
    write_text(path, render_page(page))
    on_step(steps, steps)
    return path


def _check_path(path: Path) -> None:
    """Raise ConfigError: not an .html file in an existing folder."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out takes an .html file, got {path}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{path} cannot be written: name a file in an existing folder")


def _is_report_of(page: Path, folders: str) -> bool:
    """Whether a file is the report of these runs."""
    try:
        return f'<meta name="vocctl-runs" content="{html.escape(folders)}">' in read_text(page)
    except (OSError, ValueError):
        return False


def _check_no_generator(runs: Sequence[RunRecord]) -> None:
    """Raises DataError: a run of train-adv has no report of its own."""
    for run in runs:
        if run.kind.task == "train-adv":
            generator = run.folder.path
            raise DataError(
                f"{generator} is a run of train-adv, which appears in the report of its victim: run "
                f"`vocctl eval VICTIM --attack adv:{generator}`, then `vocctl report VICTIM`"
            )
