"""The example images that are collected while attacks run."""

import numpy as np

from vocctl.robustness.examples import ExampleCollector, strongest_examples
from vocctl.robustness.outcomes import GroundTruth, LabelPredictions
from vocctl.runs.attacks import AttackExamples, AttackRow


def collector(num_images: int) -> ExampleCollector:
    images = [np.full((12, 12, 3), index, np.uint8) for index in range(num_images)]
    labels = [np.zeros(20, np.uint8)] * num_images
    return ExampleCollector(
        GroundTruth(tuple(map(str, range(num_images))), images, labels), predictions(num_images, 0.2)
    )


def predictions(num_images: int, prob: float) -> LabelPredictions:
    return LabelPredictions(np.zeros(num_images), np.full((num_images, 20), prob), np.full(20, 0.5))


def test_examples_are_spread_over_the_images() -> None:
    assert list(collector(9).indices) == [0, 2, 4, 6]
    assert list(collector(3).indices) == [0, 1, 2]


def test_the_last_budget_of_each_attack_stays() -> None:
    examples = collector(2)
    for eps, change in (("1/255", 1), ("2/255", 2)):
        adversarial = [image + change for image in examples.truth.images]
        examples.add("fgsm", eps, adversarial, predictions(2, 0.7))
    stored = examples.by_attack["fgsm"]
    assert (stored.eps, len(stored.examples)) == ("2/255", 2)
    first = stored.examples[0]
    assert (first.image_id, first.clean[0, 0, 0], first.adversarial[0, 0, 0]) == ("0", 0, 2)
    assert (first.clean_output["dog"], first.adversarial_output["dog"]) == (0.2, 0.7)
    # L2: 2 / 255 in each of 432 channels; PSNR: 20 log10(255 / 2)
    assert first.caption == "linf 2/255, L2 0.16, PSNR 42.1 dB"


def test_strongest_attack_has_the_lowest_score_or_the_highest_success_rate() -> None:
    def strongest(rates: dict[str, float]) -> str:
        by_attack = {name: AttackExamples(name, "8/255", ()) for name in ("noise", "pgd")}
        scores = {"noise": 0.1, "pgd": 0.3, "worst case": 0.0}
        rows = [
            AttackRow(name, "8/255", {"mean_iou": score}, {"target_success_rate": rates[name]} if rates else {}, {})
            for name, score in scores.items()
        ]
        return strongest_examples(by_attack, rows, "mean_iou").attack

    assert strongest({}) == "noise"
    assert strongest({"noise": 0.1, "pgd": 0.9, "worst case": 1.0}) == "pgd"
