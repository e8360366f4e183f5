"""Read a mask of SBD from a .mat file of an untrusted source.

SBD has one MATLAB struct for each image, GTcls; its field Segmentation is the mask. scipy reads it, but trusts the file: some
hundred bytes can make it allocate gigabytes (compressed zeros, an array that declares more elements than it has), index
past the end of a table (an unknown type) or overflow the stack (deep nesting). So the file is decompressed up to a limit,
and scipy gets GTcls only if its structure is consistent and consists of structs, cells, text, sparse and
numeric arrays.

Format: MATLAB's "MAT-File Format", level 5. A header of 128 bytes is followed by elements: a tag (type, number of bytes) and the
data, padded to 8 bytes. The data of an array are elements too: flags, dimensions, name, then what its class asks for.
"""

import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from vocctl.files import check_regular_file
from vocctl.labels import IGNORE, NUM_SEG_CLASSES

VARIABLE, FIELD = "GTcls", "Segmentation"
MAX_FILE_BYTES = 1 << 20  # of the file; a mask of VOC's size, 500 x 500, has 250,000 bytes before compression
MAX_BYTES = 4 << 20  # decompressed
MAX_DEPTH = 4  # arrays in arrays; GTcls has 3: struct, cell, sparse
MAX_FIELDS = 16  # of a struct; GTcls has 3

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"  # version 5, little-endian
INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15  # types of elements
ITEM_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # numeric types of elements -> bytes
TEXT_TYPES = (2, 4, 16)  # types of elements in which MATLAB stores text: bytes, 16-bit, UTF-8
CELL, STRUCT, CHAR, SPARSE = 1, 2, 4, 5  # classes of arrays
NUMERIC = range(6, 16)
COMPLEX = 0x800  # flag of an array


class MatError(ValueError):
    """Why a file is not a mask of SBD, as "is truncated"."""


def read_segmentation(path: Path) -> np.ndarray:
    """(H, W) uint8, labels 0..20 and IGNORE. Raises MatError and OSError."""
    check_regular_file(path)
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise MatError(f"has more than {MAX_FILE_BYTES} bytes")
    element = _variable(data)
    from scipy.io import loadmat  # imported here: it takes a while, and only this needs it

    try:
        variables = loadmat(io.BytesIO(HEADER + element), variable_names=[VARIABLE])
        mask = variables[VARIABLE][0, 0][FIELD]
    except MemoryError:
        raise
    except Exception as error:  # scipy raises exceptions of any type
        raise MatError(f"has no {VARIABLE}.{FIELD}") from error
    return _check_mask(mask)


def _check_mask(mask: object) -> np.ndarray:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8 or mask.ndim != 2 or mask.size == 0:
        shape = f"{mask.dtype} of shape {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise MatError(f"has a {VARIABLE}.{FIELD} that is {shape}, expected uint8 of 2 dimensions")
    if invalid := [label for label in np.unique(mask).tolist() if label >= NUM_SEG_CLASSES and label != IGNORE]:
        raise MatError(f"has label {invalid[0]}, expected 0..20 and 255")
    return np.ascontiguousarray(mask)


def _variable(file: bytes) -> bytes:
    """The checked element of GTcls, decompressed. Raises MatError."""
    if len(file) < len(HEADER) or file[124:128] != HEADER[124:]:
        raise MatError("is not a MAT-file of version 5")
    rest = memoryview(file)[len(HEADER) :]
    while rest:
        kind, content, rest = _split(rest)
        if kind == COMPRESSED:
            kind, content, trailing = _split(memoryview(_decompress(content)))
            if trailing:
                raise MatError("has bytes after a compressed array")
        if kind == MATRIX and _name(content) == VARIABLE.encode():
            _check_array(content, depth=1)
            return struct.pack("<II", MATRIX, len(content)) + bytes(content)
    raise MatError(f"has no variable {VARIABLE}")


def _decompress(content: memoryview) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(content, MAX_BYTES)
    except zlib.error as error:
        raise MatError("has corrupt compressed data") from error
    if stream.unconsumed_tail:
        raise MatError(f"decompresses to more than {MAX_BYTES} bytes")
    return data


