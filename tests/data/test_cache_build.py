"""Building the cache: its content, when it is built again, and that no crash or second process makes it incomplete."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from vocctl.data import cache_build
from vocctl.data.cache import fingerprint
from vocctl.data.cache_build import cached_split, content_hashes, split_contents
from vocctl.data.images import write_mask
from vocctl.data.source import open_dataset
from vocctl.errors import DataError, RunError

BUILD = """
import os, signal, sys
from pathlib import Path
from vocctl.data.cache_build import cached_split
from vocctl.data.source import open_dataset
def on_image(done, total):
    print("decoded", done, flush=True)
    if sys.argv[3] == "killed" and done == 3: os.kill(os.getpid(), signal.SIGKILL)
split = cached_split(open_dataset(Path(sys.argv[1])), "train", 64, Path(sys.argv[2]), on_image)
print(split.folder, int(split.pixels.sum()))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cached"


FILES = ["images.bin", "index.json", "masks.bin", "original_masks.bin"]


def entries(folder: Path) -> list[Path]:
    """The complete and incomplete caches in folder, without lock files, which stay after their lock is released."""
    return [path for path in folder.iterdir() if path.suffix != ".lock"]


def file_names(folder: Path) -> list[str]:
    """The sorted names of the files of all caches in folder."""
    return sorted(path.name for entry in entries(folder) for path in entry.iterdir())


def test_images_and_masks_have_the_model_size(tiny, folder):
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


def test_images_keep_their_aspect_ratio(tiny, folder):
    source = open_dataset(tiny)
    first = source.ids("val")[0]
    Image.fromarray(np.full((40, 110, 3), 7, np.uint8)).save(source.image_path(first), quality=100)
    write_mask(source.mask_path(first), np.full((40, 110), 3))
    split = cached_split(source, "val", 32, folder)
    assert split.sizes == ((32, 96), (32, 32), (32, 32), (32, 32))  # width 110 * 32 / 40 = 88, rounded to 3 * 32 = 96
    assert split.original_sizes[0] == (40, 110)
    assert (split.image(0) == 7).all()
    assert (split.mask(0) == 3).all()
    assert split.image(3).shape == (32, 32, 3)


def test_existing_cache_is_not_decoded_again(tiny, folder, monkeypatch):
    source = open_dataset(tiny)
    counts = []
    first = cached_split(source, "train", 32, folder, lambda *count: counts.append(count))
    assert counts == [(done, 8) for done in range(1, 9)]
    monkeypatch.setattr(type(source), "image", lambda self, image_id: pytest.fail("decoded"))
    again = cached_split(source, "train", 32, folder)
    assert again.folder == first.folder
    assert np.array_equal(again.pixels, first.pixels)


def test_each_size_and_split_has_its_own_cache(tiny, folder):
    source = open_dataset(tiny)
    folders = {cached_split(source, split, size, folder).folder for split in ("train", "val") for size in (32, 64)}
    assert len(folders) == 4


def test_changed_image_or_mask_gets_a_new_cache(tiny, folder):
    source = open_dataset(tiny)
    image_id = source.ids("train")[0]
    before = cached_split(source, "train", 32, folder)
    mask = source.mask(image_id).copy()
    mask[0, 0] = 20
    write_mask(source.mask_path(image_id), mask)
    changed = cached_split(source, "train", 32, folder)
    assert changed.folder != before.folder
    assert changed.mask(0)[0, 0] == 20
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(source.image_path(image_id))
    assert cached_split(source, "train", 32, folder).folder not in (before.folder, changed.folder)


def test_changed_reader_gets_a_new_cache(tiny, folder, monkeypatch):
    source = open_dataset(tiny)
    before = cached_split(source, "train", 32, folder).folder
    monkeypatch.setattr(cache_build, "READER_VERSION", cache_build.READER_VERSION + 1)
    assert cached_split(source, "train", 32, folder).folder != before


