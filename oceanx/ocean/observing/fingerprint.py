"""Which table of observations it is: a hash of what is in its columns, however they are stored."""

from __future__ import annotations

import hashlib

import numpy as np
import xarray as xr

from ..flags import meanings
from ..observations import COLUMNS, COORDINATES

_AT_ONCE = 2**22  # rows
_STORED = {"M": "<i8", "i": "<i8", "u": "<i8", "f": "<f8"}  # by kind of dtype: a column is the same in any width


def fingerprint(table: xr.Dataset) -> str:
    """The sha256 of the columns of an observation table, as hexadecimal digits; read some rows at a time.

    Numbers count by their value, whatever their width; `variable` and `platform` by their codes and the words for
    them. Attributes and further columns do not count.

    Examples
    --------
    >>> an.attrs["oceanx_observations"] == fingerprint(obs)                 # doctest: +SKIP
    True
    """
    digest = hashlib.sha256()
    for name in (*COORDINATES, *COLUMNS):
        digest.update(name.encode())
        column = table[name]
        if name in ("variable", "platform"):
            digest.update(repr(sorted(meanings(column.attrs).items())).encode())
        for first in range(0, max(table.sizes["obs"], 1), _AT_ONCE):
            digest.update(_plain(column[first : first + _AT_ONCE].values).tobytes())
    return digest.hexdigest()


def _plain(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "M":
        values = values.astype("datetime64[ns]")
    return values.astype(_STORED[values.dtype.kind])
