"""Files as the providers deliver them: GLORYS12 daily means, ERA5 in the Climate Data Store's current layout."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np

from oceanx.vocabulary.constants import GLORYS_LEVELS
from oceanx.vocabulary.files import partial, remove
from oceanx.vocabulary.names import VARIABLES

from .column import OCEAN
from .dynamics import Fields
from .weather import NAMES

EPOCH = np.datetime64("1950-01-01")
FILL = np.int16(-32767)
# GLORYS12's packing: scale, offset.
PACKING = {
    "thetao": (7.32444226741791e-4, 21.0),
    "so": (1.52592547237873e-3, -1.52592547237873e-3),
    "uo": (6.10370188951492e-4, 0.0),
    "vo": (6.10370188951492e-4, 0.0),
    "zos": (3.05185094475746e-4, 0.0),
    "mlotst": (0.152592554688454, -0.152592554688454),
}
_LONG = {"thetao": "Temperature", "so": "Salinity", "uo": "Eastward velocity", "vo": "Northward velocity",
         "zos": "Sea surface height", "mlotst": "Density ocean mixed layer thickness"}  # fmt: skip
_UNIT_LONG = {
    "degrees_C": "Degrees Celsius",
    "1e-3": "Practical Salinity Unit",
    "m s-1": "Meters per second",
    "m": "Meters",
}
_AXES = {
    "depth": {"units": "m", "unit_long": "Meters", "axis": "Z", "positive": "down"},
    "latitude": {"units": "degrees_north", "unit_long": "Degrees North", "axis": "Y"},
    "longitude": {"units": "degrees_east", "unit_long": "Degrees East", "axis": "X"},
}
# ECMWF's parameter number, GRIB short name, long name and unit; ssr is delivered as an accumulation.
_ERA5 = {
    "u10": (165, "10u", "10 metre U wind component", "m s**-1", "unknown"),
    "v10": (166, "10v", "10 metre V wind component", "m s**-1", "unknown"),
    "t2m": (167, "2t", "2 metre temperature", "K", "unknown"),
    "msl": (151, "msl", "Mean sea level pressure", "Pa", "air_pressure_at_mean_sea_level"),
    "ssr": (176, "ssr", "Surface net short-wave (solar) radiation", "J m**-2", "surface_net_downward_shortwave_flux"),
}
ACCUMULATED = ("ssr",)
HOUR = 3600


def day_number(date: object) -> int:
    """Days since 1950-01-01 of a date."""
    return int((np.datetime64(date, "D") - EPOCH).astype(int))  # type: ignore[call-overload]


def date_of(day: int) -> np.datetime64:
    """The date of a day number."""
    return EPOCH + np.timedelta64(day, "D")


def _stamp(day: int) -> str:
    return str(date_of(day)).replace("-", "")


def glorys_name(day: int) -> str:
    """The native name of a daily mean; its R date is the Wednesday after."""
    bulletin = day + 1 + (2 - day) % 7  # 1950-01-04, day 3, was a Wednesday
    return f"mercatorglorys12v1_gl12_mean_{_stamp(day)}_R{_stamp(bulletin)}.nc"


def era5_names(month: str) -> tuple[str, str]:
    """The names of a month's ('2001-01') instantaneous and accumulated fields."""
    prefix = f"era5_{month.replace('-', '')}_data_stream-oper_stepType-"
    return prefix + "instant.nc", prefix + "accum.nc"


def pack(name: str, field: np.ndarray) -> np.ndarray:
    """The int16 numbers GLORYS12 would store; land becomes the fill value."""
    scale, offset = PACKING[name]
    numbers = np.rint((field - np.float64(offset)) / scale)
    return np.where(np.isfinite(numbers), np.clip(numbers, -32766, 32767), FILL).astype(np.int16)


def unpack(name: str, numbers: np.ndarray) -> np.ndarray:
    """float32 values of packed numbers; NaN on land."""
    scale, offset = PACKING[name]
    return np.where(numbers == FILL, np.nan, numbers * scale + offset).astype(np.float32)


@contextmanager
def _dataset(target: Path) -> Iterator[netCDF4.Dataset]:
    """A NetCDF-4 file that takes its name when it is complete."""
    path = partial(target)
    remove(path)
    try:
        with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
            yield file
        os.replace(path, target)
    finally:
        remove(path)


def write_glorys(
    folder: Path, day: int, fields: Fields, lat: np.ndarray, lon: np.ndarray, depth: tuple[float, ...]
) -> Path:
    """Write one daily mean; returns its path. Stamped at noon, as the native files are."""
    target = folder / glorys_name(day)
    with _dataset(target) as file:
        file.setncatts({
            "title": "daily mean fields from Global Ocean Physics Analysis and Forecast updated Daily",
            "easting": "longitude", "northing": "latitude", "Conventions": "CF-1.4", "domain_name": "GL12",
            "institution": "oceanx", "source": "the built-in ocean of oceanx, in the layout of MERCATOR GLORYS12V1",
            "comment": "synthetic: an idealised ocean, not the real one", "field_type": "mean",
            "field_date": f"{date_of(day)} 00:00:00", "field_julian_date": np.float32(day),
            "julian_day_unit": "days since 1950-01-01 00:00:00", "z_min": np.float32(GLORYS_LEVELS[0]),
            "z_max": np.float32(GLORYS_LEVELS[-1]),
        })  # fmt: skip
        _glorys_axes(file, day, {"depth": np.array(depth), "latitude": lat, "longitude": lon})
        for name in OCEAN:
            dims = (
                ("time", "depth", "latitude", "longitude")
                if VARIABLES[name].volume
                else ("time", "latitude", "longitude")
            )
            numbers = pack(name, fields[name])[None]
            variable = file.createVariable(
                name, "i2", dims, zlib=True, complevel=1, fill_value=FILL, chunksizes=numbers.shape
            )
            units, (scale, offset) = VARIABLES[name].units, PACKING[name]
            variable.setncatts({
                "long_name": _LONG[name], "standard_name": VARIABLES[name].standard_name, "units": units,
                "unit_long": _UNIT_LONG[units], "cell_methods": "area: mean", "add_offset": offset,
                "scale_factor": scale,
            })  # fmt: skip
            variable.set_auto_maskandscale(False)
            variable[:] = numbers
    return target


