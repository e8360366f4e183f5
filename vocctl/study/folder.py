"""The folder of a study.

study.toml              the study file, as it was given
study.json              its name, an id, and what replaces its settings: --data, --seeds, --set
trials.db               Optuna's trials (SQLite), unless --storage names another database
runs/STUDY/ARM-sSEED/   a run folder for each trial; runs/STUDY/trial-N/ in a search
report/                 tables, figures and the page of `vocctl study report`
"""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from vocctl.config.study import Arm, Study, StudyFile, parse_study
from vocctl.errors import ConfigError, DataError
from vocctl.files import create_folder, read_json, read_text, write_json, write_text

STUDIES = Path("studies")


@dataclass(frozen=True)
class StudyFolder:
    path: Path
    file: StudyFile
    id: str  # names its trials in a database that several studies share

    @property
    def report_folder(self) -> Path:
        return self.path / "report"

    @property
    def default_storage(self) -> str:
        return f"sqlite:///{self.path.absolute() / 'trials.db'}"

    def run_folder(self, study: Study, trial_name: str) -> Path:
        return self.path / "runs" / study.name / trial_name

    def lock(self) -> FileLock:
        """Held while trials are added, so that workers that start at the same time add each trial once."""
        return FileLock(self.path / "study.lock")


def trial_name(arm: Arm, seed: int) -> str:
    """no skip connections, 0 -> no-skip-connections-s0"""
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', arm.name).strip('-') or 'arm'}-s{seed}"


def create_or_open(path: Path, name: str, text: str, overrides: dict[str, Any]) -> StudyFolder:
    """Create the folder of a study, or open it with the same study or one that adds arms, seeds, trials or studies.

    Raises ConfigError: the study is invalid, or its folder holds another one. RunError: the disk.
    """
    file = parse_study(text, name, overrides)
    _check_names(file)
    create_folder(path)
    with FileLock(path / "study.lock"):
        study_id = f"{name}-{secrets.token_hex(4)}"
        if (path / "study.json").is_file():
            existing = open_study(path)
            check_only_added(existing.file, file, path)
            study_id = existing.id
        write_text(path / "study.toml", text)
        write_json(path / "study.json", {"name": name, "id": study_id, "overrides": overrides})
    return StudyFolder(path, file, study_id)


def open_study(path: Path) -> StudyFolder:
    """Open the folder of a study. Raises DataError: it is none, or is corrupt."""
    try:
        about = read_json(path / "study.json")
        file = parse_study(read_text(path / "study.toml"), str(about["name"]), about["overrides"])
        return StudyFolder(path, file, str(about["id"]))
    except FileNotFoundError as error:
        raise DataError(f"{path} is not a study: start it with `vocctl study run NAME`") from error
    except (OSError, ValueError, LookupError, TypeError, ConfigError) as error:
        raise DataError(f"{path} is corrupt ({error}): choose another --out") from error


def find_study(name: str) -> StudyFolder:
    """Open a study by its folder, or by its name in studies/. Raises DataError as open_study."""
    path = Path(name)
    return open_study(path if path.is_dir() else STUDIES / name)


def check_only_added(old: StudyFile, new: StudyFile, path: Path) -> None:
    """Raise ConfigError unless new has all that old has, unchanged: then finished runs stay valid."""
    known = {study.name: study for study in new.studies}
    for study in old.studies:
        changed = _first_change(study, known[study.name]) if study.name in known else "it is gone"
        if changed:
            raise ConfigError(
                f"{path} holds another study: in {study.name}, {changed}. Only add arms, seeds or trials, or use another --out"
            )


def _first_change(old: Study, new: Study) -> str:
    """What makes the runs of old useless for new; "" if nothing does."""
    for key in ("command", "base", "measure", "metric"):
        if getattr(old, key) != getattr(new, key):
            return f"{key} has changed"
    arms = {arm.name: arm for arm in new.arms}
    for arm in old.arms:
        if arms.get(arm.name) != arm:
            return f"arm {arm.name!r} has changed"
    if not set(old.seeds) <= set(new.seeds):
        return "a seed is gone"
    if old.search is None or new.search is None:
        return "" if old.search is new.search else "it has become another kind of study"
    if (old.search.space, old.search.prune) != (new.search.space, new.search.prune):
        return "the searched settings have changed"
    return "it has fewer trials" if new.search.trials < old.search.trials else ""


def _check_names(file: StudyFile) -> None:
    """Raise ConfigError: two arms whose run folders would have one name."""
    for study in file.studies:
        names: dict[str, str] = {}
        for arm in study.all_arms:
            folder = trial_name(arm, 0).lower()
            if folder in names:
                raise ConfigError(
                    f"study {study.name}: arms {names[folder]!r} and {arm.name!r} have one folder name, rename one"
                )
            names[folder] = arm.name
