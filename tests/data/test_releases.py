"""The table of releases, and when a folder has a complete release."""

import ast
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

from vocctl.data.releases import RELEASES, SBD, Release, check_release
from vocctl.errors import DataError

TINY = Release(year=2009, archive="tiny.tar", md5="", urls=(), split_sizes={"Main/train": 2, "Segmentation/val": 1})


def test_each_archive_of_voc_has_three_addresses():
    years = [f"voc{year}" for year in range(2007, 2013)]
    assert list(RELEASES) == ["voc2007", "voc2007-test", *years[1:], "sbd"]
    for name in (*years, "voc2007-test"):
        release = RELEASES[name]
        assert re.fullmatch(r"[0-9a-f]{32}", release.md5)
        assert [re.sub(r"^https?://([^/]+)/.*", r"\1", url) for url in release.urls] == [
            "thor.robots.ox.ac.uk", "host.robots.ox.ac.uk", "web.archive.org"
        ]  # fmt: skip
        assert all(url.endswith(f"/pascal/VOC/{release.base}/{release.archive}") for url in release.urls)
    assert len({release.md5 for release in RELEASES.values()}) == 8


def test_voc2009():
    release = RELEASES["voc2009"]
    assert release.md5 == "a3e00b113cfcfebf17e343f59da3caa1"  # not 59065e4b..., which many forks still have
    assert release.archive == "VOCtrainval_11-May-2009.tar"
    assert release.split_sizes == {
        "Main/train": 3473, "Main/val": 3581, "Main/trainval": 7054,
        "Segmentation/train": 749, "Segmentation/val": 750, "Segmentation/trainval": 1499,
    }  # fmt: skip


def test_names_and_md5_equal_torchvisions():
    package = importlib.util.find_spec("torchvision")  # read instead of imported, which would take seconds
    assert package is not None
    assert package.submodule_search_locations is not None
    datasets = Path(package.submodule_search_locations[0]) / "datasets"
    table = next(
        node for node in ast.walk(ast.parse((datasets / "voc.py").read_text())) if isinstance(node, ast.Assign)
    )
    entries = ast.unparse(table.value).split("base_dir")  # the entry of an archive ends with its base_dir
    for release in RELEASES.values():
        if release is not SBD:
            entry = next(entry for entry in entries if f"/voc{release.year}/{release.archive}" in entry)
            assert f"'url': '{release.urls[0]}'" in entry
            assert f"'md5': '{release.md5}'" in entry
    source = (datasets / "sbd.py").read_text()
    assert f'url = "{SBD.urls[0]}"' in source
    assert f'md5 = "{SBD.md5}"' in source
    assert f'filename = "{SBD.archive}"' in source


def test_complete_release(devkit):
    sizes = {"Main/train": 2, "Main/val": 1, "Main/trainval": 3}
    sizes |= {key.replace("Main", "Segmentation"): size for key, size in sizes.items()}
    assert check_release(devkit.parent.parent, TINY) == sizes
    assert check_release(devkit, TINY) == sizes  # the folder of the year may be given, too


def test_voc2011_is_under_trainval(devkit):
    root = devkit.parent.parent
    (root / "TrainVal").mkdir()
    devkit.rename(devkit.with_name("VOC2011"))
    devkit.parent.rename(root / "TrainVal" / "VOCdevkit")
    assert check_release(root, replace(TINY, year=2011))["Main/trainval"] == 3


def error_of(devkit, release=TINY) -> str:
    with pytest.raises(DataError) as caught:
        check_release(devkit.parent.parent, release)
    assert "\n" not in str(caught.value)
    assert "--out" in str(caught.value)
    return str(caught.value)


def test_wrong_number_of_images(devkit):
    assert "train.txt lists 2 images, expected 749" in error_of(
        devkit, replace(TINY, split_sizes={"Segmentation/train": 749})
    )


def test_empty_list_of_unknown_size(devkit):
    (devkit / "ImageSets/Segmentation/train.txt").write_text("\n")
    assert "lists 0 images, expected at least 1" in error_of(devkit)


@pytest.mark.parametrize("name", ["ImageSets/Main/val.txt", "JPEGImages/b.jpg", "SegmentationClass/c.png"])
def test_error_names_the_missing_file(devkit, name):
    (devkit / name).unlink()
    assert f"{name} is missing" in error_of(devkit)


def test_error_names_the_expected_year(devkit):
    assert "contains VOC2009, expected VOC2012" in error_of(devkit, replace(TINY, year=2012))


def test_folder_without_a_devkit(devkit):
    (devkit / "JPEGImages").rename(devkit / "images")
    assert "contains no devkit, or several; expected VOC2009" in error_of(devkit)


def test_list_that_is_not_text(devkit):
    (devkit / "ImageSets/Main/train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"train\.txt cannot be read as text"):
        check_release(devkit, TINY)