def _glorys_axes(file: netCDF4.Dataset, day: int, axes: Mapping[str, np.ndarray]) -> None:
    file.createDimension("time", None)
    time = file.createVariable("time", "f8", ("time",), chunksizes=(1,))
    time.setncatts({
        "long_name": "Time (hours since 1950-01-01)", "standard_name": "time", "axis": "T",
        "units": "hours since 1950-01-01", "calendar": "gregorian",
    })  # fmt: skip
    time[:] = np.array([day * 24.0 + 12.0])
    for name, values in axes.items():
        file.createDimension(name, values.size)
        variable = file.createVariable(name, "f4", (name,))
        variable.setncatts(
            {"standard_name": name, "long_name": name.capitalize()}
            | _AXES[name]
            | {"valid_min": np.float32(values.min()), "valid_max": np.float32(values.max())}
        )
        variable[:] = values.astype(np.float32)


def write_era5(folder: Path, first: int, air: Fields, lat: np.ndarray, lon: np.ndarray) -> tuple[Path, Path]:
    """Write a month of six-hourly fields, (time, ny, nx), from day `first` on; returns both files' paths.

    Instants are stamped 00, 06, 12 and 18 h. An accumulation is that of the hour ending at its stamp, so a day's four
    are stamped 06, 12, 18 and 24 h: the last closes the day.
    """
    east = np.argsort(lon % 360)
    times = np.datetime64("1950-01-01", "s") + np.arange(air["u10"].shape[0]) * 6 * HOUR + np.timedelta64(first, "D")
    seconds = (times - np.datetime64("1970-01-01", "s")).astype(np.int64)
    stamps = {"instant": seconds, "accum": seconds + 6 * HOUR}
    instant, accumulated = (folder / name for name in era5_names(str(date_of(first))[:7]))
    for target, kind, names in (
        (instant, "instant", [n for n in NAMES if n not in ACCUMULATED]),
        (accumulated, "accum", list(ACCUMULATED)),
    ):
        with _dataset(target) as file:
            file.setncatts({
                "GRIB_centre": "ecmf", "GRIB_centreDescription": "European Centre for Medium-Range Weather Forecasts",
                "GRIB_subCentre": np.int64(0), "Conventions": "CF-1.7", "institution": "oceanx",
                "comment": "synthetic: the weather of the built-in ocean of oceanx, in the layout of ERA5",
            })  # fmt: skip
            _era5_axes(file, stamps[kind], lat[::-1], lon[east] % 360)
            for name in names:
                values = air[name][:, ::-1][:, :, east]
                _era5_variable(file, name, kind, values * np.float32(HOUR) if kind == "accum" else values)
    return instant, accumulated


def _era5_axes(file: netCDF4.Dataset, seconds: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> None:
    file.createVariable("number", "i8", ()).setncatts(
        {"long_name": "ensemble member numerical id", "units": "1", "standard_name": "realization"}
    )
    file["number"][...] = np.int64(0)
    file.createDimension("valid_time", seconds.size)
    time = file.createVariable("valid_time", "i8", ("valid_time",))
    time.setncatts({"long_name": "time", "standard_name": "time", "units": "seconds since 1970-01-01",
                    "calendar": "proleptic_gregorian"})  # fmt: skip
    time[:] = seconds
    for name, values, units in (("latitude", lat, "degrees_north"), ("longitude", lon, "degrees_east")):
        file.createDimension(name, values.size)
        axis = file.createVariable(name, "f8", (name,), fill_value=np.nan)
        axis.setncatts({"units": units, "standard_name": name, "long_name": name})
        axis[:] = values
    file["latitude"].stored_direction = "decreasing"
    version = file.createVariable("expver", str, ("valid_time",))
    version[:] = np.array(["0001"] * seconds.size, dtype=object)


def _era5_variable(file: netCDF4.Dataset, name: str, kind: str, values: np.ndarray) -> None:
    number, short, long, units, standard = _ERA5[name]
    variable = file.createVariable(
        name, "f4", ("valid_time", "latitude", "longitude"), zlib=True, complevel=1, fill_value=np.float32(np.nan),
        chunksizes=values.shape,
    )  # fmt: skip
    ny, nx = values.shape[1:]
    variable.setncatts({
        "GRIB_paramId": np.int64(number), "GRIB_dataType": "fc" if kind == "accum" else "an",
        "GRIB_numberOfPoints": np.int64(ny * nx), "GRIB_typeOfLevel": "surface", "GRIB_stepUnits": np.int64(1),
        "GRIB_stepType": kind, "GRIB_gridType": "regular_ll", "GRIB_Nx": np.int64(nx), "GRIB_Ny": np.int64(ny),
        "GRIB_name": long, "GRIB_shortName": short, "GRIB_units": units, "long_name": long, "units": units,
        "standard_name": standard, "coordinates": "number valid_time latitude longitude expver",
    })  # fmt: skip
    variable[:] = values
