"""Features on the disk: what is stored, when it is computed, and files that are damaged or do not fit."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from vocctl.data import feature_cache
from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import CachedFeatures, cached_features
from vocctl.errors import RunError

SIZES = ((32, 64), (64, 32), (32, 64), (32, 32))


def split_of(sizes: tuple[tuple[int, int], ...] = SIZES, seed: int = 0) -> CachedSplit:
    """Images of random pixels in memory."""
    areas = [height * width for height, width in sizes]
    generator = np.random.default_rng(seed)
    return CachedSplit(
        folder=Path("memory"),
        ids=tuple(f"image_{number}" for number in range(len(sizes))),
        sizes=sizes,
        original_sizes=sizes,
        pixels=generator.integers(0, 256, 3 * sum(areas), np.uint8),
        labels=np.zeros(0, np.uint8),
        starts=np.cumsum([0, *areas[:-1]]),
        compressed_masks=np.zeros(0, np.uint8),
        bounds=np.zeros((0, 2), np.int64),
        content_hashes=tuple(f"{seed}/{number}".encode() for number in range(len(sizes))),
    )


@dataclass
class Encode:
    """Two maps of each image: the pixels at stride 4 in thirds, and the mean color. It counts the images."""

    images: int = 0
    batches: list[int] = field(default_factory=list)

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        self.batches.append(len(pixels))
        self.images += len(pixels)
        values = pixels.float() / 3
        return [values[:, :, ::4, ::4], values.mean((2, 3), keepdim=True)]


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


@pytest.mark.parametrize("mirrored", [False, True])
def test_values_are_those_of_encode_to_half_precision(tmp_path, mirrored):
    images = split_of()
    features = cached_features(images, Encode(), "hash", mirrored=mirrored, cache_dir=tmp_path)
    assert len(features) == 4
    for index in range(4):
        pixels = torch.from_numpy(images.image(index).copy()).permute(2, 0, 1)[None]
        expected = Encode()(pixels.flip(-1) if mirrored else pixels)
        maps = features.maps(index)
        assert [level.dtype for level in maps] == [torch.float32] * 2
        for level, expected_level in zip(maps, expected, strict=True):
            assert torch.equal(level, expected_level[0].half().float())


def test_images_of_one_size_are_computed_together_and_reported(tmp_path):
    encode, reports = Encode(), []
    cached_features(split_of(), encode, "hash", cache_dir=tmp_path, on_image=lambda *counts: reports.append(counts))
    assert encode.batches == [2, 1, 1]
    assert reports == [(2, 4), (3, 4), (4, 4)]


def test_a_second_call_computes_nothing(tmp_path):
    first, second = Encode(), Encode()
    features = cached_features(split_of(), first, "hash", cache_dir=tmp_path)
    again = cached_features(split_of(), second, "hash", cache_dir=tmp_path)
    assert (first.images, second.images) == (4, 0)
    assert all(torch.equal(a, b) for i in range(4) for a, b in zip(features.maps(i), again.maps(i), strict=True))
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize(
    ("images", "encoder_hash", "mirrored"),
    [
        (split_of(), "another", False),
        (split_of(), "hash", True),
        (split_of(seed=1), "hash", False),
        (split_of().take([1, 0, 2, 3]), "hash", False),
        (split_of().take([0, 1]), "hash", False),
        (split_of(((64, 32), (64, 32), (32, 64), (32, 32))), "hash", False),  # the same files at another --size
    ],
)
def test_other_content_gets_a_folder_of_its_own(tmp_path, images, encoder_hash, mirrored):
    cached_features(split_of(), Encode(), "hash", cache_dir=tmp_path)
    encode = Encode()
    cached_features(images, encode, encoder_hash, mirrored=mirrored, cache_dir=tmp_path)
    assert encode.images == len(images)
    assert len(folders(tmp_path)) == 2


def test_the_default_folder_is_the_cache_of_images(tmp_path, monkeypatch):
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "here"))
    cached_features(split_of(), Encode(), "hash")
    assert len(folders(tmp_path / "here")) == 1


def edit_index(**entries: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps(index | entries))

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "features.bin").write_bytes(b""),
        lambda folder: os.truncate(folder / "features.bin", (folder / "features.bin").stat().st_size - 2),
        lambda folder: (folder / "features.bin").unlink(),
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "index.json").write_text('{"shapes": '),
        lambda folder: (folder / "index.json").write_text("{}"),
        edit_index(starts=[0, 1, 2]),
        edit_index(starts=[0, 1, 2, 10**9]),
        edit_index(starts=[-1, 1, 2, 3]),
        edit_index(starts=["a", "b", "c", "d"]),
        edit_index(shapes=[[1]] * 4),
        edit_index(shapes=[]),
        shutil.rmtree,
    ],
)
def test_damaged_files_are_computed_again(tmp_path, damage):
    expected = cached_features(split_of(), Encode(), "hash", cache_dir=tmp_path).maps(3)
    damage(tmp_path / folders(tmp_path)[0])
    encode = Encode()
    maps = cached_features(split_of(), encode, "hash", cache_dir=tmp_path).maps(3)
    assert encode.images == 4
    assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))


def test_an_interrupted_computation_leaves_no_features(tmp_path):
    encode = Encode()

    def fail_at_the_second_batch(pixels: Tensor) -> list[Tensor]:
        if encode.batches:
            raise ZeroDivisionError
        return encode(pixels)

    with pytest.raises(ZeroDivisionError):
        cached_features(split_of(), fail_at_the_second_batch, "hash", cache_dir=tmp_path)
    assert folders(tmp_path) == []
    assert isinstance(cached_features(split_of(), Encode(), "hash", cache_dir=tmp_path), CachedFeatures)


def test_a_small_disk_is_an_error_of_one_line_before_anything_is_kept(tmp_path, monkeypatch):
    # 4 bytes of float16 per... 6144 values of 3 channels at stride 4 and 12 means: 1176 values of 2 bytes
    monkeypatch.setattr(feature_cache, "shutil", SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=10**9)))
    encode = Encode()
    with pytest.raises(RunError, match=r"cannot hold the features: they need 0\.0 GB and 0\.0 GB are free") as caught:
        cached_features(split_of(), encode, "hash", cache_dir=tmp_path)
    assert "set --cache-dir, or use --no-cache-features" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert encode.batches == [2]  # the first batch tells how much is needed
    assert folders(tmp_path) == []


def test_the_space_needed_is_that_of_all_images(tmp_path, monkeypatch):
    """1176 values: 3 channels of (8 x 16, 16 x 8, 8 x 16, 8 x 8) pixels and 3 means of 4 images, 2 bytes each."""
    needed = 2 * (3 * (3 * 128 + 64) + 4 * 3)
    for spare, fits in ((64, True), (-64, False)):
        free = SimpleNamespace(free=feature_cache.FREE_BYTES + needed + spare)
        monkeypatch.setattr(feature_cache, "shutil", SimpleNamespace(disk_usage=lambda path, free=free: free))
        if fits:
            cached_features(split_of(), Encode(), f"{spare}", cache_dir=tmp_path)
        else:
            with pytest.raises(RunError, match="cannot hold the features"):
                cached_features(split_of(), Encode(), f"{spare}", cache_dir=tmp_path)


def test_a_disk_that_fills_up_and_a_folder_that_is_a_file(tmp_path):
    def full(pixels: Tensor) -> list[Tensor]:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="cannot hold the features: No space left on device; free space"):
        cached_features(split_of(), full, "hash", cache_dir=tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot hold the features") as caught:
        cached_features(split_of(), Encode(), "hash", cache_dir=tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_values_beyond_half_precision_are_clamped(tmp_path):
    values = torch.tensor([1e6, -1e6, 65504.0, 0.5])
    features = cached_features(
        split_of(((32, 32),)), lambda pixels: [values.view(1, 4, 1, 1)], "hash", cache_dir=tmp_path
    )
    assert features.maps(0)[0].flatten().tolist() == [65504, -65504, 65504, 0.5]


def test_a_sub_split_reads_its_own_images():
    images = split_of()
    assert np.array_equal(images.take([3]).image(0), images.image(3))
    assert replace(images, ids=("x",) * 4).fingerprint == images.fingerprint  # names do not matter, content does
