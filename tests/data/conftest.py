"""Fixtures that write raw files."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
from raw_files import (
    DEPTH,
    ERA5_LATITUDE,
    ERA5_LONGITUDE,
    FILL,
    LATITUDE,
    LONGITUDE,
    PACKING,
    era5_values,
    packed,
)


@pytest.fixture
def glorys(tmp_path):
    """A function that writes one native GLORYS12 day and gives its path."""

    def write(
        day: str = "2020-01-01",
        *,
        hour: int = 12,
        packing: dict | None = None,
        latitude: np.ndarray = LATITUDE,
        longitude: np.ndarray = LONGITUDE,
        depth: np.ndarray = DEPTH,
        units: dict | None = None,
        leave_out: tuple[str, ...] = (),
        empty: tuple[str, ...] = (),
        calendar: str = "gregorian",
        name: str | None = None,
    ) -> Path:
        date = np.datetime64(day)
        path = tmp_path / (name or f"mercatorglorys12v1_gl12_mean_{day.replace('-', '')}_R20200101.nc")
        with netCDF4.Dataset(path, "w") as nc:
            for dim, size in (("time", 1), ("depth", depth.size), ("latitude", latitude.size),
                              ("longitude", longitude.size)):  # fmt: skip
                nc.createDimension(dim, size)
            time = nc.createVariable("time", "f4", ("time",))
            time.setncatts({"units": "hours since 1950-01-01 00:00:00", "calendar": calendar})
            time[:] = (date - np.datetime64("1950-01-01")).astype(int) * 24 + hour
            for dim, values, unit in (("depth", depth, "m"), ("latitude", latitude, "degrees_north"),
                                      ("longitude", longitude, "degrees_east")):  # fmt: skip
                axis = nc.createVariable(dim, "f4", (dim,))
                axis.setncatts({"units": unit, "standard_name": dim})
                axis[:] = values
            for variable, (scale, offset, unit, middle) in (PACKING | (packing or {})).items():
                if variable in leave_out:
                    continue
                dims = (
                    ("time", "latitude", "longitude")
                    if variable == "zos"
                    else ("time", "depth", "latitude", "longitude")
                )
                v = nc.createVariable(variable, "i2", dims, zlib=True, fill_value=FILL)
                v.setncatts({"scale_factor": scale, "add_offset": offset, "units": (units or {}).get(variable, unit)})
                v.set_auto_maskandscale(False)
                raw = packed(variable, int(date.astype(int)), scale, offset, middle, depth.size)
                v[:] = np.resize(raw, v.shape) if variable not in empty else FILL
        return path

    return write


@pytest.fixture
def era5(tmp_path):
    """A function that writes one file in the current Climate Data Store layout and gives its path."""

    def write(
        file: str, names: tuple[str, ...], times: np.ndarray, step_type: str = "instant", expver: str = "0001"
    ) -> Path:
        path = tmp_path / file
        units = {"ssr": "J m**-2", "tp": "m", "t2m": "K"}
        with netCDF4.Dataset(path, "w") as nc:
            for dim, size in (("valid_time", times.size), ("latitude", 4), ("longitude", 5)):
                nc.createDimension(dim, size)
            nc.createVariable("number", "i8", ())[...] = 0
            time = nc.createVariable("valid_time", "i8", ("valid_time",))
            time.setncatts({"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"})
            time[:] = times.astype("datetime64[s]").astype("i8")
            for dim, values, unit in (("latitude", ERA5_LATITUDE, "degrees_north"),
                                      ("longitude", ERA5_LONGITUDE, "degrees_east")):  # fmt: skip
                axis = nc.createVariable(dim, "f8", (dim,))
                axis.setncatts({"units": unit, "standard_name": dim})
                axis[:] = values
            version = nc.createVariable("expver", str, ("valid_time",))
            version[:] = np.array([expver] * times.size, object)
            for name in names:
                v = nc.createVariable(name, "f4", ("valid_time", "latitude", "longitude"), fill_value=np.nan)
                v.setncatts({"units": units.get(name, "m s**-1"), "GRIB_stepType": step_type})
                v[:] = era5_values(name, times)
        return path

    return write
