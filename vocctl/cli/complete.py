"""What the shell completes behind a flag or an argument. Nothing here imports torch: a shell asks at each press of Tab.

Each function gets the beginning of a word and returns words that may continue it; typer drops those that do not fit. Choices
are not here: typer completes them. Where a function returns nothing, the shell completes file names.
"""

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from vocctl.attacks.table import ATTACKS
from vocctl.config.corruptions import ALL, CORRUPTIONS
from vocctl.labels import CLASSES
from vocctl.reporting.kinds import PLOT_KINDS

RUNS = "runs"  # as runs/find.py has it, whose import takes too long


def run_names(incomplete: str) -> list[str]:
    """Names of all runs below runs/."""
    return _names_of_runs("*")


def seg_runs(incomplete: str) -> list[str]:
    return _names_of_runs("seg")


def cls_runs(incomplete: str) -> list[str]:
    return _names_of_runs("cls")


def adv_runs(incomplete: str) -> list[str]:
    return _names_of_runs("adv")


def _names_of_runs(kind: str) -> list[str]:
    return sorted({path.parent.name for path in Path(RUNS).glob(f"{kind}/*/run.json")})


def evaluations(incomplete: str) -> list[str]:
    """Names of the folders in runs/*/*/eval/."""
    return sorted({path.parent.name for path in Path(RUNS).glob("*/*/eval/*/scores.json")})


def trainable_models(incomplete: str) -> list[str]:
    """What train-seg and train-cls take: scratch, and timm's models."""
    return ["scratch", *timm_models(incomplete)]


def timm_models(incomplete: str) -> list[str]:
    """Every architecture of the installed timm: the functions that its source text registers."""
    package = importlib.util.find_spec("timm")  # does not import it
    names = []
    if package is not None and package.origin is not None:
        for path in Path(package.origin).parent.glob("models/*.py"):
            names += [name.decode() for name in re.findall(rb"@register_model\ndef (\w+)\(", path.read_bytes())]
    return sorted(name for name in names if name.startswith(incomplete))


def attacks(incomplete: str) -> list[str]:
    """Attacks separated by commas; adv:RUN with the runs of train-adv."""
    names = [name for name, attack in ATTACKS.items() if not attack.trained]
    names += [f"{name}:{run}" for name, attack in ATTACKS.items() if attack.trained for run in _names_of_runs("adv")]
    return _continue_list(incomplete, names)


def corruptions(incomplete: str) -> list[str]:
    """Corruptions separated by commas."""
    return _continue_list(incomplete, [ALL, *CORRUPTIONS])


def training_attacks(incomplete: str) -> list[str]:
    return ["none", *(name for name, attack in ATTACKS.items() if attack.for_training)]


def goals(incomplete: str) -> list[str]:
    return ["untargeted", *(f"{kind}:{name}" for kind in ("target", "hide") for name in CLASSES)]


def plot_kinds(incomplete: str) -> list[str]:
    return _continue_list(incomplete, PLOT_KINDS)


def data_sets(incomplete: str) -> list[str]:
    return [*(f"voc{year}" for year in range(2007, 2013)), "voc2007-test", "sbd", "shapes", "h02a5a"]


def devices(incomplete: str) -> list[str]:
    return ["auto", "cpu", "cuda", "mps"]


def weights(incomplete: str) -> list[str]:
    return ["auto", "none"]


def _continue_list(incomplete: str, names: Iterable[str]) -> list[str]:
    """The words that the last part of a list with commas may become, behind the parts before it."""
    before, comma, _ = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name not in before.split(",")]


OF_SETTINGS = {  # section and field of a train command's setting -> function
    "model.encoder": trainable_models,
    "model.model": trainable_models,
    "model.weights": weights,
    "generator.encoder": timm_models,
    "generator.weights": weights,
    "attack_loss.target": run_names,
    "attack_loss.goal": goals,
    "adversarial_training.adv_train": training_attacks,
    "train.device": devices,
}
