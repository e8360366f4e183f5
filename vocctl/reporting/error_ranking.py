"""Images ranked from the worst prediction to the best."""

import numpy as np

from vocctl.runs.cls_evaluation import ClsPredictions


def most_confident_errors(predictions: ClsPredictions) -> list[tuple[int, int]]:
    """(image, class) of the most confident error of each image that has an error; the most confident image first.

    The confidence of a false positive is its probability p, that of a false negative is 1 - p. Classes that are not scored
    on an image cannot be errors.
    """
    confidence = np.where(predictions.false_positives, predictions.probs, -1.0)
    confidence = np.where(predictions.false_negatives, 1 - predictions.probs, confidence)  # (N, K); -1: not an error
    label = confidence.argmax(1)
    highest = confidence.max(1)
    ranked = np.argsort(-highest, kind="stable")
    return [(int(image), int(label[image])) for image in ranked if highest[image] >= 0]
