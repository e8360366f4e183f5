"""The table of releases, and what makes a folder a whole release."""

import ast
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

from vocctl.data.releases import RELEASES, Release, check_release
from vocctl.errors import DataError

TINY = Release(year=2009, archive="tiny.tar", md5="", urls=(), split_sizes={"Main/train": 2, "Segmentation/val": 1})


def test_six_years_with_three_addresses_each():
    assert list(RELEASES) == [f"voc{year}" for year in range(2007, 2013)]
    for name, release in RELEASES.items():
        assert re.fullmatch(r"[0-9a-f]{32}", release.md5)
        assert [re.sub(r"^https?://([^/]+)/.*", r"\1", url) for url in release.urls] == [
            "thor.robots.ox.ac.uk", "host.robots.ox.ac.uk", "web.archive.org"
        ]  # fmt: skip
        assert all(url.endswith(f"/pascal/VOC/{name}/{release.archive}") for url in release.urls)
    assert len({release.md5 for release in RELEASES.values()}) == 6


def test_voc2009_is_the_one_that_the_facts_name():
    release = RELEASES["voc2009"]
    assert release.md5 == "a3e00b113cfcfebf17e343f59da3caa1"  # not 59065e4b..., which many forks still carry
    assert release.archive == "VOCtrainval_11-May-2009.tar"
    assert release.split_sizes == {
        "Main/train": 3473, "Main/val": 3581, "Main/trainval": 7054,
        "Segmentation/train": 749, "Segmentation/val": 750, "Segmentation/trainval": 1499,
    }  # fmt: skip


def test_names_and_md5_are_torchvisions():
    package = importlib.util.find_spec("torchvision")  # read, not imported: it would bring torch in
    assert package is not None
    assert package.submodule_search_locations is not None
    source = (Path(package.submodule_search_locations[0]) / "datasets" / "voc.py").read_text()
    table = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)).value
    years = ast.unparse(table).split("base_dir")  # a piece per year ends with its base_dir
    for release in RELEASES.values():
        piece = next(piece for piece in years if f"/voc{release.year}/VOCtrainval" in piece)
        assert f"'url': '{release.urls[0]}'" in piece
        assert f"'md5': '{release.md5}'" in piece


def test_a_whole_release(devkit):
    found = {"Main/train": 2, "Main/val": 1, "Main/trainval": 3}
    found |= {key.replace("Main", "Segmentation"): size for key, size in found.items()}
    assert check_release(devkit.parent.parent, TINY) == found
    assert check_release(devkit, TINY) == found  # the year's own folder may be named, too


def test_voc2011_lies_under_trainval(devkit):
    root = devkit.parent.parent
    (root / "TrainVal").mkdir()
    devkit.rename(devkit.with_name("VOC2011"))
    devkit.parent.rename(root / "TrainVal" / "VOCdevkit")
    assert check_release(root, replace(TINY, year=2011))["Main/trainval"] == 3


def faults(devkit, release=TINY) -> str:
    with pytest.raises(DataError) as caught:
        check_release(devkit.parent.parent, release)
    assert "\n" not in str(caught.value)
    assert "--out" in str(caught.value)
    return str(caught.value)


def test_other_sizes_are_named(devkit):
    assert "train.txt lists 2 images, 749 were expected" in faults(
        devkit, replace(TINY, split_sizes={"Segmentation/train": 749})
    )


def test_an_empty_list_without_a_known_size(devkit):
    (devkit / "ImageSets/Segmentation/train.txt").write_text("\n")
    assert "lists 0 images, at least 1 was expected" in faults(devkit)


@pytest.mark.parametrize("lost", ["ImageSets/Main/val.txt", "JPEGImages/b.jpg", "SegmentationClass/c.png"])
def test_a_missing_file_is_named(devkit, lost):
    (devkit / lost).unlink()
    assert f"{lost} is missing" in faults(devkit)


def test_another_year_is_named(devkit):
    assert "holds VOC2009, VOC2012 was expected" in faults(devkit, replace(TINY, year=2012))


def test_a_folder_of_something_else(devkit):
    (devkit / "JPEGImages").rename(devkit / "images")
    assert "holds no VOC2009" in faults(devkit)


def test_a_list_that_is_not_text(devkit):
    (devkit / "ImageSets/Main/train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"train\.txt is no list"):
        check_release(devkit, TINY)
