"""One quiet look for every figure, readable in print and for the colour-blind; and figures written whole."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

from vocctl.errors import RunError


@contextmanager
def quiet_style() -> Iterator[None]:
    with (
        sns.axes_style("whitegrid"),
        sns.plotting_context("notebook", font_scale=0.85),
        sns.color_palette("colorblind"),
    ):
        yield


def save_figure(figure: Figure, path: Path) -> Path:
    """Write and close it. Raises RunError: no space, read-only."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part, format=path.suffix[1:], dpi=130, bbox_inches="tight", metadata={"Software": "vocctl"})
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(f"{path} can't be written: {error.strerror}; free space or mend the folder's rights") from error
    finally:
        plt.close(figure)
    return path
