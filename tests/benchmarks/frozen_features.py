"""The reference that a recipe has to beat: a pixel classifier on frozen features.

Images are resized to SIZE pixels, without augmentation. The encoder's feature maps of strides 4 to 32, and the mean of the
last one, are brought to stride 8 bilinearly; 200 pixels of each image are drawn once and standardized. A linear layer
(HIDDEN = 0) or an MLP with one hidden layer is trained with AdamW 2e-3, decay .05, cosine, for 1,500 steps of 2,048
pixels. Logits are enlarged bilinearly; the masks are scored at the images' own size with one confusion matrix, as
`vocctl eval` does. The seconds are those of the training images' features and of the head, from decoded images.

python tests/benchmarks/frozen_features.py DATA [ENCODER] [SIZE] [HIDDEN] [SEED]
"""

import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.data.cache import CachedSplit
from vocctl.data.cache_build import cached_split
from vocctl.data.source import open_dataset
from vocctl.devices import autocast, device_setup
from vocctl.labels import IGNORE, NUM_SEG_CLASSES
from vocctl.metrics.confusion import confusion_matrix, seg_scores
from vocctl.models.encoder import TimmEncoder
from vocctl.models.weights import pixel_statistics

STRIDE, PIXELS_PER_IMAGE, STEPS, BATCH, LR, DECAY = 8, 200, 1500, 2048, 2e-3, 0.05


def features(encoder: nn.Module, images: CachedSplit, index: int, statistics: tuple[Tensor, Tensor]) -> Tensor:
    """(D, h, w) float32 at stride 8."""
    pixels = torch.tensor(images.image(index)).permute(2, 0, 1).float() / 255
    setup = device_setup("cpu", "auto")
    with torch.inference_mode(), autocast(setup.device, setup.precision):
        maps = encoder(((pixels - statistics[0]) / statistics[1])[None].to(memory_format=torch.channels_last))
    maps = [feature_map.float() for feature_map in maps]
    size = [side // STRIDE for side in pixels.shape[-2:]]
    resized = [F.interpolate(feature_map, size=size, mode="bilinear") for feature_map in maps]
    return torch.cat([*resized, maps[-1].mean((2, 3), keepdim=True).expand(-1, -1, *size)], 1)[0]


def training_pixels(
    encoder: nn.Module, images: CachedSplit, statistics: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """(P, D) features and (P,) labels of the drawn pixels."""
    drawn, labels = [], []
    for index in range(len(images)):
        maps = features(encoder, images, index, statistics).flatten(1)
        mask = torch.tensor(images.mask(index))[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].flatten().long()
        labeled = torch.nonzero(mask != IGNORE)[:, 0]
        chosen = labeled[torch.randperm(len(labeled))[:PIXELS_PER_IMAGE]]
        drawn.append(maps[:, chosen].T)
        labels.append(mask[chosen])
    return torch.cat(drawn), torch.cat(labels)


def train_head(pixels: Tensor, labels: Tensor, hidden: int) -> nn.Module:
    mean, std = pixels.mean(0), pixels.std(0).clamp(min=1e-4)
    pixels = (pixels - mean) / std
    layers = [nn.Linear(pixels.shape[1], hidden), nn.ReLU()] if hidden else []
    head = nn.Sequential(*layers, nn.Linear(hidden or pixels.shape[1], NUM_SEG_CLASSES))
    optimizer = torch.optim.AdamW(head.parameters(), lr=LR, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(pixels), (BATCH,))
        loss = F.cross_entropy(head(pixels[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    first = head[0]
    with torch.no_grad():  # fold the standardization into the first layer
        first.weight /= std
        first.bias -= first.weight @ mean
    return head


@torch.inference_mode()
def score(encoder: nn.Module, head: nn.Module, images: CachedSplit, statistics: tuple[Tensor, Tensor]) -> float:
    confusion = torch.zeros(NUM_SEG_CLASSES, NUM_SEG_CLASSES, dtype=torch.int64)
    for index in range(len(images)):
        logits = head(features(encoder, images, index, statistics).permute(1, 2, 0)).permute(2, 0, 1)
        mask = torch.from_numpy(images.original_mask(index))
        labels = F.interpolate(logits[None], size=mask.shape, mode="bilinear")[0].argmax(0)
        confusion += confusion_matrix(labels, mask)
    return seg_scores(confusion).mean_iou


def main() -> None:
    root, *rest = sys.argv[1:]
    defaults = ("tf_efficientnet_lite0", "224", "256", "0")
    name, size, hidden, seed = (*rest, *defaults[len(rest) :])
    torch.manual_seed(int(seed))
    source = open_dataset(Path(root))
    train, val = (cached_split(source, split, int(size)) for split in ("train", "val"))
    statistics = tuple(torch.tensor(values)[:, None, None] for values in pixel_statistics(name))
    encoder = TimmEncoder(name, "auto").eval().to(memory_format=torch.channels_last)
    start = time.perf_counter()
    pixels, labels = training_pixels(encoder, train, statistics)
    seconds_of_features = time.perf_counter() - start
    head = train_head(pixels, labels, int(hidden))
    seconds = time.perf_counter() - start
    mean_iou = score(encoder, head.eval(), val, statistics)
    print(
        f"frozen features, {name}, {size} px, hidden {hidden}, {Path(root).name}, seed {seed}: mean IoU {mean_iou:.4f} "
        f"after {seconds:.0f} s, {seconds_of_features:.0f} s of them for features"
    )


if __name__ == "__main__":
    main()
