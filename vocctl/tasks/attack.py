"""Attack runs and measure what is left: every attack at every budget on the photos of a split.

Writes RUN/attacks/<data>-<split>-<norm>/ (goals, subsets and ensembles in its name too): attack.json, table.csv, pictures,
and a few photos as seen_attacks.py reads them; RUN/attacks/transfer-.../ for a transfer matrix.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vocctl.attacks.sanity import Check
from vocctl.attacks.specs import AttackSpec, parse_attack, refuse_for
from vocctl.config import AttackConfig, parse_epsilon
from vocctl.data.devkit import write_devkit
from vocctl.errors import ConfigError
from vocctl.ranks import is_first
from vocctl.runs import distinct_names, write_text
from vocctl.tasks.attack_bench import Bench, Images, read_truth
from vocctl.tasks.attack_pictures import Pictures, file_name
from vocctl.tasks.attack_sanity import sanity_checks
from vocctl.tasks.attacked import AttackRow, Outcome, fooling, outcome, scores, thresholds, visibility, worst_of
from vocctl.tasks.evaluation import fresh_part, plain, put_in_place, refuse_unknown
from vocctl.tasks.plot_attacks import draw_grids, draw_scores
from vocctl.tasks.seen_attacks import SOFT, SeenAttack, SeenTransfer
from vocctl.tasks.targets import open_target
from vocctl.tasks.train_adv import open_adversary

OnWork = Callable[[int, int], None]  # photos done, of all


@dataclass(frozen=True)
class AttackResult:
    run: Path
    members: tuple[str, ...]
    folder: Path
    task: str
    data: str
    split: str
    photos: int
    checkpoint: str
    norm: str
    goal: str
    against: str
    rows: list[AttackRow]  # clean first, then a budget at a time, each with its worst case
    worst_by: dict[str, dict[str, float]]  # eps -> attack -> share of the photos on which it was the worst
    sanity: list[Check]


@dataclass(frozen=True)
class TransferResult:
    """scores[crafted on][tested on], score in [0, 1], for one attack at one budget; clean[tested on]."""

    folder: Path
    score: str  # mean_iou or map_sklearn
    photos: int
    attack: str
    eps: str
    runs: tuple[str, ...]
    clean: dict[str, float]
    scores: dict[str, dict[str, float]]


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
    refuse_unknown(checkpoint, "none")
    config = _ascending(config)
    specs = [parse_attack(text) for text in config.attack]
    target = open_target(names, checkpoint, device)
    for spec in specs:
        refuse_for(spec, target.task, config.goal)
    trained = {spec.run: open_adversary(spec.run, config.norm, target.here) for spec in specs if spec.kind == "adv"}
    truth, data_name, split_name = read_truth(target, config, data, split)
    limits = None if target.segments else thresholds(target, checkpoint)
    clean = outcome(target, truth.photos, truth)
    bench = Bench(target, truth, clean, limits, config, trained, _counter(specs, config, len(truth.ids), on_work))
    rows = [_row("clean", "0", clean, clean, truth.photos, bench)]
    worst_by: dict[str, dict[str, float]] = {}
    kept: dict[tuple[str, str], Outcome] = {}
    pictures = Pictures(target, truth, clean, config)
    for eps in config.eps:
        for spec in specs:
            soft = spec.run in trained and not trained[spec.run].bounded
            if soft and eps != config.eps[0]:
                kept[spec.name, eps] = kept[spec.name, config.eps[0]]
                continue
            adv, seen = bench.run(spec, eps)
            kept[spec.name, eps] = replace(seen, maps=())  # of a whole split, under every attack, they fill the memory
            pictures.add(spec, SOFT if soft else eps, adv, seen)
            rows.append(_row(spec.name, SOFT if soft else eps, clean, seen, adv, bench))
            if save is not None and is_first():
                _save(save / f"{file_name(spec.name)}-{eps.replace('/', '-')}", adv, spec, eps, bench, split_name)
        bound = [spec for spec in specs if spec.run not in trained or trained[spec.run].bounded]
        if config.goal == "untargeted" and len(bound) > 1:
            names_here = ["clean", *(spec.name for spec in bound)]
            seen, chosen = worst_of([clean, *(kept[spec.name, eps] for spec in bound)])
            rows.append(AttackRow("worst case", eps, scores(seen, truth, limits), {}, {}))
            worst_by[eps] = {name: float((chosen == place).mean()) for place, name in enumerate(names_here)}
    sanity = sanity_checks(bench, kept, specs) if config.goal == "untargeted" else []
    several = "-ensemble" if len(names) > 1 else ""
    folder = target.runs[0].path / "attacks" / f"{_place(data_name, split_name, config)}{several}"
    result = AttackResult(
        run=target.runs[0].path, members=tuple(str(run.path) for run in target.runs), folder=folder, task=target.task,
        data=data_name, split=split_name, photos=len(truth.ids), checkpoint=checkpoint, norm=config.norm,
        goal=config.goal, against=config.against, rows=rows, worst_by=worst_by, sanity=sanity,
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
    config = _ascending(config)
    targets = [open_target([name], checkpoint, device) for name in names]
    if len({target.task for target in targets}) > 1:
        raise ConfigError("a transfer matrix is of one task: name classifiers alone, or segmenters alone")
    specs = [parse_attack(text) for text in config.attack]
    truth, data_name, split_name = read_truth(targets[0], config, data, split)
    folder = targets[0].runs[0].path / "attacks" / f"transfer-{_place(data_name, split_name, config)}-{len(names)}-runs"
    main = "mean_iou" if targets[0].segments else "map_sklearn"
    limits = [None if target.segments else thresholds(target, checkpoint) for target in targets]
    labels = distinct_names([target.runs[0].path for target in targets])
    cleans = [outcome(target, truth.photos, truth) for target in targets]
    count = _counter([spec for spec in specs for _ in targets], config, len(truth.ids), on_work)
    found = []
    for spec in specs:
        refuse_for(spec, targets[0].task, config.goal)
        for eps in config.eps:
            table: dict[str, dict[str, float]] = {}
            for label, target, clean, own in zip(labels, targets, cleans, limits, strict=True):
                trained = {spec.run: open_adversary(spec.run, config.norm, target.here)} if spec.run else {}
                adv, _ = Bench(target, truth, clean, own, config, trained, count).run(spec, eps)
                seen = [outcome(other, adv, truth) for other in targets]
                table[label] = {
                    other: scores(one, truth, limit)[main]
                    for other, one, limit in zip(labels, seen, limits, strict=True)
                }
            clean_scores = {
                label: scores(clean, truth, limit)[main]
                for label, clean, limit in zip(labels, cleans, limits, strict=True)
            }
            found.append(
                TransferResult(folder, main, len(truth.ids), spec.name, eps, tuple(labels), clean_scores, table)
            )
    _write_transfer(folder, found)
    return found


def _ascending(config: AttackConfig) -> AttackConfig:
    """Budgets from the smallest to the largest: tables, lines and the kept pictures go by that order."""
    by_size = {parse_epsilon(eps): eps for eps in reversed(config.eps)}  # 8px and 8/255 are one
    return replace(config, eps=tuple(by_size[size] for size in sorted(by_size)))


def _place(data: str, split: str, config: AttackConfig) -> str:
    kind = "" if config.goal == "untargeted" else "-" + config.goal.replace(":", "-")
    few = f"-{config.images}" if config.images else ""
    return f"{data}-{split}-{config.norm}{kind}{few}"


def as_json(result: AttackResult | TransferResult) -> dict[str, Any]:
    """The result as plain values; an undefined score is null."""
    values: dict[str, Any] = plain(asdict(result))
    return values


def _counter(
    specs: Sequence[AttackSpec], config: AttackConfig, photos: int, on_work: OnWork | None
) -> Callable[[int], None]:
    total = sum(len(spec.members) for spec in specs) * len(config.eps) * photos
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        if on_work:
            on_work(done, total)

    return count


def _row(name: str, eps: str, clean: Outcome, seen: Outcome, adv: Images, bench: Bench) -> AttackRow:
    truth, limits = bench.truth, bench.limits
    shown = {} if seen is clean else visibility(truth.photos, adv)
    turned = {} if seen is clean else fooling(clean, seen, truth, limits, bench.config.goal)
    return AttackRow(name, eps, scores(seen, truth, limits), turned, shown)


def _save(folder: Path, adv: Images, spec: AttackSpec, eps: str, bench: Bench, split: str) -> None:
    truth = bench.truth
    write_devkit(
        folder, split, truth.ids, adv,
        masks=truth.masks, targets=None if bench.target.segments else truth.targets,
    )  # fmt: skip
    manifest = {
        "attack": spec.name, "norm": bench.config.norm, "eps": eps, "goal": bench.config.goal,
        "crafted on": [str(run.path) for run in bench.target.runs], "photos": list(truth.ids),
    }  # fmt: skip
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def _write(result: AttackResult, config: AttackConfig, pictures: Pictures) -> None:
    part = fresh_part(result.folder)
    if is_first():
        _fill(part, result, config, pictures)
    put_in_place(part, result.folder)


def _fill(part: Path, result: AttackResult, config: AttackConfig, pictures: Pictures) -> None:
    pictures.draw(part)
    about = as_json(result) | {"config": plain(asdict(config)), "kept": plain(pictures.keep(part, result.rows))}
    write_text(part / "attack.json", json.dumps(about, indent=1) + "\n")
    draw_scores(result.run.resolve().name, SeenAttack(part, about), part / "robustness.png")
    columns = sorted({key for row in result.rows for key in row.scores}, reverse=True)
    shares = list(dict.fromkeys(key for row in result.rows for key in row.fooling))
    seen = list(dict.fromkeys(key for row in result.rows for key in row.visibility))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["attack", "eps", *columns, *shares, *seen])
    for row in result.rows:
        held = row.scores | row.fooling | row.visibility
        writer.writerow([row.attack, row.eps, *(held.get(key, "") for key in (*columns, *shares, *seen))])
    write_text(part / "table.csv", table.getvalue())


def _write_transfer(folder: Path, results: Sequence[TransferResult]) -> None:
    part = fresh_part(folder)
    if is_first():
        matrices = [as_json(result) for result in results]
        write_text(part / "transfer.json", json.dumps({"matrices": matrices}, indent=1) + "\n")
        draw_grids(SeenTransfer(folder, matrices), lambda stem: part / f"{stem}.png")
    put_in_place(part, folder)
