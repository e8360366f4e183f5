"""The images below a folder: hidden files, links, and folders that cannot be read."""

import os
from pathlib import Path

import pytest

from vocctl.data.image_folder import find_images
from vocctl.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """in/ with images, a hidden file and a hidden folder; in/link leads to other/, which leads back to in/."""
    for name in (
        "in/b.PNG",
        "in/a.jpg",
        "in/._a.jpg",
        "in/.cache/c.jpg",
        "in/deep/d.jpe",
        "in/notes.txt",
        "other/e.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "in" / "folder.jpg").mkdir()
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "in")
    return tmp_path / "in"


def test_links_are_followed_and_hidden_files_left_out(folder: Path) -> None:
    found = find_images(folder)
    assert [str(path.relative_to(folder)) for path in found.images] == ["a.jpg", "b.PNG", "deep/d.jpe", "link/e.jpg"]
    assert found.skipped == "1 file skipped: .txt is not read"


def test_results_are_left_out(folder: Path) -> None:
    found = find_images(folder, {folder / "a.jpg", folder / "b.PNG"})
    assert [path.name for path in found.images] == ["d.jpe", "e.jpg"]
    assert found.skipped.endswith("; 2 files skipped: results of earlier predictions")


def test_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"contains no image that can be read \(\.jpg, .*\): name another folder"):
        find_images(tmp_path)
    (tmp_path / "a.heic").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"1 file skipped: \.heic is not read; save them as JPEG or PNG, or name another"
    ):
        find_images(tmp_path)


def test_a_folder_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path, original=os.scandir):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"deep cannot be read \(Permission denied\): fix its permissions"):
        find_images(folder)
