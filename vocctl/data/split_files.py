"""What the lists of all formats have in common: ids, the names of splits, repetitions, and what an audit is told of them."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitFile:
    """A file that lists the images of a split."""

    name: str  # as an audit prints it: "Segmentation/train" of a devkit, "train" of the competition
    path: Path
    has_masks: bool  # every image that is listed has a mask


@dataclass(frozen=True)
class Problem:
    """Something wrong in a data set."""

    path: Path
    reason: str  # what is wrong with that file, and how to fix it


def format_ids(ids: list[str]) -> str:
    """The first three ids and how many more there are, for a message."""
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


def format_repetitions(ids: Sequence[str]) -> str:
    """The ids that a list has more than once, for a message; empty: there are none."""
    repeated = [image_id for image_id, count in Counter(ids).items() if count > 1]
    return format_ids(repeated) + " ids" * (len(repeated) > 3)


def without_repetitions(ids: Sequence[str], where: Path) -> list[str]:
    """Each id once, at its first place, so that no image counts twice or is in two parts of a split. Logs what is dropped."""
    if repeated := format_repetitions(ids):
        logger.warning("%s lists %s more than once: each image is used once", where, repeated)
    return list(dict.fromkeys(ids))


def is_test_split(name: str) -> bool:
    """Whether a split is for testing by its name, as test and test2012. Its ground truth may be withheld."""
    return name.startswith("test")


def pixel_hash(image: np.ndarray, image_id: str) -> bytes:
    """Equal for images (H, W, 3) uint8 of the same pixels, whatever their ids and formats.

    Images of one color are told apart by their ids: that they are equal does not make them copies.
    """
    content = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    content.update(image_id.encode() if is_one_color(image) else image.tobytes())
    return content.digest()


def is_one_color(image: np.ndarray) -> bool:
    """image: (H, W, 3) uint8."""
    return bool((image == image[0, 0]).all())


def make_lists_hint(root: Path) -> str:
    """What to do about a devkit without lists."""
    return (
        "expected ImageSets/Segmentation/train.txt and val.txt with one image id a line; "
        f"`vocctl download --check {root} --make-lists` writes them for the images that have a mask"
    )


def is_file_stem(image_id: str) -> bool:
    """Whether an id is a plain file name, so that it cannot lead out of its folder."""
    return Path(image_id).name == image_id and image_id.isprintable() and image_id not in (".", "..")
