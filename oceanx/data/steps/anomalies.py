"""Steps between full fields and anomalies: the climatology of each date taken off, and put back.

The values are first rounded to float32, as a store would hold them, and so is the climatology of a date; the anomaly is
their difference rounded once, and the total the sum rounded once. By IEEE arithmetic `total` then gives back what
`anomaly` was given

- bit for bit wherever the anomaly is at most half as large as the value, which is nearly everywhere for temperature in
  K, salinity and pressure;
- otherwise to within one float32 spacing of the larger of anomaly and value.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from ...ocean.climatology import YEAR, at, day_of_year
from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from .converting import ANOMALY, QUANTITY, convert_units

CLIMATOLOGY = "oceanx_climatology"  # attribute of an anomaly: which climatology was taken off
_SAID = " anomaly"


def anomaly(ds: xr.Dataset, climatology: str | os.PathLike[str]) -> xr.Dataset:
    """The departure of every variable from the climatology in a file or store, marked as such; inverse of `total`.

    `climatology` has a dimension `harmonic` or `dayofyear` (1…366, 29 February is 60), as `ocean.climatology` makes
    them. Every variable with a `time` must be in it, unless it is an anomaly by nature (`drop` it, or bake it apart).

    Raises
    ------
    InputError
        If a variable is an anomaly already, or the climatology lacks it or stands on another grid.
    """
    return _shifted(ds, climatology, -1)


def total(ds: xr.Dataset, climatology: str | os.PathLike[str], unmarked: bool = False) -> xr.Dataset:
    """The full field of every variable: the climatology in a file or store put back; inverse of `anomaly`.

    Parameters
    ----------
    unmarked
        Take variables for anomalies that do not say so, such as those of files that oceanx did not write.

    Raises
    ------
    InputError
        If a variable is no anomaly, or one from another climatology.
    """
    return _shifted(ds, climatology, +1, unmarked)


def _shifted(ds: xr.Dataset, path: str | os.PathLike[str], sign: int, unmarked: bool = False) -> xr.Dataset:
    path = Path(path)
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims]
    for name in names:
        _refuse_kind(ds[name], sign, unmarked)
    # The units of anomalies convert without the offset, so this must know what they are.
    marked = {n: ds[n].assign_attrs({QUANTITY: ANOMALY}) for n in names} if sign > 0 else {}
    ds = convert_units(ds.assign(marked))
    stamp = _stamp(path)
    cycle, identity = _open(str(path), stamp)
    result = {}
    for name in names:
        v = ds[name]
        _refuse_misfit(v, cycle, path)
        if sign > 0 and v.attrs.get(CLIMATOLOGY, identity(name)) != identity(name):
            raise InputError(
                f"{name}: is the anomaly from the climatology {v.attrs[CLIMATOLOGY]}, but {path} holds "
                f"{identity(name)}; give the one that was taken off"
            )
        season = _season(str(path), stamp, name, v)
        values = v.values.astype(np.float32)
        result[name] = v.copy(data=values - season if sign < 0 else values + season)
        result[name].attrs = _attrs(v, sign, identity(name))
    return ds.assign(result)


def _refuse_kind(v: xr.DataArray, sign: int, unmarked: bool) -> None:
    marked = v.attrs.get(QUANTITY) == ANOMALY
    if sign < 0 and marked:
        raise InputError(f"anomaly: {v.name} is an anomaly already; leave the step out")
    if sign > 0 and not marked and not unmarked:
        raise InputError(
            f"total: {v.name} does not say that it is an anomaly; leave the step out, or say unmarked: true"
            " if it is one"
        )


def _refuse_misfit(v: xr.DataArray, cycle: xr.Dataset, path: Path) -> None:
    if v.name not in cycle.data_vars:
        raise InputError(
            f"{path}: the climatology has no {v.name}, it has {sorted(map(str, cycle.data_vars))}; drop {v.name}"
        )
    table = cycle[str(v.name)]
    for dim in (str(d) for d in v.dims if d != "time"):
        here, there = v[dim].values, table[dim].values if dim in table.dims else np.array([])
        if here.shape != there.shape or not np.allclose(here, there, rtol=1e-4 if dim == "depth" else 0, atol=1e-4):
            raise InputError(
                f"{path}: {dim} of {v.name} has {there.size} values unlike the data's {here.size}; make the "
                "climatology of data on this grid"
            )
    found, expected = table.attrs.get("units"), VARIABLES[str(v.name)].units if v.name in VARIABLES else None
    if found is not None and expected is not None and found != expected:
        raise InputError(
            f"{path}: {v.name} is in {found!r}, expected {expected!r}; make the climatology of a baked store"
        )


def _attrs(v: xr.DataArray, sign: int, identity: str) -> dict[str, object]:
    attrs, said = dict(v.attrs), str(v.attrs.get("long_name", v.name))
    if sign < 0:
        return attrs | {"long_name": said + _SAID, QUANTITY: ANOMALY, CLIMATOLOGY: identity}
    for key in (QUANTITY, CLIMATOLOGY):
        attrs.pop(key, None)
    return attrs | {"long_name": said.removesuffix(_SAID)}


def _stamp(path: Path) -> tuple[int, ...]:
    """When a file or store was written, so far as its first level of files tells."""
    if not path.exists():
        raise InputError(f"{path}: no such climatology; make one with oceanx.ocean.climatology and save it")
    files = [path, *(sorted(path.iterdir()) if path.is_dir() else [])]
    return tuple(file.stat().st_mtime_ns for file in files)


class _Identity:
    """What to call the climatology of a variable: a hash of its numbers, and the period it is of."""

    def __init__(self, cycle: xr.Dataset):
        self.cycle, self.known = cycle, dict[str, str]()

    def __call__(self, name: str) -> str:
        if name not in self.known:
            v = self.cycle[name]
            digest = hashlib.sha256(repr((v.dims, v.shape)).encode())
            for one in v:  # a day of the year, or a harmonic: not all at once
                digest.update(np.ascontiguousarray(one.values, dtype="<f4").tobytes())
            period = self.cycle.attrs.get("oceanx_climatology_period", "period not stated")
            self.known[name] = f"{digest.hexdigest()[:16]} ({period})"
        return self.known[name]


def _season(path: str, stamp: tuple[int, ...], name: str, v: xr.DataArray) -> np.ndarray:
    """The climatology of a variable on its dates, float32, in its dimensions."""
    cycle, _ = _open(path, stamp)
    if "harmonic" in cycle[name].dims:
        return at(_harmonics(path, stamp, name), v["time"])[name].transpose(*v.dims).values
    dates, place = np.unique(day_of_year(v["time"]), return_inverse=True)
    held = cycle[name].isel(dayofyear=dates - 1).load()  # of a file with 366 fields, the few that are needed
    return held.isel(dayofyear=xr.DataArray(place, dims="time")).transpose(*v.dims).values.astype(np.float32)


@lru_cache(maxsize=2)
def _open(path: str, stamp: tuple[int, ...]) -> tuple[xr.Dataset, _Identity]:
    """The climatology, lazy, opened once however many blocks ask for it."""
    try:
        ds = xr.open_zarr(path, consolidated=False, chunks=None) if Path(path).is_dir() else xr.open_dataset(path)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a climatology: {' '.join(str(error).split())[:200]}") from None
    if "dayofyear" in ds.dims and not np.array_equal(ds["dayofyear"], np.arange(1, YEAR + 1)):
        raise InputError(f"{path}: dayofyear: expected 1…{YEAR}, found {ds.sizes['dayofyear']} values")
    if "harmonic" not in ds.dims and "dayofyear" not in ds.dims:
        raise InputError(f"{path}: has neither `harmonic` nor `dayofyear`; make one with oceanx.ocean.climatology")
    return ds, _Identity(ds)


@lru_cache(maxsize=64)
def _harmonics(path: str, stamp: tuple[int, ...], name: str) -> xr.Dataset:
    """The few coefficients of a variable, in memory."""
    return _open(path, stamp)[0][[name]].load()
