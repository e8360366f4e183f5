"""A training run's whole state in one safetensors file: tensors and plain values, nothing that can run.

Weights, their moving average, the optimizer, torch's generator and the place in the run. A file is written beside its
name and renamed, so that a killed run leaves the state before or this one; the last two are kept.
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
from vocctl.runs.folder import write_tensors

KEPT = 2


@dataclass
class TrainState:
    """Where a run is. All of it is saved, and the loop goes on from it."""

    step: int = 0  # optimizer steps done
    epoch: int = 0  # epoch under way, from 0
    batch: int = 0  # batches of it that are done
    seconds: float = 0.0  # of training, validation left out
    prepared: float = 0.0  # those of them before the first step
    loss_sum: float = 0.0  # over the batches of this epoch
    lr: float = 0.0  # of the last batch
    scores: dict[str, float] = field(default_factory=dict)  # of the last validation
    best: float | None = None  # monitor's best value
    best_epoch: int = -1
    epochs_without_improvement: int = 0  # validations since the best
    metrics_bytes: int = 0  # length of metrics.jsonl at this moment
    finished: bool = False
    scaler: dict[str, float] = field(default_factory=dict)  # fp16 loss scale


def save_checkpoint(
    folder: Path, position: TrainState, model: nn.Module, average: nn.Module, optimizer: Optimizer
) -> Path:
    """Write folder/step-<step>.safetensors, then remove all but the last two; the first rank does.

    Raises RunError: no space, folder gone.
    """
    path = folder / f"step-{position.step:07d}-{position.epoch:04d}-{position.batch:06d}.safetensors"
    if not is_main_process():
        return path
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if average is not model:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    held = optimizer.state_dict()
    for number, slots in held["state"].items():
        tensors |= {f"optimizer.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    tensors["generator.cpu"] = torch.get_rng_state()
    for place in range(torch.cuda.device_count()):
        tensors[f"generator.cuda.{place}"] = torch.cuda.get_rng_state(place)
    write_tensors(path, tensors, {"train_state": json.dumps(asdict(position))}, run=folder.parent)
    for old in sorted(folder.glob("step-*.safetensors"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def has_checkpoint(folder: Path) -> bool:
    """Whether a run got as far as its first state; it may be broken."""
    return any(folder.glob("step-*.safetensors"))


def load_latest_checkpoint(folder: Path, model: nn.Module, average: nn.Module, optimizer: Optimizer) -> TrainState:
    """Put the newest state back in place, or the one before where that is damaged. Raises DataError: none that fits."""
    refused: DataError | None = None
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            return load_checkpoint(path, model, average, optimizer)
        except DataError as error:
            refused = refused or error
    raise refused or DataError(f"{folder} holds no state to go on from: start the run anew under another --name")


def load_checkpoint(path: Path, model: nn.Module, average: nn.Module, optimizer: Optimizer) -> TrainState:
    """Put everything back in place. Raises DataError where the file is damaged or fits another model."""
    try:
        with safe_open(path, "pt") as held:
            position = _checked(TrainState(**parse_json(held.metadata()["train_state"])))
            tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        model.load_state_dict(_under(tensors, "model."))
        if average is not model:
            average.load_state_dict(_under(tensors, "average."))
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        slots: dict[int, dict[str, Any]] = {}
        for name, tensor in _under(tensors, "optimizer.").items():
            number, slot = name.split(".", 1)
            slots.setdefault(int(number), {})[slot] = _laid_out_as(parameters[int(number)], tensor)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": slots, "param_groups": groups})
        for name, tensor in _under(tensors, "generator.cuda.").items():
            if int(name) < torch.cuda.device_count():
                torch.cuda.set_rng_state(tensor, int(name))
        torch.set_rng_state(tensors["generator.cpu"])
    except (SafetensorError, OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(f"{path} does not fit this run: {said}; start anew under another --name") from error
    return position


def _checked(position: TrainState) -> TrainState:
    """Raises TypeError, ValueError: values that no run writes."""
    for name in ("step", "epoch", "batch", "metrics_bytes", "epochs_without_improvement"):
        if not isinstance(getattr(position, name), int) or getattr(position, name) < 0:
            raise ValueError(f"{name} is a number of things")
    numbers = [position.seconds, position.prepared, position.loss_sum, position.lr, position.best_epoch]
    numbers += [*position.scores.values(), *position.scaler.values()]
    if position.best is not None:
        numbers.append(position.best)
    if not all(map(is_number, numbers)) or not isinstance(position.finished, bool):
        raise TypeError("its place in the run is no set of numbers")
    return position


def _laid_out_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A copy in the parameter's memory layout: a fused step reads both as they lie in memory, channels last or not.

    A copy, since tensors that are read lie in the mapped file, which keeps its place on the disk for as long.
    """
    return (
        torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        if tensor.shape == parameter.shape
        else tensor.clone()
    )


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
