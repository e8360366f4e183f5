"""Probabilities over a loader of images that come resized: per pixel, with label maps at the images' own size; per image.

And what a classifier's head is given of each image.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.devices import autocast, to_pixels
from vocctl.distributed import all_gather_object
from vocctl.inference.tta import averaged_label_probs, averaged_probs

HELD_PIXELS = 32_000_000  # of label maps, a byte each


@torch.inference_mode()
def predict_probs(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    device: torch.device,
    precision: str,
    tta: str = "none",
) -> Iterator[tuple[Tensor, Tensor]]:
    """(indices (B,), probabilities (B, K, H, W) float32) for batches of (indices, images (B, 3, H, W) uint8)."""
    forward = forward_of(model, device, precision)
    for indices, images in batches:
        yield indices, averaged_probs(forward, to_pixels(images, device), tta)


@torch.inference_mode()
def predict_label_probs(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    num_images: int,
    *,
    device: torch.device,
    precision: str,
    tta: str = "none",
    on_image: Callable[[int, int], None] | None = None,
    shared: bool = False,
) -> np.ndarray:
    """(N, K) float32, the probability of each label, in the images' own order; batches as above, each image in one.

    shared: the batches are this rank's share, and every rank gets the whole.
    """
    forward = forward_of(model, device, precision)

    def look(pixels: Tensor) -> Tensor:
        return averaged_label_probs(forward, pixels, tta)

    return _in_order(look, batches, num_images, device=device, on_image=on_image, shared=shared).numpy()


@torch.inference_mode()
def predict_features(
    model: nn.Module,
    head: nn.Linear,
    batches: Iterable[tuple[Tensor, Tensor]],
    num_images: int,
    *,
    device: torch.device,
    precision: str,
    on_image: Callable[[int, int], None] | None = None,
    shared: bool = False,
) -> Tensor:
    """(N, D) float32, what the model's head is given of each image; batches, order and shared as above."""
    forward = forward_of(model, device, precision)
    given: list[Tensor] = []

    def look(pixels: Tensor) -> Tensor:
        forward(pixels)
        return given.pop().float()

    listening = head.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    try:
        return _in_order(look, batches, num_images, device=device, on_image=on_image, shared=shared)
    finally:
        listening.remove()


def _in_order(
    look: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    num_images: int,
    *,
    device: torch.device,
    on_image: Callable[[int, int], None] | None,
    shared: bool,
) -> Tensor:
    """(N, ...): what look, of pixels (B, 3, H, W), says of each image; row i is image i."""
    places, said = [], []
    for indices, images in batches:
        places.append(indices)
        said.append(look(to_pixels(images, device)))
        if on_image:
            on_image(sum(map(len, places)), num_images)
    found = [(torch.cat(places), torch.cat(said).cpu())] if places else []
    parts = [part for held in all_gather_object(found) for part in held] if shared else found
    together = torch.cat([one for _, one in parts])
    return torch.empty_like(together).index_copy_(0, torch.cat([place for place, _ in parts]), together)


def forward_of(model: nn.Module, device: torch.device, precision: str) -> Callable[[Tensor], Tensor]:
    """Pixels to logits, the model being in evaluation mode."""
    model.eval()

    def forward(pixels: Tensor) -> Tensor:
        with autocast(device, precision):
            return model(pixels)

    return forward


def predict_labels(
    probs: Iterable[tuple[Tensor, Tensor]],
    original_sizes: Sequence[tuple[int, int]],
    on_image: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """(index, label map (H, W) uint8) at each image's own size: probabilities upsampled bilinearly, then the largest."""
    return chain.from_iterable(predict_label_runs(probs, original_sizes, on_image))


@torch.inference_mode()
def predict_label_runs(
    probs: Iterable[tuple[Tensor, Tensor]],
    original_sizes: Sequence[tuple[int, int]],
    on_image: Callable[[int, int], None] | None = None,
) -> Iterator[list[tuple[int, np.ndarray]]]:
    """As predict_labels, some dozen at once.

    What is done with them alternates less often with the model's work, whose threads take a while to rest, and can be done
    by several threads while the model's rest.
    """
    done = 0
    held: list[tuple[int, Tensor]] = []
    pixels = 0
    for indices, batch in probs:
        for index, one in zip(indices.tolist(), batch, strict=True):
            size = original_sizes[index]
            done += 1
            if on_image:
                on_image(done, len(original_sizes))
            held.append((index, argmax_labels(resized_probs(one, size))))  # on the device still: nothing waits for it
            pixels += size[0] * size[1]
        if pixels > HELD_PIXELS:
            yield _on_the_cpu(held)
            held, pixels = [], 0
    yield _on_the_cpu(held)


def _on_the_cpu(held: list[tuple[int, Tensor]]) -> list[tuple[int, np.ndarray]]:
    return [(index, labels.cpu().numpy()) for index, labels in held]


def resized_probs(probs: Tensor, size: tuple[int, int]) -> Tensor:
    """(K, H, W) at this size, bilinear."""
    if tuple(probs.shape[-2:]) == tuple(size):
        return probs
    return F.interpolate(probs[None], size=size, mode="bilinear", align_corners=False)[0]


def argmax_labels(probs: Tensor) -> Tensor:
    """(H, W) uint8: the class of the largest of probs (K, H, W), the first of equals."""
    return probs.max(dim=0).indices.to(torch.uint8)  # argmax takes six times as long on a CPU
