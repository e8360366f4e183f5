"""The class names that annotation tools write beside their masks, where they contradict VOC's labels.

labelme: class_names.txt, whose line n names label n, from 0. CVAT: labelmap.txt, lines of `<name>:<r>,<g>,<b>:<parts>:<actions>`.
Masks are read with VOC's labels and colors, so that another order of the classes gives wrong scores without any error.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from vocctl.data.split_files import Problem
from vocctl.data.voc_lists import read_lines
from vocctl.errors import DataError
from vocctl.labels import NUM_SEG_CLASSES, PALETTE, SEG_CLASSES

SYNONYMS = {
    "airplane": "aeroplane", "plane": "aeroplane", "bike": "bicycle", "table": "diningtable", "motorcycle": "motorbike",
    "plant": "pottedplant", "couch": "sofa", "tv": "tvmonitor", "television": "tvmonitor", "monitor": "tvmonitor",
}  # fmt: skip


def class_name_problems(devkit: Path) -> Iterator[Problem]:
    """One problem for each of the two files that is there and names another class for a label or a color of VOC."""
    for file_name, difference in (("class_names.txt", _labelme_difference), ("labelmap.txt", _cvat_difference)):
        path = devkit / file_name
        if not path.is_file():
            continue
        try:
            found = difference([line.text for line in read_lines(path)])
        except DataError:
            continue  # it is not needed to read the data set
        if found:
            yield Problem(path, f"{found}: change the labels in the masks to VOC's, they are read as VOC's classes")


def _voc_name(name: str) -> str:
    """The class as VOC writes it, if only case, blanks or a common synonym differ."""
    plain = re.sub(r"[\s_/-]", "", name).lower()
    return SYNONYMS.get(plain, plain)


def _labelme_difference(lines: list[str]) -> str:
    names = [line for line in lines if line != "__ignore__"]
    if not names or _voc_name(names[0]) != SEG_CLASSES[0]:
        return ""  # of another tool: which label the first line names is not known
    for label, (name, expected) in enumerate(zip(names, SEG_CLASSES, strict=False)):
        if _voc_name(name) != expected:
            return f"names label {label} {name}, which is {expected} in VOC"
    return "" if len(names) <= NUM_SEG_CLASSES else f"names label {NUM_SEG_CLASSES}, which VOC does not have"


def _cvat_difference(lines: list[str]) -> str:
    class_of = dict(zip(PALETTE, SEG_CLASSES, strict=False))
    for line in lines:
        name, _, rest = line.partition(":")
        values = rest.partition(":")[0].split(",")
        if line.startswith("#") or len(values) != 3 or not all(value.strip().isdigit() for value in values):
            continue
        color = (int(values[0]), int(values[1]), int(values[2]))
        if _voc_name(name) != class_of.get(color, _voc_name(name)):
            return f"gives {name} the color {color}, which is {class_of[color]} in VOC"
        if _voc_name(name) in SEG_CLASSES and color not in class_of:
            return f"gives {name} the color {color}, in VOC it is {PALETTE[SEG_CLASSES.index(_voc_name(name))]}"
    return ""
