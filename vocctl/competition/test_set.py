"""The competition's test photos, seen through either layout: which they are, the rows that are due, and their truth.

The competition's own layout lists them; in a VOC devkit they are Segmentation/val, numbered from 0 in the list's order.
The truth is a rehearsal's solution, or a devkit's masks: those of the same photos, found by what the photos show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.competition.editions import ALIAS, slug_of
from vocctl.competition.score import Truth
from vocctl.competition.table import Due, read_table, row_names
from vocctl.data.competition import CompetitionData, classes_in, without_void
from vocctl.data.near_duplicates import same_photos, sketches
from vocctl.data.source import Source, open_dataset
from vocctl.errors import ConfigError, DataError

SAMPLE = "sample_submission.csv"  # where there is one it gives the order of the rows
KAGGLE_INPUT = Path("/kaggle/input")  # of a Kaggle notebook

OnPhoto = Callable[[int, int], None]


@dataclass(frozen=True)
class Unseen:
    """The test photos. numbers[i] is the Id of image_ids[i]."""

    source: Source
    split: str
    numbers: tuple[str, ...]
    image_ids: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.source.root.resolve()


def open_unseen(data: Path) -> Unseen:
    """Raises DataError: no data set there, or no test photos in it."""
    source = open_dataset(data)
    if isinstance(source, CompetitionData):
        ids = source.ids("test")
        return Unseen(source, "test", tuple(one.removeprefix("test_") for one in ids), tuple(ids))
    ids = source.ids("val")
    return Unseen(source, "val", tuple(str(number) for number in range(len(ids))), tuple(ids))


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


def names_due(unseen: Unseen) -> list[str]:
    """The rows in order. Raises DataError: a sample file of other photos."""
    names = row_names(unseen.numbers)
    sample = unseen.source.root / SAMPLE
    if not sample.is_file():
        return names
    listed = list(read_table(sample))
    if set(listed) != set(names):
        raise DataError(f"{sample} names other rows than test_set.csv: download the competition's data again")
    return listed


def rows_due(unseen: Unseen, on_photo: OnPhoto | None = None) -> list[Due]:
    """The rows in order, each with its photo's size."""
    sizes = {}
    for number, image_id in zip(unseen.numbers, unseen.image_ids, strict=True):
        sizes[number] = unseen.source.image(image_id).shape[:2]
        if on_photo:
            on_photo(len(sizes), len(unseen.numbers))
    return [Due(name, *sizes[name.rpartition("_")[0]]) for name in names_due(unseen)]


def truths(unseen: Unseen) -> list[Truth]:
    """What the test photos hold. Raises DataError: the competition's own folder, which has no solution."""
    pairs = list(zip(unseen.numbers, unseen.image_ids, strict=True))
    if isinstance(unseen.source, CompetitionData):
        labels = unseen.source.test_labels()
        if lacking := [one for _, one in pairs if one not in labels]:
            raise DataError(f"{unseen.source.solution} lacks {lacking[0]}: build it again")
        return [Truth(number, labels[one], without_void(unseen.source.test_truth(one))) for number, one in pairs]
    return [_from_mask(unseen.source, number, image_id) for number, image_id in pairs]


def truths_from(unseen: Unseen, tree: Path, on_photo: OnPhoto | None = None) -> list[Truth]:
    """The same from a VOC devkit, whose photos are matched to the test photos. Raises DataError: some are not there."""
    source = open_dataset(tree)
    if isinstance(source, CompetitionData):
        raise DataError(
            f"{tree} is a competition's folder: --truth takes its solution or a VOC tree, alone without --data"
        )
    ids = source.ids("val")
    mine = sketches(unseen.source, unseen.image_ids, on_photo)
    places = same_photos(mine, sketches(source, ids, on_photo))
    lacking = [number for number, place in zip(unseen.numbers, places, strict=True) if place is None]
    if lacking:
        raise DataError(
            f"{tree} lacks {len(lacking)} of the {len(unseen.numbers)} test photos in its Segmentation/val (such as Id "
            f"{lacking[0]}): name the tree that the competition was made of, VOC2009"
        )
    return [
        _from_mask(source, number, ids[place])
        for number, place in zip(unseen.numbers, places, strict=True)
        if place is not None
    ]


def _from_mask(source: Source, number: str, image_id: str) -> Truth:
    mask = without_void(source.mask(image_id))
    return Truth(number, classes_in(mask), mask)


def overlap(unseen: Unseen, root: Path, ids: Sequence[str], on_photo: OnPhoto | None = None) -> list[str]:
    """Those of the ids, of the data set in root, that show a test photo. Raises DataError: root is no data set."""
    source = open_dataset(root)
    if source.root.resolve() == unseen.root:
        return [one for one in ids if one in set(unseen.image_ids)]
    places = same_photos(sketches(source, ids, on_photo), sketches(unseen.source, unseen.image_ids, on_photo))
    return [one for one, place in zip(ids, places, strict=True) if place is not None]
