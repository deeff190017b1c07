"""Rounding before writing: values to multiples of a power of two, so that their trailing bits are zero and compress.

The error is absolute. Cutting mantissa bits instead makes it relative, which is wrong for fields far from zero: what
leaves 35 salinity units alone to a thousandth leaves 0.01 m s-1 alone to a millionth.
"""

from __future__ import annotations

from math import floor, frexp, isfinite, log2

import numba
import numpy as np

from ...vocabulary.errors import InputError

_SMALLEST, _LARGEST = 2.0**-100, 2.0**100  # of a step, so that neither it nor its inverse leaves float32


def step(precision: float) -> float:
    """The largest power of two to whose multiples values may be rounded with |error| ≤ `precision`.

    Examples
    --------
    >>> step(0.001) == 2.0**-9
    True
    """
    if not (isfinite(precision) and 2 * _SMALLEST <= precision <= _LARGEST / 2):
        raise InputError(f"round: found precision {precision!r}; expected a positive number in the variable's unit")
    _, exponent = frexp(2 * float(precision))  # 2·precision = m · 2^exponent, ½ ≤ m < 1
    return 2.0 ** (exponent - 1)


def rounded(values: np.ndarray, precision: float, *, in_place: bool = False) -> np.ndarray:
    """The float values as the nearest multiples of `step(precision)`, ties to even; same shape and dtype.

    NaN and infinities stay as they are, and so do values too large to have digits that small. Rounding again changes
    nothing. No rounded value is −0.

    Parameters
    ----------
    precision
        Greatest error allowed, in the unit of the values.
    in_place
        Overwrite `values`, which must then be contiguous, and return them.

    Raises
    ------
    InputError
        If `precision` is not a positive number.
    """
    unit = step(precision)
    if values.dtype.kind != "f":
        raise TypeError(f"rounded: found {values.dtype}; expected floating-point values")
    if in_place and not values.flags.c_contiguous:
        raise ValueError("rounded: values are not contiguous, so they cannot be rounded in place")
    result = values if in_place else np.array(values, order="C")
    kind = result.dtype.type
    _round(result.reshape(-1), kind(unit), kind(1 / unit), kind(unit * 2.0 ** np.finfo(kind).nmant))
    return result


def described(precision: float, units: str) -> str:
    """What a store says of a rounded variable: `rounded to multiples of 2^-9 degrees_C; |error| <= 0.000977`."""
    unit = step(precision)
    return f"rounded to multiples of 2^{floor(log2(unit))} {units}; |error| <= {unit / 2:.3g}"


@numba.njit(nogil=True, cache=True)
def _round(values: np.ndarray, unit: float, inverse: float, large: float) -> None:
    for i in range(values.size):
        x = values[i]
        # Powers of two: neither product rounds. Adding 0 turns −0 into +0.
        nearest = np.rint(x * inverse) * unit + values.dtype.type(0)
        values[i] = nearest if abs(x) < large else x
