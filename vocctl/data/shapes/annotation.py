"""The XML annotation of one picture, and its row in the lists of ImageSets/Main.

Source: the VOC development kit. A row of Main is 1 (an object of the class), 0 (only difficult ones) or -1 (none).
"""

from vocctl.data.shapes.scene import DrawnObject

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def annotation(name: str, size: tuple[int, int], objects: tuple[DrawnObject, ...]) -> str:
    """The text of Annotations/<name>.xml. size: height, width."""
    lines = ["<annotation>", "\t<folder>VOC2009</folder>", f"\t<filename>{name}.jpg</filename>"]
    lines += ["\t<source>", "\t\t<database>vocctl shapes</database>", "\t</source>"]
    lines += ["\t<size>", f"\t\t<width>{size[1]}</width>", f"\t\t<height>{size[0]}</height>", "\t\t<depth>3</depth>"]
    lines += ["\t</size>", "\t<segmented>1</segmented>"]
    for one in objects:
        lines += ["\t<object>", f"\t\t<name>{one.name}</name>", f"\t\t<truncated>{one.truncated:d}</truncated>"]
        lines += [f"\t\t<difficult>{one.difficult:d}</difficult>", "\t\t<bndbox>"]
        lines += [f"\t\t\t<{corner}>{at}</{corner}>" for corner, at in zip(CORNERS, one.box, strict=True)]
        lines += ["\t\t</bndbox>", "\t</object>"]
    return "\n".join([*lines, "</annotation>", ""])


def presence(class_name: str, objects: tuple[DrawnObject, ...]) -> int:
    """1, 0 or -1, as in the lists of Main."""
    difficult = [one.difficult for one in objects if one.name == class_name]
    if not difficult:
        return -1
    return 0 if all(difficult) else 1
