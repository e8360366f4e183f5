"""Bring the competition's data into a folder: from Kaggle, from a zip that the user has, or from a VOC devkit."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from vocctl.competition.editions import known_num_images
from vocctl.competition.kaggle import Kaggle
from vocctl.competition.mock_competition import build_competition
from vocctl.data.audit import audit
from vocctl.data.competition import CompetitionData, is_competition
from vocctl.data.zip_archive import unpack_zip
from vocctl.errors import DataError
from vocctl.files import disk_errors

OnCount = Callable[[int, int | None], None]  # called with (done, total); total None: unknown


def build_mock_competition(
    root: Path, devkit: Path, *, on_image: OnCount | None, on_check: OnCount | None
) -> dict[str, int]:
    """Build the competition's folder from a VOC devkit and check every file. Returns and raises as check_competition."""
    build_competition(root, devkit, on_image)
    return check_competition(root, {}, on_check)


def fetch_competition(
    slug: str,
    root: Path,
    *,
    archive: Path | None,
    on_fetch: OnCount | None,
    on_unpack: OnCount | None,
    on_check: OnCount | None,
) -> dict[str, int]:
    """Download the competition's zip from Kaggle, unpack it into root and check every file.

    archive: a zip that the user has; it is not deleted. A downloaded zip is deleted once its data are complete.
    Returns and raises as check_competition; also NetworkError (Kaggle) and RunError (the disk).
    """
    parent = Path(os.path.abspath(root)).parent
    with disk_errors(root):
        parent.mkdir(parents=True, exist_ok=True)
    unpack_zip(archive or Kaggle(slug).download(parent, on_fetch), root, on_progress=on_unpack)
    num_images = check_competition(root, known_num_images(slug), on_check)
    if archive is None:
        (parent / f"{slug}.zip").unlink(missing_ok=True)
    return num_images


def check_competition(root: Path, expected: Mapping[str, int], on_check: OnCount | None) -> dict[str, int]:
    """Check the layout, the number of images and every file of a competition's folder.

    expected: number of images in train and test; empty: any. Returns these numbers. Raises DataError.
    """
    advice = f"choose another folder with --out, or delete {root} and run it again"
    if not is_competition(root):
        raise DataError(f"{root} has no train/train_set.csv, so it is not the competition's data: {advice}")
    source = CompetitionData(root)
    num_images = {"train": len(source.ids("trainval")), "test": len(source.ids("test"))}
    for part, count in expected.items():
        if num_images[part] != count:
            raise DataError(f"{root} lists {num_images[part]} images in {part}, the competition has {count}: {advice}")
    problems = audit(root, on_check).problems
    if problems:
        raise DataError(
            f"{root} has {len(problems)} invalid files, such as {problems[0].path} ({problems[0].reason}): "
            f"`vocctl download --check {root}` lists all; {advice}"
        )
    return num_images
