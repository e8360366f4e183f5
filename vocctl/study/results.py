"""What a study has found: the runs of each arm, differences from the base with intervals, and costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from vocctl.config.study import Study
from vocctl.errors import DataError
from vocctl.metrics.average_precision import mean_defined
from vocctl.metrics.bootstrap import draws
from vocctl.metrics.differences import Difference, difference, holm
from vocctl.metrics.table import METRICS, Metric
from vocctl.runs.evaluations import Evaluation, open_evaluation
from vocctl.runs.kinds import RUN_KINDS
from vocctl.study.folder import StudyFolder
from vocctl.study.trials import COMPLETE, current_trials, optuna_study


@dataclass(frozen=True)
class TrialResult:
    """A finished run."""

    name: str  # of its folder
    run: Path
    arm: str
    seed: int
    score: float
    evaluation: Evaluation | None  # None: a generator
    attacks: dict[str, float]
    seconds: float  # training without validation
    images_per_second: float
    parameters: int
    settings: dict[str, Any] = field(default_factory=dict)  # that a search chose


@dataclass(frozen=True)
class ArmResult:
    name: str
    trials: tuple[TrialResult, ...]  # those with the seeds that the base has too, by seed
    difference: Difference | None  # from the base; None: the base, or no seed in common
    p_adjusted: float  # Holm; nan without a difference

    @property
    def scores(self) -> list[float]:
        return [trial.score for trial in self.trials]

    @property
    def mean(self) -> float:
        return fmean(self.scores) if self.trials else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds; nan for fewer than two."""
        return stdev(self.scores) if len(self.trials) > 1 else math.nan

    def attack_mean(self, key: str) -> float:
        values = [trial.attacks[key] for trial in self.trials if key in trial.attacks]
        return fmean(values) if values else math.nan

    def cost(self, key: str) -> float:
        return fmean([float(getattr(trial, key)) for trial in self.trials]) if self.trials else math.nan


@dataclass(frozen=True)
class StudyResult:
    study: Study
    arms: tuple[ArmResult, ...]  # the base first; of a search empty
    trials: tuple[TrialResult, ...]  # all finished ones
    missing: int  # runs that have not finished
    failed: dict[str, str]  # trial -> why
    pruned: int = 0

    @property
    def metric(self) -> Metric:
        return METRICS[self.study.main_metric]

    @property
    def attack_keys(self) -> list[str]:
        return list(dict.fromkeys(key for trial in self.trials for key in trial.attacks))


def results_of(folder: StudyFolder, storage: RDBStorage) -> list[StudyResult]:
    """Collect the results of every study of a folder. Raises DataError: a run or an evaluation is gone or corrupt."""
    return [_study_result(folder, study, storage) for study in folder.file.studies]


def _study_result(folder: StudyFolder, study: Study, storage: RDBStorage) -> StudyResult:
    known = current_trials(optuna_study(folder, study, storage))
    finished = [_trial(folder, study, name, trial) for name, trial in sorted(known.items()) if trial.state is COMPLETE]
    failed = {
        name: str(trial.user_attrs["error"])
        for name, trial in known.items()
        if trial.state is TrialState.FAIL and "error" in trial.user_attrs
    }
    pruned = sum(trial.state is TrialState.PRUNED for trial in known.values())
    arms = _arms(study, finished) if study.search is None else ()
    return StudyResult(study, arms, tuple(finished), study.num_runs - len(finished) - pruned, failed, pruned)


def _trial(folder: StudyFolder, study: Study, name: str, trial: FrozenTrial) -> TrialResult:
    run = folder.run_folder(study, name)
    measured = dict(trial.user_attrs["result"])
    evaluation = measured.pop("evaluation")
    opened = open_evaluation(run, RUN_KINDS[study.command], evaluation) if evaluation else None
    score = measured.pop("score")
    return TrialResult(
        name=name, run=run, arm=trial.user_attrs["arm"], seed=trial.user_attrs["seed"], evaluation=opened,
        score=math.nan if score is None else float(score), settings=dict(trial.params), **measured,
    )  # fmt: skip


def _arms(study: Study, finished: Sequence[TrialResult]) -> tuple[ArmResult, ...]:
    """Every arm with its difference from the base, over the seeds that both have."""
    by_arm = {arm.name: {trial.seed: trial for trial in finished if trial.arm == arm.name} for arm in study.all_arms}
    base = by_arm[study.base.name]
    resampled = _Resampled(study)
    differences: dict[str, Difference] = {}
    for name, trials in by_arm.items():
        seeds = [seed for seed in study.seeds if seed in trials and seed in base]
        if name != study.base.name and seeds:
            point = np.array([trials[seed].score - base[seed].score for seed in seeds])
            rows = [resampled.scores(trials[seed]) - resampled.scores(base[seed]) for seed in seeds]
            differences[name] = difference(point, np.stack(rows))
    adjusted = dict(zip(differences, holm([found.p for found in differences.values()]), strict=True))
    return tuple(
        ArmResult(
            name, tuple(trials[seed] for seed in sorted(trials)), differences.get(name), adjusted.get(name, math.nan)
        )
        for name, trials in by_arm.items()
    )


class _Resampled:
    """The main score of a run on bootstrap resamples of the images, the same for all runs of a study."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.cached: dict[Path, np.ndarray] = {}
        self.counts: np.ndarray | None = None
        self.image_ids: tuple[str, ...] = ()

    def scores(self, trial: TrialResult) -> np.ndarray:
        """(R,) scores; a single value of a metric that cannot be computed from an image's results: seeds alone vary.

        Raises DataError: runs of the study were scored on different images.
        """
        evaluation = trial.evaluation
        if evaluation is None or self.study.main_metric != evaluation.kind.main_metric.key:
            return np.array([trial.score])
        if self.counts is None:
            self.image_ids = evaluation.image_ids
            generator = np.random.default_rng(0)
            self.counts = np.stack(list(draws(len(self.image_ids), self.study.measure.resamples, generator)))
        if evaluation.image_ids != self.image_ids:
            raise DataError(f"{trial.run} was scored on other images than the study's other runs: name [measure] split")
        if trial.run not in self.cached:
            classes = evaluation.resampled_class_scores(self.counts)[:, evaluation.classes_in_mean()]
            self.cached[trial.run] = np.array([mean_defined(scores) for scores in classes])
        return self.cached[trial.run]
