"""Small files of observations in the layouts of the providers, written with netCDF4 alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

FILL = np.float32(99999.0)
CAST: dict[str, Any] = {
    "platform": "5900001", "cycle": 1, "direction": "A", "mode": "D", "juld": 20000.25, "juld_qc": "1",
    "latitude": -10.5, "longitude": 110.25, "position_qc": "1", "scheme": "Primary sampling: discrete []",
    "PRES": [5.0, 500.0, 1000.0], "TEMP": [25.0, 10.0, 5.0], "PSAL": [34.0, 34.6, 34.7],
}  # fmt: skip


def chars(text: str, size: int) -> np.ndarray:
    """Blank-padded characters, as Argo has them."""
    return np.array(list(text.ljust(size)), "S1")


def argo(path: Path, *casts: dict[str, Any], leave_out: tuple[str, ...] = ()) -> Path:
    """An Argo profile file of casts, each `CAST` with changes.

    `TEMP_QC="141"` are flags (all "1" unless given); `TEMP_ADJUSTED` is the raw value unless given, or in mode R fill.
    """
    casts = tuple(CAST | cast for cast in casts)
    count, levels = len(casts), max(len(c["PRES"]) for c in casts)
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as nc:
        for name, size in (("N_PROF", count), ("N_LEVELS", levels), ("STRING8", 8), ("STRING256", 256)):
            nc.createDimension(name, size)
        for name, key, size in (("PLATFORM_NUMBER", "platform", 8), ("VERTICAL_SAMPLING_SCHEME", "scheme", 256)):
            nc.createVariable(name, "S1", ("N_PROF", f"STRING{size}"))[:] = np.stack(
                [chars(c[key], size) for c in casts]
            )
        for name, key in (("DIRECTION", "direction"), ("DATA_MODE", "mode"), ("JULD_QC", "juld_qc"),
                          ("POSITION_QC", "position_qc")):  # fmt: skip
            nc.createVariable(name, "S1", ("N_PROF",))[:] = np.array([c[key] for c in casts], "S1")
        nc.createVariable("CYCLE_NUMBER", "i4", ("N_PROF",), fill_value=99999)[:] = [c["cycle"] for c in casts]
        for name in ("JULD", "LATITUDE", "LONGITUDE"):
            v = nc.createVariable(name, "f8", ("N_PROF",), fill_value=999999.0 if name == "JULD" else 99999.0)
            v[:] = [c[name.lower()] for c in casts]
            if name == "JULD":
                v.units = "days since 1950-01-01 00:00:00 UTC"
        for name in ("PRES", "TEMP", "PSAL"):
            if name in leave_out:
                continue
            for suffix in ("", "_ADJUSTED", "_ADJUSTED_ERROR"):
                v = nc.createVariable(f"{name}{suffix}", "f4", ("N_PROF", "N_LEVELS"), fill_value=FILL)
                v.set_auto_maskandscale(False)
                v.setncatts({"valid_min": np.float32(-2.5), "valid_max": np.float32(12000 if name == "PRES" else 40)})
                v[:] = np.stack([_padded(c, name, suffix, levels) for c in casts])
            for suffix in ("", "_ADJUSTED"):
                v = nc.createVariable(f"{name}{suffix}_QC", "S1", ("N_PROF", "N_LEVELS"))
                v[:] = np.stack([_flags(c, name, suffix, levels) for c in casts])
    return path


def _padded(cast: dict[str, Any], name: str, suffix: str, levels: int) -> np.ndarray:
    row = np.full(levels, FILL, "f4")
    given = cast.get(f"{name}{suffix}", cast[name] if suffix != "_ADJUSTED_ERROR" else None)
    if given is not None and not (suffix and cast["mode"] == "R"):
        row[: len(given)] = given
    return row


def _flags(cast: dict[str, Any], name: str, suffix: str, levels: int) -> np.ndarray:
    given = cast.get(f"{name}{suffix}_QC", cast.get(f"{name}_QC", "1" * len(cast[name])))
    return chars("" if suffix and cast["mode"] == "R" else given, levels)


def in_situ(path: Path, **changes: Any) -> Path:
    """A drifter of the Copernicus in situ centre: temperature at 0.5 m, velocity at 15 m, three times."""
    told: dict[str, Any] = {
        "TIME": [23345.0, 23345.125, 23345.25], "LATITUDE": [10.0, 10.1, 10.2], "LONGITUDE": [85.0, 85.1, 85.2],
        "TIME_QC": [1, 1, 1], "POSITION_QC": [1, 1, 1], "TEMP": [28.0, 28.1, 28.2], "EWCT": [0.1, 0.2, 0.3],
        "NSCT": [-0.1, -0.2, -0.3], "TEMP_QC": [1, 1, 1], "EWCT_QC": [1, 1, 1], "NSCT_QC": [1, 1, 1],
    } | changes  # fmt: skip
    size = len(told["TIME"])
    with netCDF4.Dataset(path, "w") as nc:
        nc.platform_code = "2300691"
        for name, length in (("TIME", size), ("LATITUDE", size), ("LONGITUDE", size), ("POSITION", size), ("DEPTH", 2)):
            nc.createDimension(name, length)
        nc.createVariable("TIME", "f8", ("TIME",))[:] = told["TIME"]
        nc["TIME"].units = "days since 1950-01-01T00:00:00Z"
        for name in ("LATITUDE", "LONGITUDE"):
            nc.createVariable(name, "f4", (name,))[:] = told[name]
        nc.createVariable("TIME_QC", "i1", ("TIME",))[:] = told["TIME_QC"]
        nc.createVariable("POSITION_QC", "i1", ("POSITION",))[:] = told["POSITION_QC"]
        nc.createVariable("DEPH", "f4", ("TIME", "DEPTH"), fill_value=-99999.0)[:] = [[0.5, 15.0]] * size
        nc.createVariable("DEPH_QC", "i1", ("TIME", "DEPTH"))[:] = [[7, 1]] * size
        for name, level in (("TEMP", 0), ("EWCT", 1), ("NSCT", 1)):
            v = nc.createVariable(name, "i4", ("TIME", "DEPTH"), fill_value=-(2**31) + 1)
            v.scale_factor = 0.001
            values = np.ma.array(np.zeros((size, 2)), mask=True)
            values[:, level] = told[name]
            v[:] = values
            flag = nc.createVariable(f"{name}_QC", "i1", ("TIME", "DEPTH"), fill_value=-128)
            flag[:, level] = told[f"{name}_QC"]
    return path


def tracks(path: Path, names: list[str], seconds: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> Path:
    """Positions (trajectory, obs) in the layout of CF trajectories."""
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("trajectory", len(names))
        nc.createDimension("obs", seconds.shape[1])
        for name, values, role in (("lon", longitude, "longitude"), ("lat", latitude, "latitude"),
                                   ("time", seconds, "time")):  # fmt: skip
            v = nc.createVariable(name, "f8", ("trajectory", "obs"), fill_value=np.nan)
            v.standard_name = role
            v[:] = values
        nc["time"].units = "seconds since 2022-10-07 00:00:00"
        identity = nc.createVariable("drifter_names", str, ("trajectory",))
        identity.cf_role = "trajectory_id"
        identity[:] = np.array(names, object)
    return path


def class4(path: Path, units: tuple[str, str] = ("Kelvin", "psu"), varnames: tuple[str, str] = ("votemper", "vosaline"),
           ids: tuple[str, ...] = ("1901446", "1901446", "1901606"), hours: tuple[int, ...] = (6, 6, 9),
           leads: str = "hours") -> Path:  # fmt: skip
    """Profiles of two levels, two leads; temperature in kelvin; of each profile's second salinity the flag is 1."""
    count = len(ids)
    rng = np.random.default_rng(3)
    warm = 273.15 if units[0] == "Kelvin" else 0.0
    base = np.stack([np.array([[15.0, 14.0], [35.0, 35.2]]) + 0.1 * k for k in range(count)])
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (("numobs", count), ("numvars", 2), ("numdeps", 2), ("numfcsts", 2), ("string8", 8)):
            nc.createDimension(name, size)
        for name, texts, dim in (("id", ids, "obs"), ("varname", varnames, "vars"), ("unitname", units, "vars")):
            nc.createVariable(name, "S1", (f"num{dim}", "string8"))[:] = np.stack([chars(text, 8) for text in texts])
        juld = nc.createVariable("juld", "f8", ("numobs",))
        juld.units = "Days since 1950-01-01 00:00:00 utc"
        juld[:] = [25567 + h / 24 for h in hours]
        lead = nc.createVariable("leadtime", "f4", ("numfcsts",))
        lead.units = leads
        lead[:] = [12, 36]
        for name, values in (("latitude", np.linspace(40, 41, count)), ("longitude", np.linspace(359, 361, count))):
            nc.createVariable(name, "f4", ("numobs",))[:] = values
        nc.createVariable("depth", "f4", ("numobs", "numdeps"))[:] = np.tile([10.0, 20.0], (count, 1)) + np.arange(
            count
        ).reshape(-1, 1)
        flag = nc.createVariable("qc", "i1", ("numobs", "numvars", "numdeps"))
        flag[:] = 0
        flag[:, 1, 1] = 1
        for name in ("observation", "best_estimate", "climatology", "nrt_analysis"):
            v = nc.createVariable(name, "f4", ("numobs", "numvars", "numdeps"), fill_value=FILL)
            v[:] = base + (0 if name == "observation" else rng.normal(0, 0.1, base.shape))
            v[:, 0] += warm
        for name in ("forecast", "persistence"):
            v = nc.createVariable(name, "f4", ("numobs", "numvars", "numfcsts", "numdeps"), fill_value=FILL)
            v[:] = base[:, :, None] + rng.normal(0, 0.1, (count, 2, 2, 2))
            v[:, 0] += warm
    return path
