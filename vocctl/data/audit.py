"""Check every image, mask and list of a data set.

The problems are files that are corrupt, missing or invalid, images that a split lists twice, images that are in two of
the training, validation and test splits, also under two names, and splits whose masks or labels hold no class.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.images import MISSING, palette_use
from vocctl.data.list_audit import SplitContents, disjoint_splits
from vocctl.data.pixel_audit import pixel_notes, pixel_problems
from vocctl.data.source import Source, open_dataset
from vocctl.data.split_files import Problem, SplitFile, format_ids, format_repetitions, make_lists_hint
from vocctl.errors import DataError


@dataclass(frozen=True)
class Audit:
    root: Path
    layout: str  # name of the format
    splits: dict[str, int]  # name of a split, as in SplitFile -> number of images
    num_images: int  # distinct images, each of which was decoded once
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()  # what a user should know, but need not fix


def audit(root: Path, on_image: Callable[[int, int], None] | None = None) -> Audit:
    """Read the whole data set in root. on_image: called with (images decoded, all images).

    Raises DataError only if root is not a data set; everything else that is wrong is a Problem.
    """
    source = open_dataset(root)
    problems: list[Problem] = []
    notes: list[Problem] = []
    splits = _read_splits(source, problems)
    problems += _split_problems(splits)
    labels, label_errors = _read_labels(source)
    problems += list(source.label_problems()) or [error for error in label_errors if not _is_known(error, problems)]
    contents = SplitContents(labels)
    needs_mask: dict[str, bool] = {}
    for split_file, ids in splits.items():
        for image_id in ids:
            needs_mask[image_id] = needs_mask.get(image_id, False) or split_file.has_masks
    for rows in labels.values():
        needs_mask = dict.fromkeys(rows, False) | needs_mask
    for done, (image_id, has_mask) in enumerate(needs_mask.items(), start=1):
        problems += _image_problems(source, image_id, contents, notes, has_mask=has_mask)
        if on_image is not None:
            on_image(done, len(needs_mask))
    problems += contents.problems(source, splits)
    notes += contents.notes(source, splits)
    sizes = {split_file.name: len(ids) for split_file, ids in splits.items()}
    return Audit(root, source.layout, sizes, len(needs_mask), tuple(dict.fromkeys(problems)), tuple(notes))


def _problem(path: Path, error: DataError) -> Problem:
    reason = str(error).removeprefix(str(path)).lstrip(" :,")
    return Problem(path, reason.replace(MISSING, "is missing: add the file, or remove it from the lists"))


def _is_known(error: Problem, problems: Sequence[Problem]) -> bool:
    """Whether a problem says the same as one of the others, which names another path first."""
    return any(
        error.reason.startswith(str(problem.path)) and error.reason.endswith(problem.reason) for problem in problems
    )


def _read_labels(source: Source) -> tuple[dict[str, dict[str, np.ndarray]], list[Problem]]:
    """The class labels of each split that can be read, and why the others cannot."""
    labels, errors = {}, []
    for split in source.label_splits():
        try:
            labels[split] = source.labels(split)
        except DataError as error:
            errors.append(Problem(source.root, str(error)))
    return labels, errors


def _read_splits(source: Source, problems: list[Problem]) -> dict[SplitFile, list[str]]:
    """The ids of each split that can be read. What is wrong with the files is appended to problems."""
    split_files = source.split_files()
    if not split_files:
        problems.append(Problem(source.root, f"has no lists of images: {make_lists_hint(source.root)}"))
    splits: dict[SplitFile, list[str]] = {}
    for split_file in split_files:
        try:
            ids = source.listed_ids(split_file)
        except DataError as error:
            problems.append(_problem(split_file.path, error))
            continue
        unsafe = [image_id for image_id in ids if Path(image_id).name != image_id]
        problems += [
            Problem(split_file.path, f"lists {image_id!r}, which contains a folder: list the file name alone")
            for image_id in unsafe
        ]
        if not ids:
            problems.append(Problem(split_file.path, "is empty: a split needs at least one image"))
        splits[split_file] = [image_id for image_id in ids if image_id not in unsafe]
    return splits


def _split_problems(splits: dict[SplitFile, list[str]]) -> Iterator[Problem]:
    """Images that a split lists twice, and images in two splits that must be disjoint."""
    ids_of = {split_file.name: set(ids) for split_file, ids in splits.items()}
    for split_file, ids in splits.items():
        name = split_file.name
        if repeated := format_repetitions(ids):
            yield Problem(split_file.path, f"lists {repeated} more than once: remove the duplicates")
        for other_name in disjoint_splits(name):
            if shared := sorted(set(ids) & ids_of.get(other_name, set())):
                reason = (
                    f"lists {format_ids(shared)}, which {other_name} lists too: an image in both leaks into the score, "
                    "so remove it from one list"
                )
                yield Problem(split_file.path, reason)


def _image_problems(
    source: Source, image_id: str, contents: SplitContents, notes: list[Problem], *, has_mask: bool
) -> Iterator[Problem]:
    """The problems of one image and its mask, whose contents are added to contents. has_mask: the image needs a mask.

    Notes are appended to notes.
    """
    try:
        path, mask_path = source.image_path(image_id), source.mask_path(image_id) if has_mask else None
    except DataError as error:  # several files have this id
        yield _problem(source.root, error)
        return
    shape = None
    try:
        image = source.image(image_id)
        shape = image.shape[:2]
        contents.add_image(image_id, image)
        notes += pixel_notes(path, shape, has_mask=mask_path is not None)
    except DataError as error:
        yield _problem(path, error)
    if mask_path is None:
        return
    try:
        mask = source.mask(image_id)
    except DataError as error:
        yield _problem(mask_path, error)
        return
    use = palette_use(mask_path)
    if shape is None or mask.shape == shape:
        contents.add_mask(image_id, mask, use)
    if shape is not None:
        yield from pixel_problems(path, shape, mask_path, mask, use)
