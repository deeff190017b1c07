"""Days with sea ice: no days, as far as the temperature of open water goes."""

from __future__ import annotations

import xarray as xr

from ..vocabulary.errors import InputError
from .limits import Field, any_temperature

FREEZING = -1.7  # °C: what sea water of 32 or more, colder than this, does not stay liquid at for long
_KELVIN = 273.15


def without_ice(ds: Field, siconc: xr.DataArray | None = None, most: float = 0.15) -> xr.DataArray:
    """The temperature of a Dataset, missing on days with more ice than `most`, and where it is at freezing.

    Under ice the temperature stands still at freezing, its percentile falls together with its mean, and a tenth of a
    degree makes an extreme event. Give the result to `threshold` and `detect` alike: days with ice are then in no
    pool and in no event. Where no day of the year is free of ice the threshold is NaN. Lazy where the data are lazy.

    Parameters
    ----------
    ds
        With `sst` or `thetao`, in °C or kelvin, and best with `siconc`, a share; or a temperature.
    siconc
        Where it is not in `ds`; on the same grid and times.
    most
        Share of a cell under ice from which on a day does not count; 0.15 is the customary edge of the ice.

    Raises
    ------
    InputError
        If `siconc` is in per cent, or the unit of the temperature is not known.
    """
    sst = any_temperature(ds)
    if siconc is None and isinstance(ds, xr.Dataset) and "siconc" in ds.data_vars:
        siconc = ds["siconc"]
    unit = str(sst.attrs.get("units", ""))
    if unit not in ("degrees_C", "K"):
        raise InputError(
            f"{sst.name or 'sst'}: found units {unit!r}; expected 'degrees_C' or 'K' to know freezing from"
        )
    if siconc is not None and str(siconc.attrs.get("units", "1")) not in ("1", ""):
        raise InputError(f"siconc: found units {siconc.attrs['units']!r}; expected a share from 0 to 1")
    liquid = sst > FREEZING + (_KELVIN if unit == "K" else 0.0)
    if siconc is None:
        return sst.where(liquid)
    siconc = siconc.isel(depth=0, drop=True) if "depth" in siconc.dims else siconc
    try:
        xr.align(sst, siconc, join="exact", exclude={"depth"})
    except ValueError as error:
        raise InputError(f"siconc: not on the grid and times of the temperature: {error}".split("\n")[0]) from None
    return sst.where(liquid & ~(siconc > most))
