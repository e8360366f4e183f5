"""A tutorial's recipe for a classifier, trained for SECONDS: the baseline of docs/results.md, section 3.

timm's tf_efficientnet_lite0 with the same ImageNet weights, 224 px, AdamW 3e-4, BCE, batch 16, flip, affine and jitter,
fp32. Images are decoded once and augmented in the training process, as vocctl does on a CPU. The time excludes
validation. The final weights are scored by scikit-learn's average precision, mean over the classes with positives.

python tests/benchmarks/tutorial_classification.py DATA SECONDS [SEED]
"""

import os
import sys
import time
from pathlib import Path

from vocctl.compat import declare_missing_ops

declare_missing_ops()
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else its import asks the package index for its newest version

import albumentations as A
import numpy as np
import timm
import torch
from sklearn.metrics import average_precision_score
from torch.utils.data import DataLoader, Dataset

from vocctl.data.source import open_dataset
from vocctl.models.weights import load_pretrained, pixel_statistics

MODEL, SIZE, BATCH, RATE = "tf_efficientnet_lite0", 224, 16, 3e-4


class Images(Dataset):
    """All images in memory, resized to a square first, as tutorials do."""

    def __init__(self, root: Path, split: str, *, augment: bool) -> None:
        source = open_dataset(root)
        resize = A.Resize(SIZE, SIZE)
        labels = source.labels(split)
        self.images = [resize(image=source.image(image_id))["image"] for image_id in labels]
        self.targets = (np.stack(list(labels.values())) == 1).astype(np.float32)
        augmentations = [
            A.HorizontalFlip(p=0.5),
            A.Affine(rotate=(-15, 15), scale=(0.8, 1.2), translate_percent=(-0.06, 0.06), p=0.5),
            A.ColorJitter(p=0.5),
        ]
        self.transform = A.Compose([*(augmentations if augment else []), A.Normalize(*pixel_statistics(MODEL))])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.transform(image=self.images[index])["image"]
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(self.targets[index])


def train(root: Path, seconds: float) -> tuple[torch.nn.Module, int, float]:
    """Returns the model, the number of training images it processed, and the time in seconds."""
    model = timm.create_model(MODEL, num_classes=20)
    load_pretrained(model, MODEL, "auto")
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    loss_fn = torch.nn.BCEWithLogitsLoss()
    loader = DataLoader(Images(root, "train", augment=True), batch_size=BATCH, shuffle=True, drop_last=True)
    num_images, start = 0, time.perf_counter()
    while True:
        for images, targets in loader:
            loss = loss_fn(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            num_images += len(images)
            if (spent := time.perf_counter() - start) >= seconds:
                return model, num_images, spent


@torch.inference_mode()
def score(model: torch.nn.Module, root: Path) -> float:
    """scikit-learn's AP on val, mean over the classes with positives."""
    val = Images(root, "val", augment=False)
    model.eval()
    logits = torch.cat([model(images) for images, _ in DataLoader(val, batch_size=BATCH)]).numpy()
    present = np.flatnonzero(val.targets.sum(0))
    return float(np.mean([average_precision_score(val.targets[:, k], logits[:, k]) for k in present]))


def main() -> None:
    root, seconds, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    torch.manual_seed(seed)
    np.random.seed(seed)
    model, num_images, spent = train(root, seconds)
    mean_ap = score(model, root)
    print(
        f"tutorial recipe, {root.name}, seed {seed}: mAP {mean_ap:.4f} after {spent:.0f} s, {num_images / spent:.1f} images/s"
    )


if __name__ == "__main__":
    main()
