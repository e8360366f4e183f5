"""The files of RUN/corruptions/: what `vocctl eval --corruption` writes, and what plot and report read.

RUN/corruptions/<name>/
    corruption.json            what was scored, the clean scores, and the scores of each finished cell
    table.csv                  the same scores, with the relative drop
    curves.png, images.png     figures, which the task draws

A cell is one corruption at one severity. corruption.json is written again after each cell, so that an evaluation that was
stopped continues with the next one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any

from vocctl.config.corruptions import CATEGORIES, CORRUPTIONS, SEVERITIES
from vocctl.errors import DataError
from vocctl.files import create_folder, read_json, write_csv, write_json
from vocctl.metrics.table import METRICS
from vocctl.runs.eval_files import number, numbers
from vocctl.runs.find import free_name
from vocctl.runs.folder import RunFolder

CORRUPTION_FILE = "corruption.json"
TEXTS = ("task", "metric", "data", "data_path", "split", "checkpoint", "fingerprint", "weights")
COUNTS = ("images", "seed", "version")
Cell = tuple[str, int]  # corruption, severity
Scores = dict[str, float]  # by metric, in [0, 1]; nan where undefined


@dataclass(frozen=True, kw_only=True)
class CorruptionRecord:
    """The scores of one run on corrupted images. Scores and drops are fractions, nan where undefined or not finished."""

    folder: Path
    task: str
    metric: str  # the main metric: mean_iou or map_sklearn
    data: str  # name of the data set
    data_path: str
    split: str
    checkpoint: str
    fingerprint: str  # of the images and their labels
    weights: str  # hash of the weights, and of a classifier's thresholds
    images: int
    seed: int
    version: int  # of the corruptions' definitions
    kinds: tuple[str, ...]  # that the last command named, in the paper's order
    severities: tuple[int, ...]  # that it named, the weakest first
    clean: Scores  # empty if not finished
    cells: dict[Cell, Scores]  # also those of earlier commands

    @property
    def missing_cells(self) -> list[Cell]:
        """The cells of kinds and severities that are not finished."""
        return [cell for cell in self.grid if cell not in self.cells]

    @property
    def grid(self) -> list[Cell]:
        """All cells of kinds and severities."""
        return [(kind, severity) for kind in self.kinds for severity in self.severities]

    @property
    def clean_score(self) -> float:
        return self.clean.get(self.metric, nan)

    def score(self, kind: str, severity: int) -> float:
        """The main score of one cell."""
        return self.cells.get((kind, severity), {}).get(self.metric, nan)

    def mean_score(self, kinds: Sequence[str] = (), severities: Sequence[int] = ()) -> float:
        """Mean of the main score over these kinds and severities. Empty: all that the last command named."""
        return fmean(
            self.score(kind, severity) for kind in kinds or self.kinds for severity in severities or self.severities
        )

    def relative_drop(self, score: float) -> float:
        """(clean score - score) / clean score."""
        return (self.clean_score - score) / self.clean_score if self.clean_score else nan

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The categories that kinds belong to, and the kinds of each."""
        members = {name: tuple(kind for kind in kinds if kind in self.kinds) for name, kinds in CATEGORIES.items()}
        return {name: kinds for name, kinds in members.items() if kinds}

    def to_json(self) -> dict[str, Any]:
        """What corruption.json holds, and `--json` prints: the fields, and means over the kinds and severities."""
        values = {name: getattr(self, name) for name in (*TEXTS, *COUNTS, "kinds", "severities", "clean")}
        means = {"corruption_score": self.mean_score()}
        means |= {name: self.mean_score(kinds) for name, kinds in self.categories.items()}
        means |= {kind: self.mean_score([kind]) for kind in self.kinds}
        values["means"] = means
        values["relative_drops"] = {name: self.relative_drop(score) for name, score in means.items()}
        values["cells"] = [
            {"corruption": kind, "severity": severity, "scores": self.cells[kind, severity]}
            for kind, severity in sorted(self.cells, key=lambda cell: (CORRUPTIONS.index(cell[0]), cell[1]))
        ]
        return values


