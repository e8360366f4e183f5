"""An evaluation's folder is whole or not there, and what keeps it from its place is one line."""

from pathlib import Path

import pytest

from vocctl.errors import RunError
from vocctl.inference.evaluation import new_partial_folder, publish_folder


def test_the_new_evaluation_takes_the_old_ones_place(tmp_path: Path) -> None:
    folder = tmp_path / "eval" / "val"
    for name in ("old", "new"):
        part = new_partial_folder(folder)
        (part / name).touch()
        publish_folder(part, folder)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in folder.parent.iterdir()] == ["val"]


def test_a_folder_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    part = new_partial_folder(tmp_path / "val")
    part.rmdir()  # another process took it away
    with pytest.raises(RunError, match="val can't be replaced: No such file or directory"):
        publish_folder(part, tmp_path / "val")
