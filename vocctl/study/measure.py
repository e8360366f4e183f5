"""Run one trial: train or resume its run, then measure it."""

import importlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vocctl.config import AttackConfig, EvalOptions
from vocctl.config.study import REFERENCE, Study, TrainingConfig
from vocctl.errors import DataError
from vocctl.files import parse_json
from vocctl.runs.folder import RunFolder
from vocctl.study.folder import StudyFolder, trial_name
from vocctl.training.reporter import Reporter


@dataclass(frozen=True)
class Measured:
    """What is known of a finished run. Scores are fractions in [0, 1]."""

    score: float  # of the study's metric
    evaluation: str  # name of its folder in RUN/eval/; "" of a generator
    attacks: dict[str, float]  # main score under "ATTACK EPS", of a generator the mean over its victims
    seconds: float  # training time without validation
    images_per_second: float
    parameters: int


def resolve_references(folder: StudyFolder, study: Study, config: TrainingConfig, seed: int) -> TrainingConfig:
    """Replace "@STUDY:ARM" in the targets of train-adv by the run of that arm with the same seed.

    Raises DataError: that run has not finished.
    """
    if study.command != "train-adv":
        return config
    targets = []
    for target in config.attack_loss.target:  # type: ignore[union-attr]
        match = REFERENCE.fullmatch(target)
        if match is None:
            targets.append(target)
            continue
        other = folder.file[match[1]]
        run = folder.run_folder(other, trial_name(other.arm(match[2]), seed))
        if not (run / "final.safetensors").is_file():
            raise DataError(f"study {study.name} needs the run {run}, which has not finished")
        targets.append(str(run))
    return replace(config, attack_loss=replace(config.attack_loss, target=tuple(targets)))  # type: ignore[union-attr,arg-type]


def train(command: str, config: TrainingConfig, run: Path, reporter: Reporter) -> None:
    """Train a run into its folder; resume it where an earlier worker stopped; do nothing if it has finished.

    Raises VocctlError as the command does.
    """
    task = importlib.import_module(f"vocctl.tasks.{command.replace('-', '_')}")
    if (run / "run.json").is_file():
        if not is_finished(run):
            task.resume(str(run), reporter=reporter)
        return
    shutil.rmtree(run, ignore_errors=True)  # a worker was killed before it wrote the first file
    run.parent.mkdir(parents=True, exist_ok=True)
    task.run(config, run, reporter=reporter)


def is_finished(run: Path) -> bool:
    """Whether training has saved its final state."""
    states = sorted((run / "state").glob("step-*.safetensors"))
    if not states:
        return False
    try:
        with safe_open(states[-1], "pt") as file:
            return bool(parse_json(file.metadata()["train_state"])["finished"])
    except (SafetensorError, OSError, LookupError, TypeError, ValueError):
        return False  # resume tells what is wrong with it


def measure(study: Study, config: TrainingConfig, run: Path) -> Measured:
    """Score a finished run. Raises VocctlError as `vocctl eval` does."""
    asked, folder = study.measure, RunFolder(run)
    options = EvalOptions(split=asked.split or None, checkpoint=asked.checkpoint, tta=asked.tta)
    last = folder.read_metrics()[-1]
    evaluation, score = "", float(last.get(study.main_metric, float("nan")))
    if study.command == "train-seg":
        from vocctl.tasks.evaluate_seg import evaluate as evaluate_seg

        seg = evaluate_seg(str(run), options)
        evaluation, score = seg.info.name, seg.scores[study.main_metric]
    elif study.command == "train-cls":
        from vocctl.tasks.evaluate_cls import evaluate as evaluate_cls

        cls = evaluate_cls([str(run)], options)
        evaluation, score = cls.info.name, cls.scores[study.main_metric]
    return Measured(
        score=score,
        evaluation=evaluation,
        attacks=_attacks(study, config, run, options),
        seconds=float(last["train_seconds"]),
        images_per_second=float(last["images_per_second"]),
        parameters=int(folder.info()["parameters"]["model"]),
    )


def _attacks(study: Study, config: TrainingConfig, run: Path, options: EvalOptions) -> dict[str, float]:
    from vocctl.tasks.attack import attack

    asked = study.measure
    if study.command == "train-adv":
        attacks, victims = (f"adv:{run}", *asked.attack), config.attack_loss.target  # type: ignore[union-attr]
        attack_config = AttackConfig(
            attack=attacks, eps=(config.threat.eps,), norm=config.threat.norm, images=asked.images  # type: ignore[union-attr]
        )  # fmt: skip
    elif asked.attack:
        victims, attack_config = (str(run),), asked.attack_config()
    else:
        return {}
    found: dict[str, list[float]] = {}
    for victim in victims:
        result = attack([victim], attack_config, options)
        for row in result.rows:
            name = "generator" if row.attack.startswith("adv:") else row.attack
            key = f"{name} {row.eps}".strip() if row.attack != "clean" else "clean"
            found.setdefault(key, []).append(row.scores[result.metric])
    return {key: sum(scores) / len(scores) for key, scores in found.items()}
