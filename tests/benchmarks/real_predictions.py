"""A classifier's evaluation compared with reference implementations, on real predictions.

    python tests/benchmarks/real_predictions.py EVAL

EVAL: a folder of RUN/eval/ with scores.json and predictions.csv. (1) AP of every class by its three definitions,
compared with scikit-learn and with naive implementations of the definitions, without difficult labels. (2) The
competition's classification Dice, which is the mean F1 per image, on one half of the images, with thresholds fitted on the
other half, compared with the cross-fitted estimate on that other half: 20 random halvings.
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
    """AP of one class by its three definitions; `sklearn` by scikit-learn itself.

    scores: (N,) float. targets: (N,) of 0 and 1. The precision-recall curve has one point per distinct score, from the
    highest; images with equal scores enter together.
    """
    points = []
    for threshold in sorted(set(scores), reverse=True):
        retrieved = targets[scores >= threshold]
        points.append((retrieved.sum() / targets.sum(), retrieved.mean()))
    eleven = [max((p for r, p in points if r >= tenth / 10 - 1e-12), default=0.0) for tenth in range(11)]
    recalls = [0.0, *(r for r, _ in points)]
    recall_gains = np.diff(recalls)
    envelope = [max(p for _, p in points[index:]) for index in range(len(points))]
    return {
        "11_point": sum(eleven) / 11,
        "all_points": sum(gain * precision for gain, precision in zip(recall_gains, envelope, strict=True)),
        "sklearn": float(average_precision_score(targets, scores)),
    }


def mean_f1(predicted: np.ndarray, targets: np.ndarray) -> float:
    return float(sample_f1(predicted & (targets != IGNORE), targets == 1).mean())


def main() -> None:
    folder = Path(sys.argv[1])
    evaluation = ClsEvaluation.from_json(folder, json.loads((folder / "scores.json").read_text()))
    probs, targets = evaluation.predictions.probs, evaluation.predictions.targets

    max_error = dict.fromkeys(("11_point", "all_points", "sklearn"), 0.0)
    num_classes = 0
    for index, name in enumerate(CLASSES):
        keep = targets[:, index] != IGNORE
        if not (targets[keep, index] == 1).any():
            continue
        num_classes += 1
        for kind, value in naive_aps(probs[keep, index], targets[keep, index]).items():
            max_error[kind] = max(max_error[kind], abs(value - evaluation.per_class[f"ap_{kind}"][name]))
    print(f"AP of {num_classes} classes, {len(probs)} images; largest difference from the references: "
          + ", ".join(f"{kind} {value:.1e}" for kind, value in max_error.items()))  # fmt: skip

    generator = np.random.default_rng(0)
    for kind in ("per-class", "global"):
        estimates, scores = [], []
        for _ in range(HALVINGS):
            order = generator.permutation(len(probs))
            fit, rest = order[: len(order) // 2], order[len(order) // 2 :]
            estimates.append(mean_f1(cross_fitted_predictions(probs[fit], targets[fit], kind), targets[fit]))
            thresholds = fit_thresholds(probs[fit], targets[fit], kind)
            scores.append(mean_f1(binarize(probs[rest], thresholds), targets[rest]))
        print(f"{kind} thresholds, mean F1 per image: cross-fitted on one half {np.mean(estimates):.4f}, "
              f"scored on the other {np.mean(scores):.4f}, "
              f"mean difference {np.mean(estimates) - np.mean(scores):+.4f} over {HALVINGS} halvings")  # fmt: skip


if __name__ == "__main__":
    main()
