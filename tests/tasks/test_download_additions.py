"""VOC2007's test images and SBD, downloaded from a local server and added to the folder of their VOC year.

The archives have the layout of the real ones and images of 6 x 8 pixels. In VOC2012, a and b are in train, c in val, d and e
only in Main; SBD has masks of all of them but b.
"""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vocctl.config import DataConfig
from vocctl.data.audit import audit
from vocctl.data.images import mask_png, read_mask
from vocctl.data.releases import RELEASES, Release
from vocctl.data.splits import open_cls_splits, open_seg_splits
from vocctl.data.voc import VocData
from vocctl.errors import ConfigError, DataError, NetworkError
from vocctl.labels import CLASSES
from vocctl.tasks import download as task
from vocctl.tasks.download import default_root, download

SBD_FILES = "benchmark_RELEASE/dataset"
VOC_LABEL, SBD_LABEL = 15, 7  # every mask of VOC has the one, every mask of SBD the other


def jpeg(seed: str, size: tuple[int, int] = (6, 8)) -> bytes:
    noise = np.random.default_rng(list(seed.encode())).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, format="JPEG")
    return data.getvalue()


def voc_files(year: int, images: str, segmentation: dict[str, str], main: dict[str, str]) -> dict[str, bytes]:
    """Path -> content. segmentation, main: split -> its images, one letter each."""
    root = f"VOCdevkit/VOC{year}"
    files = {f"{root}/JPEGImages/{name}.jpg": jpeg(name) for name in images}
    for split, names in segmentation.items():
        files[f"{root}/ImageSets/Segmentation/{split}.txt"] = "".join(f"{name}\n" for name in names).encode()
        mask = mask_png(np.full((6, 8), VOC_LABEL, np.uint8))
        files |= {f"{root}/SegmentationClass/{name}.png": mask for name in names}
    for split, names in main.items():
        files[f"{root}/ImageSets/Main/{split}.txt"] = "".join(f"{name}\n" for name in names).encode()
        for class_name in CLASSES:
            value = " 1" if class_name == "person" else "-1"
            lines = "".join(f"{name} {value}\n" for name in names)
            files[f"{root}/ImageSets/Main/{class_name}_{split}.txt"] = lines.encode()
    return files


def mat(mask: np.ndarray) -> bytes:
    data = io.BytesIO()
    savemat(data, {"GTcls": {"Segmentation": mask, "CategoriesPresent": [7.0]}}, do_compression=True)
    return data.getvalue()


def sbd_files() -> dict[str, bytes]:
    files = {f"{SBD_FILES}/cls/{name}.mat": mat(np.full((6, 8), SBD_LABEL, np.uint8)) for name in "acde"}
    files |= {f"{SBD_FILES}/img/{name}.jpg": jpeg(name) for name in "acde"}
    lists = {f"{SBD_FILES}/train.txt": b"a\nc\n", f"{SBD_FILES}/val.txt": b"e\nd\n"}
    return files | lists | {"benchmark_RELEASE/benchmark_code_RELEASE/README": b"code"}


