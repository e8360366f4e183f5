"""The competition's test images, and the rows that a submission must have for them.

The test images are those of the competition's own folder; in a VOC devkit, those of Segmentation/val, whose Ids count from
0 in the order of val.txt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.competition.editions import ALIAS, resolve_slug
from vocctl.competition.table import RequiredRow, read_table, row_names
from vocctl.data.near_duplicates import image_fingerprints, match_images
from vocctl.data.source import Source, open_dataset
from vocctl.errors import ConfigError, DataError

SAMPLE = "sample_submission.csv"  # if the folder has one, it gives the order of the rows
KAGGLE_INPUT = Path("/kaggle/input")  # exists in Kaggle notebooks

OnImage = Callable[[int, int], None]  # called with (done, total)


@dataclass(frozen=True)
class TestSet:
    """The test images."""

    source: Source
    split: str  # of the source
    csv_ids: tuple[str, ...]  # the images' Ids in test_set.csv and in a submission
    image_ids: tuple[str, ...]  # the same images' ids in the source

    @property
    def root(self) -> Path:
        return self.source.root.resolve()


def open_test_set(data: Path) -> TestSet:
    """Open the test images of a competition's folder or a VOC devkit.

    Raises DataError: not a data set, or no test images.
    """
    source = open_dataset(data)
    ids = source.test_ids()
    return TestSet(source, source.test_split, tuple(ids), tuple(ids.values()))


def find_data(data: Path | None, competition: str) -> Path:
    """Find the competition's folder: data if given, else the input of a Kaggle notebook, else data/<competition>.

    competition: the alias, a slug or a URL. Raises ConfigError: several in the notebook. DataError: none.
    """
    if data is not None:
        return data
    if KAGGLE_INPUT.is_dir():
        inputs = sorted(path.parents[1] for path in KAGGLE_INPUT.glob("**/train/train_set.csv"))
        if len(inputs) > 1:
            raise ConfigError(
                f"{KAGGLE_INPUT} holds several competitions ({inputs[0]}, {inputs[1]}): give one as --data"
            )
        if inputs:
            return inputs[0]
    slug = resolve_slug(competition)
    names = [competition if competition == ALIAS else slug]
    names += [ALIAS, slug] if slug == resolve_slug(ALIAS) else []  # it may have been downloaded by the other name
    folders = [Path("data") / name for name in names]
    existing = [folder for folder in folders if folder.is_dir()]
    if not existing:
        raise DataError(
            f"{folders[0]} is not a folder: `vocctl download {names[0]}` creates it; or give another as --data"
        )
    return existing[0]


def expected_names(test_set: TestSet) -> list[str]:
    """The names of a submission's rows, in order. Raises DataError: a sample file with other rows."""
    names = row_names(test_set.csv_ids)
    sample = test_set.source.root / SAMPLE
    if not sample.is_file():
        return names
    sample_names = list(read_table(sample))
    if set(sample_names) != set(names):
        raise DataError(f"{sample} has other rows than test_set.csv: download the competition's data again")
    return sample_names


def expected_rows(test_set: TestSet, on_image: OnImage | None = None) -> list[RequiredRow]:
    """The rows of a submission with their images' sizes, in order. Reads all test images."""
    sizes = {}
    for csv_id, image_id in zip(test_set.csv_ids, test_set.image_ids, strict=True):
        sizes[csv_id] = test_set.source.image(image_id).shape[:2]
        if on_image:
            on_image(len(sizes), len(test_set.csv_ids))
    return [RequiredRow(name, *sizes[name.rpartition("_")[0]]) for name in expected_names(test_set)]


def find_test_images(test_set: TestSet, root: Path, ids: Sequence[str], on_image: OnImage | None = None) -> list[str]:
    """Return those of the ids that are test images. ids: of images in the data set at root.

    Images of another data set are compared by content. Raises DataError: root is not a data set.
    """
    source = open_dataset(root)
    if source.root.resolve() == test_set.root:
        return [image_id for image_id in ids if image_id in set(test_set.image_ids)]
    prints = image_fingerprints(source, ids, on_image)
    matches = match_images(prints, image_fingerprints(test_set.source, test_set.image_ids, on_image))
    return [image_id for image_id, match in zip(ids, matches, strict=True) if match is not None]
