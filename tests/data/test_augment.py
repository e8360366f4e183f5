"""The augmentation presets: what they do to images and masks, and that the seed decides it."""

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from vocctl.config.data import Augmentation
from vocctl.data.augment import augment_image, augment_pair, preset
from vocctl.labels import IGNORE

OFFLINE = """
import os, socket
attempts = []
def refuse(*args, **kwargs):
    attempts.append(args)
    raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
os.environ.pop("NO_ALBUMENTATIONS_UPDATE", None)
import vocctl.data.datasets, vocctl.data.augment, sys
assert "albumentations" not in sys.modules
vocctl.data.augment.preset("light", 64)
assert "albumentations" in sys.modules
assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
assert attempts == [], attempts
"""


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask with areas of 0, 3 and 9, and an image whose pixels are ten times their label."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 4 : width // 2] = 3
    mask[height // 2 :, width // 2 :] = 9
    return np.repeat(10 * mask[:, :, None], 3, axis=2), mask


@pytest.mark.parametrize("name", get_args(Augmentation))
@pytest.mark.parametrize("shape", [(96, 64), (64, 96), (64, 64), (64, 256), (20, 30)])
def test_crops_have_the_given_size(name, shape):
    image, mask = augment_pair(preset(name, 64), *pair(*shape), seed=1)
    assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((64, 64), np.uint8)


@pytest.mark.parametrize("name", get_args(Augmentation))
def test_masks_are_not_interpolated(name):
    transform = preset(name, 64)
    labels = set()
    for seed in range(40):
        labels |= set(np.unique(augment_pair(transform, *pair(90, 120), seed)[1]).tolist())
    assert labels <= {0, 3, 9, IGNORE}  # interpolated masks would have labels between these
    assert {0, 3, 9} <= labels


def test_none_shows_the_whole_image_and_pads_with_ignore():
    image, mask = augment_pair(preset("none", 64), *pair(64, 128), seed=0)
    # 64 x 128 is downscaled to 32 x 64; 16 rows above and 16 below are padding
    assert (mask[:16] == IGNORE).all()
    assert (mask[-16:] == IGNORE).all()
    assert not (mask[16:48] == IGNORE).any()
    assert np.array_equal(mask[16:48], pair(64, 128)[1][::2, ::2])
    assert (image[:16] == 0).all()


@pytest.mark.parametrize("name", ["strong", "affine"])
def test_area_outside_of_the_image_is_ignored(name):
    transform = preset(name, 64)
    full = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64), 5, np.uint8)
    label_sets = [np.unique(augment_pair(transform, *full, seed)[1]).tolist() for seed in range(40)]
    assert all(set(labels) <= {5, IGNORE} for labels in label_sets)
    assert [5, IGNORE] in label_sets


def test_affine_shows_the_center_at_nearly_its_size():
    transform = preset("affine", 64)
    image, mask = np.zeros((80, 120, 3), np.uint8), np.zeros((80, 120), np.uint8)
    mask[20:60, 40:80] = 7
    expected = 40 * 40 / 1.25**2  # pixels: the side of 80 becomes 64
    areas = [(augment_pair(transform, image, mask, seed)[1] == 7).sum() for seed in range(40)]
    assert min(areas) > 0.6 * expected  # a scale of .8 x .8, and whole pixels
    assert max(areas) < 1.6 * expected  # 1.25 x 1.25


def test_light_crops_inside_the_image():
    transform = preset("light", 64)
    full = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64), 5, np.uint8)
    assert all((augment_pair(transform, *full, seed)[1] == 5).all() for seed in range(20))


def test_image_and_mask_are_transformed_alike():
    transform = preset("light", 64)
    for seed in range(20):
        image, mask = pair(80, 80)
        image[...] = 100 + 10 * np.minimum(mask, 9)[:, :, None]  # 100, 130, 190: mild color jitter keeps this order
        image, mask = augment_pair(transform, image, mask, seed)
        means = [image[mask == label].mean() for label in (0, 3, 9) if (mask == label).sum() > 50]
        assert means == sorted(means), seed


@pytest.mark.parametrize("name", ["light", "strong", "affine"])
def test_seed_decides_the_result(name):
    transform, other_transform = preset(name, 64), preset(name, 64)
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (80, 80, 3), np.uint8), generator.integers(0, 21, (80, 80)).astype(np.uint8)
    results = [augment_pair(transform, *image, seed)[0] for seed in (7, 2**62 + 5, 8)]
    np.random.seed(3)  # the global generators have no influence
    assert np.array_equal(augment_pair(other_transform, *image, 2**62 + 5)[0], results[1])
    assert np.array_equal(augment_pair(other_transform, *image, 7)[0], results[0])
    assert not np.array_equal(results[0], results[2])


def test_operations_are_independent():
    transform = preset("light", 64)
    image, mask = np.full((80, 80, 3), 90, np.uint8), np.zeros((80, 80), np.uint8)
    mask[:, :40] = 1
    outcomes = []
    for seed in range(200):
        changed, labels = augment_pair(transform, image, mask, seed)
        outcomes.append((labels[:, :32].mean() < labels[:, 32:].mean(), (changed != 90).any()))
    counts = [outcomes.count((flipped, colored)) for flipped in (True, False) for colored in (True, False)]
    assert min(counts) > 30, counts  # a quarter of 200 each


def test_none_is_deterministic():
    image = pair(80, 50)
    first, second = (augment_pair(preset("none", 64), *image, seed)[0] for seed in (1, 2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", get_args(Augmentation))
def test_input_is_not_modified(name):
    image, mask = pair(80, 80)
    image.flags.writeable = mask.flags.writeable = False  # as the cache's files are
    augment_pair(preset(name, 64), image, mask, seed=1)
    assert np.array_equal(mask, pair(80, 80)[1])


def test_albumentations_knows_every_setting(recwarn):
    for name in get_args(Augmentation):
        preset(name, 64)
    assert [str(warning.message) for warning in recwarn] == []


def test_albumentations_is_imported_when_needed_and_uses_no_network():
    process = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("name", get_args(Augmentation))
def test_image_alone_is_transformed_as_with_its_mask(name):
    image, mask = pair(80, 100)
    transform = preset(name, 64)
    assert np.array_equal(augment_image(transform, image, seed=3), augment_pair(transform, image, mask, seed=3)[0])
