"""Every image, mask and list of a data set, read once: what is broken, missing, strange or in two splits.

Works for both layouts of `data/source.py`. A devkit's Main lists are read too: `<split>.txt` holds ids and
`<class>_<split>.txt` an id and 1 (there), -1 (not there) or 0 (difficult instances alone) on each line.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vocctl.data.competition import CompetitionData, read_table
from vocctl.data.releases import read_ids
from vocctl.data.source import Source, open_dataset
from vocctl.data.voc import VocData
from vocctl.errors import DataError
from vocctl.files import read_text
from vocctl.labels import CLASSES

VALUES = {"1", "-1", "0"}  # of a Main list


@dataclass(frozen=True)
class Problem:
    path: Path
    reason: str  # what is wrong with it, and what to do


@dataclass(frozen=True)
class Audit:
    root: Path
    layout: str
    splits: dict[str, int]  # images by split: "Main/train" of a devkit, "train" of the competition
    checked: int  # images decoded, each once
    problems: tuple[Problem, ...]


def audit(root: Path, on_image: Callable[[int, int], None] | None = None) -> Audit:
    """All that is wrong with the data set in root. on_image: images decoded so far, and in all.

    Raises DataError only where root is no data set at all; a fault of the data is a Problem.
    """
    source = open_dataset(root)
    problems: list[Problem] = []
    lists = _lists(source, problems)
    problems += _faults_of_lists(source, lists)
    # each image once; a list with masks overrides a Main list, which comes first here
    images = {image_id: key.startswith("Main/") for key in reversed(lists) for image_id in lists[key]}
    for done, (image_id, is_unmasked) in enumerate(images.items(), start=1):
        problems += _faults_of_image(source, image_id, None if is_unmasked else source.mask_path(image_id))
        if on_image is not None:
            on_image(done, len(images))
    splits = {key: len(ids) for key, ids in lists.items()}
    return Audit(root, source.layout, splits, len(images), tuple(dict.fromkeys(problems)))


def _problem(path: Path, error: DataError) -> Problem:
    return Problem(path, str(error).removeprefix(str(path)).lstrip(" :,"))


def _list_path(source: Source, key: str) -> Path:
    if isinstance(source, VocData):
        return source.root / "ImageSets" / f"{key}.txt"
    part = "test" if key == "test" else "train"
    return source.root / part / f"{part}_set.csv"


def _lists(source: Source, problems: list[Problem]) -> dict[str, list[str]]:
    """The ids of each split that can be read: those with masks first, then a devkit's Main lists."""
    if not isinstance(source, VocData):
        keys = list(source.splits())
    else:
        main = [path.stem for path in sorted((source.root / "ImageSets" / "Main").glob("*.txt"))]
        keys = [f"Segmentation/{split}" for split in source.splits()]
        keys += [f"Main/{split}" for split in main if split.rpartition("_")[0] not in CLASSES]
    if not keys:
        problems.append(Problem(source.root / "ImageSets", "has no split lists: unpack the archive again"))
    lists: dict[str, list[str]] = {}
    for key in keys:
        path = _list_path(source, key)
        try:
            ids = read_ids(path) if key.startswith("Main/") else source.ids(key.rpartition("/")[2])
        except DataError as error:
            problems.append(_problem(path, error))
            continue
        strange = [name for name in ids if Path(name).name != name]
        problems += [Problem(path, f"lists {name!r}: an id is a file name without its folder") for name in strange]
        if not ids:
            problems.append(Problem(path, "is empty: a split needs at least one image"))
        lists[key] = [name for name in ids if name not in strange]
    return lists


def _faults_of_lists(source: Source, lists: dict[str, list[str]]) -> Iterator[Problem]:
    for key, ids in lists.items():
        twice = [name for name, count in Counter(ids).items() if count > 1]
        if twice:
            yield Problem(_list_path(source, key), f"lists {_some(twice)} more than once: take the repeats out")
        if key.endswith("val") and not key.endswith("trainval"):
            other = key[: -len("val")] + "train"
            shared = sorted(set(ids) & set(lists.get(other, [])))
            if shared:
                where = f"lists {_some(shared)} that {other} lists too"
                yield Problem(_list_path(source, key), f"{where}: train and val must share none, a score would leak")
    if isinstance(source, VocData):
        for path in sorted((source.root / "ImageSets" / "Main").glob("*_*.txt")):
            if path.stem.rpartition("_")[0] in CLASSES:
                yield from _faults_of_class_list(path)
    elif isinstance(source, CompetitionData):
        yield from _faults_of_table(source)


def _some(ids: list[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return ", ".join(ids[:3]) + more


def _faults_of_class_list(path: Path) -> Iterator[Problem]:
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError):
        yield Problem(path, "is not text: unpack the archive again")
        return
    words = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not words:
        yield Problem(path, "is empty: a line per image of the split is due")
    for number, row in words:
        if len(row) != 2 or row[1] not in VALUES:
            yield Problem(path, f"line {number} is {' '.join(row)[:60]!r}: an id and 1, -1 or 0 are due")


def _faults_of_table(source: CompetitionData) -> Iterator[Problem]:
    for part, allowed in (("train", {0, 1}), ("test", {-1, 0, 1})):
        path = source.root / part / f"{part}_set.csv"
        try:
            table = read_table(path)
        except DataError:
            continue  # _lists has named it
        unlisted = sorted({file.stem for file in (path.parent / "img").glob("*.npy")} - {f"{part}_{n}" for n in table})
        if unlisted:
            yield Problem(path, f"does not list {_some(unlisted)}, which img/ holds: take them out or fetch it again")
        for number, labels in table.items():
            strange = sorted(set(labels) - allowed)
            if strange:
                yield Problem(
                    path, f"row {number} holds {strange[0]}: labels are {', '.join(map(str, sorted(allowed)))}"
                )


def _faults_of_image(source: Source, image_id: str, mask_path: Path | None) -> Iterator[Problem]:
    """mask_path: None where no mask is due."""
    path, shape = source.image_path(image_id), None
    try:
        shape = source.image(image_id).shape[:2]
    except DataError as error:
        yield _problem(path, error)
    if mask_path is None:
        return
    try:
        mask = source.mask(image_id)
    except DataError as error:
        yield _problem(mask_path, error)
        return
    if shape is not None and mask.shape != shape:
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {shape[1]} x {shape[0]}"
        yield Problem(mask_path, f"has {sizes}: a mask is as large as its image")