def _split(data: memoryview) -> tuple[int, memoryview, memoryview]:
    """The type and content of the first element, and what follows it."""
    if len(data) < 8:
        raise MatError("is truncated")
    kind, size = struct.unpack_from("<II", data)
    if kind >> 16:  # up to 4 bytes of content stand in the tag
        kind, size, start, end = kind & 0xFFFF, kind >> 16, 4, 8
        if size > 4:
            raise MatError("has an invalid tag")
    else:
        start, end = 8, 8 + size + (-size % 8 if kind != COMPRESSED else 0)
    if len(data) < end:
        raise MatError("is truncated")
    return kind, data[start : start + size], data[end:]


def _split_header(content: memoryview) -> tuple[int, tuple[int, ...], bytes, memoryview]:
    """An array's class, dimensions and name, and the elements that follow. content: of the array's element."""
    if content[:8] != struct.pack("<II", UINT32, 8) or len(content) < 16:
        raise MatError("has an array without flags")
    (flags,) = struct.unpack_from("<I", content, 8)
    kind, dims, rest = _split(content[16:])
    if kind != INT32 or len(dims) % 4 or not 2 <= len(dims) // 4 <= 32:
        raise MatError("has an array without dimensions")
    shape = struct.unpack(f"<{len(dims) // 4}i", dims)
    kind, name, rest = _split(rest)
    if kind != INT8 or min(shape) < 0 or flags & COMPLEX:
        raise MatError("has an array that SBD does not use")
    return flags & 0xFF, shape, bytes(name), rest


def _name(content: memoryview) -> bytes:
    return _split_header(content)[2]


def _check_array(content: memoryview, depth: int) -> None:
    """Raise MatError if an array, or one in it, is not what scipy expects, or ends elsewhere than its tag says."""
    if not content:
        return  # an empty array
    if depth > MAX_DEPTH:
        raise MatError("has arrays nested too deep")
    array_class, shape, _, rest = _split_header(content)
    size = math.prod(shape)
    if array_class in NUMERIC:
        kind, numbers, rest = _split(rest)
        if kind not in ITEM_SIZES or size * ITEM_SIZES[kind] != len(numbers):
            raise MatError(f"declares {size} numbers in {len(numbers)} bytes")
    elif array_class == CHAR:
        kind, text, rest = _split(rest)
        if kind not in TEXT_TYPES or size > len(text):
            raise MatError(f"declares {size} characters in {len(text)} bytes")
    elif array_class == SPARSE:
        for _ in ("row indices", "column starts", "values"):
            kind, _, rest = _split(rest)
            if kind not in ITEM_SIZES:
                raise MatError("has a sparse array without numbers")
    elif array_class in (CELL, STRUCT):
        num_fields = 1
        if array_class == STRUCT:
            num_fields, rest = _split_field_names(rest)
        rest = _split_entries(rest, size * num_fields, depth)
    else:
        raise MatError("has an array that SBD does not use")
    if rest:
        raise MatError("has an array of another length than declared")


def _split_field_names(data: memoryview) -> tuple[int, memoryview]:
    """The number of a struct's fields, and what follows their names."""
    kind, length, rest = _split(data)
    if kind != INT32 or len(length) != 4 or not 1 <= (name_length := struct.unpack("<i", length)[0]) <= 64:
        raise MatError("has a struct without fields")
    kind, names, rest = _split(rest)
    if kind != INT8 or len(names) % name_length or not 1 <= len(names) // name_length <= MAX_FIELDS:
        raise MatError("has a struct without fields")
    return len(names) // name_length, rest


def _split_entries(rest: memoryview, num_entries: int, depth: int) -> memoryview:
    """Check the arrays in a cell or struct, and return what follows them."""
    if num_entries * 8 > len(rest):  # before scipy reserves memory for them
        raise MatError(f"declares {num_entries} arrays in {len(rest)} bytes")
    for _ in range(num_entries):
        if rest[:4] != struct.pack("<I", MATRIX):
            raise MatError("has something else than an array in a cell or struct")
        _, entry, rest = _split(rest)
        _check_array(entry, depth + 1)
    return rest
