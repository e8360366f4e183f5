"""A worker: takes trials of a study one after the other, trains and measures them, until none is left.

Several workers may work on one study, on one machine or on many that share its folder and its storage.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import optuna
from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState

from vocctl.config.study import Arm, Range, Study, TrainingConfig
from vocctl.errors import Interrupted, VocctlError
from vocctl.study.folder import StudyFolder
from vocctl.study.measure import measure, resolve_references, train
from vocctl.study.trials import (
    FINISHED,
    RUNNING,
    WAITING,
    add_missing_trials,
    check_runs_exist,
    current_trials,
    give_back,
    give_back_dead,
    optuna_study,
    worker_identity,
)
from vocctl.training.reporter import Reporter

POLL_SECONDS = 2.0  # between two looks at trials that other workers run


class StudyReporter(Reporter, Protocol):
    """Receives what a worker does, and what happens in training."""

    def trial(self, study: str, name: str, finished: int, total: int) -> None:
        """Receive the trial that starts, and how many of the study have finished."""


@dataclass
class WorkResult:
    finished: int = 0  # trials that this worker finished
    failed: dict[str, str] = field(default_factory=dict)  # trial -> why


class _PrunedRun(Exception):
    """The search stops this run: others are better at its epoch."""


def work(folder: StudyFolder, storage: RDBStorage, reporter: StudyReporter) -> WorkResult:
    """Run trials until all of the study's have finished or failed.

    A trial that fails is reported, and run again by the next `vocctl study run`. Raises Interrupted: Ctrl-C; the trial was
    given back. DataError: the run of a finished trial is gone.
    """
    result = WorkResult()
    for study in folder.file.studies:
        trials = optuna_study(folder, study, storage)
        add_missing_trials(folder, study, trials)
        check_runs_exist(current_trials(trials), folder, study)
        _give_failed_back(trials)
        _Worker(folder, study, trials, reporter, result).run()
    return result


def _give_failed_back(trials: optuna.Study) -> None:
    """Put trials that failed in an earlier command into the queue again."""
    for trial in current_trials(trials).values():
        if trial.state is TrialState.FAIL:
            give_back(trials, trial)


class _Worker:
    """Works on one study."""

    def __init__(
        self, folder: StudyFolder, study: Study, trials: optuna.Study, reporter: StudyReporter, result: WorkResult
    ) -> None:
        self.folder, self.study, self.trials = folder, study, trials
        self.reporter, self.result = reporter, result
        self.interrupted: Interrupted | None = None

    def run(self) -> None:
        while True:
            give_back_dead(self.trials)
            states = {trial.state for trial in current_trials(self.trials).values()}
            if WAITING in states:
                self.trials.optimize(self._objective, n_trials=1, catch=(VocctlError,))
                if self.interrupted is not None:
                    raise self.interrupted
            elif RUNNING in states:  # by another worker, whose trial is taken over if it dies
                time.sleep(POLL_SECONDS)
            else:
                return

    def _objective(self, trial: Trial) -> float:
        """Run one trial, return its score. An error that the user can fix marks it as failed."""
        name = trial.user_attrs.get("folder")
        if name is None:  # another worker took the last waiting trial, and Optuna made a new one
            raise optuna.TrialPruned
        trial.set_user_attr("worker", worker_identity())
        finished = [known for known in current_trials(self.trials).values() if known.state in FINISHED]
        self.reporter.trial(self.study.name, name, len(finished), self.study.num_runs)
        try:
            return self._run(trial, name)
        except Interrupted as error:
            self.interrupted = error
            self._give_back(trial)
            raise
        except VocctlError as error:
            self.result.failed[f"{self.study.name}/{name}"] = str(error)
            trial.set_user_attr("error", str(error))
            raise

    def _run(self, trial: Trial, name: str) -> float:
        config = self._config(trial)
        run = self.folder.run_folder(self.study, name)
        reporter = _TrialReporter(self.reporter, self._report_to(trial, config))
        try:
            train(self.study.command, config, run, reporter)
        except _PrunedRun as pruned:
            raise optuna.TrialPruned from pruned
        measured = measure(self.study, config, run)
        trial.set_user_attr("result", asdict(measured))
        self.result.finished += 1
        return measured.score

    def _config(self, trial: Trial) -> TrainingConfig:
        seed = int(trial.user_attrs["seed"])
        if self.study.search is None:
            config = self.study.config(self.study.arm(trial.user_attrs["arm"]), seed)
        else:
            chosen = {key: _suggest(trial, key, space) for key, space in self.study.search.space.items()}
            config = self.study.config(Arm("trial", chosen), seed)
        return resolve_references(self.folder, self.study, config, seed)

    def _report_to(self, trial: Trial, config: TrainingConfig) -> Callable[[dict[str, Any]], None] | None:
        """A function that prunes after a validation, if the study is a search with pruning."""
        if self.study.search is None or not self.study.search.prune:
            return None

        def on_epoch(record: dict[str, Any]) -> None:
            trial.report(float(record[config.train.monitor]), int(record["epoch"]))
            if trial.should_prune():
                raise _PrunedRun

        return on_epoch

    def _give_back(self, trial: Trial) -> None:
        frozen = next(known for known in self.trials.get_trials(deepcopy=True) if known.number == trial.number)
        give_back(self.trials, frozen)


class _TrialReporter:
    """Passes everything on; a search looks at each epoch."""

    def __init__(self, reporter: Reporter, on_epoch: Callable[[dict[str, Any]], None] | None) -> None:
        self.note, self.count, self.progress = reporter.note, reporter.count, reporter.progress
        self._reporter, self._on_epoch = reporter, on_epoch

    def epoch(self, record: dict[str, Any]) -> None:
        self._reporter.epoch(record)
        if self._on_epoch is not None:
            self._on_epoch(record)


def _suggest(trial: Trial, key: str, space: Range | tuple[Any, ...]) -> Any:
    if isinstance(space, Range):
        if isinstance(space.low, int) and isinstance(space.high, int):
            return trial.suggest_int(key, space.low, space.high, log=space.log)
        return trial.suggest_float(key, space.low, space.high, log=space.log)
    return trial.suggest_categorical(key, list(space))
