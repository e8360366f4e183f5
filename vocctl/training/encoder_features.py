"""The feature maps of a segmenter's encoder for all images of a split, from the cache of data/feature_cache.py."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import CachedFeatures, OnImage, cached_features
from vocctl.devices import DeviceSetup, autocast, to_pixels
from vocctl.models.segmenter import Segmenter


def encoder_features(
    model: Segmenter,
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
    model.to(device=setup.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def encode(pixels: Tensor) -> Sequence[Tensor]:
        with autocast(setup.device, setup.precision):
            return model.feature_maps(to_pixels(pixels, setup.device))

    return cached_features(
        images,
        encode,
        _encoder_hash(model, setup),
        mirrored=mirrored,
        cache_dir=Path(data.cache_dir) if data.cache_dir else None,
        on_image=on_image,
    )


def _encoder_hash(model: Segmenter, setup: DeviceSetup) -> str:
    """Hex hash of the encoder's structure and weights, of the normalization and of where they compute."""
    content = hashlib.blake2b(f"{setup.device.type}/{setup.precision}/{model.encoder}".encode(), digest_size=16)
    for part in (model.normalize, model.encoder):
        for tensor in part.state_dict().values():
            content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
