"""Budgets, reference labels and the order of attacks; what is shared between attacks is made once."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vocctl.attacks.table import parse_attack
from vocctl.attacks.threat import Threat
from vocctl.config import AttackConfig
from vocctl.robustness import benchmark
from vocctl.robustness.benchmark import (
    AttackBenchmark,
    AttackEvaluation,
    OnProgress,
    ProgressCounter,
    evaluate_attacks,
    read_ground_truth,
    sort_budgets,
)
from vocctl.robustness.examples import ExampleCollector, strongest_examples
from vocctl.robustness.outcomes import GroundTruth, LabelPredictions
from vocctl.robustness.victims import open_victim
from vocctl.runs.attacks import AttackExamples


def test_budgets_are_sorted_and_equal_ones_dropped() -> None:
    config = AttackConfig(attack=("fgsm",), eps=("16/255", "2/255", "16px", "0.5"))
    assert sort_budgets(config).eps == ("2/255", "16/255", "0.5")  # the first spelling stays


def evaluate(run: Path, config: AttackConfig, on_progress: OnProgress | None = None) -> AttackEvaluation:
    victim = open_victim([str(run)], "best", None)
    truth, _, _ = read_ground_truth(victim, config, None, None)
    clean = victim.predict(truth.images, truth)
    bench = AttackBenchmark(victim, truth, clean, sort_budgets(config), {}, ProgressCounter(on_progress))
    return evaluate_attacks(bench, [parse_attack(name) for name in config.attack], ExampleCollector(truth, clean), None)


def test_rows_are_ordered_by_budget(attackable_runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("fgsm", "noise"), eps=("16/255", "2/255"), images=4)
    rows = evaluate(attackable_runs["seg"], config).rows
    assert [(row.attack, row.eps) for row in rows] == [
        ("clean", "0"),
        *((attack, eps) for eps in ("2/255", "16/255") for attack in ("fgsm", "noise", "worst case")),
    ]


def test_prediction_as_reference_uses_the_thresholds(attackable_runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("fgsm",), reference="prediction")
    victim = open_victim([str(attackable_runs["cls"])], "best", None)
    truth, _, _ = read_ground_truth(victim, config, None, None)
    shape = len(truth.ids), 20
    for threshold, expected in ((0.3, 20), (0.5, 1)):  # where none reaches the threshold, the most probable label
        clean = LabelPredictions(np.zeros(shape[0]), np.full(shape, 0.4), np.full(20, threshold))
        bench = AttackBenchmark(victim, truth, clean, config, {}, ProgressCounter())
        (term,) = bench.goal([0]).terms
        assert term.labels.sum() == expected
    with_truth = replace(bench, config=replace(config, reference="truth"))
    assert with_truth.goal([1]).terms[0].labels[0].tolist() == truth.labels[1].tolist()


def test_subset_depends_on_the_seed_only(attackable_runs: dict[str, Path]) -> None:
    def ids(name: str, seed: int) -> tuple[str, ...]:
        victim = open_victim([str(attackable_runs[name])], "best", None)
        config = AttackConfig(attack=("fgsm",), images=2, seed=seed)
        return read_ground_truth(victim, config, None, None)[0].ids

    assert ids("seg", 0) == ids("cls", 0)
    assert len(ids("seg", 0)) == 2
    assert len({ids("seg", seed) for seed in range(6)}) > 1


def test_members_that_attacks_share_run_once(attackable_runs: dict[str, Path]) -> None:
    members, progress = ("sea-js-2", "sea-masked-2", "sea-balanced-2"), []
    config = AttackConfig(attack=(members[0], "sea-2", *members[1:]), eps=("4/255", "16/255"), images=4)
    together = evaluate(attackable_runs["seg"], config, lambda *counts: progress.append(counts))
    for name in config.attack:
        single = evaluate(attackable_runs["seg"], replace(config, attack=(name,)))
        assert [row for row in together.rows if row.attack == name] == single.rows[1:]
    assert progress[-1] == (24, 24)  # three members, two budgets, four images
    assert len({done for done, _ in progress}) == len(progress)  # never beyond the total


def test_same_seed_gives_the_same_images(attackable_runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("pgd-3", "noise"), eps=("8/255",), images=3)
    first, again, other = (evaluate(attackable_runs["seg"], replace(config, seed=seed)).rows for seed in (0, 0, 5))
    assert str(first) == str(again)  # as text, because nan is not equal to itself
    assert str(first) != str(other)


@pytest.mark.parametrize("name", ["cls", "seg"])
@pytest.mark.parametrize("attack", ["noise", "pgd-3x2", "square-15"])
def test_an_image_has_the_same_example_at_any_batch_size_subset_and_order(
    attackable_runs: dict[str, Path], name: str, attack: str
) -> None:
    victim = open_victim([str(attackable_runs[name])], "best", None)
    truth, _, _ = read_ground_truth(victim, AttackConfig(attack=(attack,)), None, None)

    def examples(batch: int, indices: list[int]) -> dict[str, np.ndarray]:
        config = replace(victim.config, train=replace(victim.config.train, batch=batch))
        ids = tuple(truth.ids[index] for index in indices)
        part = GroundTruth(ids, [truth.images[i] for i in indices], [truth.labels[i] for i in indices])
        clean = victim.predict(part.images, part)
        settings = AttackConfig(attack=(attack,))
        bench = AttackBenchmark(replace(victim, config=config), part, clean, settings, {}, ProgressCounter())
        return dict(zip(ids, bench.generate(parse_attack(attack), Threat("linf", 8 / 255)), strict=True))

    whole = examples(4, [0, 1, 2, 3])
    for others in (examples(1, [0, 1, 2, 3]), examples(4, [3, 2, 1, 0]), examples(2, [2, 1])):
        for image_id, image in others.items():
            # The network's arithmetic rounds differently in another batch, a gradient near 0 may change its sign, and later
            # steps amplify that. With other random numbers half of the channels or more differ.
            assert (image != whole[image_id]).mean() <= (0 if attack == "noise" else 0.2)


def test_processes_make_the_images_of_one_process(
    attackable_runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = open_victim([str(attackable_runs["seg"])], "best", None)
    truth, _, _ = read_ground_truth(victim, AttackConfig(attack=("noise",)), None, None)
    victim = replace(victim, config=replace(victim.config, train=replace(victim.config.train, batch=1)))
    clean = victim.predict(truth.images, truth)
    bench = AttackBenchmark(victim, truth, clean, AttackConfig(attack=("noise",)), {}, ProgressCounter())
    spec, threat = parse_attack("noise"), Threat("linf", 8 / 255)
    expected, gathered = bench.generate(spec, threat), {}
    monkeypatch.setattr(benchmark, "world_size", lambda: 3)
    # the last process alone has all images, the others stop where they gather
    monkeypatch.setattr(benchmark, "all_gather_dict", lambda local: gathered.update(local) or gathered)
    for rank in range(3):
        monkeypatch.setattr(benchmark, "rank", lambda rank=rank: rank)
        with contextlib.nullcontext() if rank == 2 else pytest.raises(KeyError):
            images = bench.generate(spec, threat)
    assert all(np.array_equal(*pair) for pair in zip(images, expected, strict=True))


def test_step_changes_the_attack_and_not_its_sanity_checks(attackable_runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("pgd-3",), eps=("8/255",), images=3)
    default = evaluate(attackable_runs["seg"], config).rows[1].distortion["l2_mean"]
    same = evaluate(attackable_runs["seg"], replace(config, step="0.01")).rows[1].distortion["l2_mean"]
    small = evaluate(attackable_runs["seg"], replace(config, step="0.1/255")).rows[1].distortion["l2_mean"]
    assert default == same > small


@pytest.mark.parametrize("name", ["cls", "seg"])
def test_goals_are_reached(attackable_runs: dict[str, Path], name: str) -> None:
    config = AttackConfig(attack=("cospgd-30",), eps=("0.5",), goal="target:bicycle")
    clean, attacked = (row.rates["target_success_rate"] for row in evaluate(attackable_runs[name], config).rows)
    assert attacked > max(clean, 0.9)
    hide = evaluate(attackable_runs[name], replace(config, attack=("pgd-30", "noise"), goal="hide:aeroplane"))
    assert hide.rows[1].rates["target_success_rate"] > 0.9
    assert hide.rows[0].rates == {}
    assert hide.worst_attacks == {}
    examples = {row.attack: AttackExamples(row.attack, row.eps, ()) for row in hide.rows[1:]}
    assert strongest_examples(examples, hide.rows, "mean_iou").attack == "pgd-30"  # by its success rate
