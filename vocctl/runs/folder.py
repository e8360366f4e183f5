"""The run folder: what a run writes, and what eval, plot, report and submit start from.

config.toml       every setting
run.json          task, command, versions, device, fingerprint of the data, parameter counts
split.json        ids of the training and of the validation images
metrics.jsonl     scores: one line for each validation
thresholds.json   decision thresholds of a classifier, for each of its weights files
best.safetensors, final.safetensors    weights (their moving average with --ema)
state/            checkpoints for --resume
eval/, attacks/, corruptions/, plots/    results of `vocctl eval`, its `--attack` and `--corruption`, and `vocctl plot`

torch is imported only where weights are read or written, so that listing, plotting and reporting runs starts fast.
"""

import json
import os
import platform
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import tomli_w

from vocctl.config import TrainingConfig, as_tables, read_toml
from vocctl.distributed import broadcast_object, is_main_process
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import is_number, parse_json, read_json, read_text, write_json, write_text
from vocctl.labels import CLASSES
from vocctl.runs.paths import PathRecord, relative_paths
from vocctl.runs.weights import load_weights, write_tensors

if TYPE_CHECKING:
    from torch import nn

PACKAGES = ("vocctl", "torch", "timm", "segmentation-models-pytorch", "albumentations", "accelerate", "numpy")

