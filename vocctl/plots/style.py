"""One quiet look for every figure, readable in print and for the color-blind; and figures written whole."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

from vocctl.errors import RunError

PACKING: dict[str, dict[str, Any]] = {"png": {"pil_kwargs": {"compress_level": 2}}}
DPI = 130
LETTERS_AN_INCH = 8  # of a title
# said in a file, and nothing that changes from one writing to the next
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "vocctl"},
    "svg": {"Creator": "vocctl", "Date": None},
    "pdf": {"Creator": "vocctl", "CreationDate": None},
}


@contextmanager
def quiet_style() -> Iterator[None]:
    with (
        sns.axes_style("whitegrid"),
        sns.plotting_context("notebook", font_scale=0.85),
        sns.color_palette("colorblind"),
        mpl.rc_context({"svg.hashsalt": "vocctl", "pdf.fonttype": 42, "text.parse_math": False}),  # a name may hold $
    ):
        yield


def put_title(figure: Figure, title: str) -> None:
    """Over the whole figure, in as many lines as its width asks for."""
    figure.suptitle(fill(title, int(LETTERS_AN_INCH * figure.get_figwidth())))


def _lay_out(figure: Figure) -> None:
    """Place everything now: savefig would draw a figure that has a layout engine twice, images and all."""
    figure.set_dpi(DPI)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write and close it; the suffix says the format. Raises RunError: no space, read-only."""
    part, kind = path.with_name(path.name + ".part"), path.suffix[1:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _lay_out(figure)
        figure.savefig(part, format=kind, dpi=DPI, metadata=METADATA[kind], **PACKING.get(kind, {}))
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(f"{path} can't be written: {error.strerror}; free space or mend the folder's rights") from error
    finally:
        plt.close(figure)
    return path
