"""The look of all figures, readable in print and by color-blind readers, and how they become files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vocctl.files import atomic_file

DPI = 130
TITLE_CHARACTERS_PER_INCH = 8
# Without dates, so that the same data gives the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "vocctl"},
    "svg": {"Creator": "vocctl", "Date": None},
    "pdf": {"Creator": "vocctl", "CreationDate": None},
}
SAVE_OPTIONS: dict[str, dict[str, Any]] = {"png": {"pil_kwargs": {"compress_level": 2}}}  # 2 is fast and still small
RC_PARAMS: Any = {
    "svg.hashsalt": "vocctl",  # the same ids in each svg file
    "pdf.fonttype": 42,  # TrueType: text in a pdf can be selected
    "text.parse_math": False,  # a run's name may contain $
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the style inside the block; matplotlib's settings are restored after it."""
    with (
        sns.axes_style("whitegrid"),
        sns.plotting_context("notebook", font_scale=0.85),
        sns.color_palette("colorblind"),
        mpl.rc_context(RC_PARAMS),
    ):
        yield


def new_figure(rows: int, columns: int, size: tuple[float, float], **subplots: Any) -> tuple[Figure, np.ndarray]:
    """A figure and its (rows, columns) array of axes. size: width and height in inches. subplots: as Figure.subplots.

    pyplot does not know the figure, so no window system is needed and no figure has to be closed.
    """
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def series_colors(count: int) -> list[tuple[float, float, float]]:
    """One color per series; the color-blind palette has ten."""
    return list(sns.color_palette("colorblind", count) if count <= 10 else sns.husl_palette(count))


def set_title(figure: Figure, title: str) -> None:
    """Put a title above all panels, wrapped to the figure's width."""
    figure.suptitle(fill(title, int(TITLE_CHARACTERS_PER_INCH * figure.get_figwidth())))


def hide_ticks(ax: Any) -> None:
    """Leave an image's axes without ticks and grid."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure in the format of the path's suffix: png, svg or pdf. Raises RunError: no space, read-only."""
    file_format = path.suffix[1:]
    content = io.BytesIO()
    _compute_layout(figure)
    options = SAVE_OPTIONS.get(file_format, {})
    figure.savefig(content, format=file_format, dpi=DPI, metadata=METADATA[file_format], **options)
    with atomic_file(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getvalue())
    return path


def _compute_layout(figure: Figure) -> None:
    """Run the layout engine once and remove it: with an engine, savefig draws everything twice."""
    figure.set_dpi(DPI)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
