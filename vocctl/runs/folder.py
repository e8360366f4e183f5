"""The run folder: what a run leaves, and all that eval, plot and submit need to start from.

config.toml     every setting
run.json        task, command, versions, device, data fingerprint, parameter counts
split.json      the ids that train and those that validate
metrics.jsonl   one line of scores a validation
best.safetensors, final.safetensors    weights (their moving average where one is kept)
state/          what --resume needs; eval/ and plots/ come later

torch is imported where weights are read or written: who lists, draws or reports runs answers without it.
"""

import difflib
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import tomli_w
from safetensors import SafetensorError

from vocctl.config import as_tables, read_toml
from vocctl.distributed import broadcast_object, is_main_process
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import is_number, parse_json, read_json, read_text, write_text
from vocctl.labels import CLASSES

if TYPE_CHECKING:
    from torch import Tensor, nn

RUNS = Path("runs")
PACKAGES = ("vocctl", "torch", "timm", "segmentation-models-pytorch", "albumentations", "accelerate", "numpy")

Config = TypeVar("Config")


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def about(self) -> dict[str, Any]:
        """What run.json says. Raises DataError: missing or broken."""
        try:
            about = read_json(self.path / "run.json")
            if not all(isinstance(about.get(name, {}), dict) for name in ("versions", "data", "parameters")):
                raise ValueError("no tables")
            return about
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} is no run: it has no run.json that can be read") from error

    def config(self, default: Config) -> Config:
        return read_toml(default, self.path / "config.toml")

    def note(self, **about: Any) -> None:
        """Put these into run.json, beside what it says."""
        if is_main_process():
            write_text(self.path / "run.json", json.dumps(self.about() | about, indent=2) + "\n")

    def write_json(self, name: str, value: Any) -> None:
        write_text(self.path / name, json.dumps(value, indent=1) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """What <name> holds. Raises DataError: missing or broken."""
        try:
            return read_json(self.path / name)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path / name} is missing or broken: train the run again") from error

    def split_ids(self, side: str) -> list[str]:
        """The images of this side, train or val. Raises DataError: split.json is missing or broken."""
        ids = self.read_json("split.json").get(side)
        if not isinstance(ids, list) or not all(isinstance(image_id, str) for image_id in ids):
            raise DataError(f"{self.path / 'split.json'} has no list of {side} images: train the run again")
        return ids

    def thresholds(self, checkpoint: str, kind: str) -> np.ndarray:
        """(20,) of a classifier. Raises DataError: thresholds.json is missing or broken."""
        try:
            held = np.array(self.read_json("thresholds.json")[checkpoint][kind], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.path / 'thresholds.json'} has no {kind} thresholds of {checkpoint}: train the run again"
            ) from error
        if held.shape != (len(CLASSES),) or not np.isfinite(held).all():
            raise DataError(f"{self.path / 'thresholds.json'} has no {len(CLASSES)} numbers: train the run again")
        return held

    def append_metrics(self, record: dict[str, Any]) -> int:
        """One line more; returns the file's length after it, 0 on other ranks than the first."""
        if not is_main_process():
            return 0
        try:
            with self.metrics.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            return self.metrics.stat().st_size
        except OSError as error:
            raise RunError(
                f"{self.metrics} can't be written: {error.strerror}; free space, then go on with --resume {self.path}"
            ) from error

    def truncate_metrics(self, length: int) -> None:
        """Drop the lines that a killed run wrote after its last state. Raises RunError: read-only."""
        try:
            if is_main_process() and self.metrics.exists() and self.metrics.stat().st_size > length:
                os.truncate(self.metrics, length)
        except OSError as error:
            raise RunError(
                f"{self.metrics} can't be written: {error.strerror}; mend its rights, then --resume"
            ) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole line; a last one that a full disk cut short is left out. Raises DataError: none, or no records."""
        try:
            text = read_text(self.metrics) if self.metrics.exists() else ""
            records = [parse_json(line) for line in text[: text.rfind("\n") + 1].splitlines()]
            for record in records:
                if not {"epoch", *records[0]} <= record.keys() or not all(map(is_number, record.values())):
                    raise ValueError("other values than training writes")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.metrics} can't be read: train the run again") from error
        if not records:
            raise DataError(f"{self.metrics} holds no epoch yet: train on with --resume {self.path}")
        return records

    def save_weights(self, name: str, model: "nn.Module", about: dict[str, str]) -> None:
        """<name>.safetensors, whole or not at all. Raises RunError: no space, folder gone."""
        if is_main_process():
            write_tensors(self.path / f"{name}.safetensors", model.state_dict(), about, run=self.path)

    def load_weights(self, name: str, model: "nn.Module") -> None:
        """Fill model from <name>.safetensors. Raises DataError: missing, broken, of another model."""
        from safetensors.torch import load_file

        path = self.path / f"{name}.safetensors"
        if not path.is_file():
            raise DataError(f"{path} is missing: the run has not got that far, train on with --resume {self.path}")
        try:
            model.load_state_dict(load_file(path))
        except (SafetensorError, OSError, RuntimeError) as error:
            said = str(error).splitlines()[:2] or [type(error).__name__]  # load_state_dict's first names the class
            reason = shorten(said[-1], 150, placeholder=" ...")
            raise DataError(f"{path} does not fit the run's model: {reason}; train it again") from error


def write_tensors(path: Path, tensors: "dict[str, Tensor]", about: dict[str, str], *, run: Path) -> None:
    """A whole safetensors file of run or none. Raises RunError: no space, or the folder is gone or read-only.

    safetensors writes into a file of its own, of a random name and for its owner alone, and leaves it where it is killed: so
    it gets a folder, and what an earlier kill left goes first.
    """
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    held = {name: _copied(tensor) for name, tensor in tensors.items()}
    try:
        for left in path.parent.glob("*.safetensors.part"):
            shutil.rmtree(left)
        part.mkdir()
        save_file(held, part / path.name, metadata=about)
        (part / path.name).chmod(part.stat().st_mode & 0o666)
        with (part / path.name).open("rb+") as stream:
            os.fsync(stream)  # a machine that loses its power leaves a whole file under this name, or the one before
        (part / path.name).replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(f"{path} can't be written: {reason}; free space, then go on with --resume {run}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copied(tensor: "Tensor") -> "Tensor":
    """On the CPU, contiguous, and alone in its memory."""
    here = tensor.detach().cpu().contiguous()
    return here.clone() if here.data_ptr() == tensor.data_ptr() else here


def create_run(path: Path, task: str, config: Any) -> RunFolder:
    """A new run folder, the first rank's on all. Raises ConfigError: the name is taken; RunError: it can't be made."""
    if not is_main_process():
        return RunFolder(broadcast_object(path))
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"{path} is taken: choose another --name, or go on with --resume {path}")
        (path / "state").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} can't be made: {error.strerror}; choose another --out") from error
    write_text(path / "config.toml", tomli_w.dumps(as_tables(config)))
    about = {
        "task": task,
        "command": shlex.join(["vocctl", *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    write_text(path / "run.json", json.dumps(about, indent=2) + "\n")
    return RunFolder(broadcast_object(path))


def new_run_dir(out: Path | None, name: str | None, kind: str, made_up: str) -> Path:
    """Where a new run goes: out, or runs/<kind>/<name>, or under made_up. Raises ConfigError: a name with slashes."""
    if out is not None:
        return out
    if name is None:
        return free_name(RUNS / kind, made_up)
    if Path(name).name != name or name in (".", "..") or "\0" in name:
        raise ConfigError(f"--name {name} is no folder's name: leave out what no name may hold, or use --out")
    return RUNS / kind / name


def free_name(folder: Path, name: str) -> Path:
    """folder/name, or name-2, name-3, ... where that is taken."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}"
    return path


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Of each folder the shortest end of its path that no other one of them has: its name, where that is enough."""
    folders = [path.resolve().parts for path in paths]
    return [_shortest_end(one, set(folders) - {one}) for one in folders]


def _shortest_end(folder: tuple[str, ...], others: set[tuple[str, ...]]) -> str:
    for length in range(1, len(folder)):
        if all(other[-length:] != folder[-length:] for other in others):
            return "/".join(folder[-length:])
    return str(Path(*folder))


def open_run(name: str, runs: Path = RUNS) -> RunFolder:
    """A run by its folder, or by its name under runs/*/. Raises DataError: there is none, or one of each kind."""
    path = Path(name)
    if not path.is_dir():
        known = _by_name(runs)
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3)
            hint = f"did you mean {near[0]}?" if near else f"{runs}/ holds {len(known)} runs"
            raise DataError(f"no run {name}: {hint}")
        if len(known[name]) > 1:
            raise DataError(f"{name} is the name of {' and of '.join(map(str, known[name]))}: name the run's folder")
        path = known[name][0]
    if not (path / "run.json").is_file():
        raise DataError(f"{path} is no run: a run folder holds config.toml and run.json; see {runs}/")
    return RunFolder(path)


def _by_name(runs: Path) -> dict[str, list[Path]]:
    """Name -> the run folders under runs/*/ that have it."""
    known: dict[str, list[Path]] = {}
    for folder in sorted(runs.glob("*/*")):
        if (folder / "run.json").is_file():
            known.setdefault(folder.name, []).append(folder)
    return known


def find_run(name: str, task: str, runs: Path = RUNS) -> RunFolder:
    """open_run, of this task: a name is looked for among its kind first. Raises DataError: none, or of another task."""
    own = runs / task.removeprefix("train-") / name
    is_own = not Path(name).is_dir() and (own / "run.json").is_file()
    run = open_run(str(own) if is_own else name, runs)
    if run.about().get("task") != task:
        raise DataError(f"{run.path} is a run of {run.about().get('task')}, not of {task}: name another")
    return run


def task_of(name: str) -> str:
    """The command that made the run. Raises DataError: no such run."""
    return str(open_run(name).about().get("task"))


def checkpoint_about(step: int, epoch: int) -> dict[str, str]:
    """What a weights file says of itself."""
    return {"vocctl": version("vocctl"), "torch": version("torch"), "step": str(step), "epoch": str(epoch)}
