"""The download task on a tar of 3 images, served from a loopback address or brought by the user."""

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vocctl.data import shapes
from vocctl.data.archive import OnBytes, unpack
from vocctl.data.audit import audit
from vocctl.data.releases import Release
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
def address(tar: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tar.parent))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/voc.tar"
    http.shutdown()
    http.server_close()


def tiny(tar: Path, *urls: str) -> dict[str, Release]:
    md5 = hashlib.md5(tar.read_bytes()).hexdigest()
    return {"voc2009": Release(year=2009, archive="voc.tar", md5=md5, urls=urls, split_sizes=SIZES)}


def test_fetched_unpacked_checked_and_the_archive_is_gone(tar, address, tmp_path):
    fetched, unpacked = [], []
    progress = DownloadProgress(
        on_fetch=lambda *seen: fetched.append(seen), on_unpack=lambda *seen: unpacked.append(seen)
    )
    root = tmp_path / "data" / "voc2009"
    result = download("voc2009", root, releases=tiny(tar, address), progress=progress)
    assert (result.root, result.splits, result.skipped) == (root, SIZES, False)
    assert (root / "VOCdevkit/VOC2009/JPEGImages/a.jpg").read_bytes() == b"a" * 500
    assert [path.name for path in root.parent.iterdir()] == ["voc2009"]
    size = tar.stat().st_size
    assert fetched[-1] == (size, size)
    assert unpacked[-1][1] == size


def test_a_second_run_does_nothing(tar, address, tmp_path):
    root = tmp_path / "data" / "voc2009"
    download("voc2009", root, releases=tiny(tar, address))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = download("voc2009", root, releases=tiny(tar, "http://127.0.0.1:1/never-asked"))
    assert again.skipped
    assert again.splits == SIZES
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_an_address_that_is_given_is_the_only_one(tar, address, tmp_path):
    assert not download("voc2009", tmp_path / "a", urls=[address], releases=tiny(tar)).skipped
    with pytest.raises(NetworkError, match="HTTP 404") as caught:
        download("voc2009", tmp_path / "b", urls=[address + "x"], releases=tiny(tar, address))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_an_archive_of_the_users_own_is_checked_and_kept(tar, tmp_path):
    result = download("voc2009", tmp_path / "out", archive=tar, releases=tiny(tar))
    assert result.splits == SIZES
    assert not result.skipped
    assert tar.is_file()


def test_a_damaged_archive_is_refused_and_kept(tar, tmp_path):
    releases = tiny(tar)
    tar.write_bytes(tar.read_bytes()[:-1])
    with pytest.raises(DataError, match="md5"):
        download("voc2009", tmp_path / "out", archive=tar, releases=releases)
    assert tar.is_file()
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="is no file"):
        download("voc2009", tmp_path / "out", archive=tmp_path / "none.tar", releases=releases)


def test_voc2011s_tree_is_found(tmp_path):
    tar = make_tar(tmp_path / "voc.tar", base="TrainVal/VOCdevkit")
    assert download("voc2009", tmp_path / "out", archive=tar, releases=tiny(tar)).splits == SIZES
    assert download("voc2009", tmp_path / "out", archive=tar, releases=tiny(tar)).skipped


def test_an_archive_with_other_splits_says_found_and_expected(tmp_path):
    tar = make_tar(tmp_path / "voc.tar", train="a")
    with pytest.raises(DataError, match=r"lists 1 images, 2 were expected") as caught:
        download("voc2009", tmp_path / "out", archive=tar, releases=tiny(tar))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["voc2009", "shapes"])
def test_a_folder_that_holds_something_else_is_left_alone(what, tar, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError) as caught:
        download(what, tmp_path / "out", releases=tiny(tar, "http://127.0.0.1:1/never-asked"))
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="is a file"):
        download(what, tmp_path / "out" / "thesis.txt", releases=tiny(tar))


def test_an_interrupted_unpacking_does_not_fetch_again(tar, address, tmp_path, monkeypatch):
    def killed(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "unpack", killed)
    with pytest.raises(KeyboardInterrupt):
        download("voc2009", tmp_path / "data" / "voc2009", releases=tiny(tar, address))
    assert not (tmp_path / "data" / "voc2009").exists()
    monkeypatch.setattr(task, "unpack", unpack)
    releases = tiny(tar, address)
    tar.unlink()  # the server has it no more
    assert download("voc2009", tmp_path / "data" / "voc2009", releases=releases).splits == SIZES


def test_names_and_flags_that_make_no_sense(tmp_path):
    with pytest.raises(ConfigError, match="did you mean voc2009") as caught:
        download("voc209", tmp_path / "out")
    assert "shapes" in str(caught.value)
    with pytest.raises(ConfigError, match="known are"):
        download("imagenet", tmp_path / "out")
    with pytest.raises(ConfigError, match="exclude each other"):
        download("voc2009", tmp_path / "out", urls=["http://host/a"], archive=tmp_path / "a")
    with pytest.raises(ConfigError, match="drawn"):
        download("shapes", tmp_path / "out", urls=["http://host/a"])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that were drawn with, by a stand-in that draws 2 images to train on and 1 to validate."""
    seeds: list[int] = []

    def draw(root: Path, *, seed: int, train: int, val: int, on_image: OnBytes | None) -> None:
        seeds.append(seed)
        make_tar(tmp_path / "drawn.tar")
        (tmp_path / "drawn-tree").rename(root)
        if on_image is not None:
            on_image(train + val, train + val)

    monkeypatch.setattr(shapes, "draw_dataset", draw, raising=False)
    monkeypatch.setattr(task, "SHAPES", {"train": 2, "val": 1})
    return seeds


def test_shapes_are_drawn_once(drawn, tmp_path):
    seen = []
    result = download(
        "shapes", tmp_path / "out", seed=5, progress=DownloadProgress(on_image=lambda *counts: seen.append(counts))
    )
    assert (result.splits, result.skipped) == ({"train": 2, "val": 1}, False)
    assert (drawn, seen) == ([5], [(3, 3)])
    assert download("shapes", tmp_path / "out", seed=5).skipped
    assert drawn == [5]


def test_a_folder_with_other_images_than_the_shapes(drawn, tmp_path, monkeypatch):
    download("shapes", tmp_path / "out")
    monkeypatch.setattr(task, "SHAPES", {"train": 4, "val": 1})
    with pytest.raises(DataError, match="train 2, val 1; train 4, val 1 expected"):
        download("shapes", tmp_path / "out")


def test_real_shapes(tmp_path, monkeypatch):
    monkeypatch.setattr(task, "SHAPES", {"train": 3, "val": 2})
    seen = []
    download("shapes", tmp_path / "out", progress=DownloadProgress(on_image=lambda *counts: seen.append(counts)))
    assert seen[-1] == (5, 5)
    assert audit(tmp_path / "out").problems == ()
    assert download("shapes", tmp_path / "out").skipped