def test_mask_as_stored_is_turned_with_its_image(tiny, folder):
    source = open_dataset(tiny)
    image_id = source.ids("val")[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the stored left side is at the top
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32] = 255
    Image.fromarray(pixels).save(source.image_path(image_id), exif=exif, quality=100)
    write_mask(source.mask_path(image_id), pixels[..., 0] // 255 * 15)
    split = cached_split(source, "val", 32, folder)
    assert split.original_sizes[0] == (64, 32)
    assert (split.image(0)[:32] == 255).all()
    assert (split.original_mask(0)[:32] == 15).all()
    assert (split.original_mask(0)[32:] == 0).all()


def test_fingerprint_depends_on_content_and_order(tiny, tmp_path):
    source = open_dataset(tiny)
    ids = source.ids("train")

    def fingerprint_of(files):
        return fingerprint(content_hashes(files))

    files = split_contents(source, "train")
    before = fingerprint_of(files)
    split = cached_split(source, "train", 32, tmp_path)
    assert split.fingerprint == before
    assert split.take([1, 0]).fingerprint == fingerprint_of([files[1], files[0]])
    os.utime(source.image_path(ids[0]), (0, 0))  # another date, the same content
    assert fingerprint_of(files) == before
    assert fingerprint_of(files[::-1]) != before
    assert fingerprint_of(files[1:]) != before
    assert fingerprint_of(split_contents(source, "train", for_classification=True)) != before  # without masks
    moved = tiny.rename(tmp_path / "moved")
    assert fingerprint_of(split_contents(open_dataset(moved), "train")) == before


@pytest.mark.parametrize("name", ["images.bin", "masks.bin", "original_masks.bin", "index.json"])
def test_truncated_cache_is_built_again(tiny, folder, name):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 32, folder)
    pixels = np.array(split.pixels)
    os.truncate(split.folder / name, (split.folder / name).stat().st_size // 2)
    again = cached_split(source, "train", 32, folder)
    assert again.folder == split.folder
    assert np.array_equal(again.pixels, pixels)
    assert again.has_masks
    assert file_names(folder) == FILES


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"sizes": [[32]], "original_sizes": []}',
        '{"sizes": 3, "original_sizes": 3}',
        '{"ids": [], "sizes": [], "original_sizes": [], "mask_lengths": []}',
    ],
)
def test_cache_with_an_invalid_index_is_built_again(tiny, folder, text):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 32, folder)
    (split.folder / "index.json").write_text(text)
    assert cached_split(source, "train", 32, folder).ids == split.ids


def test_cache_without_a_file_is_built_again(tiny, folder):
    source = open_dataset(tiny)
    split = cached_split(source, "train", 32, folder)
    (split.folder / "masks.bin").unlink()
    assert cached_split(source, "train", 32, folder).has_masks


def test_mask_damaged_after_the_cache_was_opened_is_an_error(tiny, folder):
    split = cached_split(open_dataset(tiny), "train", 32, folder)
    path = split.folder / "original_masks.bin"
    path.chmod(0o600)
    with path.open("r+b") as stream:  # zeros of the same length; the open cache maps this file, so it reads them
        stream.write(bytes(len(split.compressed_masks)))
    with pytest.raises(RunError, match="was damaged: remove it"):
        split.original_mask(0)


def test_take_keeps_images_and_masks_together(tiny, folder):
    source = open_dataset(tiny)
    taken = cached_split(source, "train", 64, folder).take([5, 2])
    assert taken.original_sizes == ((32, 32), (32, 32))
    for index, image_id in enumerate(taken.ids):
        assert np.array_equal(taken.original_mask(index), source.mask(image_id))


def start_build(tiny: Path, folder: Path, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILD, str(tiny), str(folder), "complete"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("distributed", [False, True])
def test_one_of_several_processes_decodes(tiny, folder, distributed):
    ranks = [{"RANK": str(rank), "WORLD_SIZE": "3"} if distributed else {} for rank in range(3)]
    processes = [start_build(tiny, folder, **rank) for rank in ranks]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    counts = sorted(output.count("decoded") for output, _ in outputs)
    assert counts == [0, 0, 8]
    assert len({output.splitlines()[-1] for output, _ in outputs}) == 1  # the same folder and pixels
    assert file_names(folder) == FILES


def test_process_waits_for_the_lock(tiny, folder):
    source = open_dataset(tiny)
    path = cached_split(source, "train", 64, folder).folder
    shutil.rmtree(path)
    with FileLock(path.with_name(path.name + ".lock")):
        process = start_build(tiny, folder)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=5)
        assert entries(folder) == []
    output, error = process.communicate(timeout=100)
    assert process.returncode == 0, error
    assert output.count("decoded") == 8