Config = TypeVar("Config", bound=TrainingConfig)


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def checkpoint_dir(self) -> Path:
        """The folder of the checkpoints for --resume."""
        return self.path / "state"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def task(self) -> str:
        """The command that trained it: train-seg, train-cls or train-adv. Raises DataError as info does."""
        return str(self.info().get("task"))

    def info(self) -> dict[str, Any]:
        """Read run.json. Raises DataError: missing, corrupt, or not readable."""
        try:
            info = read_json(self.path / "run.json")
            if not all(isinstance(info.get(name, {}), dict) for name in ("versions", "data", "parameters")):
                raise ValueError("not tables")
            return info
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise DataError(f"{self.path} is not a run: its run.json is missing or corrupt") from error
        except OSError as error:
            raise DataError(
                f"{self.path / 'run.json'} cannot be read: {error.strerror or error}; check the file and its permissions"
            ) from error

    def update_info(self, **info: Any) -> None:
        """Add entries to run.json."""
        if is_main_process():
            write_json(self.path / "run.json", self.info() | info)

    def config(self, default: Config) -> Config:
        """Read config.toml; missing settings are taken from default, a config of the run's task.

        Its paths are those that exist now: see paths.py.
        Raises DataError: no config.toml. ConfigError: it is not TOML, or has an unknown or invalid setting.
        """
        return self.path_record().existing(read_toml(default, self.path / "config.toml"))

    def path_record(self) -> PathRecord:
        """What run.json says about the run's paths; nothing if it cannot be read."""
        try:
            info = read_json(self.path / "run.json")
        except (OSError, ValueError):
            info = {}
        relative, created_in = info.get("relative_paths"), info.get("folder")
        items = relative.items() if isinstance(relative, dict) else ()
        known = {
            path: absolute for path, absolute in items if isinstance(absolute, str) and "\0" not in path + absolute
        }
        if not isinstance(created_in, str) or "\0" in created_in:
            created_in = ""
        return PathRecord(known, created_in, os.path.realpath(self.path))

    def check_data_folder(self, path: str) -> None:
        """Raise DataError unless the folder of the run's data exists. path: as config returns it."""
        if not os.path.isdir(path):
            place = self.path_record().absolute(path)
            raise DataError(f"the data of {self.path} is no longer in {place}: give its folder with --data")

    def write_config(self, config: TrainingConfig) -> dict[str, Any]:
        """Write config.toml; return what run.json records about its paths."""
        write_text(self.path / "config.toml", tomli_w.dumps(as_tables(config)))
        return {"folder": os.path.realpath(self.path), "relative_paths": relative_paths(config)}

    def write_json(self, name: str, value: Any) -> None:
        write_json(self.path / name, value, indent=1)

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run. Raises DataError: missing, corrupt, or not readable."""
        try:
            return read_json(self.path / name)
        except (FileNotFoundError, ValueError) as error:
            raise DataError(f"{self.path / name} is missing or corrupt: train the run again") from error
        except OSError as error:
            raise DataError(
                f"{self.path / name} cannot be read: {error.strerror or error}; check the file and its permissions"
            ) from error

    def split_ids(self, split: str) -> list[str]:
        """Ids of the images of train or val. Raises DataError: split.json is missing or corrupt."""
        ids = self.read_json("split.json").get(split)
        if not isinstance(ids, list) or not all(isinstance(image_id, str) for image_id in ids):
            raise DataError(f"{self.path / 'split.json'} has no list of {split} images: train the run again")
        return ids

    def thresholds(self, checkpoint: str, threshold_kind: str) -> np.ndarray:
        """(20,) thresholds of a classifier. Raises DataError: thresholds.json is missing or corrupt.

        threshold_kind: "per-class", "global" or "0.5", as --thresholds.
        """
        path = self.path / "thresholds.json"
        try:
            thresholds = np.array(self.read_json("thresholds.json")[checkpoint][threshold_kind], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} has no {threshold_kind} thresholds of {checkpoint}: train the run again"
            ) from error
        if thresholds.shape != (len(CLASSES),) or not np.isfinite(thresholds).all():
            raise DataError(f"{path} does not hold {len(CLASSES)} numbers: train the run again")
        return thresholds

    def save_thresholds(self, checkpoint: str, thresholds: dict[str, list[float]]) -> None:
        """Write a checkpoint's thresholds, (20,) of each kind; the thresholds of other checkpoints are kept."""
        path = self.path / "thresholds.json"
        saved = self.read_json("thresholds.json") if path.exists() else {}
        self.write_json("thresholds.json", saved | {checkpoint: thresholds})

    def append_metrics(self, record: dict[str, Any]) -> int:
        """Append a line to metrics.jsonl in the main process. Returns the file's length; 0 in the other processes."""
        if not is_main_process():
            return 0
        try:
            with self.metrics_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            return self.metrics_path.stat().st_size
        except OSError as error:
            raise RunError(
                f"{self.metrics_path} cannot be written: {error.strerror}; free space, then resume with --resume {self.path}"
            ) from error

    def truncate_metrics(self, length: int) -> None:
        """Remove the lines that a killed run wrote after its last checkpoint. Raises RunError: it cannot be written."""
        try:
            if is_main_process() and self.metrics_path.exists() and self.metrics_path.stat().st_size > length:
                os.truncate(self.metrics_path, length)
        except OSError as error:
            raise RunError(
                f"{self.metrics_path} cannot be written: {error.strerror}; fix its permissions, then resume with --resume "
                f"{self.path}"
            ) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read every complete line; the last one may be incomplete after a full disk or a kill.

        Raises DataError: no complete line, a corrupt one, or not readable.
        """
        try:
            text = read_text(self.metrics_path) if self.metrics_path.exists() else ""
            records = [parse_json(line) for line in text[: text.rfind("\n") + 1].splitlines()]
            for record in records:
                if not {"epoch", *records[0]} <= record.keys() or not all(map(is_number, record.values())):
                    raise ValueError("not what training writes")
        except ValueError as error:
            raise DataError(f"{self.metrics_path} is corrupt: train the run again") from error
        except OSError as error:
            raise DataError(
                f"{self.metrics_path} cannot be read: {error.strerror or error}; check the file and its permissions"
            ) from error
        if not records:
            raise DataError(f"{self.metrics_path} holds no epoch yet: continue training with --resume {self.path}")
        return records

    def save_weights(self, name: str, model: "nn.Module", metadata: dict[str, str]) -> None:
        """Write <name>.safetensors atomically in the main process. Raises RunError: no space, or the folder is missing."""
        if is_main_process():
            write_tensors(self.path / f"{name}.safetensors", model.state_dict(), metadata, run=self.path)

    def load_weights(self, name: str, model: "nn.Module") -> None:
        """Load <name>.safetensors into model. Raises DataError: missing, corrupt, or another model's."""
        load_weights(self.path / f"{name}.safetensors", model, run=self.path)


def create_run(path: Path, task: str, config: TrainingConfig) -> RunFolder:
    """Create a run folder in the main process. All processes return the same one.

    Raises ConfigError: it exists. RunError: it cannot be created.
    """
    if not is_main_process():
        return RunFolder(broadcast_object(path))
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"{path} exists: choose another --name, or resume it with --resume {path}")
        (path / "state").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be created: {error.strerror}; choose another --out") from error
    paths = RunFolder(path).write_config(config)
    info = {
        "task": task,
        "command": shlex.join(["vocctl", *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **paths,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    write_json(path / "run.json", info)
    return RunFolder(broadcast_object(path))
