"""What is wrong with the lists of a data set, by the images, masks and class labels that they name.

The contents are collected while audit.py reads the files one by one; the lists are judged at the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vocctl.data.mask_labels import PaletteUse
from vocctl.data.source import Source
from vocctl.data.split_files import Problem, SplitFile, format_ids, is_test_split, pixel_hash
from vocctl.labels import CLASSES, IGNORE, classes_in_mask

NO_CLASS = "no mask holds a class; 255 is void, classes are 1..20"
NONE_ABSENT = "no class is absent (-1) in any image; 0 means difficult, which is not scored: write -1 for absent"
ONLY_VOID = "all masks are void (255) alone"


@dataclass
class SplitContents:
    """Of each image that could be read a hash of its pixels; of each mask its classes, whether it is all void, and whether it
    is read by the indices of a palette whose colors are not VOC's.
    """

    labels: Mapping[str, Mapping[str, np.ndarray]] = field(
        default_factory=dict
    )  # split -> class labels, as in source.py

    pixel_hashes: dict[str, bytes] = field(default_factory=dict)
    classes: dict[str, np.ndarray] = field(default_factory=dict)  # (20,) bool each
    is_void: dict[str, bool] = field(default_factory=dict)
    has_foreign_colors: dict[str, bool] = field(default_factory=dict)

    def add_image(self, image_id: str, image: np.ndarray) -> None:
        """image: (H, W, 3) uint8."""
        self.pixel_hashes[image_id] = pixel_hash(image, image_id)

    def add_mask(self, image_id: str, mask: np.ndarray, use: PaletteUse) -> None:
        """mask: (H, W) uint8. use: of its palette."""
        self.classes[image_id] = classes_in_mask(mask)
        self.is_void[image_id] = bool((mask == IGNORE).all())
        self.has_foreign_colors[image_id] = use == "foreign"

    def problems(self, source: Source, splits: Mapping[SplitFile, Sequence[str]]) -> Iterator[Problem]:
        """Splits whose masks or labels hold no class, masks that contradict the class lists, and an image that two disjoint
        splits list under different ids.
        """
        if self.classes and not any(map(np.any, self.classes.values())):
            yield Problem(source.root, NO_CLASS)
        else:
            yield from self._splits_without_a_class(splits)
        ids_of = {split_file.name: ids for split_file, ids in splits.items()}
        for split_file, ids in splits.items():
            for other_name in disjoint_splits(split_file.name):
                yield from self._copies(split_file, ids, other_name, ids_of.get(other_name, []))
        yield from _label_problems(source, self.labels)
        num_masks, contradictions = self._contradictions()
        if 2 * len(contradictions) > num_masks:
            yield Problem(
                source.root,
                f"has masks that contradict the class lists: {len(contradictions)} of {num_masks} hold a class that the lists "
                f"deny ({format_ids(contradictions)}): number the labels in the masks as VOC, or replace the lists",
            )

    def notes(self, source: Source, splits: Mapping[SplitFile, Sequence[str]]) -> Iterator[Problem]:
        """Test splits without masks, single masks that are all void or contradict the class lists, palettes of other colors
        than VOC's, and masks of 0 and 1.
        """
        num_masks, contradictions = self._contradictions()
        if 0 < 2 * len(contradictions) <= num_masks:
            yield Problem(
                source.root,
                f"has {len(contradictions)} masks of {num_masks} with a class that the class lists deny "
                f"({format_ids(contradictions)})",
            )
        if foreign := [image_id for image_id, is_foreign in self.has_foreign_colors.items() if is_foreign]:
            yield Problem(
                source.root,
                f"has {len(foreign)} masks whose palettes have other colors than VOC's ({format_ids(foreign)}): the indices are "
                "read as labels; check that 1 to 20 are VOC's classes in them",
            )
        if self.classes and np.flatnonzero(np.any(list(self.classes.values()), axis=0)).tolist() == [0]:
            yield Problem(
                source.root,
                f"has no class but {CLASSES[0]} (1) in its masks: check that 1 does not stand for all objects",
            )
        for split_file, ids in splits.items():
            folder, _, name = split_file.name.rpartition("/")
            if folder == "Segmentation" and is_test_split(name) and not split_file.has_masks:
                yield Problem(split_file.path, "is a test split without masks: it can be predicted, but not scored")
            void = [image_id for image_id in ids if self.is_void.get(image_id)]
            if split_file.has_masks and void and any(map(self._has_class, ids)):
                yield Problem(
                    split_file.path,
                    f"lists {format_ids(void)} with nothing but void (255) in the mask: not trained on, not scored",
                )

    def _has_class(self, image_id: str) -> bool:
        return image_id in self.classes and bool(self.classes[image_id].any())

    def _contradictions(self) -> tuple[int, list[str]]:
        """The number of masks with class labels, and those with a class that is absent by the labels: "<id>: <class>"."""
        rows = {image_id: row for of_split in self.labels.values() for image_id, row in of_split.items()}
        masked = [image_id for image_id in rows if image_id in self.classes]
        denied = {image_id: np.flatnonzero(self.classes[image_id] & (rows[image_id] == 0)) for image_id in masked}
        return len(masked), [f"{image_id}: {CLASSES[found[0]]}" for image_id, found in denied.items() if len(found)]

    def _splits_without_a_class(self, splits: Mapping[SplitFile, Sequence[str]]) -> Iterator[Problem]:
        for split_file, ids in splits.items():
            masked = [image_id for image_id in ids if image_id in self.classes]
            if split_file.has_masks and masked and not any(map(self._has_class, masked)):
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


def _label_problems(source: Source, labels: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Problem]:
    """Splits for classification in which no image shows a class, or none lacks one."""
    for split, rows in labels.items():
        values = np.unique(list(rows.values()))
        if not is_test_split(split) and 1 not in values:
            yield Problem(
                source.root, f"no image of the split {split} shows a class by its labels: replace its class lists"
            )
        elif 0 not in values and IGNORE in values:
            yield Problem(source.root, f"split {split}: {NONE_ABSENT}")
