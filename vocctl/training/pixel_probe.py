"""Fit a pixel classifier to an encoder's frozen features before training: for masks what probe.py is for labels.

A few random pixels of each image are enough: neighbors look alike. The number of passes is small because more overfit:
after 17 passes the training loss is .01, and the mean IoU 1 point lower than after 6. docs/recipes.md has the measurements.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import CachedFeatures
from vocctl.data.feature_dataset import sample_points
from vocctl.labels import IGNORE
from vocctl.models.pixel_classifier import PixelClassifier
from vocctl.seeding import derived_seed
from vocctl.training.schedule import cosine

MAX_PIXELS, MAX_PER_IMAGE = 180_000, 200
MAX_PROBE_IMAGES = 4000  # evenly spaced; the features of more take longer than they help
PASSES, MIN_STEPS = 6, 100
BATCH, LR, WEIGHT_DECAY = 2048, 2e-3, 0.05

OnStep = Callable[[int, int], None]  # receives (steps done, all steps)


def fit_pixel_classifier(
    classifier: PixelClassifier, images: CachedSplit, views: Sequence[CachedFeatures], *, seed: int, on_step: OnStep
) -> None:
    """Standardize the features that a pixel classifier reads and train it on random pixels of the images, in place.

    views: as in FeatureDataset.
    """
    features, labels = _probe_pixels(images, views, seed)
    _fit(
        classifier, features[:, -classifier.num_features :], labels, seed, on_step
    )  # without skips it reads the last ones


def _probe_pixels(images: CachedSplit, views: Sequence[CachedFeatures], seed: int) -> tuple[Tensor, Tensor]:
    """Features (P, D) in half precision and labels (P,) int64 of random labeled pixels of each image and view."""
    generator = torch.Generator().manual_seed(derived_seed("probe", seed))
    per_image = max(min(MAX_PER_IMAGE, MAX_PIXELS // len(images)) // len(views), 1)
    features, labels = [], []
    for index in range(len(images)):
        for number, view in enumerate(views):
            drawn, drawn_labels = sample_points(images, view, index, per_image, generator, mirrored=number == 1)
            labeled = drawn_labels != IGNORE
            features.append(drawn[labeled].half())
            labels.append(drawn_labels[labeled].long())
    return torch.cat(features), torch.cat(labels)


def _fit(classifier: PixelClassifier, features: Tensor, labels: Tensor, seed: int, on_step: OnStep) -> None:
    """features: (P, D). labels: (P,) int64. Both are moved to the classifier's device batch by batch."""
    device = classifier.mean.device
    classifier.standardize(*_mean_and_std(features))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=True)
    steps = max(PASSES * len(features) // BATCH, MIN_STEPS)
    generator = torch.Generator().manual_seed(derived_seed("probe", seed))
    classifier.train()
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(features), generator=generator)])
        batch, order = order[:BATCH], order[BATCH:]
        optimizer.param_groups[0]["lr"] = LR * cosine(step / steps)
        loss = F.cross_entropy(classifier.classify(features[batch].to(device).float()), labels[batch].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        on_step(step + 1, steps)


def _mean_and_std(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) float32 over the pixels, a few features at a time: float32 copies are large."""
    columns = [features[:, start : start + 64].float() for start in range(0, features.shape[1], 64)]
    return torch.cat([column.mean(0) for column in columns]), torch.cat([column.std(0) for column in columns])
