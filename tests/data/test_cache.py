"""The cache: what it holds, when it is built again, and that a crash or a race leaves no half of it."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vocctl.data.cache import cached_split, content_hashes, default_cache_dir, fingerprint
from vocctl.data.images import write_mask
from vocctl.data.source import open_dataset
from vocctl.errors import DataError, RunError
from vocctl.resizing import model_input_size

BUILD = """
import os, signal, sys
from pathlib import Path
from vocctl.data.cache import cached_split
from vocctl.data.source import open_dataset
def on_image(done, total):
    if sys.argv[3] == "die" and done == 3: os.kill(os.getpid(), signal.SIGKILL)
split = cached_split(open_dataset(Path(sys.argv[1])), "train", 64, Path(sys.argv[2]), on_image)
print(split.folder, int(split.pixels.sum()))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cached"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_images_and_masks_at_the_size_that_was_asked_for(tiny, folder):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 64, folder)
    assert split.ids == tuple(source.ids("train"))
    assert len(split) == 8
    assert split.has_masks
    for index, image_id in enumerate(split.ids):
        image = cv2.resize(source.image(image_id), (64, 64), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(split.image(index), image)
        assert np.array_equal(split.mask(index), source.mask(image_id).repeat(2, 0).repeat(2, 1))  # 32 to 64, nearest
        assert np.array_equal(split.original_mask(index), source.mask(image_id))
    assert set(split.sizes) == {(64, 64)}
    assert set(split.original_sizes) == {(32, 32)}


def test_images_of_several_shapes_keep_theirs(tiny, folder):
    source = open_dataset(tiny)
    first = source.ids("val")[0]
    Image.fromarray(np.full((40, 110, 3), 7, np.uint8)).save(source.image_path(first), quality=100)
    write_mask(source.mask_path(first), np.full((40, 110), 3))
    split = cached_split(source, "val", 32, folder)
    assert split.sizes == ((32, 96), (32, 32), (32, 32), (32, 32))  # 110 * 32 / 40 = 88: nearer to 96
    assert split.original_sizes[0] == (40, 110)
    assert (split.image(0) == 7).all()
    assert (split.mask(0) == 3).all()
    assert split.image(3).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (375, 500, (224, 288)),  # 224 / 375 * 500 = 298.7: nearer to 288 than to 320
        (500, 375, (288, 224)),
        (224, 224, (224, 224)),
        (10, 10, (224, 224)),
        (100, 110, (224, 256)),  # 246.4
        (10, 1000, (224, 896)),  # squeezed to four times the shorter side
    ],
)
def test_fitted_size(height, width, expected):
    assert model_input_size(height, width, 224) == expected


def test_the_second_time_nothing_is_decoded(tiny, folder, monkeypatch):
    source = open_dataset(tiny)
    seen = []
    first = cached_split(source, "train", 32, folder, lambda *at: seen.append(at))
    assert seen == [(done, 8) for done in range(1, 9)]
    monkeypatch.setattr(type(source), "image", lambda self, image_id: pytest.fail("decoded"))
    again = cached_split(source, "train", 32, folder)
    assert again.folder == first.folder
    assert np.array_equal(again.pixels, first.pixels)


def test_size_and_split_have_caches_of_their_own(tiny, folder):
    source = open_dataset(tiny)
    folders = {cached_split(source, split, size, folder).folder for split in ("train", "val") for size in (32, 64)}
    assert len(folders) == 4


def test_another_image_or_mask_makes_another_cache(tiny, folder):
    source = open_dataset(tiny)
    image_id = source.ids("train")[0]
    before = cached_split(source, "train", 32, folder)
    mask = source.mask(image_id).copy()
    mask[0, 0] = 20
    write_mask(source.mask_path(image_id), mask)
    mended = cached_split(source, "train", 32, folder)
    assert mended.folder != before.folder
    assert mended.mask(0)[0, 0] == 20
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(source.image_path(image_id))
    assert cached_split(source, "train", 32, folder).folder not in (before.folder, mended.folder)


def test_the_fingerprint_is_of_bytes_and_order(tiny, tmp_path):
    source = open_dataset(tiny)
    ids = source.ids("train")

    def of(source, ids):
        return fingerprint(content_hashes(source, ids))

    before = of(source, ids)
    assert cached_split(source, "train", 32, tmp_path).fingerprint == before
    assert cached_split(source, "train", 32, tmp_path).part([1, 0]).fingerprint == of(source, [ids[1], ids[0]])
    os.utime(source.image_path(ids[0]), (0, 0))  # touched, not changed
    assert of(source, ids) == before
    assert of(source, ids[::-1]) != before
    assert of(source, ids[1:]) != before
    moved = tiny.rename(tmp_path / "moved")
    assert of(open_dataset(moved), ids) == before


@pytest.mark.parametrize("name", ["images.bin", "masks.bin", "own_masks.bin", "index.json"])
def test_a_cache_cut_short_is_built_again(tiny, folder, name):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 32, folder)
    whole = np.array(split.pixels)
    os.truncate(split.folder / name, (split.folder / name).stat().st_size // 2)
    again = cached_split(source, "train", 32, folder)
    assert again.folder == split.folder
    assert np.array_equal(again.pixels, whole)
    assert again.has_masks
    assert files(folder) == ["images.bin", "index.json", "masks.bin", "own_masks.bin"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"sizes": [[32]], "own_sizes": []}', '{"sizes": 3, "own_sizes": 3}'])
def test_an_index_of_another_kind_is_built_again(tiny, folder, text):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 32, folder)
    (split.folder / "index.json").write_text(text)
    assert cached_split(source, "train", 32, folder).ids == split.ids


