"""The diagnostics of an assimilation as a table: a row for each variable and cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError

ALONG = ("role", "window", "platform", "depth_band")
_SUMMED = "rejected"  # over the tests


def innovations_table(dg: xr.Dataset) -> pd.DataFrame:
    """A row for each variable, role, window, platform and band of depth of `ox.innovations`, empty ones too.

    Of what was refused, all tests together. Histograms and maps are left to the Dataset.

    Raises
    ------
    InputError
        If they are no such diagnostics.
    """
    names = [str(n) for n in dg.data_vars if str(n) == "count" or str(n).endswith("_count")]
    if "role" not in dg.dims or not names:
        raise InputError(f"innovations: found {', '.join(map(str, dg.data_vars))}; expected those of ox.innovations")
    parts = []
    for name in names:
        word = name.removesuffix("count").removesuffix("_")
        columns = _columns(dg, word)
        frame = xr.Dataset(columns).to_dataframe(dim_order=[d for d in ALONG if d in dg[name].dims]).reset_index()
        frame.insert(0, "variable", word or "all")
        parts.append(frame[["variable", *(d for d in ALONG if d in frame), *columns]])
    return pd.concat(parts, ignore_index=True)


def _columns(dg: xr.Dataset, word: str) -> dict[str, xr.DataArray]:
    """What of a variable stands on the cells alone, under names without its own."""
    start = f"{word}_" if word else ""
    cells = set(dg[f"{start}count"].dims)
    found = {str(n).removeprefix(start): v for n, v in dg.data_vars.items() if str(n).startswith(start)}
    found = {n: v.sum("test") if n == _SUMMED else v for n, v in found.items()}
    return {n: v.astype(np.int64) if v.dtype.kind in "iu" else v for n, v in found.items() if set(v.dims) == cells}
