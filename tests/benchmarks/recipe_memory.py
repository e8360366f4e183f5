"""The memory that training by a recipe needs, computed without a GPU.

    python tests/benchmarks/recipe_memory.py RECIPE...

Weights, gradients, the moving average and AdamW's two states, in fp32, and what autograd keeps of a batch: the sizes of the
tensors that it saves in the forward pass on the CPU under bf16 autocast, with one and with two images. The weights are random,
so that batch norms are not folded and need more. A real run also needs the CUDA context (0.5 GiB), workspaces of the kernels,
and the images with --augment-on auto.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn

from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.config.data import MAX_CHOSEN_SIZE
from vocctl.config.recipes import recipe_config
from vocctl.losses.segmentation import loss_function
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter

COPIES = 5  # weight, gradient, two states of AdamW, moving average: fp32 each
GIB = 2**30


def saved_bytes(model: nn.Module, config: Any, batch: int) -> int:
    """Bytes of the tensors that autograd saves for a batch, apart from the weights; each storage counts once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, int] = {}
    kept: list[Tensor] = []  # so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    size = config.data.size
    images = torch.rand(batch, 3, size, size)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        if isinstance(config, TrainSegConfig):
            stride = config.loss.loss_stride
            labels = torch.zeros(batch, size // stride, size // stride, dtype=torch.long)
            loss_function(config.loss, torch.device("cpu"))(model(images, stride), labels)
        else:
            model(images).sum()
    return sum(storages.values())


def report(name: str, config: Any, model: nn.Module) -> None:
    batch, size = config.train.batch, config.data.size
    copies = COPIES * sum(4 * parameter.numel() for parameter in model.parameters()) / GIB
    one, two = (saved_bytes(model.train(), config, count) / GIB for count in (1, 2))
    per_image, per_batch = two - one, 2 * one - two
    print(
        f"{name}: {size} px, batch {batch}: {copies:.1f} GiB of weights and their states, {per_batch:.1f} GiB of their half "
        f"precision copies, {per_image:.2f} GiB an image, {copies + per_batch + batch * per_image:.1f} GiB in all"
    )


def main() -> None:
    for name in sys.argv[1:]:
        seg = given(recipe_config(name, "train-seg", TrainSegConfig()), weights="none")
        seg = given(seg, size=seg.data.size or MAX_CHOSEN_SIZE)
        report(f"{name}, train-seg", seg, Segmenter(seg.model))
        cls = given(recipe_config(name, "train-cls", TrainClsConfig()), weights="none")
        report(f"{name}, train-cls", cls, Classifier(cls.model, cls.data.size))


if __name__ == "__main__":
    main()
