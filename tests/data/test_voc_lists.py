"""Lists of a devkit: ids with blanks, byte-order marks, lists of another kind, and the line that an error names."""

from pathlib import Path

import pytest

from vocctl.data.audit import audit
from vocctl.data.voc import VocData
from vocctl.data.voc_lists import read_ids
from vocctl.errors import DataError
from vocctl.labels import CLASSES

IMAGES = {"a", "b", "my image 1", "my image"}


@pytest.fixture
def id_list(tmp_path: Path) -> Path:
    return tmp_path / "train.txt"


def test_an_id_may_have_blanks(id_list):
    id_list.write_text("my image 1\n  a \n\nnot there\n")
    assert read_ids(id_list, IMAGES) == ["my image 1", "a", "not there"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_byte_order_marks_are_not_part_of_an_id(id_list, newline):
    id_list.write_bytes(f"\ufeffa{newline}\ufeffb{newline}".encode())  # the second one from a list that was appended
    assert read_ids(id_list, IMAGES) == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings_are_refused(id_list, encoding):
    id_list.write_text("a\nü\n", encoding=encoding)
    with pytest.raises(DataError, match="cannot be read as text: save it as UTF-8"):
        read_ids(id_list, IMAGES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a -1", "'a -1' is a line of a class list .*: this list has one id a line, remove the second column"),
        ("b  1", "is a line of a class list"),
        ("missing -1", "is a line of a class list"),
        ("my image 0", "is a line of a class list"),
        ("a b", "'a b' is 2 ids: a list has one id a line"),
        ("a.jpg", "lists 'a.jpg': an id has no ending, write 'a'"),
        ("a.JPEG", "an id has no ending"),
        ("../a", "an id is a file name without its folder"),
        ("JPEGImages/a.jpg SegmentationClass/a.png", "an id is a file name without its folder .* write 'a'"),
        ("/home/x/VOC/JPEGImages/a.jpg", "write 'a'"),
        (r"C:\VOC\JPEGImages\b.JPG", "write 'b'"),
        (r"C:\VOC\missing", "an id is a file name without its folder, fix the list"),
        ("b.jpg b.png", "write 'b'"),
        ("'a',", "write 'a'"),
        ('"a"', "write 'a'"),
        ("0,a", "write 'a'"),
        ("a  # blurred", "write 'a'"),
        ("\u200ba", "write 'a'"),
        ("# train", "'# train' is a comment: a list has ids alone, remove the line"),
    ],
)
def test_an_error_names_the_line(id_list, line, message):
    id_list.write_text(f"a\n\n{line}\n")
    with pytest.raises(DataError, match=rf"train\.txt, line 3: .*{message}"):
        read_ids(id_list, IMAGES)


def test_values_are_dropped_where_a_list_may_have_them(id_list):
    id_list.write_text("a -1\nmy image 1\nmy image 1  1\nb\n")
    assert read_ids(id_list, IMAGES, has_values=True) == ["a", "my image 1", "my image 1", "b"]


@pytest.fixture
def labeled(tiny) -> Path:
    """The devkit of tiny, whose image tiny_008 (of val) is called "my image 1" instead."""
    devkit = tiny / "VOCdevkit" / "VOC2009"
    for path in [*devkit.glob("JPEGImages/tiny_008.*"), *devkit.glob("SegmentationClass/tiny_008.*")]:
        path.rename(path.with_stem("my image 1"))
    for path in (devkit / "ImageSets").rglob("*val.txt"):
        path.write_text(path.read_text().replace("tiny_008", "my image 1"), encoding="utf-8-sig")
    return devkit


def test_ids_with_blanks_have_class_labels(labeled):
    assert list(VocData(labeled, "tiny").labels("val")) == ["my image 1", "tiny_009", "tiny_010", "tiny_011"]
    assert VocData(labeled, "tiny").ids("val") == ["my image 1", "tiny_009", "tiny_010", "tiny_011"]


def test_ids_are_those_of_the_files(labeled):
    """One image is one id, however the lists write it."""
    path = labeled / "ImageSets" / "Main" / "cat_val.txt"
    path.write_text(path.read_text().replace("my image 1", "My Image 1"))
    path = labeled / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text(path.read_text() + "TINY_009\n")
    data = VocData(labeled, "tiny")
    assert data.ids("val") == list(data.labels("val")) == ["my image 1", "tiny_009", "tiny_010", "tiny_011"]
    (problem,) = audit(labeled).problems
    assert problem.reason == "lists tiny_009 more than once: remove the duplicates"


def test_repeated_rows_count_once_with_one_note(labeled, caplog):
    lists = labeled / "ImageSets" / "Main"
    for name in CLASSES:
        path = lists / f"{name}_val.txt"
        path.write_text(path.read_text() * 2)
    assert list(VocData(labeled, "tiny").labels("val")) == ["my image 1", "tiny_009", "tiny_010", "tiny_011"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{lists}/aeroplane_val.txt lists my image 1, tiny_009, tiny_010 and 1 more ids more than once: each image is used once"
    ]


@pytest.mark.parametrize("value", ["+1", "1.0", "\t1"])
def test_other_ways_to_write_1(labeled, value):
    before = VocData(labeled, "tiny").labels("val")
    for name in CLASSES:
        path = labeled / "ImageSets" / "Main" / f"{name}_val.txt"
        path.write_text(
            "".join(
                f"{line[:-2]}{value}\n" if line.endswith(" 1") else f"{line}\n"
                for line in path.read_text().splitlines()
            )
        )
    after = VocData(labeled, "tiny").labels("val")
    assert [row.tolist() for row in after.values()] == [row.tolist() for row in before.values()]


def test_class_lists_with_endings(labeled):
    for name in CLASSES:
        path = labeled / "ImageSets" / "Main" / f"{name}_val.txt"
        path.write_text(path.read_text().replace("tiny_010", "tiny_010.jpg"))
    message = "line 3: lists 'tiny_010.jpg': an id has no ending, write 'tiny_010'"
    with pytest.raises(DataError, match=rf"aeroplane_val\.txt, {message}"):
        VocData(labeled, "tiny").labels("val")
    problems = audit(labeled).problems
    assert {problem.reason for problem in problems} == {message}
    assert len(problems) == 20


def test_class_lists_that_contradict_themselves(labeled):
    path = labeled / "ImageSets" / "Main" / "cat_val.txt"
    path.write_text(path.read_text() + "tiny_009  1\n")
    with pytest.raises(
        DataError, match=r"cat_val\.txt, line 5: tiny_009 is listed twice, with 1 and on line 2 with -1"
    ):
        VocData(labeled, "tiny").labels("val")
