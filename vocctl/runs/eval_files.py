"""What the evaluation folders of segmenters and classifiers share: RUN/eval/<name>/."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vocctl.data.source import Source, open_dataset
from vocctl.errors import DataError
from vocctl.files import is_number, read_text
from vocctl.metrics.table import METRICS
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import RunKind


@dataclass(frozen=True, kw_only=True)
class EvalInfo:
    """What was scored, and how."""

    folder: Path  # RUN/eval/<name>
    data: str  # name of the data set
    split: str
    checkpoint: str
    tta: str
    num_images: int
    data_path: str
    fingerprint: str  # of the scored images and their labels

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def run(self) -> Path:
        return self.folder.parent.parent

    @property
    def protocol(self) -> tuple[str, ...]:
        """Equal for two evaluations whose scores may be compared."""
        return self.fingerprint, self.checkpoint, self.tta

    @cached_property
    def source(self) -> Source:
        """The data set. Raises DataError: it is no longer at data_path."""
        run = RunFolder(self.run)
        path = run.path_record().find(self.data_path)
        run.check_data_folder(path)
        return open_dataset(Path(path))


def info_from_json(folder: Path, values: dict[str, Any]) -> EvalInfo:
    """Read the entries of scores.json that EvalInfo has. Raises LookupError and ValueError: missing, or of another type."""
    texts = {key: values[key] for key in ("data", "split", "checkpoint", "tta", "data_path", "fingerprint")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("expected text")
    return EvalInfo(folder=folder, num_images=int(number(values["num_images"])), **texts)


def number(value: Any) -> float:
    """Convert a JSON number; null, an undefined score, becomes NaN. Raises ValueError: not a finite number."""
    if value is None:
        return math.nan
    if not is_number(value) or not math.isfinite(value):
        raise ValueError(f"expected a number, got {value!r}")
    return float(value)


def numbers(table: dict[str, Any], keys: Iterable[str] | None = None) -> dict[str, float]:
    """Convert the JSON numbers of these keys, of all keys if None.

    Raises LookupError, ValueError, TypeError, AttributeError.
    """
    return {key: number(table[key]) for key in (table.keys() if keys is None else keys)}


def scores_from_json(table: dict[str, Any], kind: RunKind) -> dict[str, float]:
    """Convert scores by metric. Raises as numbers does: a metric that is not in METRICS, or no main metric."""
    scores = numbers(table)
    if kind.main_metric.key not in scores or not scores.keys() <= METRICS.keys():
        raise LookupError("expected scores by metric")
    return scores


def class_scores_from_json(table: dict[str, Any], kind: RunKind) -> dict[str, dict[str, float]]:
    """Convert scores by metric and class. Raises as scores_from_json does."""
    if kind.class_metric.key not in table or not table.keys() <= METRICS.keys():
        raise LookupError("expected class scores by metric")
    return {metric: numbers(by_class, kind.class_names) for metric, by_class in table.items()}


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a csv whose header line is columns. Raises DataError: missing or corrupt."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path)))
        if list(reader.fieldnames or ()) != list(columns):
            raise ValueError("other columns")
        return list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise corrupt(path) from error


def corrupt(path: Path) -> DataError:
    """The error for a file of an evaluation folder that cannot be read."""
    run = path.parent.parent.parent
    return DataError(f"{path} is missing or corrupt: run `vocctl eval {run}` again")
