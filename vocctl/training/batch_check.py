"""Whether a model can be trained on batches of the settings' size: tried on torch's meta device, which computes shapes only."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from vocctl.config import DataConfig
from vocctl.distributed import world_size
from vocctl.errors import ConfigError

TOO_SMALL = ("Kernel size can't be greater", "Output size is too small", "Padding size should be less")


def check_batch_shape(model: nn.Module, data: DataConfig, batch: int, num_images: int) -> None:
    """Raise ConfigError if a layer of the model has too few values in a training batch.

    data.size: not 0. batch: images of all processes. num_images: of the training split, a smaller one is a single batch.
    A model that the meta device does not support is not checked.
    """
    side = min(data.size, data.size_from or data.size)
    tensors = [*model.named_parameters(), *model.named_buffers()]
    on_meta = {id(tensor): _meta_copy(tensor) for _, tensor in tensors}
    # on_meta is deepcopy's memo: the copy gets its tensors instead of copies of the model's
    shapes_only = copy.deepcopy(model, on_meta).train()
    images = torch.empty(min(batch, num_images) // world_size(), 3, side, side, device="meta")
    with explain_small_batch(data, batch, num_images), torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            shapes_only(images)
        except (NotImplementedError, RuntimeError) as error:
            if any(words in str(error) for words in TOO_SMALL):
                raise


@contextmanager
def explain_small_batch(data: DataConfig, batch: int, num_images: int) -> Iterator[None]:
    """Raise ConfigError for torch's errors about a layer with too few values. Arguments as in check_batch_shape."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        flag = "--size-from" if 0 < data.size_from < data.size else "--size"
        side, message = min(data.size, data.size_from or data.size), str(error)
        if "more than 1 value per channel" in message:
            larger_batch = f"--batch {2 * world_size()}" if num_images > batch else "more training images"
            raise ConfigError(
                f"batch normalization needs more than one value per channel: take {larger_batch} or a larger {flag}"
            ) from error
        if "more than 1 spatial element" in message:
            raise ConfigError(
                f"instance normalization needs more than one pixel, the model has one at {side} px: take a larger {flag}"
            ) from error
        if isinstance(error, RuntimeError) and any(words in message for words in TOO_SMALL):
            raise ConfigError(f"the model needs larger images than {side} px: take a larger {flag}") from error
        raise


def _meta_copy(tensor: torch.Tensor) -> torch.Tensor:
    copied = tensor.detach().to("meta")
    return nn.Parameter(copied, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied
