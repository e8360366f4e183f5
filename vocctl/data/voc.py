"""The PASCAL VOC development kit's folders, of any year.

Source: the devkit's layout, `VOCdevkit/VOC<year>/{JPEGImages,SegmentationClass,ImageSets/Segmentation}`. The folder that
is named may be the year's own, its VOCdevkit, or what holds the VOCdevkit (2011's archive puts it under TrainVal).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.images import read_image, read_mask
from vocctl.errors import DataError
from vocctl.files import read_text


def find_devkit(root: Path) -> Path:
    """The folder that holds JPEGImages and ImageSets. Raises DataError: none there, or several years."""
    if (root / "JPEGImages").is_dir():
        return root
    for pattern in ("VOC20*", "VOCdevkit/VOC20*", "TrainVal/VOCdevkit/VOC20*"):
        found = [path for path in sorted(root.glob(pattern)) if (path / "JPEGImages").is_dir()]
        if len(found) > 1:
            years = ", ".join(path.name for path in found)
            raise DataError(f"{root} holds several years ({years}): name one of them, as --data {found[-1]}")
        if found:
            return found[0]
    raise DataError(
        f"{root} is no data set: expected VOCdevkit/VOC<year>/JPEGImages (a devkit) or train/train_set.csv (the "
        "competition) in it, so mend --data or run `vocctl download`"
    )


@dataclass(frozen=True)
class VocData:
    """Images and class masks of one year's devkit."""

    devkit: Path
    name: str
    layout: str = "VOC devkit"

    @property
    def root(self) -> Path:
        return self.devkit

    def _lists(self) -> Path:
        return self.devkit / "ImageSets" / "Segmentation"

    def splits(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self._lists().glob("*.txt")))

    def ids(self, split: str) -> list[str]:
        listed = self._lists() / f"{split}.txt"
        if not listed.is_file():
            known = ", ".join(self.splits()) or "none"
            raise DataError(f"{listed} is missing: the splits with masks are {known}")
        try:
            ids = read_text(listed).split()
        except (UnicodeDecodeError, OSError) as error:
            raise DataError(f"{listed} can't be read as text: replace the list") from error
        if not ids:
            raise DataError(f"{listed} is empty: a split needs at least one image")
        strange = next(
            (name for name in ids if Path(name).name != name or not name.isprintable() or name in (".", "..")), None
        )
        if strange is not None:
            raise DataError(f"{listed} lists {strange!r}: an id is a file name without its folder, mend the list")
        return ids

    def image_path(self, image_id: str) -> Path:
        """The .jpg, or the .png that stands in its place: adversarial images would not survive JPEG."""
        jpeg = self.devkit / "JPEGImages" / f"{image_id}.jpg"
        lossless = jpeg.with_suffix(".png")
        return lossless if not jpeg.exists() and lossless.exists() else jpeg

    def mask_path(self, image_id: str) -> Path | None:
        return self.devkit / "SegmentationClass" / f"{image_id}.png"

    def image(self, image_id: str) -> np.ndarray:
        return read_image(self.image_path(image_id))

    def mask(self, image_id: str) -> np.ndarray:
        return read_mask(self.devkit / "SegmentationClass" / f"{image_id}.png")
