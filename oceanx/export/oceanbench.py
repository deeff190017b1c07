"""OceanBench's challenger dataset: five variables at six depths on its grid, by `first_day_datetime` and lead day.

That package scores much without a complaint that is not what it takes it for: the nearest level where one is missing,
levels from the bottom up, anomalies. All of that is refused here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean import grid as grids
from ..ocean import labels
from ..ocean.regrid import conservative
from ..ocean.regrid_linear import bilinear
from ..ocean.vertical import interpolate_levels
from ..vocabulary.constants import OCEANBENCH_LEVELS
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.files import refuse_existing, replacing
from ..vocabulary.names import DIMENSIONS, VARIABLES
from ..vocabulary.progress import Progress
from ..vocabulary.published import QUANTITY
from . import stores

NAMES = ("zos", "thetao", "so", "vo", "uo")
LEADS = 10  # days that are scored
GRIDS = {  # first latitude and longitude, degrees between two, how many
    "one_degree": (-79.5, -179.5, 1.0, (170, 360)),
    "quarter_degree": (-78.0, -180.0, 0.25, (672, 1440)),
    "twelfth_degree": (-80.0, -180.0, 1 / 12, (2041, 4320)),
}
STORE, SCRIPT = "challenger.zarr", "challenger.py"
_DAY = np.timedelta64(1, "D")
_GLOBAL, _MILD = (
    100.0,
    (5.0, 30.0),
)  # degrees of latitude, beyond which the surface has a mean temperature (°C) like this


def write(
    ds: xr.Dataset,
    to: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    grid: str | None = None,
    days: int | None = None,
) -> list[Path]:
    """The two files written in the folder `to`: `challenger.zarr`, and `challenger.py` that opens it for OceanBench.

    `oceanbench evaluate challenger.py` scores it. What is exported is what `challenger` gives, start date by start
    date, as Zarr 2.

    Parameters
    ----------
    grid
        `one_degree`, `quarter_degree` or `twelfth_degree`; None: the finest that is not finer than the forecast's, or
        else one degree.
    days
        How many lead days; None: all, of which there may be ten.
    """
    made = challenger(ds, grid, days)
    if not to.exists():
        refuse_existing(to)
        to.mkdir()
    store, script = (refuse_existing(to / name, overwrite=overwrite) for name in (STORE, SCRIPT))
    along = ("first_day_datetime", "lead_day_index")
    stores.write(made, store, along, overwrite=overwrite, progress=progress, looked_at=_refuse_values)
    with replacing(script, overwrite=overwrite) as path:
        path.write_text(
            "import xarray\n\n"
            f"challenger_dataset = xarray.open_dataset({str(store.absolute())!r}, engine='zarr', chunks={{}})\n"
        )
    return [store, script]


def challenger(ds: xr.Dataset, grid: str | None = None, days: int | None = None) -> xr.Dataset:
    """A forecast as OceanBench takes it: (first_day_datetime, lead_day_index[, depth], latitude, longitude). Lazy.

    `first_day_datetime` is the day that the first lead is valid for, not that of the analysis; `lead_day_index` counts
    from 0. Values at the six depths are linear between the levels above and below; where the lower of the two is sea
    floor the value is missing, as it is where a forecast ends above: nothing is extrapolated, and OceanBench reports
    what is missing. On the grid they are means over the wet part of each cell if it is coarser than the forecast's or
    as fine, and bilinear over wet cells if it is finer. A regional forecast gives the part of the grid that it covers.

    Raises
    ------
    InputError
        For ensembles, missing variables, anomalies, levels that do not reach from 0.494 to 541.1 m, leads that are not
        whole consecutive days from the first on, and whatever breaks the contract of forecasts.

    References
    ----------
    https://github.com/mercator-ocean/oceanbench, whose version 0.6.1 this is for
    """
    labels.check(ds, values=False, where="oceanbench")
    ds = _leads(ds, days)
    _refuse(ds)
    latitude, longitude = _part(ds, grid)
    ds = ds[list(NAMES)].drop_vars([c for c in ds.coords if c not in labels.ORDER])
    ds = _on_grid(interpolate_levels(ds, OCEANBENCH_LEVELS), latitude, longitude)
    first = ds["init_time"].values + ds["lead_time"].values[0]
    ds = ds.drop_vars(["init_time", "lead_time"]).rename(init_time="first_day_datetime", lead_time="lead_day_index")
    ds = ds.assign_coords(
        first_day_datetime=("first_day_datetime", first),
        lead_day_index=("lead_day_index", np.arange(ds.sizes["lead_day_index"])),
        depth=("depth", np.array(OCEANBENCH_LEVELS), DIMENSIONS["depth"]),
    )
    order = ("first_day_datetime", "lead_day_index", "depth", "latitude", "longitude")
    fields = {name: ds[name].transpose(*order, missing_dims="ignore").astype(np.float32) for name in NAMES}
    for name, v in fields.items():
        v.attrs = VARIABLES[name].attrs
    return xr.Dataset(fields, {dim: ds[dim] for dim in order}, ds.attrs)


def _leads(ds: xr.Dataset, days: int | None) -> xr.Dataset:
    """The first so many days of a forecast that has whole days one after another."""
    leads, starts = ds["lead_time"].values, ds["init_time"].values
    if leads[0] == np.timedelta64(0):
        raise InputError(
            "oceanbench: lead_time 0 is the analysis, which would be scored as the first day; leave it out, "
            "ds.sel(lead_time=slice('1h', None))"
        )
    apart = np.diff(leads)
    if (apart != _DAY).any():
        wrong = apart[apart != _DAY][0]
        raise InputError(
            f"oceanbench: leads are {pd.Timedelta(wrong)} apart, expected one day; give daily means, each day"
        )
    valid = (starts + leads[0]).astype("datetime64[ns]")
    odd = valid != valid.astype("datetime64[D]").astype("datetime64[ns]")
    if odd.any() or leads[0] > _DAY:
        at = int(np.argmax(odd))
        raise InputError(
            f"oceanbench: the first day of the forecast from {pd.Timestamp(starts[at])} is {pd.Timestamp(valid[at])}; "
            "expected a day at 00:00, at most one day after the start"
        )
    if days is None and leads.size > LEADS:
        raise InputError(f"oceanbench: found {leads.size} lead days, {LEADS} are scored; say days={LEADS}")
    if days is not None and not 1 <= days <= min(leads.size, LEADS):
        raise InputError(f"oceanbench: days={days}; expected 1 to {min(leads.size, LEADS)}")
    return ds.isel(lead_time=slice(0, days))


def _refuse(ds: xr.Dataset) -> None:
    if "member" in ds.dims:
        raise InputError(
            "oceanbench: takes no ensembles; choose a member, ds.sel(member=0), or take their mean, "
            "ds.mean('member', keep_attrs=True)"
        )
    lacking = [name for name in NAMES if name not in ds.data_vars]
    if lacking:
        raise InputError(f"oceanbench: needs {', '.join(NAMES)}; the forecast lacks {', '.join(lacking)}")
    for name in NAMES:
        if ds[name].attrs.get(QUANTITY) == "anomaly":
            raise InputError(f"oceanbench: {name} is an anomaly; add the climatology, ds.oceanx.totals(climatology)")
        if VARIABLES[name].volume and "depth" not in ds[name].dims:
            raise InputError(f"oceanbench: {name} has no depth; found {ds[name].dims}")
    held, (top, bottom) = ds["depth"].values, (OCEANBENCH_LEVELS[0], OCEANBENCH_LEVELS[-1])
    if held[0] > top + 1e-4 or held[-1] < bottom * (1 - 1e-4):
        raise InputError(
            f"oceanbench: levels from {held[0]:g} to {held[-1]:g} m; it scores from {top:g} to {bottom:g} m, and "
            "nothing is extrapolated"
        )


def _part(ds: xr.Dataset, grid: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of OceanBench's grid that the forecast covers."""
    steps = [float(np.diff(ds[axis].values).mean()) for axis in grids.HORIZONTAL]
    if grid is None:
        fitting = [name for name, (_, _, step, _) in GRIDS.items() if step >= 0.99 * min(steps)]
        grid = fitting[-1] if fitting else "one_degree"
    if grid not in GRIDS:
        raise unknown("grid of OceanBench", grid, GRIDS)
    south, west, step, (rows, columns) = GRIDS[grid]
    latitude, longitude = south + step * np.arange(rows), west + step * np.arange(columns)
    edges = grids.edges(ds["latitude"].values)
    latitude = latitude[(latitude >= edges[0]) & (latitude <= edges[-1])]
    if not grids.is_periodic(ds["longitude"]):
        edges = grids.edges(ds["longitude"].values)
        longitude = longitude[(longitude >= edges[0]) & (longitude <= edges[-1])]
    if latitude.size < 2 or longitude.size < 2:
        raise InputError(f"oceanbench: the forecast covers less than two rows and columns of the {grid} grid")
    return latitude, longitude


