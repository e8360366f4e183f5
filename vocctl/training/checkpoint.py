"""Checkpoints: a training run's whole state in one safetensors file, tensors and plain values, nothing that can run.

A checkpoint holds the weights, their moving average, the optimizer's state, torch's random state and the progress of
the run. Each is written atomically; the newest two are kept.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from vocctl.distributed import is_main_process
from vocctl.errors import DataError
from vocctl.files import is_number, parse_json
from vocctl.runs.weights import write_tensors

CHECKPOINTS_KEPT = 2
GROUP_SETTINGS = {"params", "lr_scale", "peak_lr"}  # of training/optim.py; a resumed run computes them again


@dataclass
class TrainState:
    """The progress of a run. All of it is saved, and a resumed run continues from it."""

    step: int = 0  # optimizer steps done
    epoch: int = 0  # current epoch, from 0
    batch: int = 0  # batches of it that are done
    seconds: float = 0.0  # of training, without validation
    wall_seconds: float = 0.0  # of the whole command, which --minutes limits
    prepared: float = 0.0  # wall seconds before the first step
    loss_sum: float = 0.0  # over the batches of this epoch
    lr: float = 0.0  # largest learning rate of the last batch
    scores: dict[str, float] = field(default_factory=dict)  # of the last validation
    best: float | None = None  # best value of the monitored metric
    best_epoch: int = -1
    epochs_without_improvement: int = 0  # validations since the best one
    metrics_bytes: int = 0  # length of metrics.jsonl at this moment
    finished: bool = False
    scaler: dict[str, float] = field(default_factory=dict)  # state of the fp16 loss scaler


def save_checkpoint(folder: Path, state: TrainState, model: nn.Module, ema: nn.Module, optimizer: Optimizer) -> Path:
    """Write folder/step-<step>-<epoch>-<batch>.safetensors in the main process, then remove all but the newest two.

    Raises RunError: no space, or the folder is missing.
    """
    path = folder / f"step-{state.step:07d}-{state.epoch:04d}-{state.batch:06d}.safetensors"
    if not is_main_process():
        return path
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if ema is not model:
        tensors |= {f"ema.{name}": tensor for name, tensor in ema.state_dict().items()}
    tensors |= _optimizer_tensors(optimizer)
    tensors["generator.cpu"] = torch.get_rng_state()
    for index in range(torch.cuda.device_count()):
        tensors[f"generator.cuda.{index}"] = torch.cuda.get_rng_state(index)
    write_tensors(path, tensors, {"train_state": json.dumps(asdict(state))}, run=folder.parent)
    for old in sorted(folder.glob("step-*.safetensors"))[:-CHECKPOINTS_KEPT]:
        old.unlink(missing_ok=True)
    return path


def has_checkpoint(folder: Path) -> bool:
    """Whether a run saved a checkpoint; it may be corrupt."""
    return any(folder.glob("step-*.safetensors"))


def load_latest_checkpoint(folder: Path, model: nn.Module, ema: nn.Module, optimizer: Optimizer) -> TrainState:
    """Load the newest checkpoint, or the one before if that is corrupt. Raises DataError: none can be loaded."""
    first_error: DataError | None = None
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            return load_checkpoint(path, model, ema, optimizer)
        except DataError as error:
            first_error = first_error or error
    raise first_error or DataError(f"{folder} has no checkpoint: start the run again under another --name")


def load_checkpoint(path: Path, model: nn.Module, ema: nn.Module, optimizer: Optimizer) -> TrainState:
    """Load a checkpoint into model, ema, optimizer and torch's generators. Raises DataError: corrupt, or another model's."""
    try:
        with safe_open(path, "pt") as file:
            state = _check_state(TrainState(**parse_json(file.metadata()["train_state"])))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict(_with_prefix(tensors, "model."))
        if ema is not model:
            ema.load_state_dict(_with_prefix(tensors, "ema."))
        _load_optimizer(optimizer, _with_prefix(tensors, "optimizer."), _with_prefix(tensors, "optimizer_group."))
        for index, random_state in _with_prefix(tensors, "generator.cuda.").items():
            if int(index) < torch.cuda.device_count():
                torch.cuda.set_rng_state(random_state, int(index))
        torch.set_rng_state(tensors["generator.cpu"])
    except (SafetensorError, OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path} does not fit this run: {reason}; start it again under another --name") from error
    return state


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """What the optimizer keeps for each parameter, and for each group, as LAMB keeps its number of steps.

    A slot of None is left out: optimizers treat it as one that does not exist yet.
    """
    tensors: dict[str, Tensor] = {}
    for number, slots in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items() if value is not None
        }
    settings = GROUP_SETTINGS | optimizer.defaults.keys()
    for number, group in enumerate(optimizer.param_groups):
        tensors |= {
            f"optimizer_group.{number}.{slot}": torch.as_tensor(group[slot]) for slot in group.keys() - settings
        }
    return tensors


def _load_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], group_tensors: dict[str, Tensor]) -> None:
    """tensors: by "<parameter's number>.<slot>"; group_tensors: by "<group's number>.<slot>".

    Learning rates and other settings are not loaded: they follow from the config and the progress.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        number, slot = name.split(".", 1)
        slots.setdefault(int(number), {})[slot] = _copy_with_layout_of(parameters[int(number)], tensor)
    groups = optimizer.state_dict()["param_groups"]
    for name, tensor in group_tensors.items():
        number, slot = name.split(".", 1)
        if slot in GROUP_SETTINGS | optimizer.defaults.keys():
            raise ValueError(f"{slot} of an optimizer's group is a setting")
        # some versions of timm count in Python's integers
        groups[int(number)][slot] = tensor.clone() if tensor.is_floating_point() else tensor.item()
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _check_state(state: TrainState) -> TrainState:
    """Raise TypeError or ValueError for values that no run writes."""
    for name in ("step", "epoch", "batch", "metrics_bytes", "epochs_without_improvement"):
        if not isinstance(getattr(state, name), int) or getattr(state, name) < 0:
            raise ValueError(f"{name} is not a count")
    numbers = [state.seconds, state.wall_seconds, state.prepared, state.loss_sum, state.lr, state.best_epoch]
    numbers += [*state.scores.values(), *state.scaler.values()]
    if state.best is not None:
        numbers.append(state.best)
    if not all(map(is_number, numbers)) or not isinstance(state.finished, bool):
        raise TypeError("its train_state holds something other than numbers")
    return state


def _copy_with_layout_of(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Copy tensor in the parameter's memory layout: a fused optimizer step assumes that both are laid out alike.

    It is a copy because a loaded tensor is a view of the memory-mapped file, whose disk space would stay in use.
    """
    if tensor.shape != parameter.shape:
        return tensor.clone()
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
