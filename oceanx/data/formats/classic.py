"""How long a classic NetCDF file must be: the library reads what is cut off as zeros and says nothing."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # bytes of each external type
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_STREAMING = {4: 2**32 - 1, 8: 2**64 - 1}


def cut_off(path: Path) -> bool:
    """True if a classic file (CDF-1, CDF-2 or CDF-5) is shorter than its header says, or has no whole header."""
    with path.open("rb") as file:
        version = file.read(4)[3]
        try:
            end = _end(file, count=8 if version == 5 else 4, offset=4 if version == 1 else 8)
        except (struct.error, KeyError, IndexError, ValueError):
            return True
    return path.stat().st_size < end


def _end(file: BinaryIO, count: int, offset: int) -> int:
    """The byte after the last value of the file."""
    records = _number(file, count)
    dims = []
    for _ in range(_listed(file, count, _DIMENSIONS)):
        _skip(file, _number(file, count))
        dims.append(_number(file, count))
    _attributes(file, count)
    fixed, rows = [file.tell()], []
    for _ in range(_listed(file, count, _VARIABLES)):
        _skip(file, _number(file, count))
        shape = [dims[_number(file, count)] for _ in range(_number(file, count))]
        _attributes(file, count)
        item = _SIZES[_number(file, 4)]
        _number(file, count)  # the declared size, which is wrong for large variables
        begin = _number(file, offset)
        if shape and shape[0] == 0:
            rows.append((begin, item * prod(shape[1:])))
        else:
            fixed.append(begin + item * prod(shape))
    if not rows or records in (0, _STREAMING[count]):
        return max(fixed)
    stride = rows[0][1] if len(rows) == 1 else sum(-(-size // 4) * 4 for _, size in rows)
    return max(*fixed, *(begin + (records - 1) * stride + size for begin, size in rows))


def _attributes(file: BinaryIO, count: int) -> None:
    for _ in range(_listed(file, count, _ATTRIBUTES)):
        _skip(file, _number(file, count))
        item = _SIZES[_number(file, 4)]
        _skip(file, item * _number(file, count))


def _listed(file: BinaryIO, count: int, expected: int) -> int:
    """The number of entries of a list of one kind, or 0 where it is absent."""
    tag, entries = _number(file, 4), _number(file, count)
    if tag not in (0, expected):
        raise ValueError("not a header")
    return entries


def _number(file: BinaryIO, size: int) -> int:
    value = file.read(size)
    return int(struct.unpack(">I" if size == 4 else ">Q", value)[0])


def _skip(file: BinaryIO, size: int) -> None:
    """Pass over bytes that are padded to four."""
    file.seek(-(-size // 4) * 4, 1)
