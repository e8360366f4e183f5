"""Probabilities and label maps for batches of resized images: of segmenters per pixel, of classifiers per image.

Batches are (indices (B,), images (B, 3, H, W) uint8), as data/loaders.py's eval_loader yields them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.data.feature_cache import CachedFeatures
from vocctl.devices import autocast, to_device, to_pixels
from vocctl.distributed import all_gather_object, rank, world_size
from vocctl.inference.tta import averaged_label_probs, averaged_probs

MAX_BUFFERED_PIXELS = 32_000_000  # of label maps, one byte each
MAX_RESIZED_PIXELS = (
    25_000_000  # of an image for all of whose classes probabilities are in memory at once, 84 bytes each
)

OnImage = Callable[[int, int], None]  # receives (images done, total)


def forward_of(model: nn.Module, device: torch.device, precision: str) -> Callable[[Tensor], Tensor]:
    """Put the model into evaluation mode; return its forward pass in this precision, images in [0, 1] to logits."""
    model.eval()

    def forward(images: Tensor) -> Tensor:
        with autocast(device, precision):
            return model(images)

    return forward


@torch.inference_mode()
def predict_probs(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    device: torch.device,
    precision: str,
    tta: str = "none",
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (indices (B,), class probabilities (B, K, H, W) float32) for each batch of a segmenter."""
    forward = forward_of(model, device, precision)
    for indices, images in batches:
        yield indices, averaged_probs(forward, to_pixels(images, device), tta)


@torch.inference_mode()
def predict_probs_from_features(
    model: nn.Module,
    features: CachedFeatures,
    sizes: Sequence[tuple[int, int]],
    *,
    device: torch.device,
    precision: str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """As predict_probs with a Segmenter, from the features of this process's images. sizes: (H, W) in the cache."""
    model.eval()
    for index in range(rank(), len(sizes), world_size()):
        maps = [to_device(level[None], device) for level in features.maps(index)]
        with autocast(device, precision):
            logits = model.logits_from_feature_maps(maps, sizes[index])  # type: ignore[operator]
        yield torch.tensor([index]), logits.float().softmax(1)


@torch.inference_mode()
def predict_label_probs(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    num_images: int,
    *,
    device: torch.device,
    precision: str,
    tta: str = "none",
    on_image: OnImage | None = None,
    shared: bool = False,
) -> np.ndarray:
    """Return (N, K) float32 label probabilities of a classifier, row i for image i.

    shared: the batches are this process's part, and every process returns all rows.
    """
    forward = forward_of(model, device, precision)

    def probs(images: Tensor) -> Tensor:
        return averaged_label_probs(forward, images, tta)

    return _rows(probs, batches, num_images, device=device, on_image=on_image, shared=shared).numpy()


def _rows(
    function: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    num_images: int,
    *,
    device: torch.device,
    on_image: OnImage | None,
    shared: bool,
) -> Tensor:
    """(N, ...): the function's value for each image, in the order of their indices."""
    indices, values = [], []
    for batch_indices, images in batches:
        indices.append(batch_indices)
        values.append(function(to_pixels(images, device)))
        if on_image:
            on_image(sum(map(len, indices)), num_images)
    local = [(torch.cat(indices), torch.cat(values).cpu())] if indices else []
    parts = [part for process in all_gather_object(local) for part in process] if shared else local
    rows = torch.cat([part_values for _, part_values in parts])
    return torch.empty_like(rows).index_copy_(0, torch.cat([part_indices for part_indices, _ in parts]), rows)


def predict_labels(
    probs: Iterable[tuple[Tensor, Tensor]],
    original_sizes: Sequence[tuple[int, int]],
    on_image: OnImage | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, label map (H, W) uint8) at each image's original size: bilinear probabilities, then argmax."""
    return chain.from_iterable(predict_label_groups(probs, original_sizes, on_image))


@torch.inference_mode()
def predict_label_groups(
    probs: Iterable[tuple[Tensor, Tensor]],
    original_sizes: Sequence[tuple[int, int]],
    on_image: OnImage | None = None,
) -> Iterator[list[tuple[int, np.ndarray]]]:
    """As predict_labels, some dozens of images at once.

    Their label maps can then be scored by several threads while the model's threads, which take a while to go idle, do
    not run.
    """
    done = 0
    group: list[tuple[int, Tensor]] = []
    pixels = 0
    for indices, batch in probs:
        for index, image_probs in zip(indices.tolist(), batch, strict=True):
            size = original_sizes[index]
            done += 1
            if on_image:
                on_image(done, len(original_sizes))
            group.append((index, labels_at_size(image_probs, size)))  # stays on the device: no wait
            pixels += size[0] * size[1]
        if pixels > MAX_BUFFERED_PIXELS:
            yield _to_numpy(group)
            group, pixels = [], 0
    yield _to_numpy(group)


def _to_numpy(group: list[tuple[int, Tensor]]) -> list[tuple[int, np.ndarray]]:
    return [(index, labels.cpu().numpy()) for index, labels in group]


def labels_at_size(probs: Tensor, size: tuple[int, int]) -> Tensor:
    """argmax_labels(resize_probs(probs, size)), class by class if the image is large: a phone's would take 20 GB."""
    if size[0] * size[1] <= MAX_RESIZED_PIXELS:
        return argmax_labels(resize_probs(probs, size))
    highest = resize_probs(probs[:1], size)[0].clone()
    labels = torch.zeros(size, dtype=torch.uint8, device=probs.device)
    for label in range(1, len(probs)):
        values = resize_probs(probs[label : label + 1], size)[0]
        labels[values > highest] = label
        torch.maximum(highest, values, out=highest)
    return labels


def resize_probs(probs: Tensor, size: tuple[int, int]) -> Tensor:
    """(K, h, w) to (K, H, W), bilinear."""
    if tuple(probs.shape[-2:]) == tuple(size):
        return probs
    return F.interpolate(probs[None], size=size, mode="bilinear", align_corners=False)[0]


def argmax_labels(probs: Tensor) -> Tensor:
    """(K, H, W) probabilities to (H, W) uint8 labels; of equal probabilities the first."""
    return probs.max(dim=0).indices.to(torch.uint8)  # Tensor.argmax takes six times as long on a CPU
