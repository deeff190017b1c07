"""Unpacking: bytes of a chunk to numbers in their place: shuffle, byte order, scale and missing values in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from .packing import markers

_FUSED = {  # (raw, arithmetic) for which the pass is compiled; others are gathered raw and decoded by numpy
    ("i2", "f8"), ("i2", "f4"), ("i4", "f8"), ("f4", "f4"), ("f4", "f8"),
}  # fmt: skip
_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True)
class Rule:
    """What raw numbers mean, in the types that the pass computes with."""

    first: Any  # markers of missing values, of the raw type
    second: Any
    low: Any  # the valid range
    high: Any
    scale: Any  # of the type of the arithmetic
    offset: Any


def rule(raw: np.dtype, packing: Mapping[str, Any], dtype: np.dtype) -> Rule | None:
    """The rule that gives what `decode` gives, bit for bit; None for packings that are left to `decode` itself."""
    if str(packing.get("_Unsigned", "false")).lower() == "true" or dtype.str not in ("<f4", "<f8"):
        return None
    linear = [np.asarray(packing[key]) for key in ("scale_factor", "add_offset") if key in packing]
    if any(number.size != 1 or number.dtype.kind != "f" for number in linear):
        return None
    steps = [np.result_type(raw, linear[0])] if linear else [raw if raw.kind == "f" else np.dtype("f8")]
    steps += [np.result_type(steps[-1], number) for number in linear[1:]]
    missing, (low, high) = markers(raw, packing)
    if len(set(steps)) > 1 or (raw.str[1:], steps[0].str[1:]) not in _FUSED or len(missing) > 2:
        return None
    if raw.kind == "f":
        missing += [raw.type(np.nan)] * (2 - len(missing))  # equal to nothing
    elif not missing:
        return None
    ends = (-np.inf, np.inf) if raw.kind == "f" else (np.iinfo(raw).min, np.iinfo(raw).max)
    work = steps[0].type
    return Rule(
        missing[0],
        missing[-1],
        raw.type(ends[0]) if low is None else low,
        raw.type(ends[1]) if high is None else high,
        work(np.asarray(packing.get("scale_factor", 1.0)).item()),
        work(np.asarray(packing.get("add_offset", -0.0)).item()),  # -0.0 changes nothing, not even a zero's sign
    )


@dataclass(frozen=True)
class Box:
    """A box of a chunk, and where it goes: element `base` onwards to element `to` onwards of the result.

    The box has `counts` cells along three axes, the last of which has step 1 on both sides.
    """

    base: int
    counts: tuple[int, int, int]
    steps: tuple[int, int]  # elements of the chunk between neighbours along the first two axes
    to: int
    strides: tuple[int, int]  # elements of the result between them


@dataclass(frozen=True)
class Line:
    """Room for one line of raw numbers, seen as numbers, as bits and as bytes."""

    raw: np.ndarray
    bits: np.ndarray
    octets: np.ndarray

    @classmethod
    def of(cls, length: int, raw: np.dtype) -> Line:
        """Room for `length` numbers."""
        line = np.empty(length, raw)
        return cls(line, line.view(f"u{raw.itemsize}"), line.view("u1"))


def place(data: np.ndarray, planes: tuple[bool, bool], box: Box, line: Line, out: np.ndarray, how: Rule | None) -> None:
    """Put a box of a chunk where it belongs in flat `out`: unpacked, or raw where there is no rule.

    `planes` tells whether the chunk's bytes are shuffled, and whether they are in the other byte order.
    """
    where = (box.base, *box.counts, *box.steps, box.to, *box.strides)
    if how is None:
        _raw(data, *planes, *where, line.raw, line.bits, line.octets, out)
    else:
        law = (how.first, how.second, how.low, how.high, how.scale, how.offset)
        _unpack(data, *planes, *where, line.raw, line.bits, line.octets, out, *law)


@_jit
def _fetch(data, shuffled, swapped, at, bits, octets):  # type: ignore[no-untyped-def]
    """Fill a line with the numbers of a chunk from number `at`."""
    size, length = bits.itemsize, bits.size
    if shuffled and size == 2:
        low, high = _plane(data, 0, size, swapped, at, length), _plane(data, 1, size, swapped, at, length)
        for x in range(length):
            bits[x] = np.uint16(low[x]) | np.uint16(np.uint16(high[x]) << np.uint16(8))
    elif shuffled:
        bits[:] = 0
        for k in range(size):
            plane, shift = _plane(data, k, size, swapped, at, length), np.uint64(8 * k)
            for x in range(length):
                bits[x] |= np.uint64(plane[x]) << shift
    elif swapped:
        for x in range(length):
            for k in range(size):
                octets[x * size + k] = data[(at + x) * size + size - 1 - k]
    else:
        octets[:] = data[at * size : (at + length) * size]


@_jit
def _plane(data, k, size, swapped, at, length):  # type: ignore[no-untyped-def]
    """Byte k (the lowest first) of `length` shuffled numbers from number `at`."""
    start = (size - 1 - k if swapped else k) * (data.size // size) + at
    return data[start : start + length]


@_jit
def _raw(data, shuffled, swapped, base, na, nb, nx, sa, sb, to, da, db, raw, bits, octets, out):  # type: ignore[no-untyped-def]
    for a in range(na):
        for b in range(nb):
            _fetch(data, shuffled, swapped, base + a * sa + b * sb, bits[:nx], octets[: nx * bits.itemsize])
            o = to + a * da + b * db
            out[o : o + nx] = raw[:nx]


@_jit
def _unpack(  # type: ignore[no-untyped-def]
    data, shuffled, swapped, base, na, nb, nx, sa, sb, to, da, db, raw, bits, octets, out,
    first, second, low, high, scale, offset,
):  # fmt: skip
    for a in range(na):
        for b in range(nb):
            _fetch(data, shuffled, swapped, base + a * sa + b * sb, bits[:nx], octets[: nx * bits.itemsize])
            o = to + a * da + b * db
            row = out[o : o + nx]
            for x in range(nx):
                r = raw[x]
                missing = (r == first) | (r == second) | (r < low) | (r > high)
                row[x] = np.nan if missing else r * scale + offset
