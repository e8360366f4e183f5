"""What attacks on a run left in RUN/attacks/, read back for plot and report. Nothing is computed anew."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocctl.config import parse_epsilon
from vocctl.data.images import read_image, read_mask
from vocctl.errors import ConfigError, DataError
from vocctl.files import read_json
from vocctl.plots.adversarial import AttackedCase
from vocctl.plots.robustness import Line

SOFT = "soft"  # in place of a budget: the strength that a penalty left
SCORES = {"mean_iou": "mean IoU", "map_sklearn": "mAP (sklearn)"}
UNITS = {"linf": "eps, in steps of 1/255 (linf)", "l2": "eps, L2 norm for pixels in [0, 1]"}


@dataclass(frozen=True)
class AttackRecord:
    """RUN/attacks/<name>/: attack.json, table.csv, and the kept images of the attack that left least.

    clean/, adversarial/ hold the images, labels-clean/ and labels-adversarial/ a segmenter's predictions for them.
    """

    folder: Path
    about: dict[str, Any]  # attack.json

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def protocol(self) -> str:
        """Two evaluations compare where this is the same: images, budgets, goal, weights, how many runs as one."""
        with _readable(self.folder):
            config = {key: value for key, value in self.about.get("config", {}).items() if key != "attack"}
            others = {key: self.about.get(key) for key in ("root", "split", "images", "checkpoint")}
            return json.dumps([config, others, len(self.about.get("members", ()))], sort_keys=True)

    @property
    def score(self) -> str:
        """A key of SCORES: what the rows are drawn by."""
        return "mean_iou" if self.about["task"] == "train-seg" else "map_sklearn"

    @property
    def clean(self) -> float:
        with _readable(self.folder):
            return self._scored(self.about["rows"][0])

    def lines(self) -> dict[str, Line]:
        """By attack: budgets in the unit of UNITS, nan for a penalty's strength, and the score that each left."""
        lines: dict[str, Line] = {}
        scale = 255 if self.about["norm"] == "linf" else 1
        with _readable(self.folder):
            for row in self.about["rows"][1:]:
                budgets, scores = lines.setdefault(row["attack"], ([], []))
                budgets.append(float("nan") if row["eps"] == SOFT else parse_epsilon(row["eps"]) * scale)
                scores.append(self._scored(row))
        return lines

    def _scored(self, row: dict[str, Any]) -> float:
        """nan where undefined."""
        score = row["scores"][self.score]
        return float("nan") if score is None else float(score)

    def cases(self) -> list[AttackedCase]:
        with _readable(self.folder):
            return [self._case(kept) for kept in self.about["kept"]["images"]]

    def case_paths(self) -> list[Path]:
        """The kept adversarial images."""
        return sorted((self.folder / "adversarial").glob("*.png"))

    def labels(self, image_id: str) -> np.ndarray | None:
        """(H, W): what a segmenter predicted for the adversarial image; None of a classifier."""
        path = self.folder / "labels-adversarial" / f"{image_id}.png"
        return read_mask(path) if path.is_file() else None

    def _case(self, kept: dict[str, Any]) -> AttackedCase:
        image_id = kept["id"]
        image, adv = (read_image(self.folder / part / f"{image_id}.png") for part in ("clean", "adversarial"))
        before, after = kept["before"], kept["after"]
        if self.score == "mean_iou":
            before, after = (
                read_mask(self.folder / f"labels-{part}" / f"{image_id}.png") for part in ("clean", "adversarial")
            )
        return AttackedCase(image_id, image, adv, before, after, kept["about"])


@dataclass(frozen=True)
class TransferRecord:
    folder: Path
    matrices: list[dict[str, Any]]  # transfer.json: one an attack and budget


def attack_records(run: Path) -> list[AttackRecord]:
    """Raises DataError: one that can't be read."""
    return [AttackRecord(path.parent, _json(path)) for path in sorted((run / "attacks").glob("*/attack.json"))]


def transfer_records(run: Path) -> list[TransferRecord]:
    """Raises DataError: one that can't be read."""
    paths = sorted((run / "attacks").glob("*/transfer.json"))
    return [TransferRecord(path.parent, _json(path)["matrices"]) for path in paths]


def _json(path: Path) -> dict[str, Any]:
    with _readable(path.parent):
        about: dict[str, Any] = read_json(path)
        if not {"task", "norm", "rows"} <= about.keys() and "matrices" not in about:
            raise ValueError("incomplete")
        return about


def attacked_title(target: str, attack: str, norm: str, eps: str) -> str:
    """Over a picture of an attack."""
    return f"{target} under {attack}, {'held back by a penalty alone' if eps == SOFT else f'{norm} eps {eps}'}"


def file_name(attack: str) -> str:
    """pgd-20, adv-first: a trained adversary by its folder's name."""
    kind, _, run = attack.partition(":")
    text = f"{kind}-{Path(run).resolve().name}" if run else kind
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in text)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ConfigError) as error:
        again = f"attack again, with `vocctl eval {folder.parent.parent} --attack ...`"
        raise DataError(f"{folder} can't be read: {again}") from error
