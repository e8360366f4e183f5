"""The pictures of an attack's table: scores against budgets, and photos before and after at the largest budget."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vocctl.attacks.specs import AttackSpec
from vocctl.config import AttackConfig, parse_epsilon
from vocctl.data.photos import write_mask
from vocctl.labels import CLASSES
from vocctl.plots.adversarial import AttackedCase, draw_attacked
from vocctl.plots.robustness import Line, draw_robustness
from vocctl.tasks.attacked import AttackRow, Outcome, Truth, visibility
from vocctl.tasks.targets import Target

CASES = 4
SCORES = {"mean_iou": "mean IoU", "map_sklearn": "mAP (sklearn)"}


class Pictures:
    """Gathers cases while attacks run; of equal kind and name the last, largest budget stays."""

    def __init__(self, target: Target, truth: Truth, clean: Outcome, config: AttackConfig) -> None:
        self.target, self.truth, self.clean, self.config = target, truth, clean, config
        step = max(len(truth.ids) // CASES, 1)
        self.places = list(range(0, len(truth.ids), step))[:CASES]  # spread over the split, the same for every attack
        self.cases: dict[str, tuple[str, list[AttackedCase]]] = {}

    def add(self, spec: AttackSpec, eps: str, adv: Sequence[np.ndarray], seen: Outcome) -> None:
        held = self.cases.get(spec.name)
        if held is None or (eps != held[0] and parse_epsilon(eps) > parse_epsilon(held[0])):
            self.cases[spec.name] = (eps, [self._case(place, adv[place], seen) for place in self.places])

    def _case(self, place: int, adv: np.ndarray, seen: Outcome) -> AttackedCase:
        photo = self.truth.photos[place]
        shown = visibility([photo], [adv])
        about = f"linf {255 * shown['linf_max']:.0f}/255, L2 {shown['l2_mean']:.2f}, PSNR {shown['psnr_mean']:.1f} dB"
        before, after = (_output(outcome, place) for outcome in (self.clean, seen))
        return AttackedCase(self.truth.ids[place], photo, adv, before, after, about)

    def draw(self, folder: Path, rows: Sequence[AttackRow]) -> None:
        """robustness.png where several budgets were tried, <attack>.png of each attack."""
        score = next(iter(rows[0].scores))
        lines: dict[str, Line] = {}
        for row in rows[1:]:
            budgets, values = lines.setdefault(row.attack, ([], []))
            budgets.append(_budget(row.eps, self.config.norm))
            values.append(row.scores[score])
        unit = "eps, in steps of 1/255 (linf)" if self.config.norm == "linf" else "eps, L2 norm for pixels in [0, 1]"
        draw_robustness(
            lines, folder / "robustness.png", clean=rows[0].scores[score], score=SCORES[score], budget=unit,
            title=f"{self.target.name}, {len(self.truth.ids)} photos",
        )  # fmt: skip
        self._keep_images(folder, rows, score)
        for name, (eps, cases) in self.cases.items():
            title = f"{self.target.name} under {name}, {self.config.norm} eps {eps}"
            draw_attacked(cases, folder / f"{name.replace(':', '-').replace('/', '-')}.png", title=title)

    def _keep_images(self, folder: Path, rows: Sequence[AttackRow], score: str) -> None:
        """images/<id>.png of the attack that left least, and a segmenter's labels/<id>.png, for the report."""
        left = {row.attack: row.scores[score] for row in rows if row.attack in self.cases}
        _, cases = self.cases[min(left, key=lambda name: left[name])]
        for part in ("images", "labels"):
            (folder / part).mkdir()
        for case in cases:
            Image.fromarray(case.adv).save(folder / "images" / f"{case.image_id}.png")
            if isinstance(case.after, np.ndarray):
                write_mask(folder / "labels" / f"{case.image_id}.png", case.after)


def _budget(eps: str, norm: str) -> float:
    if eps == "soft":
        return float("nan")
    return parse_epsilon(eps) * (255 if norm == "linf" else 1)


def _output(seen: Outcome, place: int) -> np.ndarray | dict[str, float]:
    if seen.probs is None:
        return seen.maps[place]
    return dict(zip(CLASSES, seen.probs[place].tolist(), strict=True))
