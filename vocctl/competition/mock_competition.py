"""Build the competition's folder from a VOC devkit: train is Segmentation/train, test is Segmentation/val.

Void becomes background in every mask, as the competition's own masks hold only 0..20. An image's labels are the classes in
its mask (inferred: the competition does not say where its labels come from). The ground truth of the test images is
written to `solution/`, which is not part of any split: `solution/test_set.csv` and `solution/seg/test_<Id>.npy`. Ids count
from 0 in the order of the devkit's lists.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vocctl.data.competition import void_to_background
from vocctl.data.source import Source, open_dataset
from vocctl.errors import DataError
from vocctl.files import staging_folder, write_csv
from vocctl.labels import CLASSES, classes_in_mask

DEVKIT_SPLITS = {"train": "train", "test": "val"}  # part of the competition -> split of the devkit


def build_competition(root: Path, devkit: Path, on_image: Callable[[int, int], None] | None = None) -> None:
    """Create the folder root, complete or not at all. devkit: of any year, or a folder that contains one.

    on_image: called with (images written, all images). Raises DataError (the devkit) and RunError (the disk).
    """
    source = open_dataset(devkit)
    if not source.has_public_test_masks:
        raise DataError(f"{devkit} already has the competition's layout: --from takes a VOC devkit")
    ids = {part: source.ids(split) for part, split in DEVKIT_SPLITS.items()}
    if shared := sorted(set(ids["train"]) & set(ids["test"])):
        raise DataError(f"{source.root} lists {shared[0]} in train.txt and in val.txt: remove it from one of them")
    with staging_folder(root) as part_folder:
        for folder in ("train/img", "train/seg", "test/img", "solution/seg"):
            (part_folder / folder).mkdir(parents=True)
        _write_images(part_folder, source, ids, on_image)


def _write_images(
    root: Path, source: Source, ids: dict[str, list[str]], on_image: Callable[[int, int], None] | None
) -> None:
    done, total = 0, sum(map(len, ids.values()))
    for part, image_ids in ids.items():
        labels = []
        truth_folder = root / ("train" if part == "train" else "solution")
        for number, image_id in enumerate(image_ids):
            image, mask = source.image(image_id), void_to_background(source.mask(image_id))
            if mask.shape != image.shape[:2]:
                raise DataError(f"{source.mask_path(image_id)} does not have its image's size: replace it")
            np.save(root / part / "img" / f"{part}_{number}.npy", image)
            np.save(truth_folder / "seg" / f"{part}_{number}.npy", mask)
            labels.append(classes_in_mask(mask).astype(int))
            done += 1
            if on_image:
                on_image(done, total)
        _write_labels(truth_folder / f"{part}_set.csv", labels)
    _write_labels(root / "test" / "test_set.csv", [np.full(len(CLASSES), -1)] * len(ids["test"]))  # -1: unknown


def _write_labels(path: Path, labels: list[np.ndarray]) -> None:
    """labels: (20,) for each image."""
    write_csv(path, [["Id", *CLASSES], *([number, *row] for number, row in enumerate(labels))])
