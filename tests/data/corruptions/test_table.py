"""What holds for every corruption: shape and type, no draws but its own, and more change at a higher severity."""

import numpy as np
import pytest

from vocctl.config.corruptions import CORRUPTIONS, SEVERITIES
from vocctl.data.corruptions.table import FUNCTIONS, MASK_FUNCTIONS, corrupt_image, corrupt_mask

# The paper's parameters do not order these neighbors: severity 3 of elastic_transform has local displacements in place of
# severity 2's affine transform; severity 4 of frost has as much frost as 3, over a darker image; severity 4 of fog is as
# dense as 3, with finer structure.
NOT_ORDERED = {("elastic_transform", 3), ("frost", 4), ("fog", 4)}


def distance(image: np.ndarray, other: np.ndarray) -> float:
    """Root mean square difference, of levels."""
    return float(np.sqrt(((image.astype(float) - other) ** 2).mean()))


def test_the_table_has_the_corruptions_of_the_config():
    assert tuple(FUNCTIONS) == CORRUPTIONS
    assert len(CORRUPTIONS) == 15
    assert MASK_FUNCTIONS.keys() <= FUNCTIONS.keys()


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_each_severity_changes_images_more_than_the_one_below(corruption: str, images: list[np.ndarray]) -> None:
    means = [
        np.mean([
            distance(corrupt_image(image, corruption, severity, image_id=str(number), seed=0), image)
            for number, image in enumerate(images)
        ])
        for severity in SEVERITIES
    ]  # fmt: skip
    assert means[0] > 1
    steps = zip(SEVERITIES[1:], means[1:], means[:-1], strict=True)
    assert [
        (severity, new, old) for severity, new, old in steps if new < old and (corruption, severity) not in NOT_ORDERED
    ] == []


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (37, 500), (33, 32)])
def test_shape_type_and_input_are_kept(corruption: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image.flags.writeable = False
    for severity in SEVERITIES:
        corrupted = corrupt_image(image, corruption, severity, image_id="a", seed=0)
        assert (corrupted.shape, corrupted.dtype) == (image.shape, np.uint8)
        assert corrupted.flags.c_contiguous
        assert corrupt_mask(image[..., 0], corruption, severity, image_id="a", seed=0).shape == size


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_black_white_and_gray_images_have_finite_results(corruption: str) -> None:
    for level in (0, 128, 255):
        corrupted = corrupt_image(np.full((40, 50, 3), level, np.uint8), corruption, 5, image_id="a", seed=0)
        if "noise" not in corruption and corruption not in ("snow", "frost", "fog", "brightness"):
            assert np.abs(corrupted.astype(int) - level).max() <= 1  # one color stays one color


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_an_image_depends_on_seed_and_id_only(corruption: str, images: list[np.ndarray]) -> None:
    first = corrupt_image(images[0], corruption, 3, image_id="a", seed=0)
    corrupt_image(images[1], corruption, 5, image_id="b", seed=0)
    assert np.array_equal(corrupt_image(images[0], corruption, 3, image_id="a", seed=0), first)
    is_random = corruption not in (
        "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
    )  # fmt: skip
    for changed in ({"image_id": "b", "seed": 0}, {"image_id": "a", "seed": 1}):
        same = np.array_equal(corrupt_image(images[0], corruption, 3, **changed), first)
        assert same is not is_random


def test_masks_move_with_an_elastic_transform_only(images: list[np.ndarray]) -> None:
    mask = np.zeros((150, 200), np.uint8)
    mask[40:110, 60:130] = 7
    image = np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    for severity in SEVERITIES:
        arguments = {"severity": severity, "image_id": "a", "seed": 0}
        moved = corrupt_mask(mask, "elastic_transform", **arguments)
        shown = corrupt_image(image, "elastic_transform", **arguments)[..., 0] > 127
        assert (shown == (moved == 7)).mean() > 0.995  # the object is where its label is
        assert set(np.unique(moved)) == {0, 7}
        assert np.array_equal(corrupt_mask(mask, "zoom_blur", **arguments), mask)
    assert (corrupt_mask(mask, "elastic_transform", 2, image_id="a", seed=0) != mask).mean() > 0.05
