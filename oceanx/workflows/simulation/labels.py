"""What a core is told of a labelled ocean: one moment, its variables in our units, its grid; and labels given back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.data.units import conversion
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

ENCODING = {"dtype": "int64", "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}


def one_moment(ds: xr.Dataset, init_time: Any = None) -> tuple[xr.Dataset, np.datetime64]:
    """The Dataset at one moment, and when that is.

    Parameters
    ----------
    ds
        With dates along `time`, with a single date beside its variables, or with none.
    init_time
        Which of its dates; needed where there are several, and where there is none.
    """
    wanted = None if init_time is None else _date(init_time)
    if "time" in ds.dims:
        if ds.time.dtype.kind != "M":
            raise InputError(f"time: found {ds.time.dtype}, expected dates; decode it with xr.decode_cf")
        times = ds.time.values.astype("datetime64[ns]")
        if wanted is None and len(times) != 1:
            raise InputError(f"init_time: the Dataset has {len(times)} dates; say which one to start from")
        if wanted is not None and wanted not in times:
            have = (
                f"which has {pd.Timestamp(times[0])} to {pd.Timestamp(times[-1])}" if len(times) else "which is empty"
            )
            raise InputError(f"init_time {pd.Timestamp(wanted)}: not in the Dataset, {have}")
        at = 0 if wanted is None else int(np.flatnonzero(times == wanted)[0])
        return ds.isel(time=at, drop=True), times[at]
    if wanted is None and ("time" not in ds.coords or ds.time.dtype.kind != "M"):
        raise InputError("init_time: the Dataset has no date; say when the simulation starts, init_time='2000-01-01'")
    moment = wanted if wanted is not None else ds.time.values.astype("datetime64[ns]")
    return ds.drop_vars("time", errors="ignore"), moment


def channels_of(ds: xr.Dataset, names: Sequence[str], like: xr.Dataset | None = None) -> Channels:
    """These variables as Channels: a volume where the Dataset has it by depth (at the levels of `like`)."""
    volume = tuple(name for name in names if name in ds.data_vars and "depth" in ds[name].dims)
    levels = (ds if like is None or "depth" not in like.dims else like).depth.values if volume else ()
    return Channels(
        volume=volume,
        surface=tuple(name for name in names if name not in volume),
        depth=tuple(float(z) for z in levels),
    )


def in_our_units(ds: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """The Dataset with these variables in the units of the vocabulary; what says no unit is taken to have ours."""
    changed = {}
    for name in names:
        found = ds[name].attrs.get("units")
        if name in VARIABLES and found is not None and not is_difference(ds[name]):
            wanted = VARIABLES[name].units
            convert = conversion(str(found), wanted, name)
            values = xr.apply_ufunc(convert, ds[name], dask="allowed", keep_attrs=True)
            changed[name] = values.assign_attrs(units=wanted)
    return ds.assign(changed)


def is_difference(variable: xr.DataArray) -> bool:
    """Whether these are kelvins between two readings, such as an anomaly's: as many degrees Celsius."""
    return bool(variable.attrs.get("units_metadata") == "temperature: difference")


def labelled(
    fields: Mapping[str, Tensor], volume: Collection[str], like: xr.Dataset, attrs: Mapping[str, Mapping[str, Any]]
) -> xr.Dataset:
    """Fields `[time, depth, lat, lon]` as a Dataset over `time`, which gets no dates here, NaN on land.

    Those named in `volume` keep their levels; the others have one, and lose it.
    """
    mask = seam.wet_mask(like)
    made = {}
    for name, field in fields.items():
        there = field.detach().cpu()
        values = torch.where(seam.wet_of(there, mask), there, torch.nan).numpy()
        deep = name in volume
        dims = ("time", *(("depth",) if deep else ()), "latitude", "longitude")
        made[name] = (dims, values if deep else values[:, 0], attrs.get(name, {}))
    return xr.Dataset(made, coords=like.coords)


def attrs_of(ds: xr.Dataset, name: str) -> dict[str, Any]:
    """A variable's attributes: the vocabulary's, or else (and of differences) the Dataset's own."""
    own = {k: v for k, v in ds[name].attrs.items() if k != "cell_methods"} if name in ds else {}
    known = name in VARIABLES and not (name in ds and is_difference(ds[name]))
    return (VARIABLES[name].attrs if known else own) | {"cell_methods": "time: point"}


def time_axis(times: np.ndarray) -> xr.DataArray:
    """Dates as the coordinate `time`."""
    axis = xr.DataArray(times.astype("datetime64[ns]"), dims="time", name="time", attrs=DIMENSIONS["time"])
    axis.encoding = dict(ENCODING)
    return axis


def _date(init_time: Any) -> np.datetime64:
    try:
        return np.datetime64(pd.Timestamp(init_time), "ns")
    except (ValueError, TypeError) as error:
        raise InputError(f"init_time: {init_time!r}: {error}; expected a date such as '2020-01-01'") from None
