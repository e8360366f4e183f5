"""What a frozen encoder computes for all images of a split, from the cache of data/feature_cache.py."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import BATCH, CachedFeatures, Encode, OnImage, cached_features
from vocctl.devices import DeviceSetup, autocast, to_pixels
from vocctl.distributed import all_reduce_max

SHARE_OF_MINUTES = 0.3  # of the time of a run with --minutes that the features for a probe may take


class HasEncoder(Protocol):
    """A model whose encoder can be run alone: Segmenter, Classifier."""

    def feature_maps(self, images: Tensor) -> Sequence[Tensor]:
        """Maps (B, C, h, w) of images (B, 3, H, W) in [0, 1]."""
        ...

    def encoder_state(self) -> dict[str, Tensor]:
        """The tensors that decide the feature maps, by name."""
        ...


def encoder_features(
    model: HasEncoder,
    images: CachedSplit,
    setup: DeviceSetup,
    data: DataConfig,
    *,
    mirrored: bool = False,
    on_image: OnImage | None = None,
) -> CachedFeatures:
    """The features of all images, or of all mirrored images, under the model's current encoder.

    Raises RunError as cached_features does.
    """
    return cached_features(
        images,
        _encode(model, setup),
        _encoder_hash(model, setup),
        mirrored=mirrored,
        cache_dir=Path(data.cache_dir) if data.cache_dir else None,
        on_image=on_image,
    )


def num_images_in(minutes: float, model: HasEncoder, images: CachedSplit, setup: DeviceSetup) -> int:
    """How many images of a split a probe may use in a run of so many minutes: all if minutes is 0, else BATCH or more.

    Measured by the second of two batches of the first image; features must not take more than SHARE_OF_MINUTES. The
    same number in all processes.
    """
    if not minutes:
        return len(images)
    encode = _encode(model, setup)
    pixels = torch.from_numpy(images.image(0).copy()).permute(2, 0, 1).expand(BATCH, -1, -1, -1)
    seconds = 0.0
    for _ in range(2):  # the first one also prepares what later ones use
        started = time.perf_counter()
        for level in encode(pixels):
            level.cpu()  # waits for the device
        (seconds,) = all_reduce_max([time.perf_counter() - started])
    return max(int(60 * minutes * SHARE_OF_MINUTES / seconds), 1) * BATCH


def _encode(model: HasEncoder, setup: DeviceSetup) -> Encode:
    """The function from images (B, 3, H, W) uint8 to feature maps, for a model that it moves and sets to evaluation."""
    if isinstance(model, nn.Module):
        model.to(device=setup.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def encode(pixels: Tensor) -> Sequence[Tensor]:
        with autocast(setup.device, setup.precision):
            return model.feature_maps(to_pixels(pixels, setup.device))

    return encode


def _encoder_hash(model: HasEncoder, setup: DeviceSetup) -> str:
    """Hex hash of the encoder's tensors and of where they compute."""
    content = hashlib.blake2b(f"{setup.device.type}/{setup.precision}".encode(), digest_size=16)
    for name, tensor in model.encoder_state().items():
        content.update(f"{name}{tuple(tensor.shape)}".encode())
        content.update(tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()
