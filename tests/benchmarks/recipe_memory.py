"""The memory that training by a recipe needs, computed without a GPU.

    python tests/benchmarks/recipe_memory.py RECIPE...

Weights, gradients, the moving average and AdamW's two states, in fp32, and what autograd keeps of a batch: the sizes of the
tensors that it saves in the forward pass of one image on the CPU under bf16 autocast, times the batch. A real run also needs
the CUDA context (0.5 GiB), workspaces of the kernels, and the images with --augment-on gpu.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn

from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.config.recipes import recipe_config
from vocctl.losses.segmentation import loss_function
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter

COPIES = 5  # weight, gradient, two states of AdamW, moving average: fp32 each
GIB = 2**30


def saved_bytes(model: nn.Module, size: int, *, masks: bool) -> int:
    """Bytes of the tensors that autograd saves for one image, apart from the weights; each storage counts once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, int] = {}
    kept: list[Tensor] = []  # so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    images = torch.rand(1, 3, size, size)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        if masks:
            labels = torch.zeros(1, size // 2, size // 2, dtype=torch.long)
            loss_function("ce+dice", (), torch.device("cpu"))(model(images, 2), labels)
        else:
            model(images).sum()
    return sum(storages.values())


def report(name: str, config: Any, model: nn.Module, *, masks: bool) -> None:
    batch, size = config.train.batch, config.data.size
    copies = COPIES * sum(4 * parameter.numel() for parameter in model.parameters()) / GIB
    per_image = saved_bytes(model.train(), size, masks=masks) / GIB
    print(
        f"{name}: {size} px, batch {batch}: {copies:.1f} GiB of weights and their states, {per_image:.2f} GiB an image, "
        f"{copies + batch * per_image:.1f} GiB in all"
    )


def main() -> None:
    for name in sys.argv[1:]:
        seg = given(recipe_config(name, "train-seg", TrainSegConfig()), weights="none")
        report(f"{name}, train-seg", seg, Segmenter(seg.model), masks=True)
        cls = given(recipe_config(name, "train-cls", TrainClsConfig()), weights="none")
        report(f"{name}, train-cls", cls, Classifier(cls.model, cls.data.size), masks=False)


if __name__ == "__main__":
    main()
