"""The competition's layout built from any VOC tree: train is Segmentation/train, test is Segmentation/val.

Void becomes background in every mask, as the competition's own masks hold 0..20 alone. A image's labels are the classes
in its mask (inferred: the competition does not say where its tables come from). The solution lies aside, in `solution/`,
which no split reads: `solution/test_set.csv` and `solution/seg/test_<Id>.npy`. Ids count from 0 in the lists' order.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vocctl.data.archive import all_or_none
from vocctl.data.competition import classes_in, void_to_background
from vocctl.data.source import open_dataset
from vocctl.data.voc import VocData
from vocctl.errors import DataError
from vocctl.labels import CLASSES

PARTS = {"train": "train", "test": "val"}  # the competition's, and the devkit's split that becomes it


def build_competition(root: Path, tree: Path, on_image: Callable[[int, int], None] | None = None) -> None:
    """The layout in root, whole or not there. tree: a devkit of any year, or what holds one.

    on_image: images written so far, and in all. Raises DataError (the tree) and RunError (disk).
    """
    source = open_dataset(tree)
    if not isinstance(source, VocData):
        raise DataError(f"{tree} is the competition's layout already: --from takes a VOC devkit")
    ids = {part: source.ids(split) for part, split in PARTS.items()}
    if shared := sorted(set(ids["train"]) & set(ids["test"])):
        raise DataError(f"{source.root} lists {shared[0]} in train and in val: a image can't be on both sides")
    with all_or_none(root) as part:
        for folder in ("train/img", "train/seg", "test/img", "solution/seg"):
            (part / folder).mkdir(parents=True)
        _write(part, source, ids, on_image)


def _write(root: Path, source: VocData, ids: dict[str, list[str]], on_image: Callable[[int, int], None] | None) -> None:
    done, total = 0, sum(map(len, ids.values()))
    for part, listed in ids.items():
        labels = []
        masks = root / ("train" if part == "train" else "solution") / "seg"
        for number, image_id in enumerate(listed):
            image, mask = source.image(image_id), void_to_background(source.mask(image_id))
            if mask.shape != image.shape[:2]:
                raise DataError(f"{source.mask_path(image_id)} is not of its image's size: replace it")
            np.save(root / part / "img" / f"{part}_{number}.npy", image)
            np.save(masks / f"{part}_{number}.npy", mask)
            labels.append(classes_in(mask).astype(int))
            done += 1
            if on_image:
                on_image(done, total)
        if part == "train":
            _write_table(root / "train" / "train_set.csv", labels)
        else:
            _write_table(root / "solution" / "test_set.csv", labels)
            _write_table(root / "test" / "test_set.csv", [np.full(len(CLASSES), -1)] * len(listed))


def _write_table(path: Path, labels: list[np.ndarray]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["Id", *CLASSES])
        writer.writerows([number, *row] for number, row in enumerate(labels))
