"""The same image under another name and in another format is found; another image is not."""

import io

import numpy as np
import pytest
from PIL import Image

from vocctl.data.near_duplicates import image_fingerprint, match_images


def draw_image(seed: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize(size[::-1], Image.Resampling.BICUBIC))


def recoded(image: np.ndarray, quality: int) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


@pytest.mark.parametrize("quality", [95, 75])
def test_found_in_another_order_and_format(quality):
    images = [draw_image(seed) for seed in range(20)]
    others = [image_fingerprint(recoded(image, quality)) for image in reversed(images)]
    assert match_images([image_fingerprint(image) for image in images], others) == list(range(19, -1, -1))


def test_another_image_or_another_size_is_none():
    assert match_images(
        [image_fingerprint(draw_image(1))],
        [image_fingerprint(draw_image(2)), image_fingerprint(draw_image(1, (320, 240)))],
    ) == [None]
    assert match_images([image_fingerprint(draw_image(1))], []) == [None]


def test_a_mirrored_image_is_another():
    assert match_images([image_fingerprint(draw_image(1))], [image_fingerprint(draw_image(1)[:, ::-1].copy())]) == [
        None
    ]


def test_no_two_real_images_are_confused_with_one(shared):
    from vocctl.data.source import open_dataset

    source = open_dataset(shared / "voc-photos")
    ids = source.ids("val")
    found = [image_fingerprint(source.image(image_id)) for image_id in ids]
    assert match_images(found, found) == list(range(len(ids)))
    for place, one in enumerate(found):
        assert match_images([one], found[:place] + found[place + 1 :]) == [None], ids[place]
