"""What a frozen encoder computes for all images of a split, from the cache of data/feature_cache.py."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import BATCH, CachedFeatures, Encode, OnImage, are_cached, cached_features
from vocctl.devices import DeviceSetup, autocast, to_pixels
from vocctl.distributed import broadcast_object, is_main_process

SHARE_OF_MINUTES = 0.3  # of the time of a run with --minutes that the features for a probe may take
FEWER = 0.75  # factor from one number of images to the next lower one: few numbers, so that later runs find the same features


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
        cache_dir=_cache_dir(data),
        on_image=on_image,
    )


def num_images_in(minutes: float, model: HasEncoder, images: CachedSplit, setup: DeviceSetup, data: DataConfig) -> int:
    """How many of the images a probe may use in a run of that many minutes, the same number in all processes.

    All if minutes is 0 or their features are cached. Otherwise features must not take more than SHARE_OF_MINUTES, by a
    measurement; but BATCH images are always used.
    """
    if not minutes or are_cached(images, _encoder_hash(model, setup), cache_dir=_cache_dir(data)):
        return broadcast_object(len(images))
    count, seconds = len(images), _seconds_per_pixel(model, images, setup) if is_main_process() else 0.0
    areas = np.cumsum([height * width for height, width in images.sizes])
    while count > BATCH and areas[count - 1] * seconds > 60 * minutes * SHARE_OF_MINUTES:
        count = max(int(count * FEWER), BATCH)
    return broadcast_object(count)


def _seconds_per_pixel(model: HasEncoder, images: CachedSplit, setup: DeviceSetup) -> float:
    """Measured with the second of two batches of the first image: the first batch also prepares what later ones use."""
    encode = _encode(model, setup)
    pixels = torch.from_numpy(images.image(0).copy()).permute(2, 0, 1).expand(BATCH, -1, -1, -1)
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        for level in encode(pixels):
            level.cpu()  # waits for the device
        seconds = time.perf_counter() - started
    return seconds / (BATCH * pixels.shape[-2] * pixels.shape[-1])


def _cache_dir(data: DataConfig) -> Path | None:
    return Path(data.cache_dir) if data.cache_dir else None


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
