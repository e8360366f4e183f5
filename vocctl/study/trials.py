"""The trials of a study in Optuna: a trial is one training run.

All trials are added to Optuna's queue when a worker starts; workers take the next waiting one. A trial's user attributes
say what it is: arm and seed (a search: its number), folder, and, when it has finished, result. A worker that stops, fails or
dies gives its trial back: it is added to the queue again with the same attributes, so that the next worker resumes its run.
"""

import os
import platform
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import psutil
from optuna import Study as OptunaStudy
from optuna import create_study, logging
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from vocctl.config.study import Range, Study
from vocctl.errors import ConfigError, DataError, NetworkError
from vocctl.metrics.table import METRICS
from vocctl.study.folder import StudyFolder, trial_name

Direction = Literal["maximize", "minimize"]
HEARTBEAT_SECONDS = 10  # between a worker's signs of life
GRACE_SECONDS = 60  # without a sign of life after which a trial is given back
WAITING, RUNNING, COMPLETE = TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE
FINISHED = (COMPLETE, TrialState.PRUNED)
STARTUP_TRIALS = 5  # of a search, before TPE and pruning start


def open_storage(url: str, *, heartbeat: int = HEARTBEAT_SECONDS, grace: int = GRACE_SECONDS) -> RDBStorage:
    """Open a database of trials. Raises ConfigError: not an address, or no driver. NetworkError: it cannot be reached."""
    logging.set_verbosity(logging.ERROR)
    shown = _without_password(url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(
                url, heartbeat_interval=heartbeat, grace_period=grace, heartbeat_stale_trial_callback=_retry(),
                engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True},
            )  # fmt: skip
    except (ArgumentError, ValueError, ImportError) as error:
        raise ConfigError(
            f"--storage {shown} is not an address of a database that can be used ({_first_line(error)}): write "
            "postgresql://USER@HOST/NAME and install a driver such as psycopg2-binary"
        ) from error
    except SQLAlchemyError as error:
        raise NetworkError(f"--storage {shown} cannot be reached: {_first_line(error)}") from error


def optuna_study(folder: StudyFolder, study: Study, storage: RDBStorage) -> OptunaStudy:
    """The study's trials, none if no worker has started yet."""
    direction: Direction = "maximize" if METRICS[study.main_metric].better == "higher" else "minimize"
    search = study.search
    sampler = TPESampler(seed=study.seeds[0], n_startup_trials=STARTUP_TRIALS)
    pruner = MedianPruner(STARTUP_TRIALS, n_warmup_steps=1) if search is not None and search.prune else NopPruner()
    return create_study(
        storage=storage, sampler=sampler, pruner=pruner, study_name=f"{folder.id}/{study.name}", direction=direction,
        load_if_exists=True,
    )  # fmt: skip


def add_missing_trials(folder: StudyFolder, study: Study, optuna: OptunaStudy) -> None:
    """Add the trials that the study has and the queue lacks, each once whichever worker is first."""
    with folder.lock():
        known = {trial.user_attrs.get("folder") for trial in optuna.get_trials(deepcopy=False)}
        for attributes, parameters in _wanted(study):
            if attributes["folder"] not in known:
                optuna.enqueue_trial(parameters, user_attrs=attributes)


def _wanted(study: Study) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Attributes and fixed parameters of every trial, in the order in which they are run."""
    if study.search is None:
        for seed in study.seeds:  # all arms of one seed first: a study that is stopped early still compares
            for arm in study.all_arms:
                yield {"arm": arm.name, "seed": seed, "folder": trial_name(arm, seed)}, {}
        return
    defaults = default_parameters(study)
    for number in range(study.search.trials):
        attributes = {"arm": f"trial {number}", "seed": study.seeds[0], "folder": f"trial-{number}"}
        yield attributes, defaults if number == 0 else {}  # the first one is what the search has to beat


def default_parameters(study: Study) -> dict[str, Any]:
    """The base's values of the searched settings; empty if one of them lies outside of its range."""
    assert study.search is not None
    config = study.config(study.base, study.seeds[0])
    values: dict[str, Any] = {}
    for section in vars(config).values():
        values |= {key: value for key, value in vars(section).items() if key in study.search.space}
    inside = all(
        space.low <= values[key] <= space.high if isinstance(space, Range) else values[key] in space
        for key, space in study.search.space.items()
    )
    return values if inside else {}


def current_trials(optuna: OptunaStudy) -> dict[str, FrozenTrial]:
    """The newest trial of each run folder."""
    newest: dict[str, FrozenTrial] = {}
    for trial in optuna.get_trials(deepcopy=False):
        if "folder" in trial.user_attrs:  # else it was added by a race of two workers, and runs nothing
            newest[trial.user_attrs["folder"]] = trial
    return newest


def give_back(optuna: OptunaStudy, trial: FrozenTrial) -> None:
    """Add a trial that has failed to the queue again."""
    _retry()(optuna, trial)


def _retry() -> RetryHeartbeatStaleTrialCallback:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RetryHeartbeatStaleTrialCallback()


def give_back_dead(optuna: OptunaStudy) -> None:
    """Give back the trials of workers that have died: on this machine at once, elsewhere after GRACE_SECONDS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(optuna)
    for trial in optuna.get_trials(deepcopy=False, states=(RUNNING,)):
        if _worker_is_dead(str(trial.user_attrs.get("worker", ""))):
            try:
                optuna.tell(trial.number, state=TrialState.FAIL)
            except ValueError:  # another worker was faster
                continue
            give_back(optuna, trial)


def worker_identity() -> str:
    """Machine, process and its start, so that others on its machine notice when the worker dies."""
    return f"{platform.node()} {os.getpid()} {psutil.Process().create_time()}"


def _worker_is_dead(identity: str) -> bool:
    """Whether the worker ran on this machine and is gone. False for a worker of another machine."""
    node, _, process = identity.rpartition(" ")[0].rpartition(" ")
    started = identity.rpartition(" ")[2]
    if node != platform.node():
        return False
    try:
        return str(psutil.Process(int(process)).create_time()) != started
    except (psutil.NoSuchProcess, ValueError):
        return True


def check_runs_exist(trials: dict[str, FrozenTrial], folder: StudyFolder, study: Study) -> None:
    """Raise DataError if the run of a finished trial is gone."""
    for name, trial in trials.items():
        run = folder.run_folder(study, name)
        if trial.state is COMPLETE and not (run / "run.json").is_file():
            raise DataError(
                f"{run} is gone, but its trial has finished: put it back, or start the study in another --out"
            )


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://...@{tail}" if at else url


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
