"""The XML annotation of one image, and its label in the lists of ImageSets/Main.

Source: the VOC development kit. A label in Main is 1 (an object of the class), 0 (difficult objects only) or -1 (none).
"""

from vocctl.data.shapes.scene import DrawnObject

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def annotation(name: str, size: tuple[int, int], objects: tuple[DrawnObject, ...]) -> str:
    """The text of Annotations/<name>.xml. size: height, width."""
    lines = ["<annotation>", "\t<folder>VOC2009</folder>", f"\t<filename>{name}.jpg</filename>"]
    lines += ["\t<source>", "\t\t<database>vocctl shapes</database>", "\t</source>"]
    lines += ["\t<size>", f"\t\t<width>{size[1]}</width>", f"\t\t<height>{size[0]}</height>", "\t\t<depth>3</depth>"]
    lines += ["\t</size>", "\t<segmented>1</segmented>"]
    for drawn in objects:
        lines += ["\t<object>", f"\t\t<name>{drawn.name}</name>", f"\t\t<truncated>{drawn.truncated:d}</truncated>"]
        lines += [f"\t\t<difficult>{drawn.difficult:d}</difficult>", "\t\t<bndbox>"]
        lines += [f"\t\t\t<{corner}>{value}</{corner}>" for corner, value in zip(CORNERS, drawn.box, strict=True)]
        lines += ["\t\t</bndbox>", "\t</object>"]
    return "\n".join([*lines, "</annotation>", ""])


def presence(class_name: str, objects: tuple[DrawnObject, ...]) -> int:
    """The label of the class in the lists of Main: 1, 0 or -1."""
    difficult = [drawn.difficult for drawn in objects if drawn.name == class_name]
    if not difficult:
        return -1
    return 0 if all(difficult) else 1
