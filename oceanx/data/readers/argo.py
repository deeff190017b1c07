"""Argo: profiles of the GDACs, one or many a file, in real time or delayed mode.

Adjusted values are taken where the data mode is D or A, raw ones in mode R; only what is flagged good counts.
Temperature in situ becomes potential temperature, pressure becomes depth. Profiles of the primary sampling alone are
taken: those of the others (near the surface, unpumped) measure the same water again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...ocean import seawater
from ...ocean.observations import UNFLAGGED, provider_code
from ..formats.netcdf import opened
from ..formats.part import Wanted
from ..formats.rows import Rows, again, flags, needed, numbered, numbers, stacked, times, words

KIND = "points"
_OURS = {"TEMP": "thetao", "PSAL": "so"}
_NEEDED = ("PLATFORM_NUMBER", "CYCLE_NUMBER", "DATA_MODE", "JULD", "LATITUDE", "LONGITUDE", "PRES", "TEMP")
_ERRORS = {"thetao": 0.02, "so": 0.1}  # of what no delayed mode has looked at
_SHALLOW = 2.4  # dbar: the accuracy of pressure, within which a negative one is the surface
_BY_SCHEME = {"primary": 0, "secondary": 2, "near-surface": 4}


def read(path: str | Path, **options: Any) -> xr.Dataset:
    """The observation table of one Argo file; options are those of `parts`."""
    return parts(Path(path), {}, **options)[0]


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path | None = None,
    *,
    real_time: bool = True,
    good: Sequence[int] = (1, 2),
    salinity: float | None = None,
    errors: Mapping[str, float] | None = None,
    sampling: Sequence[str] = ("primary",),
    keep_flagged: bool = False,
) -> list[xr.Dataset]:
    """The observation table of one Argo file.

    Parameters
    ----------
    real_time
        Take profiles in mode R too: raw values, which carry the larger of `errors`.
    good
        Flags (reference table 2) of values, pressure, position and time that count as good.
    salinity
        Assumed where a temperature has no good salinity beside it; the change of θ by ±1 is added to its error (below
        0.004 °C). None: such temperatures are left out, and counted.
    errors
        Standard deviations where the file states none.
    sampling
        Which of "primary", "secondary", "near-surface" to take.
    keep_flagged
        Keep what failed under its `qc`.

    References
    ----------
    Argo data management (2022), Argo user's manual, https://doi.org/10.13155/29825
    Wong et al. (2020), Argo data 1999–2019, https://doi.org/10.3389/fmars.2020.00700
    """
    with opened(path) as variables:
        needed(variables, _NEEDED, path, "an Argo profile file")
        casts = _casts(variables, path, good, sampling, real_time)
        measured = {
            name: _measured(variables, name, casts["adjusted"]) for name in ("PRES", *_OURS) if name in variables
        }
    names = [ours for theirs, ours in _OURS.items() if theirs in measured and (not wanted or ours in wanted)]
    if not names:
        return []
    rows = _rows(casts, measured, names, tuple(good), salinity, _ERRORS | dict(errors or {}))
    return [rows.dataset(keep_flagged)]


def _casts(
    variables: Mapping[str, Any], path: Path, good: Sequence[int], sampling: Sequence[str], real_time: bool
) -> dict[str, Any]:
    """What belongs to a profile as a whole, and the reason for which it is left out, or 0."""
    mode = np.ma.getdata(variables["DATA_MODE"][...]).reshape(-1)
    count = mode.size
    time_flag, place_flag = (
        flags(variables[n]) if n in variables else np.full(count, UNFLAGGED) for n in ("JULD_QC", "POSITION_QC")
    )
    schemes = words(variables["VERTICAL_SAMPLING_SCHEME"]) if "VERTICAL_SAMPLING_SCHEME" in variables else []
    scheme = np.array([_scheme(text) for text in schemes] or ["primary"] * count)
    down = np.ma.getdata(variables["DIRECTION"][...]).reshape(-1) == b"D" if "DIRECTION" in variables else False
    out = np.zeros(count, np.int64)
    out[(mode == b"R") & (not real_time)] = 6
    out[~np.isin(scheme, list(sampling))] = 5
    for what, flag in (("position", place_flag), ("time", time_flag)):
        bad = ~np.isin(flag, good)
        out[bad] = provider_code(what, flag)[bad]
    platforms, platform = numbered(words(variables["PLATFORM_NUMBER"]))
    cycle = np.asarray(variables["CYCLE_NUMBER"][...], np.int64).reshape(-1)
    feature = 10 * cycle + np.array([_BY_SCHEME.get(s, 6) for s in scheme]) + down
    time = times(variables["JULD"], str(path))
    out[again(platform, feature, time) & (scheme == "primary") & (out == 0)] = 7
    modes = {"delayed": b"D", "adjusted": b"A", "real-time": b"R"}
    return {
        "time": time,
        "latitude": numbers(variables["LATITUDE"]),
        "longitude": numbers(variables["LONGITUDE"]),
        "adjusted": (mode == b"D") | (mode == b"A"),
        "platforms": platforms,
        "platform": platform,
        "feature": feature,
        "out": out,
        "modes": {word: int((mode == letter).sum()) for word, letter in modes.items() if (mode == letter).any()},
    }


def _scheme(text: str) -> str:
    """ "primary" of "Primary sampling: averaged []"; old files say nothing, and have no other."""
    first = text.lower().split("_")[0].removesuffix(":")
    return "primary" if first in ("unnamed", "primary") else first


def _measured(variables: Mapping[str, Any], name: str, adjusted: np.ndarray) -> dict[str, np.ndarray]:
    """Values, flags and errors (profile, level) of one parameter, adjusted in those profiles that are."""
    raw = numbers(variables[name])
    result = {"there": np.isfinite(raw), "value": raw, "flag": flags(variables[f"{name}_QC"])}
    result["error"] = np.full(raw.shape, np.nan)
    if f"{name}_ADJUSTED" in variables and adjusted.any():
        mended = numbers(variables[f"{name}_ADJUSTED"])
        which = adjusted[:, None]
        result["there"] |= which & np.isfinite(mended)
        result["value"] = np.where(which, mended, raw)
        result["flag"] = np.where(which, flags(variables[f"{name}_ADJUSTED_QC"]), result["flag"])
        if f"{name}_ADJUSTED_ERROR" in variables:
            result["error"] = np.where(which, numbers(variables[f"{name}_ADJUSTED_ERROR"]), np.nan)
    return result


def _rows(
    casts: Mapping[str, Any],
    measured: Mapping[str, Mapping[str, np.ndarray]],
    names: Sequence[str],
    good: tuple[int, ...],
    salinity: float | None,
    errors: Mapping[str, float],
) -> Rows:
    pressure = np.where(np.isin(measured["PRES"]["flag"], good), measured["PRES"]["value"], np.nan)
    pressure = np.where((pressure < 0) & (pressure >= -_SHALLOW), 0.0, pressure)
    place = {name: casts[name][:, None] for name in ("time", "latitude", "longitude", "platform", "feature")}
    with np.errstate(invalid="ignore"):
        sane = (np.abs(place["latitude"]) <= 90) & (pressure >= 0) & (pressure < 12000)
    pressure = np.where(sane, pressure, np.nan)
    depth = seawater.depth(pressure, np.where(sane, place["latitude"], 0.0))
    found, assumed = [], 0
    for code, name in enumerate(names):
        m = measured[{ours: theirs for theirs, ours in _OURS.items()}[name]]
        value, error = m["value"], np.where(m["error"] > 0, m["error"], errors[name])
        qc = _reason(casts["out"][:, None], measured["PRES"], m, good)
        if name == "thetao":
            value, spread, qc, assumed = _potential(
                measured, np.where(sane, pressure, np.nan), place, good, salinity, qc
            )
            error = np.hypot(error, spread)
        columns = {**place, "depth": depth, "variable": np.int8(code), "value": value, "error_std": error, "qc": qc}
        found.append((columns, m["there"]))
    return Rows(_level_by_level(found), names, casts["platforms"], "profile", _notes(casts, salinity, assumed))


def _reason(out: np.ndarray, pres: Mapping[str, np.ndarray], m: Mapping[str, np.ndarray], good: tuple[int, ...]) -> Any:
    """Why a datum is left out: its profile, its pressure, its own flag, or that the adjusted value is not there."""
    qc = np.where(np.isnan(m["value"]), 3, 0)
    qc = np.where(np.isin(m["flag"], good), qc, provider_code("value", m["flag"]))
    qc = np.where(np.isin(pres["flag"], good), qc, provider_code("depth", pres["flag"]))
    return np.where(out > 0, out, qc)


def _potential(
    measured: Mapping[str, Mapping[str, np.ndarray]],
    pressure: np.ndarray,
    place: Mapping[str, np.ndarray],
    good: tuple[int, ...],
    salinity: float | None,
    qc: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """θ, the error that an assumed salinity adds, the reasons, and how many salinities were assumed."""
    temp = measured["TEMP"]["value"]
    held = np.full(temp.shape, np.nan)
    if "PSAL" in measured:
        psal = measured["PSAL"]
        fine = np.isin(psal["flag"], good) & (psal["value"] >= 0) & (psal["value"] <= 50)
        held = np.where(fine, psal["value"], np.nan)
    usable = np.isfinite(temp) & np.isfinite(pressure)
    absent = usable & np.isnan(held)
    if salinity is None:
        qc = np.where(absent & (qc == 0), 2, qc)
    else:
        held = np.where(absent, salinity, held)
    lon, lat = (np.broadcast_to(place[n], temp.shape) for n in ("longitude", "latitude"))

    def theta(where: np.ndarray, change: float = 0.0) -> np.ndarray:
        s = held[where] + change
        return seawater.potential_temperature(temp[where], s, pressure[where], lon[where], lat[where])

    value, spread = np.full(temp.shape, np.nan), np.zeros(temp.shape)
    value[usable] = theta(usable)
    if salinity is not None:
        spread[absent] = np.abs(theta(absent, 1.0) - theta(absent, -1.0)) / 2
    return value, spread, qc, int((absent & (qc == 0)).sum())


def _level_by_level(found: Sequence[tuple[Mapping[str, Any], np.ndarray]]) -> dict[str, np.ndarray]:
    """Columns of all data that are there, profile by profile, level by level, variable by variable."""
    shape = found[0][1].shape
    columns = stacked([{**c, "qc": np.broadcast_to(c["qc"], shape)} for c, _ in found])
    order = np.arange(len(found) * found[0][1].size).reshape(len(found), -1).T.ravel()
    there = np.stack([there.ravel() for _, there in found]).T.ravel()
    return {name: values[order][there] for name, values in columns.items()}


def _notes(casts: Mapping[str, Any], salinity: float | None, assumed: int) -> list[str]:
    said = ["temperature is potential temperature, depth is had from pressure (TEOS-10)"]
    if casts["modes"].get("real-time"):
        said.append("profiles in real-time mode carry raw values and a larger error_std")
    if assumed:
        said.append(f"salinity taken as {salinity:g} where a temperature had none, the effect of ±1 added to its error")
    return said
