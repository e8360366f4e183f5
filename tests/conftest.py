"""What every test may use: a tiny data set in the devkit's layout, a cache of its own, the shared photos."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pytest
from PIL import Image

from vocctl.data.photos import write_mask
from vocctl.labels import CLASSES
from vocctl.torchvision_ops import declare_missing_ops

declare_missing_ops()  # torchmetrics and smp bring torchvision along

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos beside the project."""
    if not (SHARED / "voc-objects").is_dir():
        pytest.skip("../shared with its VOC photos is not here")
    return SHARED


def draw_tiny(root: Path, *, train: int = 8, val: int = 4, side: int = 32) -> Path:
    """A devkit of side x side photos: a square of class 1 or 2 in its own colour on grey, with a border of 255.

    Photos of even number hold an aeroplane, the others a bicycle, and the class lists say so.
    """
    devkit = root / "VOCdevkit" / "VOC2009"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main"):
        (devkit / folder).mkdir(parents=True)
    generator = np.random.default_rng(0)
    ids = [f"tiny_{number:03d}" for number in range(train + val)]
    for number, image_id in enumerate(ids):
        label = 1 + number % 2
        image = np.full((side, side, 3), 128, np.uint8)
        mask = np.zeros((side, side), np.uint8)
        top, left = generator.integers(2, side // 3, 2)
        mask[top - 1 : top + side // 2 + 1, left - 1 : left + side // 2 + 1] = 255
        mask[top : top + side // 2, left : left + side // 2] = label
        image[mask == label] = (220, 40, 40) if label == 1 else (40, 40, 220)
        Image.fromarray(image).save(devkit / "JPEGImages" / f"{image_id}.jpg", quality=95)
        write_mask(devkit / "SegmentationClass" / f"{image_id}.png", mask)
    lists = {"train": ids[:train], "val": ids[train:], "trainval": ids}
    for split, listed in lists.items():
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(listed) + "\n")
        (devkit / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(listed) + "\n")
        for label, name in enumerate(CLASSES, start=1):
            rows = [f"{image_id} {1 if 1 + ids.index(image_id) % 2 == label else -1:>2}\n" for image_id in listed]
            (devkit / "ImageSets" / "Main" / f"{name}_{split}.txt").write_text("".join(rows))
    return root


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return draw_tiny(tmp_path / "tiny")


@dataclass(frozen=True)
class Trained:
    """A segmenter and a classifier that were trained for a moment on a tiny data set and evaluated on its val photos."""

    data: Path
    seg: Path
    cls: Path


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from vocctl.config import TrainClsConfig, TrainSegConfig, given
    from vocctl.tasks import evaluate_cls, evaluate_seg, train_cls, train_seg

    root = tmp_path_factory.mktemp("trained")
    data = draw_tiny(root / "tiny", train=12, val=8)
    small = {
        "path": str(data),
        "cache_dir": str(root / "cache"),
        "size": 32,
        "batch": 4,
        "epochs": 3,
        "precision": "fp32",
    }
    plain = {"size_from": 0, "lr": 0.003, "encoder_lr": 1.0, "ema": 0.0}
    seg = given(TrainSegConfig(), encoder="scratch", widths=(8, 8, 8), **small, **plain)
    cls = given(TrainClsConfig(), model="scratch", **small, **plain)
    runs = Trained(data, train_seg.run(seg, root / "seg").run, train_cls.run(cls, root / "cls").run)
    evaluate_seg.evaluate(str(runs.seg), split="val")
    evaluate_cls.evaluate([str(runs.cls)], split="val")
    return runs


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Trained:
    """A copy that a test may spoil."""
    for run in (trained_once.seg, trained_once.cls):
        shutil.copytree(run, tmp_path / run.name)
    return Trained(trained_once.data, tmp_path / "seg", tmp_path / "cls")


@pytest.fixture(scope="session")
def attacked() -> Callable[[Path], None]:
    """Gives a run a folder as an attack leaves it, with adversarial images of two photos."""
    return _attacked


def _attacked(run: Path) -> None:
    """A folder as an attack leaves it, with adversarial images of two photos."""
    folder = run / "attacks" / "pgd"
    (folder / "images").mkdir(parents=True)
    (folder / "attack.json").write_text(json.dumps({"attack": "pgd", "epsilon": 8, "steps": 20}))
    (folder / "table.csv").write_text("epsilon,score\n2,0.5\n8,0.125\n")
    Image.new("RGB", (300, 200), "white").save(folder / "robustness.png")
    for image_id in ("tiny_012", "tiny_013"):
        Image.new("RGB", (32, 32), "green").save(folder / "images" / f"{image_id}.png")
