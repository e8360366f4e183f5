"""The worst case over several attacks: which attack to take for each image, so that a metric falls most.

Croce and Hein, arXiv 2003.01690, report the point-wise worst case over attacks. It is exact for a mean over the images, such
as pixel accuracy. The mean IoU is not one: Croce et al., arXiv 2306.12941, search it greedily over the images.
A choice is (N,) int, the index of an attack for each image.
"""

import numpy as np

MIN_DECREASE = 1e-9  # of the mean IoU, to change the choice of an image: more than rounding errors


def worst_attack(attack_loss: np.ndarray) -> np.ndarray:
    """The attack with the highest loss for each image, the first if several are equal.

    attack_loss: (number of attacks, N), higher is worse for the model.
    """
    return attack_loss.argmax(0)


def worst_mean_iou(confusions: np.ndarray, attack_loss: np.ndarray) -> np.ndarray:
    """The choice that the greedy search for the lowest mean IoU ends at.

    confusions: (A, N, K, K) pixels of A attacks on N images; rows are the ground truth. attack_loss: (A, N), pixel error of
    each image. The search starts from the attack with the lowest mean IoU, or from worst_attack if that is lower, and
    changes one image after the other to the attack that lowers the mean IoU most, until no change does. So the result is at
    most that of every attack.
    """
    correct = confusions.diagonal(axis1=2, axis2=3)  # (A, N, K)
    predicted = confusions.sum(2)
    true = confusions[0].sum((0, 2))  # (K,)
    num_attacks, num_images = attack_loss.shape
    images = np.arange(num_images)

    def mean_iou(correct: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """(...) mean over the classes in the ground truth. correct, predicted: (..., K) pixels of all images."""
        present = true > 0
        return (correct / np.maximum(true + predicted - correct, 1))[..., present].mean(-1)

    starts = [np.full(num_images, attack) for attack in range(num_attacks)] + [worst_attack(attack_loss)]
    totals = [(correct[start, images].sum(0), predicted[start, images].sum(0)) for start in starts]
    lowest = min(range(len(starts)), key=lambda index: mean_iou(*totals[index]))
    choice, (total_correct, total_predicted) = starts[lowest].copy(), totals[lowest]
    changed = True
    while changed:
        changed = False
        for image in images:
            attack = choice[image]
            options = (  # (A, K) totals with each attack on this image
                total_correct - correct[attack, image] + correct[:, image],
                total_predicted - predicted[attack, image] + predicted[:, image],
            )
            values = mean_iou(*options)
            best = int(values.argmin())
            if values[best] < values[attack] - MIN_DECREASE:
                choice[image], changed = best, True
                total_correct, total_predicted = options[0][best], options[1][best]
    return choice
