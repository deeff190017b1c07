"""Digest: what the writer wants to know of the values of one time before it writes them, at the speed of memory."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from isal import isal_zlib


class Look(NamedTuple):
    """How many values are finite, and how many of them lie outside the range asked about."""

    finite: int
    outside: int


def look(values: np.ndarray, low: float = -np.inf, high: float = np.inf) -> Look:
    """The Look of float32 values of any shape."""
    finite, outside = _look(_flat(values), np.float32(low), np.float32(high))
    return Look(int(finite), int(outside))


def content_hash(values: np.ndarray) -> int:
    """A 64-bit hash of float32 values in their order: CRC-32, then Adler-32.

    It tells an accident from identity, at the speed of memory; it does not withstand an adversary.
    """
    octets = _flat(values).view(np.uint8)
    return int(isal_zlib.crc32(octets)) << 32 | int(isal_zlib.adler32(octets))


def finite_bits(values: np.ndarray) -> np.ndarray:
    """Which float32 values are finite, eight to a byte, as `numpy.packbits` orders them."""
    flat = _flat(values)
    bits = np.zeros(-(-flat.size // 8), np.uint8)
    _finite_bits(flat.view(np.uint32), bits)
    return bits


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).reshape(-1)


@numba.njit(nogil=True, cache=True)
def _look(values, low, high):  # type: ignore[no-untyped-def]
    finite = outside = 0
    for i in range(values.size):
        value = values[i]
        finite += value - value == 0  # neither NaN nor infinite
        outside += (value < low) | (value > high)
    return finite, outside


@numba.njit(nogil=True, cache=True)
def _finite_bits(bits, out):  # type: ignore[no-untyped-def]
    exponent = np.uint32(0x7F800000)
    whole = bits.size // 8
    for i in range(whole):
        byte = np.uint8(0)
        for k in range(8):
            byte = np.uint8(byte << 1) | np.uint8((bits[8 * i + k] & exponent) != exponent)
        out[i] = byte
    for k in range(bits.size - 8 * whole):
        if (bits[8 * whole + k] & exponent) != exponent:
            out[whole] |= np.uint8(128 >> k)
