"""Class names of annotation tools that contradict VOC's labels are a problem, those that agree are not."""

import re

import pytest

from vocctl.data.audit import audit
from vocctl.data.class_names import class_name_problems
from vocctl.data.source import open_dataset
from vocctl.labels import CLASSES, PALETTE, SEG_CLASSES


def labelmap(names: tuple[str, ...]) -> str:
    """CVAT's file with the colors of VOC's first labels."""
    rows = [f"{name}:{red},{green},{blue}::\n" for name, (red, green, blue) in zip(names, PALETTE, strict=False)]
    return "# label:color_rgb:parts:actions\n" + "".join(rows)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("class_names.txt", "__ignore__\n_background_\nperson\n", "names label 1 person, which is aeroplane in VOC"),
        ("class_names.txt", "\n".join([*SEG_CLASSES, "mug"]), "names label 21, which VOC does not have"),
        (
            "labelmap.txt",
            labelmap(("background", "person")),
            r"gives person the color \(128, 0, 0\), which is aeroplane",
        ),
        ("class_names.txt", "BACKGROUND\nPerson\n", "names label 1 Person, which is aeroplane in VOC"),
        ("labelmap.txt", "Couch:1,2,3::\n", r"gives Couch the color \(1, 2, 3\), in VOC it is \(0, 192, 0\)"),
        ("labelmap.txt", "person:1,2,3::\n", r"gives person the color \(1, 2, 3\), in VOC it is \(192, 128, 128\)"),
    ],
)
def test_other_classes_than_vocs(devkit, caplog, name, text, reason):
    (devkit / name).write_text(text)
    (problem,) = audit(devkit).problems
    assert problem.path.name == name
    assert re.match(reason, problem.reason)
    open_dataset(devkit).ids("train")  # as training does
    assert problem.reason in caplog.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_names.txt", "\n".join(["_background_", *CLASSES])),
        ("class_names.txt", "_background_\naeroplane\n"),
        ("class_names.txt", "__ignore__\n_Background_\nAirplane\nBicycle\n"),
        (
            "labelmap.txt",
            labelmap(
                (*SEG_CLASSES[:14], "Motorcycle", "Person", "potted plant", "sheep", "couch", "train", "TV/monitor")
            ),
        ),
        ("class_names.txt", "cat\ndog\n"),  # not labelme's: it starts with the background
        ("labelmap.txt", labelmap(SEG_CLASSES)),
        ("labelmap.txt", "mug:1,2,3::\nnot a row\n"),  # a color that is not VOC's is refused when a mask has it
        ("labelmap.txt", ""),
    ],
)
def test_vocs_classes(devkit, name, text):
    (devkit / name).write_text(text)
    assert list(class_name_problems(devkit)) == []
