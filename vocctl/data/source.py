"""What a data set of images with masks offers, and which reader a folder needs.

Two layouts are known: the VOC development kit (`data/voc.py`) and the competition's `.npy` files (`data/competition.py`).
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from vocctl.data.competition import CompetitionData, is_competition
from vocctl.data.voc import VocData, find_devkit
from vocctl.errors import DataError


class Source(Protocol):
    """A data set on disk, read one image at a time. Ids are unique within a data set."""

    @property
    def root(self) -> Path: ...

    @property
    def name(self) -> str:
        """What scores measured on it are filed under: the folder's name."""
        ...

    @property
    def layout(self) -> str: ...

    def splits(self) -> tuple[str, ...]: ...

    def ids(self, split: str) -> list[str]:
        """The split's images, in its own order. Raises DataError: no such split, or an empty one."""
        ...

    def image_path(self, image_id: str) -> Path: ...

    def mask_path(self, image_id: str) -> Path | None:
        """None where the layout has no mask for it (the competition's test part)."""
        ...

    def image(self, image_id: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises DataError: missing or broken."""
        ...

    def mask(self, image_id: str) -> np.ndarray:
        """(H, W) uint8, labels 0..20 and 255. Raises DataError: missing, broken, another label."""
        ...


def open_dataset(root: Path) -> Source:
    """The reader that fits what lies in root. Raises DataError: no folder, or neither layout."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder: `vocctl download voc2009 --out {root}` fetches one, or mend --data")
    if is_competition(root):
        return CompetitionData(root)
    return VocData(find_devkit(root), name=root.resolve().name)
