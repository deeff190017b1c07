"""Packing: what raw numbers mean, and which of them stand for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Packing:
    """Integers that stand for `scale * integer + offset`, but for one of them, which stands for nothing.

    Attributes
    ----------
    dtype, fill
        The integers' type ("int16"), and the one that means missing.
    scale, offset, arithmetic
        Of the linear law, and the type it is computed in ("float64", or "float32" where the file says so).
    """

    dtype: str
    scale: float
    offset: float
    fill: int
    arithmetic: str = "float64"

    @property
    def attrs(self) -> dict[str, float | int]:
        """As CF attributes of a variable that holds the integers."""
        return {"scale_factor": self.scale, "add_offset": self.offset, "_FillValue": self.fill}

    @classmethod
    def of(cls, raw: np.dtype, packing: Mapping[str, Any]) -> Packing | None:
        """The packing of a variable whose raw numbers have type `raw`; None if they are no linearly packed integers."""
        if _unsigned(packing) and raw.kind == "i":
            raw = np.dtype(f"u{raw.itemsize}")
        linear = [np.asarray(packing[key]) for key in ("scale_factor", "add_offset") if key in packing]
        if raw.kind not in "iu" or any(number.size != 1 or number.dtype.kind != "f" for number in linear):
            return None
        missing, _ = markers(raw, packing)
        work = {np.result_type(raw, number) for number in linear} or {np.dtype("f8")}
        if not missing or len(work) > 1:
            return None
        scale, offset = (
            float(np.asarray(packing.get(k, d)).item()) for k, d in (("scale_factor", 1), ("add_offset", 0))
        )
        return cls(raw.newbyteorder("=").name, scale, offset, int(missing[0]), work.pop().name)


def decode(raw: np.ndarray, packing: Mapping[str, Any], dtype: Any = np.float32) -> np.ndarray:
    """What packed numbers mean: missing ones NaN, told from the raw number, the rest scaled and then rounded once.

    The arithmetic is that of the packing (float64 for a float64 `scale_factor`), as netCDF4 does it.
    """
    raw = as_declared(raw, packing)
    with np.errstate(over="ignore", invalid="ignore"):  # markers of missing values may be beyond float32
        missing = missing_in(raw, packing)
        values = raw
        if "scale_factor" in packing:
            values = values * packing["scale_factor"]
        if "add_offset" in packing:
            values = values + packing["add_offset"]
        result = values.astype(dtype)
    if missing is not None:
        result[missing] = np.nan
    return result


def as_declared(raw: np.ndarray, packing: Mapping[str, Any]) -> np.ndarray:
    """Raw numbers in the type they are meant in: classic files hold unsigned numbers in signed types."""
    return raw.view(raw.dtype.str.replace("i", "u")) if _unsigned(packing) and raw.dtype.kind == "i" else raw


def missing_in(raw: np.ndarray, packing: Mapping[str, Any]) -> np.ndarray | None:
    """Where raw numbers stand for nothing, or None where all of them count."""
    missing, (low, high) = markers(raw.dtype, packing)
    tests = [raw == marker for marker in missing]
    if low is not None:
        tests.append(raw < low)
    if high is not None:
        tests.append(raw > high)
    if not tests:
        return None
    result = tests[0]
    for other in tests[1:]:
        result |= other
    return result


def markers(dtype: np.dtype, packing: Mapping[str, Any]) -> tuple[list[Any], tuple[Any, Any]]:
    """The numbers that mean missing, in the type of the raw numbers, and the ends of the valid range or None."""
    found = []
    for key in ("_FillValue", "missing_value"):
        for value in np.atleast_1d(packing.get(key, ())):
            if value == value and (marker := _as_raw(value, dtype)) is not None:
                found.append(marker)
    low, high = packing.get("valid_range", (packing.get("valid_min"), packing.get("valid_max")))
    ends = tuple(None if end is None else _as_raw(end, dtype) for end in (low, high))
    return list(dict.fromkeys(found)), (ends[0], ends[1])


def _as_raw(value: Any, dtype: np.dtype) -> Any:
    """`value` in the type of the raw numbers, or None where that type cannot hold it."""
    dtype = dtype.newbyteorder("=")
    if np.asarray(value).dtype.kind not in "iuf":
        return None
    if dtype.kind in "iu" and not (np.iinfo(dtype).min <= value <= np.iinfo(dtype).max):
        # Signed markers of unsigned data are written with the bits of the signed type.
        return np.asarray(value).astype(f"i{dtype.itemsize}").view(dtype)[()] if dtype.kind == "u" else None
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(dtype)[()]


def _unsigned(packing: Mapping[str, Any]) -> bool:
    return str(packing.get("_Unsigned", "false")).lower() == "true"
