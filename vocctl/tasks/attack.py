"""Attack runs and score them: every attack at every budget, on the images of a split.

Writes RUN/attacks/<data>-<split>-<norm>/ and, for a transfer evaluation, RUN/attacks/transfer-.../. runs/attacks.py
documents the files. The same evaluation again replaces its folder; another one gets a number behind its name.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocctl.attacks.table import AttackSpec, check_attack_fits, fixed_step_attacks, parse_attack
from vocctl.config import AttackConfig, EvalOptions
from vocctl.data.source import Source
from vocctl.distributed import is_main_process
from vocctl.errors import ConfigError
from vocctl.files import atomic_folder
from vocctl.inference.eval_split import HELD_OUT
from vocctl.reporting.attack_figures import draw_attack_scores, draw_examples, draw_transfer_matrix, transfer_stem
from vocctl.robustness.adversarial_dataset import AdversarialDataset
from vocctl.robustness.benchmark import (
    AttackBenchmark,
    OnProgress,
    ProgressCounter,
    evaluate_attacks,
    read_ground_truth,
    sort_budgets,
)
from vocctl.robustness.examples import ExampleCollector, strongest_examples
from vocctl.robustness.generator import open_generator
from vocctl.robustness.sanity import SanityCheck, run_sanity_checks
from vocctl.robustness.transfer import evaluate_transfer
from vocctl.robustness.victims import Victim, check_same_validation_images, open_victim
from vocctl.runs.attacks import (
    ATTACK_FILE,
    TRANSFER_FILE,
    AttackRow,
    TransferMatrix,
    evaluation_folder,
    evaluation_name,
    file_name,
    read_attack,
    write_attack,
    write_transfer,
)
from vocctl.runs.find import distinct_names


@dataclass(frozen=True)
class AttackResult:
    run: Path  # the first run
    members: tuple[str, ...]  # paths of the runs that were attacked as one
    folder: Path
    task: str
    metric: str  # main metric: mean_iou or map_sklearn
    data: str
    data_path: Path
    split: str
    images: int
    checkpoint: str
    norm: str
    goal: str
    reference: str
    rows: list[AttackRow]  # clean images first, then by budget, each budget with its worst case
    worst_attacks: dict[str, dict[str, float]]  # budget -> attack -> fraction of the images on which it was the worst
    sanity: list[SanityCheck]


@dataclass(frozen=True)
class TransferResult(TransferMatrix):
    """The matrix of one attack at one budget. folder and sanity are the same for all matrices of one evaluation."""

    folder: Path
    sanity: dict[str, list[SanityCheck]]  # by run


def attack(
    names: Sequence[str],
    config: AttackConfig,
    options: EvalOptions = EvalOptions(),
    *,
    save_adv: Path | None = None,
    on_progress: OnProgress | None = None,
) -> AttackResult:
    """Attack one run, or several runs of one task as an ensemble.

    options: data, split, checkpoint and device; the others do not apply to attacks. save_adv: a folder for the adversarial
    images. Raises ConfigError: an unknown attack, or one that does not fit the task or the goal. DataError: as `vocctl
    eval`.
    """
    config, specs = _prepare(config)
    victim = open_victim(names, options.checkpoint, options.device)
    (bench,), source, split = _open_benchmarks([victim], config, specs, options, on_progress)
    data_path = source.root.resolve()
    dataset = None
    if save_adv is not None:
        devkit_split = victim.config.data.val_split if split == HELD_OUT else split
        dataset = AdversarialDataset(save_adv, devkit_split, data_path, victim, bench.truth, config)
        dataset.check_folders((spec, eps) for spec in specs for eps in bench.budgets(spec))
    examples = ExampleCollector(bench.truth, bench.clean)
    evaluation = evaluate_attacks(bench, specs, examples, dataset)
    bounded = [spec for spec in specs if not bench.is_unbounded(spec)]
    settings = _settings([victim], data_path, config)
    name = evaluation_name(source.name, split, config) + ("-ensemble" if len(names) > 1 else "")
    run = victim.runs[0].path
    result = AttackResult(
        run=run, members=settings["members"], folder=evaluation_folder(run, name, ATTACK_FILE, settings),
        task=victim.task, metric=victim.metric, data=source.name, data_path=data_path, split=split,
        images=len(bench.truth.ids), checkpoint=options.checkpoint, norm=config.norm, goal=config.goal, reference=config.reference,
        rows=evaluation.rows, worst_attacks=evaluation.worst_attacks,
        sanity=run_sanity_checks(bench, evaluation.predictions, bounded),
    )  # fmt: skip
    _write_attack(result, settings, victim.name, examples)
    return result


def transfer(
    names: Sequence[str],
    config: AttackConfig,
    options: EvalOptions = EvalOptions(),
    *,
    on_progress: OnProgress | None = None,
) -> list[TransferResult]:
    """Make adversarial images for each run, and test all runs on them. Returns a matrix for each attack and budget.

    Raises as attack does. ConfigError: runs of different tasks.
    """
    config, specs = _prepare(config)
    victims = [open_victim([name], options.checkpoint, options.device) for name in names]
    if len({victim.task for victim in victims}) > 1:
        raise ConfigError("a transfer matrix is for runs of one task: name only classifiers, or only segmenters")
    benches, source, split = _open_benchmarks(victims, config, specs, options, on_progress)
    run_names = distinct_names([victim.runs[0].path for victim in victims])
    evaluation = evaluate_transfer(dict(zip(run_names, benches, strict=True)), specs)
    settings = _settings(victims, source.root.resolve(), config)
    name = f"transfer-{evaluation_name(source.name, split, config)}-{len(names)}-runs"
    folder = evaluation_folder(victims[0].runs[0].path, name, TRANSFER_FILE, settings)
    results = [
        TransferResult(**vars(matrix), folder=folder, sanity=evaluation.sanity) for matrix in evaluation.matrices
    ]
    with atomic_folder(folder) as part:
        if is_main_process():
            write_transfer(part, settings, [asdict(result) for result in results])
            for result in results:
                draw_transfer_matrix(result, part / f"{transfer_stem(folder, result)}.png")
    return results


def _prepare(config: AttackConfig) -> tuple[AttackConfig, list[AttackSpec]]:
    """Sort the budgets and parse the attacks. Raises ConfigError: an unknown attack, or a step that no attack uses."""
    specs = [parse_attack(text) for text in dict.fromkeys(config.attack)]
    if config.step is not None and not any(spec.attack.fixed_step for spec in specs):
        names = ", ".join(fixed_step_attacks())
        raise ConfigError(f"--step sets the step length of {names}: add one of them to --attack, or leave --step out")
    return sort_budgets(config), specs


def _open_benchmarks(
    victims: Sequence[Victim], config: AttackConfig, specs: Sequence[AttackSpec], options: EvalOptions,
    on_progress: OnProgress | None,
) -> tuple[list[AttackBenchmark], Source, str]:  # fmt: skip
    """A benchmark for each victim, on the same images; the data set, and the name of the split."""
    first = victims[0]
    for spec in specs:
        check_attack_fits(spec, first.task, config.goal)
    generators = {spec.run: open_generator(spec.run, config.norm, first.setup) for spec in specs if spec.attack.trained}
    if options.data is None and options.split is None:
        check_same_validation_images(victims)
    truth, source, split = read_ground_truth(first, config, options.data, options.split)
    progress = ProgressCounter(on_progress)
    benches = [
        AttackBenchmark(victim, truth, victim.predict(truth.images, truth), config, generators, progress)
        for victim in victims
    ]
    return benches, source, split


def _settings(victims: Sequence[Victim], data_path: Path, config: AttackConfig) -> dict[str, Any]:
    """What identifies an evaluation: if all of it is equal, it is the same evaluation."""
    runs = tuple(str(run.path.absolute()) for victim in victims for run in victim.runs)
    return {"members": runs, "data_path": data_path, "checkpoint": victims[0].checkpoint, "config": asdict(config)}


def _write_attack(result: AttackResult, settings: dict[str, Any], victim: str, collector: ExampleCollector) -> None:
    with atomic_folder(result.folder) as part:
        if not is_main_process():
            return
        for examples in collector.by_attack.values():
            draw_examples(victim, examples, result.norm, part / f"{file_name(examples.attack)}.png")
        strongest = strongest_examples(collector.by_attack, result.rows, result.metric)
        write_attack(part, asdict(result) | settings, result.rows, strongest)
        draw_attack_scores(result.run.resolve().name, read_attack(part), part / "robustness.png")
