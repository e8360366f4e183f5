"""A rehearsal of the competition: tiny photos, and one trained run of each kind; trained once for all tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.cli.app import main
from vocctl.data.photos import write_mask

CLS = ["--model", "scratch", "--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "2", "--quiet"]
SEG = ["--encoder", "scratch", "--widths", "8,8,8", "--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "2",
       "--quiet"]  # fmt: skip


def draw_noisy(root: Path, train: int = 20, val: int = 6) -> Path:
    """As the tiny devkit, on a ground of coarse noise, so that no two photos look alike."""
    devkit = root / "VOCdevkit" / "VOC2009"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (devkit / folder).mkdir(parents=True)
    generator = np.random.default_rng(0)
    ids = [f"noisy_{number:03d}" for number in range(train + val)]
    for number, image_id in enumerate(ids):
        label = 1 + number % 2
        image = generator.integers(60, 190, (4, 5, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
        mask = np.zeros((40, 50), np.uint8)
        mask[9:31, 9:31] = 255
        mask[10:30, 10:30] = label
        image[mask == label] = (220, 40, 40) if label == 1 else (40, 40, 220)
        Image.fromarray(image).save(devkit / "JPEGImages" / f"{image_id}.jpg", quality=95)
        write_mask(devkit / "SegmentationClass" / f"{image_id}.png", mask)
    for split, listed in {"train": ids[:train], "val": ids[train:]}.items():
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return root


@pytest.fixture(scope="session")
def _rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("world")
    before, cache = Path.cwd(), os.environ.get("VOCCTL_CACHE")
    os.environ["VOCCTL_CACHE"] = str(world / "cache")
    os.chdir(world)
    try:
        draw_noisy(world / "data" / "tree")
        assert main(["download", "h02a5a", "--from", "data/tree", "--quiet"]) == 0
        assert main(["train-cls", "--data", "data/h02a5a", "--name", "one", *CLS]) == 0
        assert main(["train-seg", "--data", "data/h02a5a", "--name", "one", *SEG]) == 0
    finally:
        os.chdir(before)
        os.environ.pop("VOCCTL_CACHE") if cache is None else os.environ.update(VOCCTL_CACHE=cache)
    return world


@pytest.fixture
def world(_rehearsed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of data/tree, data/h02a5a, runs/cls/one and runs/seg/one, as the working folder."""
    shutil.copytree(_rehearsed, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    yield tmp_path / "world"
