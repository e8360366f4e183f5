"""The download task with a tar of 3 images, from a local server or given by the user."""

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vocctl.data import shapes
from vocctl.data.archive import OnProgress
from vocctl.data.audit import audit
from vocctl.data.releases import Release
from vocctl.data.tar_archive import unpack_tar
from vocctl.errors import ConfigError, DataError, NetworkError
from vocctl.tasks import download as task
from vocctl.tasks.download import DownloadProgress, download

SIZES = {f"{lists}/{split}": size for lists in ("Main", "Segmentation") for split, size in
         {"train": 2, "val": 1, "trainval": 3}.items()}  # fmt: skip


def make_tar(path: Path, base: str = "VOCdevkit", train: str = "ab") -> Path:
    tree = path.parent / f"{path.stem}-tree" / base / "VOC2009"
    for name in "abc":
        for file in (f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"):
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_bytes(name.encode() * 500)
    for lists in ("Main", "Segmentation"):
        (tree / "ImageSets" / lists).mkdir(parents=True)
        for split, ids in {"train": train, "val": "c", "trainval": "abc"}.items():
            (tree / "ImageSets" / lists / f"{split}.txt").write_text("\n".join(ids))
    with tarfile.open(path, "w") as tar:
        tar.add(path.parent / f"{path.stem}-tree" / base.split("/")[0], arcname=base.split("/")[0])
    return path


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    (tmp_path / "server").mkdir()
    return make_tar(tmp_path / "server" / "voc.tar")


@pytest.fixture
def address(tar: Path, serve_folder: Callable[[Path], str]) -> str:
    return f"{serve_folder(tar.parent)}/voc.tar"


def releases_of(tar: Path, *urls: str) -> dict[str, Release]:
    md5 = hashlib.md5(tar.read_bytes()).hexdigest()
    return {"voc2009": Release(year=2009, archive="voc.tar", md5=md5, urls=urls, split_sizes=SIZES)}


def test_archive_is_downloaded_unpacked_checked_and_deleted(tar, address, tmp_path):
    fetch_counts, unpack_counts = [], []
    progress = DownloadProgress(
        on_fetch=lambda *count: fetch_counts.append(count), on_unpack=lambda *count: unpack_counts.append(count)
    )
    root = tmp_path / "data" / "voc2009"
    result = download("voc2009", root, releases=releases_of(tar, address), progress=progress)
    assert (result.root, result.splits, result.skipped) == (root, SIZES, False)
    assert (root / "VOCdevkit/VOC2009/JPEGImages/a.jpg").read_bytes() == b"a" * 500
    assert [path.name for path in root.parent.iterdir()] == ["voc2009"]
    size = tar.stat().st_size
    assert fetch_counts[-1] == (size, size)
    assert unpack_counts[-1][1] == size


def test_complete_data_set_is_left_unchanged(tar, address, tmp_path):
    root = tmp_path / "data" / "voc2009"
    download("voc2009", root, releases=releases_of(tar, address))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = download("voc2009", root, releases=releases_of(tar, "http://127.0.0.1:1/never-requested"))
    assert again.skipped
    assert again.splits == SIZES
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_url_replaces_the_addresses_of_the_release(tar, address, tmp_path):
    assert not download("voc2009", tmp_path / "a", urls=[address], releases=releases_of(tar)).skipped
    with pytest.raises(NetworkError, match="HTTP 404") as caught:
        download("voc2009", tmp_path / "b", urls=[address + "x"], releases=releases_of(tar, address))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_archive_of_the_user_is_checked_and_not_deleted(tar, tmp_path):
    result = download("voc2009", tmp_path / "out", archive=tar, releases=releases_of(tar))
    assert result.splits == SIZES
    assert not result.skipped
    assert tar.is_file()


def test_corrupt_archive_is_refused_and_not_deleted(tar, tmp_path):
    releases = releases_of(tar)
    tar.write_bytes(tar.read_bytes()[:-1])
    with pytest.raises(DataError, match="md5"):
        download("voc2009", tmp_path / "out", archive=tar, releases=releases)
    assert tar.is_file()
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="is not a file"):
        download("voc2009", tmp_path / "out", archive=tmp_path / "none.tar", releases=releases)


