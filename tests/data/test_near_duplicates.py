"""The same photo under another name and in another format is found; another photo is not."""

import io

import numpy as np
import pytest
from PIL import Image

from vocctl.data.near_duplicates import same_photos, sketch


def photo(seed: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize(size[::-1], Image.Resampling.BICUBIC))


def recoded(image: np.ndarray, quality: int) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


@pytest.mark.parametrize("quality", [95, 75])
def test_found_in_another_order_and_format(quality):
    photos = [photo(seed) for seed in range(20)]
    others = [sketch(recoded(image, quality)) for image in reversed(photos)]
    assert same_photos([sketch(image) for image in photos], others) == list(range(19, -1, -1))


def test_another_photo_or_another_size_is_none():
    assert same_photos([sketch(photo(1))], [sketch(photo(2)), sketch(photo(1, (320, 240)))]) == [None]
    assert same_photos([sketch(photo(1))], []) == [None]


def test_a_mirrored_photo_is_another():
    assert same_photos([sketch(photo(1))], [sketch(photo(1)[:, ::-1].copy())]) == [None]


def test_no_two_real_photos_are_taken_for_one(shared):
    from vocctl.data.source import open_dataset

    source = open_dataset(shared / "voc-photos")
    ids = source.ids("val")
    found = [sketch(source.image(image_id)) for image_id in ids]
    assert same_photos(found, found) == list(range(len(ids)))
    for place, one in enumerate(found):
        assert same_photos([one], found[:place] + found[place + 1 :]) == [None], ids[place]
