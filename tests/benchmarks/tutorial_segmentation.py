"""A tutorial's recipe for a segmenter, trained for SECONDS and scored as vocctl does: the baseline of docs/results.md,
section 1.

smp.Unet with the same encoder and ImageNet weights, 160 px, Adam 5e-4, batch 16, flip, affine and jitter, fp32,
cross-entropy. Images are decoded once and augmented in the training process, as vocctl does on a CPU. The time excludes
validation. The final weights are scored at the images' original size with one confusion matrix, as `vocctl eval` does.

python tests/benchmarks/tutorial_segmentation.py DATA SECONDS [SEED]
"""

import os
import sys
import time
from pathlib import Path

from vocctl.compat import declare_missing_ops

declare_missing_ops()
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else its import asks the package index for its newest version

import albumentations as A
import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch.utils.data import DataLoader, Dataset

from vocctl.data.source import open_dataset
from vocctl.labels import IGNORE, NUM_SEG_CLASSES
from vocctl.metrics.confusion import confusion_matrix, seg_scores
from vocctl.models.weights import load_pretrained, pixel_statistics

SIZE, BATCH, RATE = 160, 16, 5e-4
ENCODER = "tf_efficientnet_lite0"


class Images(Dataset):
    """All images in memory, resized to a square first, as tutorials do."""

    def __init__(self, root: Path) -> None:
        source = open_dataset(root)
        mean, std = pixel_statistics(ENCODER)
        resize = A.Resize(SIZE, SIZE)
        self.pairs = []
        for image_id in source.ids("train"):
            small = resize(image=source.image(image_id), mask=source.mask(image_id))
            self.pairs.append((small["image"], small["mask"]))
        self.transform = A.Compose(
            [
                A.HorizontalFlip(p=0.5),
                A.Affine(rotate=(-15, 15), scale=(0.8, 1.2), p=0.5, fill_mask=IGNORE),
                A.ColorJitter(p=0.5),
                A.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.pairs[index]
        out = self.transform(image=image, mask=mask)
        return torch.from_numpy(out["image"].transpose(2, 0, 1).copy()), torch.from_numpy(out["mask"]).long()


def train(root: Path, seconds: float) -> tuple[torch.nn.Module, int, float]:
    """Returns the model, the number of training images it processed, and the time in seconds."""
    model = smp.Unet(f"tu-{ENCODER}", encoder_weights=None, classes=NUM_SEG_CLASSES)
    load_pretrained(model.encoder.model, ENCODER, "auto")
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    loss_fn = torch.nn.CrossEntropyLoss(ignore_index=IGNORE)
    loader = DataLoader(Images(root), batch_size=BATCH, shuffle=True, drop_last=True)
    num_images, start = 0, time.perf_counter()
    while True:
        for images, masks in loader:
            loss = loss_fn(model(images), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            num_images += len(images)
            if (spent := time.perf_counter() - start) >= seconds:
                return model, num_images, spent


@torch.inference_mode()
def score(model: torch.nn.Module, root: Path) -> float:
    """Mean IoU on val at the images' original size, over the classes with ground truth."""
    source = open_dataset(root)
    mean, std = (np.array(value, np.float32) for value in pixel_statistics(ENCODER))
    model.eval()
    confusion = torch.zeros(NUM_SEG_CLASSES, NUM_SEG_CLASSES, dtype=torch.int64)
    for image_id in source.ids("val"):
        image, mask = source.image(image_id), source.mask(image_id)
        small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        logits = model(torch.from_numpy(((small - mean) / std).transpose(2, 0, 1).copy())[None])
        logits = torch.nn.functional.interpolate(logits, size=mask.shape, mode="bilinear", align_corners=False)
        confusion += confusion_matrix(logits[0].argmax(0), torch.from_numpy(mask.copy()))
    return seg_scores(confusion).mean_iou


def main() -> None:
    root, seconds, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    torch.manual_seed(seed)
    np.random.seed(seed)
    model, num_images, spent = train(root, seconds)
    mean_iou = score(model, root)
    speed = num_images / spent
    print(
        f"tutorial recipe, {root.name}, seed {seed}: mean IoU {mean_iou:.4f} after {spent:.0f} s, {speed:.1f} images/s"
    )


if __name__ == "__main__":
    main()
