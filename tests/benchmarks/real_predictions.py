"""A classifier's evaluation held against references, on its real predictions.

    python tests/benchmarks/real_predictions.py EVAL

EVAL: a folder of RUN/eval/ with scores.json and predictions.csv. (1) AP of every class, three definitions, against
scikit-learn's and against the definitions written out naively here, difficult labels left out. (2) The competition's
classification Dice on one half of the images, with thresholds fitted on the other, against the cross-fitted estimate from
that other half: 20 random halvings.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from vocctl.inference.thresholds import binarize, cross_fitted_predictions, fit_thresholds
from vocctl.labels import CLASSES, IGNORE
from vocctl.metrics.multilabel import sample_f1
from vocctl.runs.cls_evaluation import ClsEvaluation

HALVINGS = 20


def naive_aps(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Image by image down the ranking; images of one score enter together."""
    points = []
    for least in sorted(set(scores), reverse=True):
        shown = targets[scores >= least]
        points.append((shown.sum() / targets.sum(), shown.mean()))
    eleven = [max((p for r, p in points if r >= tenth / 10 - 1e-12), default=0.0) for tenth in range(11)]
    recalls = [0.0, *(r for r, _ in points)]
    gained = np.diff(recalls)
    best_to_come = [max(p for _, p in points[place:]) for place in range(len(points))]
    return {
        "11_point": sum(eleven) / 11,
        "all_points": sum(gain * best for gain, best in zip(gained, best_to_come, strict=True)),
        "sklearn": float(average_precision_score(targets, scores)),
    }


def mean_f1(chosen: np.ndarray, targets: np.ndarray) -> float:
    return float(sample_f1(chosen & (targets != IGNORE), targets == 1).mean())


def main() -> None:
    folder = Path(sys.argv[1])
    evaluation = ClsEvaluation.from_json(folder, json.loads((folder / "scores.json").read_text()))
    probs, targets = evaluation.predictions.probs, evaluation.predictions.targets

    furthest = dict.fromkeys(("11_point", "all_points", "sklearn"), 0.0)
    judged = 0
    for place, name in enumerate(CLASSES):
        keep = targets[:, place] != IGNORE
        if not (targets[keep, place] == 1).any():
            continue
        judged += 1
        for kind, value in naive_aps(probs[keep, place], targets[keep, place]).items():
            furthest[kind] = max(furthest[kind], abs(value - evaluation.per_class[f"ap_{kind}"][name]))
    print(f"AP of {judged} classes, {len(probs)} images; furthest from the references: "
          + ", ".join(f"{kind} {value:.1e}" for kind, value in furthest.items()))  # fmt: skip

    generator = np.random.default_rng(0)
    for kind in ("per-class", "global"):
        expected, reached = [], []
        for _ in range(HALVINGS):
            order = generator.permutation(len(probs))
            fit, rest = order[: len(order) // 2], order[len(order) // 2 :]
            expected.append(mean_f1(cross_fitted_predictions(probs[fit], targets[fit], kind), targets[fit]))
            thresholds = fit_thresholds(probs[fit], targets[fit], kind)
            reached.append(mean_f1(binarize(probs[rest], thresholds), targets[rest]))
        print(f"{kind}: cross-fitted on one half {np.mean(expected):.4f}, reached on the other {np.mean(reached):.4f}, "
              f"mean difference {np.mean(expected) - np.mean(reached):+.4f} over {HALVINGS} halvings")  # fmt: skip


if __name__ == "__main__":
    main()
