"""The presets: what they may do to a mask, and that a seed decides the draw."""

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from vocctl.config.data import Augmentation
from vocctl.data.augment import augmented, preset
from vocctl.labels import IGNORE

OFFLINE = """
import os, socket
tried = []
def refuse(*args, **kwargs):
    tried.append(args)
    raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
os.environ.pop("NO_ALBUMENTATIONS_UPDATE", None)
import vocctl.data.augment
assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
assert tried == [], tried
"""


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A image whose pixels are ten times their label, and the mask: stripes of 3 and 9 on 0."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 4 : width // 2] = 3
    mask[height // 2 :, width // 2 :] = 9
    return np.repeat(10 * mask[:, :, None], 3, axis=2), mask


@pytest.mark.parametrize("name", get_args(Augmentation))
@pytest.mark.parametrize("shape", [(96, 64), (64, 96), (64, 64), (64, 256), (20, 30)])
def test_every_preset_gives_squares_of_its_size(name, shape):
    image, mask = augmented(preset(name, 64), *pair(*shape), seed=1)
    assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((64, 64), np.uint8)


@pytest.mark.parametrize("name", get_args(Augmentation))
def test_no_preset_invents_a_label(name):
    transform = preset(name, 64)
    seen = set()
    for seed in range(40):
        seen |= set(np.unique(augmented(transform, *pair(90, 120), seed)[1]).tolist())
    assert seen <= {0, 3, 9, IGNORE}  # between 0 and 3 and 9 lie others, were masks blended
    assert {0, 3, 9} <= seen


def test_none_shows_the_whole_image_and_pads_with_void():
    image, mask = augmented(preset("none", 64), *pair(64, 128), seed=0)
    # 64 x 128 shrinks to 32 x 64; 16 rows above and 16 below are not in the image
    assert (mask[:16] == IGNORE).all()
    assert (mask[-16:] == IGNORE).all()
    assert not (mask[16:48] == IGNORE).any()
    assert np.array_equal(mask[16:48], pair(64, 128)[1][::2, ::2])
    assert (image[:16] == 0).all()


@pytest.mark.parametrize("name", ["strong", "affine"])
def test_what_is_turned_in_is_void(name):
    transform = preset(name, 64)
    full = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64), 5, np.uint8)
    found = [np.unique(augmented(transform, *full, seed)[1]).tolist() for seed in range(40)]
    assert all(set(labels) <= {5, IGNORE} for labels in found)
    assert [5, IGNORE] in found


def test_affine_keeps_the_middle_of_the_image_in_sight_at_nearly_its_size():
    transform = preset("affine", 64)
    image, mask = np.zeros((80, 120, 3), np.uint8), np.zeros((80, 120), np.uint8)
    mask[20:60, 40:80] = 7
    shrunk = 40 * 40 / 1.25**2  # pixels: 80 become 64
    shown = [(augmented(transform, image, mask, seed)[1] == 7).sum() for seed in range(40)]
    assert min(shown) > 0.6 * shrunk  # .8 x .8, and whole pixels
    assert max(shown) < 1.6 * shrunk  # 1.25 x 1.25


def test_light_never_leaves_the_image():
    transform = preset("light", 64)
    full = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64), 5, np.uint8)
    assert all((augmented(transform, *full, seed)[1] == 5).all() for seed in range(20))


def test_image_and_mask_move_together():
    transform = preset("light", 64)
    for seed in range(20):
        image, mask = pair(80, 80)
        image[...] = 100 + 10 * np.minimum(mask, 9)[:, :, None]  # 100, 130, 190: an order that mild color keeps
        image, mask = augmented(transform, image, mask, seed)
        means = [image[mask == label].mean() for label in (0, 3, 9) if (mask == label).sum() > 50]
        assert means == sorted(means), seed


@pytest.mark.parametrize("name", ["light", "strong", "affine"])
def test_the_seed_alone_decides_the_draw(name):
    transform, other = preset(name, 64), preset(name, 64)
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (80, 80, 3), np.uint8), generator.integers(0, 21, (80, 80)).astype(np.uint8)
    draws = [augmented(transform, *image, seed)[0] for seed in (7, 2**62 + 5, 8)]
    np.random.seed(3)  # no global generator has a word in it
    assert np.array_equal(augmented(other, *image, 2**62 + 5)[0], draws[1])
    assert np.array_equal(augmented(other, *image, 7)[0], draws[0])
    assert not np.array_equal(draws[0], draws[2])


def test_what_one_operation_draws_says_nothing_of_another():
    transform = preset("light", 64)
    image, mask = np.full((80, 80, 3), 90, np.uint8), np.zeros((80, 80), np.uint8)
    mask[:, :40] = 1
    drawn = []
    for seed in range(200):
        changed, labels = augmented(transform, image, mask, seed)
        drawn.append((labels[:, :32].mean() < labels[:, 32:].mean(), (changed != 90).any()))
    counts = [drawn.count((flipped, colored)) for flipped in (True, False) for colored in (True, False)]
    assert min(counts) > 30, counts  # a half of a half each


def test_none_draws_nothing():
    image = pair(80, 50)
    first, second = (augmented(preset("none", 64), *image, seed)[0] for seed in (1, 2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", get_args(Augmentation))
def test_what_came_in_is_left_alone(name):
    image, mask = pair(80, 80)
    image.flags.writeable = mask.flags.writeable = False  # as the cache's map is
    augmented(preset(name, 64), image, mask, seed=1)
    assert np.array_equal(mask, pair(80, 80)[1])


def test_no_setting_is_one_that_albumentations_ignores(recwarn):
    for name in get_args(Augmentation):
        preset(name, 64)
    assert [str(warning.message) for warning in recwarn] == []


def test_importing_it_asks_no_network():
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
