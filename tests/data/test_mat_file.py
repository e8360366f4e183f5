"""Masks of SBD from .mat files: as scipy writes them, and files that would make scipy crash or fill the memory."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from vocctl.data.mat_file import HEADER, MATRIX, MAX_BYTES, MAX_FILE_BYTES, MatError, read_segmentation

MASK = np.array([[0, 1, 2], [20, 255, 0]], np.uint8)


def gtcls(segmentation: object) -> dict[str, object]:
    """As in SBD: a struct of 20 sparse boundaries, the mask and the classes present."""
    boundaries = np.empty((20, 1), object)
    for row in range(20):
        boundaries[row, 0] = csc_array(np.eye(2, 3) > row)
    fields = {"Boundaries": boundaries, "Segmentation": segmentation, "CategoriesPresent": np.array([[1.0], [2.0]])}
    return {"GTcls": fields}


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def array(array_class: int, shape: tuple[int, ...], *elements: bytes, name: bytes = b"") -> bytes:
    header = element(6, struct.pack("<II", array_class, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(MATRIX, header + element(1, name) + b"".join(elements))


def struct_of(*values: bytes, shape: tuple[int, ...] = (1, 1), names: bytes = b"Segmentation") -> bytes:
    return array(
        2, shape, element(5, struct.pack("<i", 32)), element(1, names.ljust(32, b"\0")), *values, name=b"GTcls"
    )


UINT8 = array(9, (1, 2), element(2, b"\x01\x02"))


@pytest.mark.parametrize("compressed", [False, True])
def test_mask_of_a_file_as_in_sbd(tmp_path, compressed):
    savemat(tmp_path / "a.mat", {"other": [1.0], **gtcls(MASK)}, do_compression=compressed)
    mask = read_segmentation(tmp_path / "a.mat")
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, MASK)


def test_mask_of_a_file_written_by_hand(tmp_path):
    """So that the hostile files below differ from a valid one in one thing."""
    (tmp_path / "a.mat").write_bytes(HEADER + struct_of(UINT8))
    assert read_segmentation(tmp_path / "a.mat").tolist() == [[1, 2]]


def nested(depth: int) -> bytes:
    value = UINT8
    for _ in range(depth):
        value = array(1, (1, 1), value)
    return value


BOMB = zlib.compress(struct_of(array(9, (1, 10 * MAX_BYTES), element(2, bytes(10 * MAX_BYTES)))))
HOSTILE = {
    "empty": (b"", "not a MAT-file"),
    "text": (b"not a mat file " * 20, "not a MAT-file"),
    "version 7.3, which is HDF5": (HEADER[:124] + b"\x00\x02IM" + bytes(99), "not a MAT-file"),
    "too large": (HEADER + bytes(MAX_FILE_BYTES), f"more than {MAX_FILE_BYTES} bytes"),
    "no variable": (HEADER + array(9, (1, 2), element(2, b"\x01\x02"), name=b"other"), "no variable GTcls"),
    "truncated": (HEADER + struct_of(UINT8)[:-9], "truncated"),
    "bomb": (HEADER + struct.pack("<II", 15, len(BOMB)) + BOMB, f"more than {MAX_BYTES} bytes"),
    "corrupt zlib": (HEADER + struct.pack("<II", 15, 20) + b"x" * 20, "corrupt compressed data"),
    "more cells than bytes": (HEADER + struct_of(array(1, (2**15, 2**15))), "declares 1073741824 arrays in 0 bytes"),
    "more structs than bytes": (HEADER + struct_of(UINT8, shape=(2**30, 1)), "declares 1073741824 arrays in"),
    "more numbers than bytes": (HEADER + struct_of(array(9, (2**30, 2), element(2, b""))), "numbers in 0 bytes"),
    "blanks without bytes": (HEADER + struct_of(array(4, (1, 2**30), element(2, b""))), "characters in 0 bytes"),
    "struct without fields": (HEADER + struct_of(array(2, (2**30, 1), element(5, bytes(4)))), "without fields"),
    "unknown type": (HEADER + struct_of(array(9, (1, 2), element(999, b"\x01\x02"))), "numbers in 2 bytes"),
    "unknown type in a sparse array": (HEADER + struct_of(array(5, (1, 2), *[element(10, bytes(8))] * 3)), "sparse"),
    "deep nesting": (HEADER + struct_of(nested(10_000)), "nested too deep"),
    "function": (HEADER + struct_of(array(16, (1, 1), UINT8)), "that SBD does not use"),
    "longer than declared": (HEADER + struct_of(UINT8, UINT8), "another length than declared"),
    "other field": (HEADER + struct_of(UINT8, names=b"Boundaries"), "no GTcls.Segmentation"),
    "no struct": (HEADER + array(9, (1, 2), element(2, b"\x01\x02"), name=b"GTcls"), "no GTcls.Segmentation"),
    "label": (HEADER + struct_of(array(9, (1, 2), element(2, b"\x01\x15"))), "label 21"),
    "three dimensions": (HEADER + struct_of(array(9, (1, 1, 2), element(2, b"\x01\x02"))), "of shape (1, 1, 2)"),
    "no pixel": (HEADER + struct_of(array(9, (0, 2), element(2, b""))), "of shape (0, 2)"),
    "floats": (HEADER + struct_of(array(6, (1, 1), element(9, bytes(8)))), "float64 of shape (1, 1)"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_file_is_refused_with_one_line(tmp_path: Path, data: bytes, reason: str):
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(MatError) as caught:
        read_segmentation(tmp_path / "a.mat")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_changed_byte_is_read_or_refused(tmp_path):
    """scipy crashes or warns for some of these files if it gets them unchecked."""
    savemat(tmp_path / "a.mat", gtcls(MASK))
    data = (tmp_path / "a.mat").read_bytes()
    for position in range(124, 600, 7):
        for value in (0, 15, 255):
            (tmp_path / "b.mat").write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            with suppress(MatError):
                assert read_segmentation(tmp_path / "b.mat").dtype == np.uint8
