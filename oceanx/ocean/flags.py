"""CF flag variables: integers whose meanings stand in their attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr


def flag_attrs(words: Sequence[str], dtype: Any, values: Sequence[int] | None = None) -> dict[str, Any]:
    """`flag_values` (0, 1, … unless given) and `flag_meanings` of a flag variable.

    Examples
    --------
    >>> flag_attrs(["thetao", "so"], "int8")["flag_meanings"]
    'thetao so'
    """
    codes = np.arange(len(words)) if values is None else values
    return {"flag_values": np.asarray(codes, dtype), "flag_meanings": " ".join(words)}


def meanings(attrs: Mapping[str, Any]) -> dict[int, str]:
    """The word of every code, from the attributes of a flag variable; empty where it has none."""
    values = np.atleast_1d(np.asarray(attrs.get("flag_values", ()), np.int64))
    words = str(attrs.get("flag_meanings", "")).split()
    return dict(zip(values.tolist(), words, strict=True)) if values.size == len(words) else {}


def decoded(flags: xr.DataArray) -> xr.DataArray:
    """The words that a flag variable stands for, as strings; codes without a meaning are "".

    Examples
    --------
    >>> obs.where(decoded(obs["platform"]) == "5900865", drop=True)  # doctest: +SKIP
    """
    known = meanings(flags.attrs)
    values = flags.values
    words = np.full(values.shape, "", dtype=f"U{max([1, *map(len, known.values())])}")
    for code in np.unique(values):
        words[values == code] = known.get(int(code), "")
    return flags.copy(data=words).drop_attrs()
