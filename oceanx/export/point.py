"""The forecasts of one place as a table of text (CSV) that a spreadsheet opens."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean import labels, places
from ..vocabulary.errors import InputError
from ..vocabulary.files import replacing
from ..vocabulary.progress import Progress

DAY = np.timedelta64(1, "D")


def write(
    ds: xr.Dataset,
    to: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    lat: float | None = None,
    lon: float | None = None,
) -> list[Path]:
    """The CSV file written at `to`: a row for each start date, lead, member and level of the cell a place lies in.

    Columns are `init_time`, `lead_time` (days), `valid_time`, `member`, `depth` (m), those that apply, and the
    variables; what has no depth stands in the row of every level, and what is below the sea floor is empty. Lines that
    begin with # come first and say where this is and in which units. Every float32 number comes back to the bit:

        pd.read_csv("point.csv", comment="#", parse_dates=["init_time", "valid_time"])

    Parameters
    ----------
    lat, lon
        The place, in degrees. On land it is refused, and the nearest wet cell named.
    """
    if lat is None or lon is None:
        raise InputError("csv: of which place? Say lat= and lon=, in degrees")
    if to.is_dir():
        raise InputError(f"{to}: is a folder; expected the name of a file, such as point.csv")
    labels.check(ds, values=False)
    column = places.profile(ds, float(lat), float(lon))
    if not any("depth" in v.dims for v in column.data_vars.values()):
        column = column.drop_dims("depth", errors="ignore")
    count = ds.sizes["init_time"]
    with replacing(to, overwrite=overwrite) as path, path.open("w", newline="") as file:
        file.writelines(f"# {line}\n" for line in _header(column, ds))
        for at in range(count):
            rows(column.isel(init_time=[at])).to_csv(file, index=False, header=at == 0)
            if progress:
                progress(f"writing, {to.name}", at + 1, count)
    return [to]


def rows(column: xr.Dataset) -> pd.DataFrame:
    """The table of a profile of forecasts."""
    dims = [d for d in labels.ORDER[1:3] + labels.ORDER[:1] + labels.ORDER[3:4] if d in column.dims]
    fields = {name: v.reset_coords(drop=True) for name, v in column.data_vars.items()}
    table = xr.Dataset(fields, {d: column[d].values for d in dims}).load().to_dataframe(dim_order=dims).reset_index()
    table.insert(2, "valid_time", table["init_time"] + table["lead_time"])
    table["lead_time"] = table["lead_time"].to_numpy() / DAY
    for name in column.data_vars:
        if table[name].dtype == np.float32:  # the shortest digits that are this number and no other
            table[name] = table[name].map(
                lambda x: "" if np.isnan(x) else np.format_float_positional(np.float32(x), trim="-")
            )
    return table


def _header(column: xr.Dataset, ds: xr.Dataset) -> Iterator[str]:
    title = str(ds.attrs.get("title", "Forecasts")).replace("\n", " ")
    yield f"{title}; written by oceanx {version('oceanx')}"
    yield f"cell centre: latitude {float(column['latitude']):g}, longitude {float(column['longitude']):g}"
    yield "lead_time: days"
    if "depth" in column.dims:
        yield "depth: m"
    for name, v in column.data_vars.items():
        yield f"{name}: {v.attrs.get('units', '1')}, {v.attrs.get('long_name', name)}"
