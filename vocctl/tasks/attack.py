"""Attack runs and measure what is left: every attack at every budget on the images of a split.

Writes RUN/attacks/<data>-<split>-<norm>/ (goals, subsets and ensembles in its name too): attack.json, table.csv, pictures,
and a few images as seen_attacks.py reads them; RUN/attacks/transfer-.../ for a transfer matrix. The same evaluation again
takes its folder's place, another one stands beside it under a number.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vocctl.attacks.table import AttackSpec, check_attack_fits, parse_attack
from vocctl.config import AttackConfig, check_checkpoint, parse_epsilon
from vocctl.distributed import is_main_process
from vocctl.errors import ConfigError, DataError
from vocctl.files import atomic_folder, read_json, to_json, write_text
from vocctl.inference.eval_split import HELD_OUT
from vocctl.reporting.attack_figures import draw_attack_scores, draw_transfer_matrices, transfer_stems
from vocctl.robustness.adversarial_dataset import refuse_others, save_adversarial
from vocctl.robustness.benchmark import AttackBenchmark, AttackedImages, Images, read_ground_truth
from vocctl.robustness.examples import AttackExamples
from vocctl.robustness.generator import open_generator
from vocctl.robustness.outcomes import (
    AttackedPredictions,
    AttackRow,
    attacked_predictions,
    distortion_stats,
    fooling_rates,
    goal_match,
    scores,
    thresholds,
    worst_case,
)
from vocctl.robustness.sanity import sanity_checks
from vocctl.robustness.sanity_checks import Check
from vocctl.robustness.victims import Victim, open_victim
from vocctl.runs.attacks import SOFT, AttackRecord, TransferRecord
from vocctl.runs.find import distinct_names

OnWork = Callable[[int, int], None]  # images done, of all


@dataclass(frozen=True)
class AttackResult:
    run: Path
    members: tuple[str, ...]
    folder: Path
    task: str
    data: str
    root: Path  # of the data
    split: str
    images: int
    checkpoint: str
    norm: str
    goal: str
    reference: str
    rows: list[AttackRow]  # clean first, then a budget at a time, each with its worst case
    worst_by: dict[str, dict[str, float]]  # eps -> attack -> share of the images on which it was the worst
    sanity: list[Check]


@dataclass(frozen=True)
class TransferResult:
    """scores[crafted on][tested on], score in [0, 1], for one attack at one budget; clean[tested on].

    What looks at no target, noise and a trained adversary, has one row, under its own name.
    """

    folder: Path
    score: str  # mean_iou or map_sklearn
    images: int
    attack: str
    eps: str
    runs: tuple[str, ...]
    clean: dict[str, float]
    scores: dict[str, dict[str, float]]
    sanity: dict[str, list[Check]]  # by run, the same in every matrix of one command


def attack(
    names: Sequence[str],
    config: AttackConfig,
    *,
    data: Path | None = None,
    split: str | None = None,
    checkpoint: str = "best",
    save: Path | None = None,
    device: str | None = None,
    on_work: OnWork | None = None,
) -> AttackResult:
    """Attack one run, or several of one task as one. save: a folder for the adversarial images, a data set each attack.

    Raises ConfigError: no such attack, budget, goal, or one that the task has no use for. DataError as eval does.
    """
    check_checkpoint(checkpoint)
    config = _ascending(config)
    specs = [parse_attack(text) for text in dict.fromkeys(config.attack)]
    target = open_victim(names, checkpoint, device)
    for spec in specs:
        check_attack_fits(spec, target.task, config.goal)
    trained = {spec.run: open_generator(spec.run, config.norm, target.setup) for spec in specs if spec.attack.trained}
    if data is None and split is None:
        _refuse_strangers([target])
    truth, source, split_name = read_ground_truth(target, config, data, split)
    limits = None if target.segments else thresholds(target, checkpoint)
    clean = attacked_predictions(target, truth.images, truth)
    members = Counter(member.name for spec in specs for member in spec.members)
    soft = {spec.name for spec in specs if spec.run in trained and not trained[spec.run].bounded}
    crafts = sum(1 if name in soft else len(config.eps) for name in members)
    count = _counter(crafts * len(truth.ids), on_work)
    bench = AttackBenchmark(target, source.root.resolve(), truth, clean, limits, config, trained, count)
    if save is not None:
        refuse_others(save, specs, config.eps, soft, bench)
    rows = [_row("clean", "0", clean, clean, truth.images, bench)]
    worst_by: dict[str, dict[str, float]] = {}
    kept: dict[tuple[str, str], AttackedPredictions] = {}
    pictures = AttackExamples(target, truth, clean, config)
    for eps in config.eps:
        made: dict[str, AttackedImages] = {}
        left = members.copy()
        for spec in specs:
            if spec.name in soft and eps != config.eps[0]:
                kept[spec.name, eps] = kept[spec.name, config.eps[0]]
                continue
            adv, seen = bench.run(spec, eps, made)
            left.subtract(member.name for member in spec.members)
            made = {name: held for name, held in made.items() if left[name]}  # what is asked for again
            kept[spec.name, eps] = replace(seen, maps=())  # of a whole split, under every attack, they fill the memory
            named = SOFT if spec.name in soft else eps
            pictures.add(spec, named, adv, seen)
            rows.append(_row(spec.name, named, clean, seen, adv, bench))
            if save is not None and is_main_process():
                own = target.config.data.val_split if split_name == HELD_OUT else split_name
                save_adversarial(save, adv, spec, named, bench, own)
        bound = [spec for spec in specs if spec.name not in soft]
        if config.goal == "untargeted" and len(bound) > 1:
            names_here = ["clean", *(spec.name for spec in bound)]
            seen, chosen = worst_case([clean, *(kept[spec.name, eps] for spec in bound)])
            rows.append(AttackRow("worst case", eps, scores(seen, truth, limits), {}, {}))
            worst_by[eps] = {name: float((chosen == place).mean()) for place, name in enumerate(names_here)}
    several = "-ensemble" if len(names) > 1 else ""
    runs = tuple(str(run.path) for run in target.runs)
    about = {"members": runs, "root": bench.root, "checkpoint": checkpoint, "config": asdict(config)}
    place = f"{_place(source.name, split_name, config)}{several}"
    result = AttackResult(
        run=target.runs[0].path, members=runs, task=target.task, data=source.name, root=bench.root, split=split_name,
        folder=_own_folder(target.runs[0].path / "attacks" / place, "attack.json", about),
        images=len(truth.ids), checkpoint=checkpoint, norm=config.norm, goal=config.goal, reference=config.reference,
        rows=rows, worst_by=worst_by, sanity=sanity_checks(bench, kept, bound),
    )  # fmt: skip
    _write(result, config, pictures)
    return result


def transfer(
    names: Sequence[str],
    config: AttackConfig,
    *,
    data: Path | None = None,
    split: str | None = None,
    checkpoint: str = "best",
    device: str | None = None,
    on_work: OnWork | None = None,
) -> list[TransferResult]:
    """Craft on each run, test on all. Raises as attack does; ConfigError: runs of different tasks."""
    check_checkpoint(checkpoint)
    config = _ascending(config)
    specs = [parse_attack(text) for text in dict.fromkeys(config.attack)]
    targets = [open_victim([name], checkpoint, device) for name in names]
    if len({target.task for target in targets}) > 1:
        raise ConfigError("a transfer matrix is of one task: name classifiers alone, or segmenters alone")
    for spec in specs:
        check_attack_fits(spec, targets[0].task, config.goal)
    if data is None and split is None:
        _refuse_strangers(targets)
    truth, source, split_name = read_ground_truth(targets[0], config, data, split)
    root = source.root.resolve()
    main = "mean_iou" if targets[0].segments else "map_sklearn"
    limits = [None if target.segments else thresholds(target, checkpoint) for target in targets]
    labels = distinct_names([target.runs[0].path for target in targets])
    cleans = [attacked_predictions(target, truth.images, truth) for target in targets]
    crafts = sum(len(spec.members) * (1 if spec.attack.access == "model-free" else len(targets)) for spec in specs)
    count = _counter(crafts * len(config.eps) * len(truth.ids), on_work)
    benches = [
        AttackBenchmark(target, root, truth, clean, limit, config, {}, count)
        for target, clean, limit in zip(targets, cleans, limits, strict=True)
    ]

    def scored(seen: Iterable[AttackedPredictions]) -> dict[str, float]:
        return {name: scores(one, truth, limit)[main] for name, one, limit in zip(labels, seen, limits, strict=True)}

    kept: dict[str, dict[tuple[str, str], AttackedPredictions]] = {label: {} for label in labels}
    found: list[tuple[AttackSpec, str, dict[str, dict[str, float]]]] = []
    for spec in specs:
        trained = {spec.run: open_generator(spec.run, config.norm, targets[0].setup)} if spec.run else {}
        soft = any(not one.bounded for one in trained.values())
        for eps in config.eps[:1] if soft else config.eps:
            table: dict[str, dict[str, float]] = {}
            for label, bench in zip(labels, benches, strict=True):
                adv, own = replace(bench, trained=trained).run(spec, eps)
                table[spec.name if spec.attack.access == "model-free" else label] = scored(
                    own if target is bench.target else attacked_predictions(target, adv, truth) for target in targets
                )
                kept[label][spec.name, eps] = replace(own, maps=())
                if spec.attack.access == "model-free":
                    break
            found.append((spec, SOFT if soft else eps, table))
    looking = [spec for spec in specs if spec.attack.access != "model-free"]
    sanity = {label: sanity_checks(bench, kept[label], looking) for label, bench in zip(labels, benches, strict=True)}
    members = [str(target.runs[0].path) for target in targets]
    about = {"members": members, "root": root, "checkpoint": checkpoint, "config": asdict(config)}
    place = f"transfer-{_place(source.name, split_name, config)}-{len(names)}-runs"
    folder = _own_folder(targets[0].runs[0].path / "attacks" / place, "transfer.json", about)
    results = [
        TransferResult(folder, main, len(truth.ids), spec.name, eps, tuple(labels), scored(cleans), table, sanity)
        for spec, eps, table in found
    ]
    _write_transfer(folder, results, about)
    return results


def _refuse_strangers(targets: Sequence[Victim]) -> None:
    """Raises DataError where one run would be attacked on images that it was trained on, because another validated there."""
    first, *others = [run for target in targets for run in target.runs]
    for run in others:
        if run.split_ids("val") != first.split_ids("val"):
            raise DataError(
                f"{run.path} and {first.path} were validated on different images: name --data and --split of some that "
                "none was trained on"
            )


def _ascending(config: AttackConfig) -> AttackConfig:
    """Budgets from the smallest to the largest: tables, lines and the kept pictures go by that order."""
    by_size = {parse_epsilon(eps): eps for eps in reversed(config.eps)}  # 8px and 8/255 are one
    return replace(config, eps=tuple(by_size[size] for size in sorted(by_size)))


def _own_folder(wanted: Path, file: str, about: dict[str, Any]) -> Path:
    """wanted, or with a number behind it: the first that is free, or whose file tells of the same evaluation."""
    folder, number = wanted, 1
    while folder.exists():
        try:
            held = read_json(folder / file)
        except (OSError, ValueError):
            break  # broken: of no use to anyone
        if json.loads(json.dumps(to_json(about))) == {key: held.get(key) for key in about}:
            break
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def _place(data: str, split: str, config: AttackConfig) -> str:
    kind = "" if config.goal == "untargeted" else "-" + config.goal.replace(":", "-")
    few = f"-{config.images}" if config.images else ""
    return f"{data}-{split}-{config.norm}{kind}{few}"


def as_json(result: AttackResult | TransferResult) -> dict[str, Any]:
    """The result as plain values; an undefined score is null."""
    values: dict[str, Any] = to_json(asdict(result))
    return values


def _counter(total: int, on_work: OnWork | None) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        if on_work:
            on_work(done, total)

    return count


def _row(
    name: str, eps: str, clean: AttackedPredictions, seen: AttackedPredictions, adv: Images, bench: AttackBenchmark
) -> AttackRow:
    truth, limits = bench.truth, bench.limits
    goal = bench.config.goal
    if seen is clean:  # how often a target is met without an attack
        turned = goal_match(clean, clean, truth, limits, goal) if goal.startswith("target") else {}
        return AttackRow(name, eps, scores(seen, truth, limits), turned, {})
    turned = fooling_rates(clean, seen, truth, limits, goal)
    return AttackRow(name, eps, scores(seen, truth, limits), turned, distortion_stats(truth.images, adv))


def _write(result: AttackResult, config: AttackConfig, pictures: AttackExamples) -> None:
    with atomic_folder(result.folder) as part:
        if is_main_process():
            _fill(part, result, config, pictures)


def _fill(part: Path, result: AttackResult, config: AttackConfig, pictures: AttackExamples) -> None:
    pictures.draw(part)
    about = as_json(result) | {"config": to_json(asdict(config)), "kept": to_json(pictures.keep(part, result.rows))}
    write_text(part / "attack.json", json.dumps(about, indent=1) + "\n")
    draw_attack_scores(result.run.resolve().name, AttackRecord(part, about), part / "robustness.png")
    columns = sorted({key for row in result.rows for key in row.scores}, reverse=True)
    shares = list(dict.fromkeys(key for row in result.rows for key in row.fooling_rates))
    seen = list(dict.fromkeys(key for row in result.rows for key in row.distortion))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["attack", "eps", *columns, *shares, *seen])
    for row in result.rows:
        held = row.scores | row.fooling_rates | row.distortion
        writer.writerow([row.attack, row.eps, *(held.get(key, "") for key in (*columns, *shares, *seen))])
    write_text(part / "table.csv", table.getvalue())


def _write_transfer(folder: Path, results: Sequence[TransferResult], about: dict[str, Any]) -> None:
    with atomic_folder(folder) as part:
        if is_main_process():
            matrices = [as_json(result) for result in results]
            write_text(part / "transfer.json", json.dumps({"matrices": matrices} | to_json(about), indent=1) + "\n")
            record = TransferRecord(folder, matrices)
            draw_transfer_matrices(record, [part / f"{stem}.png" for stem in transfer_stems(record)])