def _on_grid(ds: xr.Dataset, latitude: np.ndarray, longitude: np.ndarray) -> xr.Dataset:
    held = [ds[axis].values.astype(float) for axis in grids.HORIZONTAL]
    target = xr.Dataset(coords={"latitude": latitude, "longitude": longitude})
    if all(
        a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-4)
        for a, b in zip(held, (latitude, longitude), strict=True)
    ):
        return ds.assign_coords({axis: (axis, target[axis].values, DIMENSIONS[axis]) for axis in grids.HORIZONTAL})
    finer = any(np.diff(b).mean() < 0.99 * np.diff(a).mean() for a, b in zip(held, (latitude, longitude), strict=True))
    return bilinear(ds, target) if finer else conservative(ds, target)


def _refuse_values(part: xr.Dataset) -> None:
    """`InputError` if the numbers of a start date cannot be what their labels say."""
    day = str(part["first_day_datetime"].values[0])[:10]
    for name, v in part.data_vars.items():
        row, values = VARIABLES[str(name)], v.values[np.isfinite(v.values)]
        if not values.size:
            raise InputError(f"oceanbench: {name} of {day} has no value on the grid")
        low, high = row.valid or (-np.inf, np.inf)
        if values.min() < low or values.max() > high:
            raise InputError(
                f"oceanbench: {name} of {day} reaches from {values.min():g} to {values.max():g} {row.units}; expected "
                f"{low:g} to {high:g}: totals, in that unit"
            )
    mean = float(part["thetao"].isel(depth=0).mean())
    if np.ptp(part["latitude"].values) > _GLOBAL and not _MILD[0] <= mean <= _MILD[1]:
        raise InputError(
            f"oceanbench: thetao of {day} is {mean:.3g} degrees_C on average at the surface; expected {_MILD[0]:g} to "
            f"{_MILD[1]:g} of the globe: a total, no anomaly"
        )
