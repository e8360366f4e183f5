"""The report: one HTML file that needs no network, no script of others, and no folder beside it.

Pictures are WebP inside the page. A policy in its head forbids every outside request. Template, style and script lie in
page/ and are put together here; text from runs is escaped.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

PAGE = Path(__file__).parent / "page"
THUMBNAIL = 288  # pixels: the longer side of a picture in the gallery


@dataclass(frozen=True)
class Headline:
    name: str
    value: str
    meaning: str  # the figure's definition


@dataclass(frozen=True)
class Picture:
    title: str
    source: str  # a data: address


@dataclass(frozen=True)
class Table:
    """Cells are text, or numbers (shown with one decimal, sorted as such; None: undefined, shown as -)."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    note: str = ""


@dataclass(frozen=True)
class Layer:
    name: str
    source: str
    overlay: bool  # transparent, to lie over the image; else a picture in its place


@dataclass(frozen=True)
class Card:
    """One picture of the gallery."""

    image_id: str
    run: str
    kind: str  # clean or adversarial
    image: str
    layers: Sequence[Layer]
    lines: Sequence[str]  # what is said of it
    classes: Sequence[str]  # true or predicted
    errors: Sequence[str]


@dataclass(frozen=True)
class Section:
    """One run."""

    name: str
    sentence: str  # what was trained on what
    headlines: Sequence[Headline]
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    settings: Mapping[str, Mapping[str, object]]
    facts: Mapping[str, str]  # versions, device, data
    commands: Sequence[str]  # that repeat the run and its evaluation


@dataclass(frozen=True)
class Report:
    title: str
    made: str  # when and by what
    sections: Sequence[Section]
    overview: Table | None  # of several runs
    pictures: Sequence[Picture] = ()  # of several runs together
    cards: Sequence[Card] = ()
    rule: str = ""  # by which the gallery's images were chosen
    colors: Mapping[str, str] = field(default_factory=dict)  # class -> #rrggbb, of the masks


def render(report: Report) -> str:
    """The page. Raises nothing that a user could put right."""
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell
    return environment.get_template("report.html.j2").render(
        report=report,
        style=(PAGE / "report.css").read_text(encoding="utf-8"),
        script=(PAGE / "report.js").read_text(encoding="utf-8"),
        classes=sorted({name for card in report.cards for name in card.classes}),
        errors=list(dict.fromkeys(name for card in report.cards for name in card.errors)),
        kinds=list(dict.fromkeys(card.kind for card in report.cards)),
        runs=list(dict.fromkeys(card.run for card in report.cards)),
    )


def cell(value: str | int | float | None) -> str:
    """As a table shows it."""
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def image_source(image: np.ndarray) -> str:
    """(H, W, 3) uint8 as a small WebP in a data: address."""
    return webp_source(shrunk(image, Image.Resampling.LANCZOS), quality=72)


def layer_source(colors: np.ndarray) -> str:
    """(H, W, 4) uint8, flat colors with the uncolored transparent, as a small lossless WebP."""
    return webp_source(shrunk(colors, Image.Resampling.NEAREST), quality=None)


def picture_source(path: Path) -> str:
    """A drawn picture's file."""
    with Image.open(path) as image:
        return webp_source(image.convert("RGB"), quality=88)


def shrunk(pixels: np.ndarray, how: Image.Resampling) -> Image.Image:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL), how)
    return image


def webp_source(image: Image.Image, quality: int | None) -> str:
    """quality None: lossless."""
    held = io.BytesIO()
    image.save(held, format="WEBP", lossless=quality is None, quality=quality if quality is not None else 60, method=3)
    return "data:image/webp;base64," + base64.b64encode(held.getvalue()).decode("ascii")