def test_voc2011_is_under_trainval(tmp_path):
    tar = make_tar(tmp_path / "voc.tar", base="TrainVal/VOCdevkit")
    assert download("voc2009", tmp_path / "out", archive=tar, releases=releases_of(tar)).splits == SIZES
    assert download("voc2009", tmp_path / "out", archive=tar, releases=releases_of(tar)).skipped


def test_archive_with_other_splits(tmp_path):
    tar = make_tar(tmp_path / "voc.tar", train="a")
    with pytest.raises(DataError, match=r"lists 1 images, expected 2") as caught:
        download("voc2009", tmp_path / "out", archive=tar, releases=releases_of(tar))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["voc2009", "shapes"])
def test_folder_with_other_files_is_left_unchanged(what, tar, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("text")
    with pytest.raises(DataError) as caught:
        download(what, tmp_path / "out", releases=releases_of(tar, "http://127.0.0.1:1/never-requested"))
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="is a file"):
        download(what, tmp_path / "out" / "thesis.txt", releases=releases_of(tar))


def test_interrupted_unpacking_does_not_download_again(tar, address, tmp_path, monkeypatch):
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "unpack_tar", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download("voc2009", tmp_path / "data" / "voc2009", releases=releases_of(tar, address))
    assert not (tmp_path / "data" / "voc2009").exists()
    monkeypatch.setattr(task, "unpack_tar", unpack_tar)
    releases = releases_of(tar, address)
    tar.unlink()  # the server does not have it any more
    assert download("voc2009", tmp_path / "data" / "voc2009", releases=releases).splits == SIZES


def test_invalid_names_and_flags(tmp_path):
    with pytest.raises(ConfigError, match="did you mean voc2009") as caught:
        download("voc209", tmp_path / "out")
    assert "shapes" in str(caught.value)
    with pytest.raises(ConfigError, match="known are"):
        download("imagenet", tmp_path / "out")
    with pytest.raises(ConfigError, match="mutually exclusive"):
        download("voc2009", tmp_path / "out", urls=["http://host/a"], archive=tmp_path / "a")
    with pytest.raises(ConfigError, match="generated"):
        download("shapes", tmp_path / "out", urls=["http://host/a"])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def generated_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the calls of a generator of shapes that is replaced by one of 2 training images and 1 validation
    image.
    """
    seeds: list[int] = []

    def generate(root: Path, *, seed: int, train: int, val: int, on_image: OnProgress | None) -> None:
        seeds.append(seed)
        make_tar(tmp_path / "shapes.tar")
        (tmp_path / "shapes-tree").rename(root)
        if on_image is not None:
            on_image(train + val, train + val)

    monkeypatch.setattr(shapes, "draw_dataset", generate, raising=False)
    monkeypatch.setattr(task, "SHAPES_SIZES", {"train": 2, "val": 1})
    return seeds


def test_shapes_are_generated_once(generated_seeds, tmp_path):
    counts = []
    result = download(
        "shapes", tmp_path / "out", seed=5, progress=DownloadProgress(on_image=lambda *count: counts.append(count))
    )
    assert (result.splits, result.skipped) == ({"train": 2, "val": 1}, False)
    assert (generated_seeds, counts) == ([5], [(3, 3)])
    assert download("shapes", tmp_path / "out", seed=5).skipped
    assert generated_seeds == [5]


def test_folder_with_other_images_than_the_shapes(generated_seeds, tmp_path, monkeypatch):
    download("shapes", tmp_path / "out")
    monkeypatch.setattr(task, "SHAPES_SIZES", {"train": 4, "val": 1})
    with pytest.raises(DataError, match="train 2, val 1; expected train 4, val 1"):
        download("shapes", tmp_path / "out")


def test_real_shapes(tmp_path, monkeypatch):
    monkeypatch.setattr(task, "SHAPES_SIZES", {"train": 3, "val": 2})
    counts = []
    download("shapes", tmp_path / "out", progress=DownloadProgress(on_image=lambda *count: counts.append(count)))
    assert counts[-1] == (5, 5)
    assert audit(tmp_path / "out").problems == ()
    assert download("shapes", tmp_path / "out").skipped
