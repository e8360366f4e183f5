"""Save adversarial images (--save-adv): for each attack and budget a data set that every command accepts as --data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocctl.attacks.table import AttackSpec
from vocctl.config import AttackConfig
from vocctl.data.devkit import MANIFEST, write_devkit
from vocctl.distributed import is_main_process
from vocctl.errors import ConfigError
from vocctl.files import read_json
from vocctl.robustness.outcomes import GroundTruth
from vocctl.robustness.victims import Victim
from vocctl.runs.attacks import file_name


@dataclass(frozen=True)
class AdversarialDataset:
    """One folder <attack>-<budget> below root for each attack and budget, in the layout of a VOC devkit.

    split: the name of the only split. data_path: the data set of the clean images.
    """

    root: Path
    split: str
    data_path: Path
    victim: Victim
    truth: GroundTruth
    config: AttackConfig

    def check_folders(self, attacks: Iterable[tuple[AttackSpec, str]]) -> None:
        """Raise ConfigError if a folder to write contains anything but the same attack on the same images."""
        folders: set[Path] = set()
        for spec, eps in attacks:
            folder = self._folder(spec, eps)
            if folder in folders:
                raise ConfigError(f"two attacks would be saved in {folder.name}: run them one at a time")
            if folder.exists() and _read_manifest(folder) != self._manifest(spec, eps):
                raise ConfigError(f"{folder} contains other images: choose another --save-adv, or move it away")
            folders.add(folder)

    def write(self, spec: AttackSpec, eps: str, images: Sequence[np.ndarray]) -> None:
        """Write the images of one attack and budget, in the main process. Raises RunError: the folder is not writable."""
        if is_main_process():
            write_devkit(
                self._folder(spec, eps), self.split, self.truth.ids, images,
                manifest=self._manifest(spec, eps), **self.victim.devkit_labels(self.truth),
            )  # fmt: skip

    def _folder(self, spec: AttackSpec, eps: str) -> Path:
        return self.root / f"{file_name(spec.name)}-{eps.replace('/', '-')}"

    def _manifest(self, spec: AttackSpec, eps: str) -> dict[str, Any]:
        return {
            "attack": spec.name, "norm": self.config.norm, "eps": eps, "step": self.config.step,
            "goal": self.config.goal, "reference": self.config.reference, "seed": self.config.seed,
            "victims": [str(run.path) for run in self.victim.runs], "checkpoint": self.victim.checkpoint,
            "data": str(self.data_path), "images": list(self.truth.ids),
        }  # fmt: skip


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return {}
