"""A run with its settings, metrics and one of its evaluations, as plot, report and `vocctl runs` need it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vocctl.config import as_tables
from vocctl.errors import DataError
from vocctl.metrics.table import METRICS
from vocctl.runs.evaluations import Evaluation, newest_common_evaluation, open_evaluation
from vocctl.runs.find import distinct_names, open_run
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import RunKind, kind_of


@dataclass(frozen=True)
class RunRecord:
    folder: RunFolder
    kind: RunKind
    settings: dict[str, Any]  # every setting, by the name of its config field
    evaluation: Evaluation | None  # the requested one, or the newest
    name: str  # name of the folder; with its parents if several runs share it: "seg/baseline"

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl. Raises DataError: no epoch yet, or corrupt."""
        return self.folder.read_metrics()

    @property
    def best(self) -> dict[str, Any]:
        """The line of the best epoch by the run's monitor. Raises DataError: a line has no such score."""
        monitor = self.settings["monitor"]
        best = max if METRICS[monitor].better == "higher" else min
        try:
            record: dict[str, Any] = best(self.records, key=lambda record: float(record[monitor]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self.folder.metrics_path} has lines without {monitor}: train the run again") from error
        return record


def read_run(name: str) -> RunRecord:
    """Read one run with its newest evaluation. Raises DataError as read_runs does."""
    (run,) = read_runs([name])
    return run


def read_runs(names: Sequence[str], evaluation: str | None = None, data: Path | None = None) -> list[RunRecord]:
    """Read runs by name or folder, each with the named evaluation.

    Without a name: the newest evaluation that all named runs of the same kind have, otherwise each run's newest.
    data: where the evaluated images are now; None: where they were.
    Raises DataError: no such run or evaluation, or a corrupt one.
    """
    folders = [open_run(name) for name in names]
    kinds = [kind_of(folder) for folder in folders]
    records = []
    for folder, kind, name in zip(folders, kinds, distinct_names([folder.path for folder in folders]), strict=True):
        same_kind = [path.path for path, its_kind in zip(folders, kinds, strict=True) if its_kind is kind]
        eval_name = newest_common_evaluation(same_kind) if evaluation is None else evaluation
        opened = open_evaluation(folder.path, kind, eval_name)
        if opened is not None and data is not None:
            opened = replace(opened, info=replace(opened.info, data_path=str(data.absolute())))
        records.append(RunRecord(folder, kind, flat_settings(folder), opened, name))
    return records


def flat_settings(folder: RunFolder) -> dict[str, Any]:
    """Every setting by the name of its config field; each name occurs once in a config."""
    tables = as_tables(folder.config(kind_of(folder).defaults))
    return {name: value for table in tables.values() for name, value in table.items()}