def write_corruptions(record: CorruptionRecord) -> None:
    """Write corruption.json and table.csv, in the main process. Raises RunError: the folder is not writable."""
    create_folder(record.folder)
    write_json(record.folder / CORRUPTION_FILE, record.to_json(), indent=1)
    category_of = {kind: name for name, kinds in CATEGORIES.items() for kind in kinds}
    rows: list[list[Any]] = [["corruption", "category", "severity", *record.clean, "relative_drop"]]
    rows.append(["clean", "", 0, *record.clean.values(), 0.0])
    for kind, severity in record.grid:
        if scores := record.cells.get((kind, severity)):
            drop = record.relative_drop(scores[record.metric])
            rows.append([kind, category_of[kind], severity, *(scores[metric] for metric in record.clean), drop])
    write_csv(record.folder / "table.csv", rows)


def corruption_records(run: Path) -> list[CorruptionRecord]:
    """Read all evaluations on corrupted images of a run folder. Raises DataError: a corrupt file."""
    return [read_corruptions(path.parent) for path in sorted((run / "corruptions").glob(f"*/{CORRUPTION_FILE}"))]


def read_corruptions(folder: Path) -> CorruptionRecord:
    """Read one folder of RUN/corruptions/. Raises DataError: missing or corrupt."""
    with _readable(folder):
        values = read_json(folder / CORRUPTION_FILE)
        fields: dict[str, Any] = {name: values[name] for name in TEXTS}
        fields |= {name: int(number(values[name])) for name in COUNTS}
        fields |= {name: tuple(values[name]) for name in ("kinds", "severities")}
        cells = {(cell["corruption"], cell["severity"]): numbers(cell["scores"]) for cell in values["cells"]}
        record = CorruptionRecord(folder=folder, clean=numbers(values["clean"]), cells=cells, **fields)
        _check_values(record)
        return record


def _check_values(record: CorruptionRecord) -> None:
    """Raise ValueError for a value of a type or range that plot and report cannot show."""
    known_cells = {(kind, severity) for kind in CORRUPTIONS for severity in SEVERITIES}
    if not all(isinstance(getattr(record, name), str) for name in TEXTS) or record.metric not in METRICS:
        raise ValueError("expected text")
    if not record.grid or not {*record.grid, *record.cells} <= known_cells:
        raise ValueError("unknown cell")
    if any(scores.keys() != record.clean.keys() for scores in record.cells.values()):
        raise ValueError("expected the same scores for each cell")


def with_stored_scores(record: CorruptionRecord, run: Path, subset: int) -> CorruptionRecord:
    """A copy of a record with its folder in RUN/corruptions/, and the scores that earlier commands have stored there.

    subset: the number of images that the user named; 0: all. The folder is <data>-<split>, with the checkpoint, the subset
    and the seed unless they are best, all and 0; a number follows if that name holds the scores of other images. Stored
    scores are used if the weights and the corruptions' definitions are the same.
    """
    parts = [
        record.data, record.split, record.checkpoint if record.checkpoint != "best" else "",
        str(subset) if subset else "", f"seed{record.seed}" if record.seed else "",
    ]  # fmt: skip

    def stored(folder: Path) -> CorruptionRecord | None:
        try:
            return read_corruptions(folder)
        except DataError:
            return None

    def is_same(folder: Path) -> bool:
        earlier = stored(folder)
        return earlier is None or _identity(earlier) == _identity(record)

    folder = free_name(run / "corruptions", "-".join(filter(None, parts)), is_same=is_same)
    earlier = stored(folder)
    if earlier is None or (earlier.weights, earlier.version) != (record.weights, record.version):
        return replace(record, folder=folder)
    return replace(record, folder=folder, clean=earlier.clean, cells=earlier.cells)


def _identity(record: CorruptionRecord) -> tuple[Any, ...]:
    """Equal for two evaluations of one run on the same corrupted images."""
    return record.task, record.fingerprint, record.checkpoint, record.seed


def model_fingerprint(run: RunFolder, checkpoint: str) -> str:
    """Hex hash of what a run predicts with: a checkpoint's weights and, of a classifier, the thresholds.

    Raises DataError: the weights cannot be read.
    """
    path = run.path / f"{checkpoint}.safetensors"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from error
    thresholds = run.path / "thresholds.json"
    if thresholds.is_file():
        digest.update(repr(run.read_json("thresholds.json").get(checkpoint)).encode())
    return digest.hexdigest()


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn errors of reading a folder into a DataError that says how to make it again."""
    try:
        yield
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        run = folder.parent.parent
        raise DataError(
            f"{folder} is corrupt: remove it, then run `vocctl eval {run} --corruption ...` again"
        ) from error
