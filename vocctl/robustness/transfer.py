"""Transfer attacks: make adversarial images for one run, and test them on others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vocctl.attacks.table import AttackSpec
from vocctl.robustness.benchmark import AttackBenchmark, AttackedImages
from vocctl.robustness.outcomes import Predictions
from vocctl.robustness.sanity import SanityCheck, run_sanity_checks
from vocctl.runs.attacks import UNBOUNDED, TransferMatrix


@dataclass(frozen=True)
class TransferEvaluation:
    matrices: list[TransferMatrix]  # one for each attack and budget
    sanity: dict[str, list[SanityCheck]]  # by run


def evaluate_transfer(benches: Mapping[str, AttackBenchmark], specs: Sequence[AttackSpec]) -> TransferEvaluation:
    """Run all attacks at all budgets on every victim, and test all victims on the images.

    benches: by the name of the run; all of one task, with the same ground truth, config, generators and progress.
    """
    first = next(iter(benches.values()))
    runs = [len(_attackers(benches, spec)) * len(spec.members) * len(first.budgets(spec)) for spec in specs]
    first.progress.start(sum(runs) * len(first.truth.ids))
    clean = {name: _score(bench, bench.clean) for name, bench in benches.items()}
    predictions: dict[str, dict[tuple[str, str], Predictions]] = {name: {} for name in benches}
    matrices = []
    for spec in specs:
        for eps in first.config.eps[:1] if first.is_unbounded(spec) else first.config.eps:
            scores: dict[str, dict[str, float]] = {}
            for row, name in _attackers(benches, spec).items():
                ((_, attacked),) = benches[name].run([spec], eps)
                scores[row] = _test_all(benches, name, attacked)
                predictions[name][spec.name, eps] = attacked.predictions.without_label_maps()
            label = UNBOUNDED if first.is_unbounded(spec) else eps
            num_images = len(first.truth.ids)
            matrices.append(
                TransferMatrix(first.victim.metric, num_images, spec.name, label, tuple(benches), clean, scores)
            )
    compared = [spec for spec in specs if spec.attack.access != "model-free"]
    sanity = {name: run_sanity_checks(bench, predictions[name], compared) for name, bench in benches.items()}
    return TransferEvaluation(matrices, sanity)


def _attackers(benches: Mapping[str, AttackBenchmark], spec: AttackSpec) -> dict[str, str]:
    """Return the name of the run to attack for each row of the matrix. A model-free attack makes the same images for every run."""
    if spec.attack.access == "model-free":
        return {spec.name: next(iter(benches))}
    return {name: name for name in benches}


def _test_all(benches: Mapping[str, AttackBenchmark], source: str, attacked: AttackedImages) -> dict[str, float]:
    """The main score of every victim on the adversarial images of the source run."""
    scores = {}
    for name, bench in benches.items():
        predictions = attacked.predictions if name == source else bench.victim.predict(attacked.images, bench.truth)
        scores[name] = _score(bench, predictions)
    return scores


def _score(bench: AttackBenchmark, predictions: Predictions) -> float:
    return predictions.scores(bench.truth)[bench.victim.metric]
