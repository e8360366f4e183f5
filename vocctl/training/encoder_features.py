"""What a frozen encoder computes for all images of a split, from the cache of data/feature_cache.py."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import CachedFeatures, OnImage, cached_features
from vocctl.devices import DeviceSetup, autocast, to_pixels


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
    if isinstance(model, nn.Module):
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


def _encoder_hash(model: HasEncoder, setup: DeviceSetup) -> str:
    """Hex hash of the encoder's tensors and of where they compute."""
    content = hashlib.blake2b(f"{setup.device.type}/{setup.precision}".encode(), digest_size=16)
    for name, tensor in model.encoder_state().items():
        content.update(f"{name}{tuple(tensor.shape)}".encode())
        content.update(tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()
