"""What is wrong with the lists of a data set, by the images, masks and class labels that they name.

The contents are collected while audit.py reads the files one by one; the lists are judged at the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vocctl.data.source import Source
from vocctl.data.split_files import Problem, SplitFile, format_ids, is_test_split, pixel_hash
from vocctl.errors import DataError
from vocctl.labels import IGNORE, classes_in_mask

NO_CLASS = "no mask holds a class; 255 is void, classes are 1..20"
ONLY_VOID = "all masks are void (255) alone"


@dataclass
class SplitContents:
    """Of each image that could be read a hash of its pixels, and of each mask whether it holds a class or is all void."""

    pixel_hashes: dict[str, bytes] = field(default_factory=dict)
    has_class: dict[str, bool] = field(default_factory=dict)
    is_void: dict[str, bool] = field(default_factory=dict)

    def add_image(self, image_id: str, image: np.ndarray) -> None:
        """image: (H, W, 3) uint8."""
        self.pixel_hashes[image_id] = pixel_hash(image, image_id)

    def add_mask(self, image_id: str, mask: np.ndarray) -> None:
        """mask: (H, W) uint8."""
        self.has_class[image_id] = bool(classes_in_mask(mask).any())
        self.is_void[image_id] = bool((mask == IGNORE).all())

    def problems(self, source: Source, splits: Mapping[SplitFile, Sequence[str]]) -> Iterator[Problem]:
        """Splits whose masks or labels hold no class, and an image that two disjoint splits list under different ids."""
        if self.has_class and not any(self.has_class.values()):
            yield Problem(source.root, NO_CLASS)
        else:
            yield from self._splits_without_a_class(splits)
        ids_of = {split_file.name: ids for split_file, ids in splits.items()}
        for split_file, ids in splits.items():
            for other_name in disjoint_splits(split_file.name):
                yield from self._copies(split_file, ids, other_name, ids_of.get(other_name, []))
        yield from _label_problems(source)

    def notes(self, splits: Mapping[SplitFile, Sequence[str]]) -> Iterator[Problem]:
        """Test splits without masks, and single masks that are all void."""
        for split_file, ids in splits.items():
            folder, _, name = split_file.name.rpartition("/")
            if folder == "Segmentation" and is_test_split(name) and not split_file.has_masks:
                yield Problem(split_file.path, "is a test split without masks: it can be predicted, but not scored")
            void = [image_id for image_id in ids if self.is_void.get(image_id)]
            if split_file.has_masks and void and any(self.has_class.get(image_id) for image_id in ids):
                yield Problem(
                    split_file.path,
                    f"lists {format_ids(void)} with nothing but void (255) in the mask: not trained on, not scored",
                )

    def _splits_without_a_class(self, splits: Mapping[SplitFile, Sequence[str]]) -> Iterator[Problem]:
        for split_file, ids in splits.items():
            masked = [image_id for image_id in ids if image_id in self.has_class]
            if split_file.has_masks and masked and not any(self.has_class[image_id] for image_id in masked):
                content = ONLY_VOID if all(self.is_void[image_id] for image_id in masked) else NO_CLASS
                yield Problem(split_file.path, f"lists {format_ids(masked)}: {content}")

    def _copies(
        self, split_file: SplitFile, ids: Sequence[str], other_name: str, other_ids: Sequence[str]
    ) -> Iterator[Problem]:
        others = {self.pixel_hashes[image_id]: image_id for image_id in other_ids if image_id in self.pixel_hashes}
        listed = set(other_ids)  # an id in both lists is reported as such
        copies = [
            f"{image_id} (in {other_name}: {others[self.pixel_hashes[image_id]]})"
            for image_id in ids
            if image_id not in listed and self.pixel_hashes.get(image_id) in others
        ]
        if copies:
            reason = "the same image under another name leaks into the score, so remove it from one list"
            yield Problem(split_file.path, f"lists {format_ids(copies)}: {reason}")


def disjoint_splits(name: str) -> list[str]:
    """The names of the splits that must not share images with this one; none unless this is for validation or test."""
    folder, slash, split = name.rpartition("/")
    if is_test_split(split):
        return [f"{folder}{slash}{other}" for other in ("train", "val", "trainval", "trainaug")]
    if split.endswith("val") and not split.endswith("trainval"):
        return [name.removesuffix("val") + other for other in ("train", "trainaug")]
    return []


def _label_problems(source: Source) -> Iterator[Problem]:
    """Splits for classification in which no image shows a class."""
    for split in source.label_splits():
        try:
            labels = source.labels(split)
        except DataError:
            continue  # reported as a problem of its file
        if not is_test_split(split) and not any((row == 1).any() for row in labels.values()):
            yield Problem(
                source.root, f"no image of the split {split} shows a class by its labels: replace its class lists"
            )
