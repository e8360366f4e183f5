"""Accelerate's Accelerator, which wraps the model for several processes and scales the loss in fp16."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from vocctl.devices import DeviceSetup


def make_accelerator(setup: DeviceSetup, *, find_unused_parameters: bool = False) -> Accelerator:
    """Create an Accelerator. Its global state outlives a run, so that a second run in one process resets it first."""
    if not torch.distributed.is_initialized():
        AcceleratorState._reset_state(reset_partial_state=True)
    if setup.device.type == "cuda" and setup.device.index is not None:
        torch.cuda.set_device(setup.device)
    return Accelerator(
        cpu=setup.device.type == "cpu",
        mixed_precision="no" if setup.precision == "fp32" else setup.precision,
        step_scheduler_with_optimizer=False,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=find_unused_parameters)],
    )
