"""The competition's test images, seen through either layout: which they are, the rows that are due, and their truth.

The competition's own layout lists them; in a VOC devkit they are Segmentation/val, numbered from 0 in the list's order.
The truth is a rehearsal's solution, or a devkit's masks: those of the same images, found by what the images show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.competition.editions import ALIAS, slug_of
from vocctl.competition.score import GroundTruth
from vocctl.competition.table import RequiredRow, read_table, row_names
from vocctl.data.competition import CompetitionData, classes_in, void_to_background
from vocctl.data.near_duplicates import image_fingerprints, match_images
from vocctl.data.source import Source, open_dataset
from vocctl.errors import ConfigError, DataError

SAMPLE = "sample_submission.csv"  # where there is one it gives the order of the rows
KAGGLE_INPUT = Path("/kaggle/input")  # of a Kaggle notebook

OnImage = Callable[[int, int], None]


@dataclass(frozen=True)
class TestSet:
    """The test images. numbers[i] is the Id of image_ids[i]."""

    source: Source
    split: str
    numbers: tuple[str, ...]
    image_ids: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.source.root.resolve()


def open_test_set(data: Path) -> TestSet:
    """Raises DataError: no data set there, or no test images in it."""
    source = open_dataset(data)
    if isinstance(source, CompetitionData):
        ids = source.ids("test")
        return TestSet(source, "test", tuple(one.removeprefix("test_") for one in ids), tuple(ids))
    ids = source.ids("val")
    return TestSet(source, "val", tuple(str(number) for number in range(len(ids))), tuple(ids))


def find_data(named: Path | None, competition: str) -> Path:
    """The folder that was named, the one that a Kaggle notebook has, or where `vocctl download` puts it."""
    if named is not None:
        return named
    if KAGGLE_INPUT.is_dir():
        found = sorted(path.parents[1] for path in KAGGLE_INPUT.glob("**/train/train_set.csv"))
        if len(found) > 1:
            raise ConfigError(
                f"{KAGGLE_INPUT} holds several competitions ({found[0]}, {found[1]}): name one with --data"
            )
        if found:
            return found[0]
    slug = slug_of(competition)
    names = [competition if competition == ALIAS else slug]
    names += [ALIAS, slug] if slug == slug_of(ALIAS) else []  # it may have been fetched by its other name
    folders = [Path("data") / name for name in names]
    if there := next((folder for folder in folders if folder.is_dir()), None):
        return there
    raise DataError(f"{folders[0]} is no folder: `vocctl download {names[0]}` fetches it, or name another with --data")


def expected_names(test_set: TestSet) -> list[str]:
    """The rows in order. Raises DataError: a sample file of other images."""
    names = row_names(test_set.numbers)
    sample = test_set.source.root / SAMPLE
    if not sample.is_file():
        return names
    listed = list(read_table(sample))
    if set(listed) != set(names):
        raise DataError(f"{sample} names other rows than test_set.csv: download the competition's data again")
    return listed


def expected_rows(test_set: TestSet, on_image: OnImage | None = None) -> list[RequiredRow]:
    """The rows in order, each with its image's size."""
    sizes = {}
    for number, image_id in zip(test_set.numbers, test_set.image_ids, strict=True):
        sizes[number] = test_set.source.image(image_id).shape[:2]
        if on_image:
            on_image(len(sizes), len(test_set.numbers))
    return [RequiredRow(name, *sizes[name.rpartition("_")[0]]) for name in expected_names(test_set)]


def ground_truths(test_set: TestSet) -> list[GroundTruth]:
    """What the test images hold. Raises DataError: the competition's own folder, which has no solution."""
    pairs = list(zip(test_set.numbers, test_set.image_ids, strict=True))
    if isinstance(test_set.source, CompetitionData):
        labels = test_set.source.test_labels()
        if lacking := [one for _, one in pairs if one not in labels]:
            raise DataError(f"{test_set.source.solution} lacks {lacking[0]}: build it again")
        return [
            GroundTruth(number, labels[one], void_to_background(test_set.source.test_truth(one)))
            for number, one in pairs
        ]
    return [_from_mask(test_set.source, number, image_id) for number, image_id in pairs]


def ground_truths_from(test_set: TestSet, tree: Path, on_image: OnImage | None = None) -> list[GroundTruth]:
    """The same from a VOC devkit, whose images are matched to the test images. Raises DataError: some are not there."""
    source = open_dataset(tree)
    if isinstance(source, CompetitionData):
        raise DataError(
            f"{tree} is a competition's folder: --truth takes its solution or a VOC tree, alone without --data"
        )
    ids = source.ids("val")
    mine = image_fingerprints(test_set.source, test_set.image_ids, on_image)
    places = match_images(mine, image_fingerprints(source, ids, on_image))
    lacking = [number for number, place in zip(test_set.numbers, places, strict=True) if place is None]
    if lacking:
        raise DataError(
            f"{tree} lacks {len(lacking)} of the {len(test_set.numbers)} test images in its Segmentation/val (such as Id "
            f"{lacking[0]}): name the tree that the competition was made of, VOC2009"
        )
    return [
        _from_mask(source, number, ids[place])
        for number, place in zip(test_set.numbers, places, strict=True)
        if place is not None
    ]


def _from_mask(source: Source, number: str, image_id: str) -> GroundTruth:
    mask = void_to_background(source.mask(image_id))
    return GroundTruth(number, classes_in(mask), mask)


def overlap(test_set: TestSet, root: Path, ids: Sequence[str], on_image: OnImage | None = None) -> list[str]:
    """Those of the ids, of the data set in root, that show a test image. Raises DataError: root is no data set."""
    source = open_dataset(root)
    if source.root.resolve() == test_set.root:
        return [one for one in ids if one in set(test_set.image_ids)]
    places = match_images(
        image_fingerprints(source, ids, on_image), image_fingerprints(test_set.source, test_set.image_ids, on_image)
    )
    return [one for one, place in zip(ids, places, strict=True) if place is not None]
