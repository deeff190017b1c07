"""Small files of satellites in the layouts of the providers, written with netCDF4 alone: packed, with fill values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

SHORT = np.int16(32767)
PASS: dict[str, Any] = {  # metres, as integers of millimetres
    "sla_unfiltered": [100, 110, 32767, 130, 140, 150], "sla_filtered": [101, 111, 121, 131, 141, 151],
    "mdt": [500, 510, 520, 32767, 540, 550], "dac": [10, 20, 30, 40, 50, 60],
    "ocean_tide": [-300, -200, 0, 100, 200, 300], "internal_tide": [1, 2, 3, 4, 5, 6], "lwe": [7, 8, 9, 10, 11, 12],
}  # fmt: skip


def altimeter(path: Path, first: float = 25567.25, cycle: Any = 60, track: Any = 77, leave_out: tuple[str, ...] = (),
              platform: str = "Sentinel-3A", **changes: Any) -> Path:  # fmt: skip
    """Six seconds of a pass northwards across Greenwich, as Copernicus Marine has level 3."""
    told = PASS | changes
    size = len(told["sla_unfiltered"])
    with netCDF4.Dataset(path, "w") as nc:
        if platform:
            nc.platform = platform
        nc.setncatts({"Conventions": "CF-1.6", "processing_level": "L3", "title": "DT Sentinel-3A Global Ocean"})
        nc.createDimension("time", size)
        time = nc.createVariable("time", "f8", ("time",))
        time.setncatts({"units": "days since 1950-01-01 00:00:00", "calendar": "gregorian", "standard_name": "time"})
        time[:] = first + np.arange(size) / 86400
        for name, values in (("longitude", np.array([359.8, 359.9, 0.0, 0.1, 0.2, 0.3])[:size]),
                             ("latitude", 40 + 0.06 * np.arange(size))):  # fmt: skip
            packed(nc, name, "i4", ("time",), np.round(values * 1e6), 1e-6, units=f"degrees_{name[:1]}")
        for name, values in (("cycle", cycle), ("track", track)):
            nc.createVariable(name, "i2", ("time",))[:] = values
        for name, values in told.items():
            if name not in leave_out:
                packed(nc, name, "i2", ("time",), values, 0.001, fill=SHORT, units="m")
    return path


def packed(nc: Any, name: str, kind: str, dims: tuple[str, ...], integers: Any, scale: float, offset: float = 0.0,
           fill: Any = None, **attrs: Any) -> None:  # fmt: skip
    """A variable of integers that mean themselves times `scale` plus `offset`."""
    v = nc.createVariable(name, kind, dims, fill_value=fill)
    v.set_auto_maskandscale(False)
    v.setncatts({"scale_factor": scale, "add_offset": offset, **attrs})
    v[:] = np.asarray(integers).reshape(v.shape)


KELVIN = np.array([[29315, 29325, -32768, 29345], [27100, 29365, 29375, 29385], [29395, 29405, 29415, 29425]])
LEVEL = np.array([[5, 5, 0, 4], [5, 3, 5, 5], [5, 5, 5, 2]])


def swath(path: Path, level: str = "2P", leave_out: tuple[str, ...] = (), **changes: Any) -> Path:
    """Three rows of four pixels across the date line, as GHRSST has level 2P (places in two dimensions) or 3U.

    Temperatures are hundredths of a kelvin above 0 °C; the third pixel is cloudy.
    """
    told = {
        "sst": np.where(KELVIN == -32768, -32768, KELVIN - 27315), "level": LEVEL,
        "dtime": np.arange(12).reshape(3, 4) * 30, "bias": np.full((3, 4), -17), "spread": np.full((3, 4), -65),
        "flags": np.zeros((3, 4), int), "wind": np.full((3, 4), 70),
    } | changes  # fmt: skip
    rows, columns = ("nj", "ni") if level == "2P" else ("lat", "lon")
    lat, lon = np.array([-1.0, 0.0, 1.0]), np.array([179.0, 179.5, -180.0, -179.5])
    with netCDF4.Dataset(path, "w") as nc:
        nc.setncatts({"platform": "MetOpA", "sensor": "AVHRR_GAC", "gds_version_id": "2.0", "processing_level": level})
        for name, size in (("time", 1), (rows, 3), (columns, 4)):
            nc.createDimension(name, size)
        time = nc.createVariable("time", "i4", ("time",))
        time.units = "seconds since 1981-01-01 00:00:00"
        time[:] = 1_230_681_600  # 2020-01-01
        flat = (rows, columns)
        for name, values in (("lat", lat), ("lon", lon)):
            whole = np.broadcast_to(values[:, None] if name == "lat" else values, (3, 4))
            nc.createVariable(name, "f4", flat if level == "2P" else (name,))[:] = whole if level == "2P" else values
        full = ("time", *flat)
        fields = {
            "sea_surface_temperature": ("i2", told["sst"], 0.01, 273.15, np.int16(-32768), "kelvin"),
            "sst_dtime": ("i4", told["dtime"], 1.0, 0.0, np.int32(-2147483648), "seconds"),
            "sses_bias": ("i1", told["bias"], 0.01, 0.0, np.int8(-128), "kelvin"),
            "sses_standard_deviation": ("i1", told["spread"], 0.01, 1.0, np.int8(-128), "kelvin"),
            "wind_speed": ("i1", told["wind"], 0.1, 0.0, np.int8(-128), "m s-1"),
        }  # fmt: skip
        for name, (kind, integers, scale, offset, fill, units) in fields.items():
            if name not in leave_out:
                packed(nc, name, kind, full, integers, scale, offset, fill, units=units)
        if "sea_surface_temperature" not in leave_out:
            nc["sea_surface_temperature"].standard_name = "sea_surface_skin_temperature"
        quality = nc.createVariable("quality_level", "i1", full, fill_value=np.int8(-128))
        quality.setncatts({"flag_values": np.arange(6, dtype="i1"), "flag_meanings":
                           "no_data bad_data worst_quality low_quality acceptable_quality best_quality"})  # fmt: skip
        quality[:] = told["level"].reshape(1, 3, 4)
        flags = nc.createVariable("l2p_flags", "i2", full)
        flags.setncatts(
            {"flag_masks": np.array([1, 2, 4, 8, 16], "i2"), "flag_meanings": "microwave land ice lake river"}
        )
        flags[:] = told["flags"].reshape(1, 3, 4)
    return path
