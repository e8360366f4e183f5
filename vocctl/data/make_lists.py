"""Write the lists that a folder of images and masks lacks, as annotation tools leave it: train and val, for both tasks.

Only images with a mask are listed. Their class labels are the classes in their masks. The split is random and stratified by
class. Images of the same pixels under several names stay together, so that none of them is both trained on and scored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.devkit import write_class_lists
from vocctl.data.split_files import is_file_stem, pixel_hash
from vocctl.data.stratify import stratified_parts
from vocctl.data.voc import MASK_FOLDERS, VocData
from vocctl.errors import DataError
from vocctl.files import merge_folder, temporary_folder
from vocctl.labels import CLASSES, classes_in_mask

VAL_FRACTION = 0.2


@dataclass(frozen=True)
class NewLists:
    folder: Path
    splits: dict[str, int]  # name -> number of images
    num_without_mask: int  # images that no list names


def make_lists(root: Path, *, seed: int, on_image: Callable[[int, int], None] | None = None) -> NewLists:
    """Write ImageSets/Segmentation/train.txt and val.txt into a devkit, and class lists unless it has some; all or none.

    on_image: called with (images read, all images). Raises DataError: not a devkit, a list that exists, an image or mask that
    cannot be read, or fewer than two different images with a mask; and RunError: the disk.
    """
    data = VocData.open(root)
    lists = data.devkit / "ImageSets" / "Segmentation"
    if existing := sorted({"train", "val"}.intersection(data.splits())):
        raise DataError(f"{lists / existing[0]}.txt exists already: remove it first, or use the lists as they are")
    ids = data.masked_ids()
    if invalid := [image_id for image_id in ids if not is_file_stem(image_id)]:
        raise DataError(f"{data.devkit / 'JPEGImages'} has {invalid[0]!r}, which a list cannot name: rename that file")
    groups, classes = _groups_of_copies(data, ids, on_image)
    targets = np.zeros((len(set(groups)), len(CLASSES)), np.uint8)
    for image_id, group in zip(ids, groups, strict=True):
        targets[group] |= classes[image_id]
    if len(targets) < 2:
        folders = " or ".join(MASK_FOLDERS)
        raise DataError(
            f"{data.devkit} has {len(targets)} different images with a mask, two lists need at least 2: expected "
            f"JPEGImages/<id>.jpg and a mask of the same name, <id>.png, in {folders}"
        )
    generator = np.random.default_rng(seed)
    in_val = stratified_parts(targets, (VAL_FRACTION, 1 - VAL_FRACTION), generator) == 0
    if not in_val.any() or in_val.all():  # of few images
        in_val = np.arange(len(targets)) == generator.integers(len(targets))
    splits = {
        name: [image_id for image_id, group in zip(ids, groups, strict=True) if in_val[group] == (name == "val")]
        for name in ("train", "val")
    }
    _write(data, splits, classes)
    sizes = {name: len(listed) for name, listed in splits.items()}
    return NewLists(lists, sizes, data.num_images - len(ids))


def _write(data: VocData, splits: dict[str, list[str]], classes: dict[str, np.ndarray]) -> None:
    """Write the lists of ids, and the class lists unless the devkit has some; all or none."""
    with temporary_folder(data.devkit) as folder:
        lists = folder / "devkit" / "ImageSets"
        for name in ("Segmentation", "Main"):
            (lists / name).mkdir(parents=True)
        for split, ids in splits.items():
            (lists / "Segmentation" / f"{split}.txt").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
            if not data.label_splits():
                write_class_lists(lists / "Main", split, ids, np.stack([classes[image_id] for image_id in ids]))
        merge_folder(folder / "devkit", data.devkit)


def _groups_of_copies(
    data: VocData, ids: list[str], on_image: Callable[[int, int], None] | None
) -> tuple[list[int], dict[str, np.ndarray]]:
    """The group of each image, from 0, equal for images of the same pixels; and the classes (20,) uint8 in each mask."""
    group_of: dict[bytes, int] = {}
    groups: list[int] = []
    classes: dict[str, np.ndarray] = {}
    for done, image_id in enumerate(ids, start=1):
        groups.append(group_of.setdefault(pixel_hash(data.image(image_id), image_id), len(group_of)))
        classes[image_id] = classes_in_mask(data.mask(image_id)).astype(np.uint8)
        if on_image is not None:
            on_image(done, len(ids))
    return groups, classes
