"""What a data format tells an audit: which files list its splits, and what is wrong in them."""

from dataclasses import dataclass
from pathlib import Path


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


def is_file_stem(image_id: str) -> bool:
    """Whether an id is a plain file name, so that it cannot lead out of its folder."""
    return Path(image_id).name == image_id and image_id.isprintable() and image_id not in (".", "..")