def write_tar(path: Path, files: dict[str, bytes], mode: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


YEARS = {
    "voc2007": voc_files(
        2007, "tuv", {"train": "t", "val": "u", "trainval": "tu"}, {"train": "t", "val": "uv", "trainval": "tuv"}
    ),
    "voc2012": voc_files(
        2012,
        "abcde",
        {"train": "ab", "val": "c", "trainval": "abc"},
        {"train": "abd", "val": "ce", "trainval": "abcde"},
    ),
}
TEST_FILES = voc_files(2007, "wxy", {"test": "w"}, {"test": "wxy"})
ARCHIVES = {"voc2007": "voc2007.tar", "voc2012": "voc2012.tar", "voc2007-test": "test.tar", "sbd": "benchmark.tgz"}


@dataclass(frozen=True)
class Server:
    """A local server of the four archives."""

    folder: Path
    url: str

    def releases(self) -> dict[str, Release]:
        """The table of releases with the archives' own addresses, md5 and no sizes."""
        return {
            name: replace(
                RELEASES[name],
                archive=file,
                md5=hashlib.md5((self.folder / file).read_bytes()).hexdigest(),
                urls=(f"{self.url}/{file}",),
                split_sizes={},
            )
            for name, file in ARCHIVES.items()
        }

    def download(self, what: str, root: Path) -> task.DownloadResult:
        return download(what, root, releases=self.releases())

    def replace_sbd(self, files: dict[str, bytes]) -> None:
        write_tar(self.folder / ARCHIVES["sbd"], files, "w:gz")


@pytest.fixture
def server(tmp_path: Path, serve_folder: Callable[[Path], str]) -> Server:
    folder = tmp_path / "server"
    for name, files in YEARS.items():
        write_tar(folder / ARCHIVES[name], files, "w")
    write_tar(folder / ARCHIVES["voc2007-test"], TEST_FILES, "w")
    write_tar(folder / ARCHIVES["sbd"], sbd_files(), "w:gz")
    return Server(folder, serve_folder(folder))


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_voc2007_test_is_added_to_voc2007(server, tmp_path):
    root = tmp_path / "data" / "voc2007"
    server.download("voc2007", root)
    before = tree(root)
    result = server.download("voc2007-test", root)
    assert (result.splits, result.skipped, result.note) == ({"Main/test": 3, "Segmentation/test": 1}, False, None)
    assert tree(root) == before | TEST_FILES
    assert [path.name for path in root.parent.iterdir()] == ["voc2007"]
    assert server.download("voc2007-test", root).skipped
    assert server.download("voc2007", root).skipped
    data = VocData.open(root)
    assert list(data.labels("test")) == ["w", "x", "y"]  # what train-cls --val-split test and eval --split test read
    assert data.ids("test") == ["w"]
    report = audit(root)
    assert report.problems == ()
    assert (report.splits["Main/test"], report.splits["Segmentation/test"]) == (3, 1)


def test_interrupted_merge_is_completed(server, tmp_path):
    root = tmp_path / "voc2007"
    server.download("voc2007", root)
    server.download("voc2007-test", root)
    whole = tree(root)
    (root / "VOCdevkit/VOC2007/ImageSets/Main/test.txt").unlink()
    (root / "VOCdevkit/VOC2007/JPEGImages/x.jpg").unlink()
    (root / "VOCdevkit/VOC2007/.part").mkdir()  # left by a process that was killed
    assert not server.download("voc2007-test", root).skipped
    assert tree(root) == whole
    (root / "VOCdevkit/VOC2007/JPEGImages/x.jpg").write_bytes(b"other")
    (root / "VOCdevkit/VOC2007/JPEGImages/y.jpg").unlink()
    with pytest.raises(DataError, match=r"x\.jpg already exists with other content"):
        server.download("voc2007-test", root)
    assert not (root / "VOCdevkit/VOC2007/JPEGImages/y.jpg").exists()


def voc2012_with_sbd(server: Server, root: Path) -> Path:
    server.download("voc2012", root)
    server.download("sbd", root)
    return root


def test_sbd_adds_trainaug_to_voc2012(server, tmp_path):
    root = tmp_path / "data" / "voc2012"
    server.download("voc2012", root)
    before = tree(root)
    result = server.download("sbd", root)
    assert (result.splits, result.skipped) == ({"Segmentation/trainaug": 4}, False)
    assert result.note is not None
    assert "4 images, in the literature 10582" in result.note
    devkit = "VOCdevkit/VOC2012"
    new = {f"{devkit}/SegmentationClassAug/{name}.png" for name in "de"} | {
        f"{devkit}/ImageSets/Segmentation/trainaug.txt"
    }
    assert {path: data for path, data in tree(root).items() if path not in new} == before
    assert set(tree(root)) == set(before) | new
    assert [path.name for path in root.parent.iterdir()] == ["voc2012"]
    data = VocData.open(root)
    assert data.ids("trainaug") == ["a", "b", "d", "e"]  # c is in VOC's val, though SBD trains on it
    labels = {name: np.unique(data.mask(name)).tolist() for name in data.ids("trainaug")}
    assert labels == {"a": [VOC_LABEL], "b": [VOC_LABEL], "d": [SBD_LABEL], "e": [SBD_LABEL]}
    assert read_mask(root / devkit / "SegmentationClassAug/d.png").shape == (6, 8)
    assert server.download("sbd", root).skipped


def test_no_note_if_trainaug_has_the_usual_size(server, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "NUM_IMAGES", 4)
    server.download("voc2012", tmp_path / "voc2012")
    assert server.download("sbd", tmp_path / "voc2012").note is None


def test_check_knows_trainaug(server, tmp_path):
    root = voc2012_with_sbd(server, tmp_path / "voc2012")
    assert audit(root).problems == ()
    assert audit(root).splits["Segmentation/trainaug"] == 4
    devkit = root / "VOCdevkit/VOC2012"
    (devkit / "SegmentationClassAug/d.png").unlink()
    (devkit / "ImageSets/Segmentation/trainaug.txt").write_text("a\nb\nc\nd\ne\n")
    problems = {problem.path.name: problem.reason for problem in audit(root).problems}
    assert set(problems) == {"d.png", "val.txt"}
    assert "lists c, which Segmentation/trainaug lists too" in problems["val.txt"]


def test_check_finds_test_images_in_trainval(server, tmp_path):
    root = tmp_path / "voc2007"
    server.download("voc2007", root)
    server.download("voc2007-test", root)
    path = root / "VOCdevkit/VOC2007/ImageSets/Segmentation/test.txt"
    path.write_text("w\nt\n")
    problems = audit(root).problems
    assert {problem.path.name for problem in problems} == {"test.txt"}
    assert "lists t, which Segmentation/train lists too" in problems[0].reason


@pytest.mark.parametrize(("what", "base"), [("sbd", "voc2012"), ("voc2007-test", "voc2007")])
def test_the_year_must_be_there(server, tmp_path, what, base):
    assert default_root(what) == Path("data") / base
    with pytest.raises(DataError, match=f"run `vocctl download {base} --out {tmp_path}/none` first"):
        server.download(what, tmp_path / "none")
    other = "voc2007" if base == "voc2012" else "voc2012"
    server.download(other, tmp_path / "other")
    with pytest.raises(DataError, match="expected VOC"):
        server.download(what, tmp_path / "other")


def test_archive_and_url_of_the_user(server, tmp_path):
    server.download("voc2012", tmp_path / "voc2012")
    archive = server.folder / ARCHIVES["sbd"]
    shutil.copytree(tmp_path / "voc2012", tmp_path / "other")
    assert not download("sbd", tmp_path / "voc2012", archive=archive, releases=server.releases()).skipped
    assert archive.is_file()
    releases = {name: replace(release, urls=()) for name, release in server.releases().items()}
    url = f"{server.url}/benchmark.tgz"
    assert not download("sbd", tmp_path / "other", urls=[url], releases=releases).skipped
    with pytest.raises(ConfigError, match="mutually exclusive"):
        download("sbd", tmp_path / "other", urls=[url], archive=archive, releases=releases)


def changed(**files: bytes | None) -> dict[str, bytes]:
    """SBD's files with some replaced, or left out if None. Keys: d_mat for cls/d.mat, val_txt for val.txt."""
    result = sbd_files()
    for key, content in files.items():
        stem, _, extension = key.partition("_")
        name = f"{SBD_FILES}/{'cls/' if extension == 'mat' else ''}{stem}.{extension}"
        result = {path: data for path, data in result.items() if path != name} | (
            {} if content is None else {name: content}
        )
    return result


MASK = np.full((6, 8), SBD_LABEL, np.uint8)
HOSTILE = {
    "not a .mat": (changed(d_mat=b"GIF89a" * 50), "cls/d.mat is not a MAT-file"),
    "bomb": (changed(d_mat=mat(np.zeros((3000, 3000), np.uint8))), "cls/d.mat decompresses to more than"),
    "label out of range": (changed(d_mat=mat(MASK + 14)), "cls/d.mat has label 21"),
    "another size than the image": (changed(d_mat=mat(MASK.T)), "cls/d.mat has 6 x 8 pixels"),
    "three dimensions": (changed(d_mat=mat(MASK[:, :, None].repeat(2, 2))), "expected uint8 of 2 dimensions"),
    "missing .mat": (changed(d_mat=None), "has no cls/d.mat"),
    "missing list": (changed(val_txt=None), "has no benchmark_RELEASE/dataset/val.txt"),
    "list is not text": (changed(val_txt=b"\xff\xfe\x00"), "cannot be read as a list"),
    "id with a folder": (changed(val_txt=b"d\n../../evil\n"), "'../../evil'"),
    "unknown image": (changed(val_txt=b"d\nz\n", z_mat=mat(MASK)), "z.jpg is missing"),
    "path outside of the folder": (sbd_files() | {f"{SBD_FILES}/cls/../../../evil.mat": b""}, "outside of the output folder"),
    "absolute path": (sbd_files() | {"/evil.mat": b""}, "outside of the output folder"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_sbd_is_one_line_and_changes_nothing(server, tmp_path, files, reason):
    root = tmp_path / "voc2012"
    server.download("voc2012", root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    server.replace_sbd(files)
    with pytest.raises(DataError) as caught:
        server.download("sbd", root)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before
    assert not (root / "VOCdevkit/VOC2012/SegmentationClassAug").exists()
    assert not (root / "VOCdevkit/VOC2012/.part").exists()


@pytest.mark.parametrize("what", ["sbd", "voc2007-test"])
def test_wrong_and_truncated_archives(server, tmp_path, what):
    root = tmp_path / "root"
    server.download(RELEASES[what].base, root)
    before = tree(root)
    path, right = server.folder / ARCHIVES[what], server.releases()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NetworkError, match="another md5"):
        download(what, root, releases=right)
    with pytest.raises(DataError, match="md5"):
        download(what, root, archive=path, releases=right)
    with pytest.raises(DataError, match="is not a valid tar archive"):  # its md5 is right, its end is missing
        server.download(what, root)
    assert tree(root) == before


def test_masks_of_another_source_are_not_replaced(server, tmp_path):
    root = tmp_path / "voc2012"
    server.download("voc2012", root)
    other = root / "VOCdevkit/VOC2012/SegmentationClassAug/d.png"
    other.parent.mkdir()
    other.write_bytes(b"other")
    with pytest.raises(DataError, match=r"d\.png already exists with other content"):
        server.download("sbd", root)
    assert other.read_bytes() == b"other"
    assert not (root / "VOCdevkit/VOC2012/ImageSets/Segmentation/trainaug.txt").exists()


def test_runs_can_use_the_new_splits(server, tmp_path):
    """What train-seg --train-split trainaug, and train-cls with --train-split trainval --val-split test, train on."""
    small = {"size": 32, "cache_dir": str(tmp_path / "cache")}
    voc2012 = voc2012_with_sbd(server, tmp_path / "voc2012")
    seg = open_seg_splits(DataConfig(path=str(voc2012), train_split="trainaug", **small))
    assert (seg.train.images.ids, seg.val.images.ids) == (("a", "b", "d", "e"), ("c",))
    assert seg.train.targets.argmax(axis=1).tolist() == [VOC_LABEL - 1, VOC_LABEL - 1, SBD_LABEL - 1, SBD_LABEL - 1]
    for what in ("voc2007", "voc2007-test"):
        server.download(what, tmp_path / "voc2007")
    cls = open_cls_splits(DataConfig(path=str(tmp_path / "voc2007"), train_split="trainval", val_split="test", **small))
    assert (cls.train.images.ids, cls.val.images.ids) == (("t", "u", "v"), ("w", "x", "y"))
    assert cls.val.targets.sum(axis=0).tolist() == [3 * (name == "person") for name in CLASSES]
