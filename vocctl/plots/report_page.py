"""The report: one HTML file that needs no network, no external script and no folder next to it.

Images are WebP inside the page. A content security policy in its head forbids every outside request. Template, style and
script are in page/; text from runs is escaped.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

TEMPLATES = Path(__file__).parent / "page"
THUMBNAIL_SIDE = 288  # pixels: the longer side of an image in the gallery
LOSSLESS_EFFORT = 60  # 0 to 100: higher is slower and smaller
Cell = str | int | float | None  # None: undefined


@dataclass(frozen=True)
class HeadlineScore:
    name: str
    value: str
    definition: str


@dataclass(frozen=True)
class FigureImage:
    title: str
    source: str  # data URL


@dataclass(frozen=True)
class Table:
    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Layer:
    """An image that the reader can show on, or instead of, a gallery card's image."""

    name: str
    source: str  # data URL
    is_overlay: bool  # True: partly transparent, drawn over the card's image; False: opaque, replaces it


@dataclass(frozen=True)
class GalleryCard:
    """One image of the gallery."""

    image_id: str
    run: str
    kind: str  # "clean" or "adversarial"
    image: str  # data URL
    layers: Sequence[Layer]
    lines: Sequence[str]  # text below the image
    classes: Sequence[str]  # in the ground truth or predicted
    errors: Sequence[str]  # kinds of error, for the filter


@dataclass(frozen=True)
class RunSection:
    name: str
    summary: str  # which model was trained on which data
    headlines: Sequence[HeadlineScore]
    figures: Sequence[FigureImage]
    tables: Sequence[Table]
    settings: Mapping[str, Mapping[str, object]]  # table of the config -> setting -> value
    environment: Mapping[str, str]  # versions, device, data
    commands: Sequence[str]  # that repeat the run and its evaluation


@dataclass(frozen=True)
class ReportPage:
    title: str
    created: str  # when and by which version
    runs: str  # their folders, by which a later report of other runs recognizes that this page is not its own
    sections: Sequence[RunSection]
    overview: Table | None  # of several runs
    figures: Sequence[FigureImage] = ()  # of several runs together
    cards: Sequence[GalleryCard] = ()
    gallery_note: str = ""  # how the gallery's images were selected
    legend: Mapping[str, str] = field(default_factory=dict)  # class or kind of error -> #rrggbb


def render_page(page: ReportPage) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = format_cell
    return environment.get_template("report.html.j2").render(
        page=page,
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "report.js").read_text(encoding="utf-8"),
        classes=sorted({name for card in page.cards for name in card.classes}),
        errors=list(dict.fromkeys(name for card in page.cards for name in card.errors)),
        kinds=list(dict.fromkeys(card.kind for card in page.cards)),
        runs=list(dict.fromkeys(card.run for card in page.cards)),
    )


def format_cell(value: Cell) -> str:
    """Format a table cell: floats with one decimal, None as '-', everything else unchanged."""
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def thumbnail_url(image: np.ndarray) -> str:
    """Return an image (H, W, 3) uint8 as a small WebP in a data URL."""
    return _webp_url(_thumbnail(image, Image.Resampling.LANCZOS), quality=72)


def layer_url(colors: np.ndarray) -> str:
    """Return RGBA pixels (H, W, 4) uint8 as a small lossless WebP in a data URL.

    Nearest-neighbor resampling keeps the flat colors.
    """
    return _webp_url(_thumbnail(colors, Image.Resampling.NEAREST), quality=None)


def figure_url(figure: np.ndarray) -> str:
    """Return a figure (H, W, 3) uint8 as WebP in a data URL."""
    return _webp_url(Image.fromarray(figure), quality=88)


def _thumbnail(pixels: np.ndarray, resampling: Image.Resampling) -> Image.Image:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), resampling)
    return image


def _webp_url(image: Image.Image, quality: int | None) -> str:
    """quality: 0 to 100; None: lossless."""
    content = io.BytesIO()
    if quality is None:  # Pillow's quality is then the effort of the compression
        image.save(content, format="WEBP", lossless=True, quality=LOSSLESS_EFFORT, method=3)
    else:
        image.save(content, format="WEBP", quality=quality, method=3)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