def test_existing_cache_is_read_without_a_lock(tiny, folder):
    split = cached_split(open_dataset(tiny), "train", 32, folder)
    with FileLock(split.folder.with_name(split.folder.name + ".lock")):
        assert cached_split(open_dataset(tiny), "train", 32, folder).ids == split.ids


def test_cache_is_built_again_after_a_killed_process(tiny, folder):
    killed = subprocess.run([sys.executable, "-c", BUILD, str(tiny), str(folder), "killed"], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in entries(folder)] == [".part"]
    split = cached_split(open_dataset(tiny), "train", 64, folder)
    assert len(split) == 8
    assert split.mask(7).shape == (64, 64)
    assert file_names(folder) == FILES


def test_keyboard_interrupt_leaves_no_files(tiny, folder):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_split(open_dataset(tiny), "train", 32, folder, stop)
    assert entries(folder) == []


def test_mask_of_another_size_than_its_image_is_an_error(tiny, folder):
    source = open_dataset(tiny)
    image_id = source.ids("train")[2]
    write_mask(source.mask_path(image_id), np.zeros((32, 30)))
    with pytest.raises(DataError, match=f"{image_id}.png is 30 x 32 pixels, its image 32 x 32"):
        cached_split(source, "train", 32, folder)
    assert entries(folder) == []


def test_error_names_the_corrupt_image_and_leaves_no_files(tiny, folder):
    source = open_dataset(tiny)
    path = source.image_path(source.ids("train")[2])
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=str(path)):
        cached_split(source, "train", 32, folder)
    assert entries(folder) == []


def test_error_names_the_missing_mask(tiny, folder):
    source = open_dataset(tiny)
    path = source.mask_path(source.ids("train")[2])
    path.unlink()
    with pytest.raises(DataError, match=f"{path} cannot be read: No such file"):
        cached_split(source, "train", 32, folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_an_error_and_leaves_no_files(tiny, folder, monkeypatch):
    decode = cache_build._decode

    def decode_to_a_full_disk(source, files, size, part, on_image):
        (part / "images.bin").symlink_to("/dev/full")
        decode(source, files, size, part, on_image)

    monkeypatch.setattr(cache_build, "_decode", decode_to_a_full_disk)
    with pytest.raises(
        RunError, match=f"{folder} cannot hold the decoded images: No space left on device; .*--cache-dir"
    ):
        cached_split(open_dataset(tiny), "train", 32, folder)
    assert entries(folder) == []


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_read_only_cache_folder_is_an_error(tiny, folder, monkeypatch, error):
    def refuse(*args: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(RunError, match=f"cannot hold the decoded images: {os.strerror(error)}") as caught:
        cached_split(open_dataset(tiny), "train", 32, folder)
    assert "\n" not in str(caught.value)


def test_cache_folder_that_is_a_file_is_an_error(tiny, folder):
    folder.write_text("")
    with pytest.raises(RunError, match="cannot hold the decoded images"):
        cached_split(open_dataset(tiny), "train", 32, folder)


def test_split_without_masks_is_cached(tmp_path, folder):
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


def test_classification_split_has_no_masks(tiny, folder):
    source = open_dataset(tiny)
    for path in (tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass").iterdir():
        path.unlink()
    split = cached_split(source, "val", 32, folder, for_classification=True)
    assert split.ids == tuple(source.labels("val"))
    assert not split.has_masks


def test_image_that_is_listed_twice_is_decoded_once(tiny, folder):
    path = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("tiny_008\ntiny_009\ntiny_008\n")
    split = cached_split(open_dataset(tiny), "val", 32, folder)
    assert split.ids == ("tiny_008", "tiny_009")
