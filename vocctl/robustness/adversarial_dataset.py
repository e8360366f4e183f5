"""Adversarial images in files (`--save-adv`): for each attack and budget a data set that every command reads as `--data`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from vocctl.attacks.table import AttackSpec
from vocctl.data.devkit import MANIFEST, write_devkit
from vocctl.errors import ConfigError
from vocctl.files import read_json
from vocctl.robustness.benchmark import AttackBenchmark, Images
from vocctl.runs.attacks import SOFT, file_name


def saved_folder(save: Path, spec: AttackSpec, eps: str) -> Path:
    return save / f"{file_name(spec.name)}-{eps.replace('/', '-')}"


def refuse_others(
    save: Path, specs: Sequence[AttackSpec], budgets: Sequence[str], soft: Collection[str], bench: AttackBenchmark
) -> None:
    """Raises ConfigError: a folder that would be written holds something else than the same attack on the same images.

    soft: names of attacks that have one strength, whatever the budget.
    """
    due = [
        (saved_folder(save, spec, eps), manifest(spec, eps, bench))
        for spec in specs
        for eps in ((SOFT,) if spec.name in soft else budgets)
    ]
    for number, (folder, wanted) in enumerate(due):
        if any(folder == other for other, _ in due[:number]):
            raise ConfigError(
                f"two attacks of the table would both be saved as {folder.name}: attack with one at a time"
            )
        if folder.exists() and _held(folder) != wanted:
            raise ConfigError(f"{folder} holds other images than these: choose another --save-adv, or move it away")


def save_adversarial(save: Path, adv: Images, spec: AttackSpec, eps: str, bench: AttackBenchmark, split: str) -> None:
    """Raises RunError: it can't be written."""
    write_devkit(
        saved_folder(save, spec, eps), split, bench.truth.ids, adv,
        masks=bench.truth.masks, targets=None if bench.target.segments else bench.truth.targets,
        manifest=manifest(spec, eps, bench),
    )  # fmt: skip


def manifest(spec: AttackSpec, eps: str, bench: AttackBenchmark) -> dict[str, Any]:
    config = bench.config
    return {
        "attack": spec.name, "norm": config.norm, "eps": eps, "goal": config.goal, "against": config.reference,
        "seed": config.seed, "crafted on": [str(run.path) for run in bench.target.runs],
        "checkpoint": bench.target.checkpoint, "data": str(bench.root), "images": list(bench.truth.ids),
    }  # fmt: skip


def _held(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return {}
