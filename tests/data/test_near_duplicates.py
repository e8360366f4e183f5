"""The same image is found under another name and in another format; other images are not."""

import io

import numpy as np
import pytest
from PIL import Image

from vocctl.data.near_duplicates import image_fingerprint, match_images


def draw_image(seed: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("quality", [95, 75])
def test_images_are_matched_in_another_order_and_format(quality):
    images = [draw_image(seed) for seed in range(20)]
    candidates = [image_fingerprint(as_jpeg(image, quality)) for image in reversed(images)]
    assert match_images([image_fingerprint(image) for image in images], candidates) == list(range(19, -1, -1))


def test_other_image_or_size_does_not_match():
    assert match_images(
        [image_fingerprint(draw_image(1))],
        [image_fingerprint(draw_image(2)), image_fingerprint(draw_image(1, (320, 240)))],
    ) == [None]
    assert match_images([image_fingerprint(draw_image(1))], []) == [None]


def test_mirrored_image_does_not_match():
    assert match_images([image_fingerprint(draw_image(1))], [image_fingerprint(draw_image(1)[:, ::-1].copy())]) == [
        None
    ]


def test_real_images_match_only_themselves(shared):
    from vocctl.data.source import open_dataset

    source = open_dataset(shared / "voc-photos")
    ids = source.ids("val")
    fingerprints = [image_fingerprint(source.image(image_id)) for image_id in ids]
    assert match_images(fingerprints, fingerprints) == list(range(len(ids)))
    for index, fingerprint in enumerate(fingerprints):
        others = fingerprints[:index] + fingerprints[index + 1 :]
        assert match_images([fingerprint], others) == [None], ids[index]