def test_a_file_that_is_gone_is_built_again(tiny, folder):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 32, folder)
    (split.folder / "masks.bin").unlink()
    assert cached_split(source, "train", 32, folder).has_masks


def test_a_mask_damaged_after_the_cache_was_opened(tiny, folder):
    split = cached_split(open_dataset(tiny), "train", 32, folder)
    path = split.folder / "own_masks.bin"
    path.chmod(0o600)
    with path.open("r+b") as stream:  # as long as before; the map shows it
        stream.write(bytes(len(split.deflated)))
    with pytest.raises(RunError, match="was damaged: remove it"):
        split.original_mask(0)


def test_a_part_has_the_masks_of_its_images(tiny, folder):
    source = open_dataset(tiny)
    part = cached_split(source, "train", 64, folder).part([5, 2])
    assert part.original_sizes == ((32, 32), (32, 32))
    for index, image_id in enumerate(part.ids):
        assert np.array_equal(part.original_mask(index), source.mask(image_id))


def test_two_processes_at_once_leave_one_cache(tiny, folder):
    command = [sys.executable, "-c", BUILD, str(tiny), str(folder), "live"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert files(folder) == ["images.bin", "index.json", "masks.bin", "own_masks.bin"]
    assert len(list(folder.iterdir())) == 1


def test_another_process_that_was_first_wins(tiny, folder):
    source = open_dataset(tiny)
    inner = []

    def race(done: int, total: int) -> None:
        if done == total:
            inner.append(cached_split(source, "train", 32, folder))

    outer = cached_split(source, "train", 32, folder, race)
    assert outer.folder == inner[0].folder
    assert len(list(folder.iterdir())) == 1


def test_killed_in_the_middle_leaves_nothing_that_passes_for_a_cache(tiny, folder):
    killed = subprocess.run([sys.executable, "-c", BUILD, str(tiny), str(folder), "die"], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not [path for path in folder.iterdir() if ".part-" not in path.name]
    split = cached_split(open_dataset(tiny), "train", 64, folder)
    assert len(split) == 8
    assert split.mask(7).shape == (64, 64)


def test_ctrl_c_leaves_nothing_at_all(tiny, folder):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_split(open_dataset(tiny), "train", 32, folder, stop)
    assert list(folder.iterdir()) == []


def test_a_mask_of_another_size(tiny, folder):
    source = open_dataset(tiny)
    image_id = source.ids("train")[2]
    write_mask(source.mask_path(image_id), np.zeros((32, 30)))
    with pytest.raises(DataError, match=f"{image_id}.png is 30 x 32, its image 32 x 32"):
        cached_split(source, "train", 32, folder)
    assert list(folder.iterdir()) == []


def test_a_broken_image_is_named_and_leaves_nothing(tiny, folder):
    source = open_dataset(tiny)
    path = source.image_path(source.ids("train")[2])
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=str(path)):
        cached_split(source, "train", 32, folder)
    assert list(folder.iterdir()) == []


def test_a_missing_mask_is_named(tiny, folder):
    source = open_dataset(tiny)
    path = source.mask_path(source.ids("train")[2])
    path.unlink()
    with pytest.raises(DataError, match=f"{path} can't be read: No such file"):
        cached_split(source, "train", 32, folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_no_space_left(tiny, folder, monkeypatch):
    make = tempfile.mkdtemp

    def on_a_full_disk(**where: object) -> str:
        part = make(**where)
        (Path(part) / "images.bin").symlink_to("/dev/full")
        return part

    monkeypatch.setattr(tempfile, "mkdtemp", on_a_full_disk)
    with pytest.raises(RunError, match=f"{folder} can't hold the decoded images: No space left on device"):
        cached_split(open_dataset(tiny), "train", 32, folder)
    assert list(folder.iterdir()) == []


def test_what_another_process_puts_in_place_meanwhile_is_no_concern(tiny, folder):
    folder.mkdir()
    (folder / "voc-train.part-other").symlink_to(folder / "renamed")  # listed, and gone when it is looked at
    assert len(cached_split(open_dataset(tiny), "train", 32, folder)) == 8


def test_a_cache_folder_that_is_a_file(tiny, folder):
    folder.write_text("")
    with pytest.raises(RunError, match="can't hold the decoded images"):
        cached_split(open_dataset(tiny), "train", 32, folder)


def test_where_the_cache_lies(monkeypatch):
    monkeypatch.setenv("VOCCTL_CACHE", "/there")
    assert default_cache_dir() == Path("/there")
    monkeypatch.delenv("VOCCTL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_dir() == Path("/xdg/vocctl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "vocctl"


def test_a_split_without_masks(tmp_path, folder):
    from vocctl.labels import CLASSES

    root = tmp_path / "comp"
    for part in ("train", "test"):
        (root / part / "img").mkdir(parents=True)
        (root / part / f"{part}_set.csv").write_text(",".join(("Id", *CLASSES)) + "\n0" + ",-1" * 20 + "\n")
        np.save(root / part / "img" / f"{part}_0.npy", np.full((40, 64, 3), 9, np.uint8))
    split = cached_split(open_dataset(root), "test", 32, folder)
    assert not split.has_masks
    assert (split.image(0) == 9).all()
    assert cached_split(open_dataset(root), "test", 32, folder).folder == split.folder
