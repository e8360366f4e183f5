"""Example images of every attack, for figures and for the report."""

from collections.abc import Mapping, Sequence

import numpy as np

from vocctl.robustness.outcomes import GroundTruth, Predictions, distortion_stats
from vocctl.runs.attacks import AttackExample, AttackExamples, AttackRow

NUM_EXAMPLES = 4


class ExampleCollector:
    """Collects the same few images under every attack. Of each attack the last budget that is added stays."""

    def __init__(self, truth: GroundTruth, clean: Predictions) -> None:
        self.truth, self.clean = truth, clean
        step = max(len(truth.ids) // NUM_EXAMPLES, 1)
        self.indices = range(0, len(truth.ids), step)[:NUM_EXAMPLES]  # spread over the split
        self.by_attack: dict[str, AttackExamples] = {}

    def add(self, attack: str, eps: str, adversarial: Sequence[np.ndarray], predictions: Predictions) -> None:
        """adversarial: (H, W, 3) uint8 each, for all images of the ground truth."""
        cases = tuple(self._example(index, adversarial[index], predictions) for index in self.indices)
        self.by_attack[attack] = AttackExamples(attack, eps, cases)

    def _example(self, index: int, adversarial: np.ndarray, predictions: Predictions) -> AttackExample:
        image = self.truth.images[index]
        size = distortion_stats([image], [adversarial])
        caption = f"linf {255 * size['linf_max']:.0f}/255, L2 {size['l2_mean']:.2f}, PSNR {size['psnr_mean']:.1f} dB"
        clean_output, output = self.clean.output(index), predictions.output(index)
        return AttackExample(self.truth.ids[index], image, adversarial, clean_output, output, caption)


def strongest_examples(
    by_attack: Mapping[str, AttackExamples], rows: Sequence[AttackRow], metric: str
) -> AttackExamples:
    """The examples of the attack with the lowest score at its largest budget or, with a goal, the highest success rate."""
    remaining = {
        row.attack: -row.rates["target_success_rate"] if "target_success_rate" in row.rates else row.scores[metric]
        for row in rows
        if row.attack in by_attack
    }
    return by_attack[min(remaining, key=lambda attack: remaining[attack])]
