"""The pictures of attacks on images: before and after, at the largest budget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vocctl.attacks.table import AttackSpec
from vocctl.config import AttackConfig
from vocctl.data.images import write_mask
from vocctl.labels import CLASSES
from vocctl.plots.adversarial import AttackedCase, draw_attacked_cases
from vocctl.robustness.outcomes import AttackedPredictions, AttackRow, GroundTruth, distortion_stats
from vocctl.robustness.victims import Victim
from vocctl.runs.attacks import attacked_title, file_name

CASES = 4


class AttackExamples:
    """Gathers cases while attacks run, from the smallest budget up; of each attack those of the largest stay."""

    def __init__(self, target: Victim, truth: GroundTruth, clean: AttackedPredictions, config: AttackConfig) -> None:
        self.target, self.truth, self.clean, self.config = target, truth, clean, config
        step = max(len(truth.ids) // CASES, 1)
        self.places = list(range(0, len(truth.ids), step))[:CASES]  # spread over the split, the same for every attack
        self.cases: dict[str, tuple[str, list[AttackedCase]]] = {}

    def add(self, spec: AttackSpec, eps: str, adv: Sequence[np.ndarray], seen: AttackedPredictions) -> None:
        self.cases[spec.name] = (eps, [self._case(place, adv[place], seen) for place in self.places])

    def _case(self, place: int, adv: np.ndarray, seen: AttackedPredictions) -> AttackedCase:
        image = self.truth.images[place]
        shown = distortion_stats([image], [adv])
        about = f"linf {255 * shown['linf_max']:.0f}/255, L2 {shown['l2_mean']:.2f}, PSNR {shown['psnr_mean']:.1f} dB"
        before, after = (_output(outcome, place) for outcome in (self.clean, seen))
        return AttackedCase(self.truth.ids[place], image, adv, before, after, about)

    def draw(self, folder: Path) -> None:
        """<attack>.png of each attack, of the images at its largest budget."""
        for name, (eps, cases) in self.cases.items():
            title = attacked_title(self.target.name, name, self.config.norm, eps)
            draw_attacked_cases(cases, folder / f"{file_name(name)}.png", title=title)

    def keep(self, folder: Path, rows: Sequence[AttackRow]) -> dict[str, Any]:
        """Write the images of the strongest attack, as SeenAttack reads them; returns what is said of them.

        The strongest left least of the score or, with a goal, reached it most often.
        """
        score = next(iter(rows[0].scores))
        left = {
            row.attack: -row.fooling_rates["match"] if "match" in row.fooling_rates else row.scores[score]
            for row in rows
            if row.attack in self.cases
        }
        strongest = min(left, key=lambda name: left[name])
        eps, cases = self.cases[strongest]
        for case in cases:
            for part, image, labels in (
                ("clean", case.image, case.clean_output),
                ("adversarial", case.adversarial, case.adversarial_output),
            ):
                (folder / part).mkdir(exist_ok=True)
                Image.fromarray(image).save(folder / part / f"{case.image_id}.png")
                if isinstance(labels, np.ndarray):
                    (folder / f"labels-{part}").mkdir(exist_ok=True)
                    write_mask(folder / f"labels-{part}" / f"{case.image_id}.png", labels)
        return {"attack": strongest, "eps": eps, "images": [_said(case) for case in cases]}


def _said(case: AttackedCase) -> dict[str, Any]:
    before, after = ({} if isinstance(one, np.ndarray) else one for one in (case.clean_output, case.adversarial_output))
    return {"id": case.image_id, "about": case.caption, "before": before, "after": after}


def _output(seen: AttackedPredictions, place: int) -> np.ndarray | dict[str, float]:
    if seen.probs is None:
        return seen.maps[place]
    return dict(zip(CLASSES, seen.probs[place].tolist(), strict=True))
