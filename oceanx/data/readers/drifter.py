"""Drifters: Copernicus in situ files (velocity and temperature with flags), and trajectories of positions alone.

A position is no observation of a variable of ours: velocities are made of positions only where an option asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...ocean import seawater
from ...ocean.flags import flag_attrs
from ...ocean.observations import provider_code
from ...vocabulary.constants import EARTH_RADIUS
from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS
from ..formats.netcdf import opened
from ..formats.part import Wanted
from ..formats.rows import Rows, again, flags, needed, numbered, numbers, seam, stacked, times, words

KIND = "points"
_OURS = {"TEMP": "thetao", "PSAL": "so", "EWCT": "uo", "NSCT": "vo"}
_ERRORS = {"thetao": 0.1, "so": 0.1, "uo": 0.03, "vo": 0.03}
_NOMINAL = 7  # in situ TAC: the depth at which a sensor is meant to hang, which is all a drifter knows


def read(path: str | Path, **options: Any) -> xr.Dataset:
    """The observation table of one file of drifters; options are those of `parts`."""
    return parts(Path(path), {}, **options)[0]


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path | None = None,
    *,
    good: Sequence[int] = (1, 2),
    salinity: float = 35.0,
    errors: Mapping[str, float] | None = None,
    velocity: bool = False,
    drogue: float | None = None,
    position_error: float = 10.0,
    step: str = "1h",
    max_gap: str = "6h",
    keep_flagged: bool = False,
) -> list[xr.Dataset]:
    """The observation table of one file of drifters.

    Velocities of positions are differences centred between two fixes at least `step` apart,

        u = R cos φ Δλ / Δt,   v = R Δφ / Δt,

    at the middle of the two in time and place: second order in Δt, and with errors √2 σ / Δt for positions good to σ.
    Consecutive ones share a fix, so their errors correlate by −½. What is faster than Δt is averaged, not observed.

    Parameters
    ----------
    good
        Flags of values, positions and times that count as good; of depths, 7 (nominal) does too.
    salinity
        Assumed for potential temperature where none is measured; at the depth of drifters θ changes by less than
        1e-5 °C for ±1.
    errors
        Standard deviations by variable, which these files do not state.
    velocity
        Make `uo` and `vo` of positions, in files that hold nothing else. Then `drogue` is their depth in m,
        `position_error` σ in m (10 is GPS; Argos 300), and fixes more than `max_gap` apart are not bridged.
    keep_flagged
        Keep what failed under its `qc`.

    References
    ----------
    Hansen and Poulain (1996), https://doi.org/10.1175/1520-0426(1996)013<0900:QCAIOW>2.0.CO;2
    """
    with opened(path) as variables:
        if "TIME" in variables and {"DEPH", "PRES"} & variables.keys():
            rows = _in_situ(variables, path, wanted, tuple(good), salinity, _ERRORS | dict(errors or {}))
        else:
            tracks = _tracks(variables, path)
            if not velocity:
                raise InputError(f"{path}: holds positions only, no variable of ours; say velocity=true and drogue=15 "
                                 "(m) to derive uo and vo, or read_positions for the trajectories")  # fmt: skip
            if drogue is None:
                raise InputError("drogue: velocity=true needs the depth in m to which the drifters are drogued")
            rows = _velocities(tracks, path, wanted, drogue, position_error, *map(_seconds, (step, max_gap)))
    return [rows.dataset(keep_flagged)] if rows.variables else []


def read_positions(path: str | Path) -> xr.Dataset:
    """Positions (obs) of every trajectory of a file, one trajectory after another, each in time."""
    with opened(Path(path)) as variables:
        tracks = _tracks(variables, Path(path))
    columns = {n: np.concatenate([t[n] for t in tracks]) for n in ("time", "latitude", "longitude")}
    columns["longitude"] = seam(columns["longitude"])
    names, platform = numbered([t["name"] for t in tracks])
    sizes = [t["time"].size for t in tracks]
    ds = xr.Dataset(
        {"platform": ("obs", np.repeat(platform, sizes), {"long_name": "Platform", **flag_attrs(names, "int32")}),
         "feature": ("obs", np.repeat(np.arange(len(tracks), dtype=np.int32), sizes), {"long_name": "Trajectory"})},
        coords={n: ("obs", v, DIMENSIONS[n]) for n, v in columns.items()},
    )  # fmt: skip
    return ds.assign_attrs({"Conventions": "CF-1.11", "featureType": "point"})


def _in_situ(
    variables: Mapping[str, Any], path: Path, wanted: Mapping[str, Wanted], good: tuple[int, ...], salinity: float,
    errors: Mapping[str, float],
) -> Rows:  # fmt: skip
    """The rows of a file (TIME, DEPTH) of the Copernicus in situ centre."""
    needed(variables, ("LATITUDE", "LONGITUDE"), path, "an in situ file")
    time = times(variables["TIME"], str(path))[:, None]
    lat, lon = (_per_time(numbers(variables[n]), time.size, path, n) for n in ("LATITUDE", "LONGITUDE"))
    depth, out = _depth(variables, time.size, lat, good)
    for what, name in (("position", "POSITION_QC"), ("time", "TIME_QC")):
        if name in variables:
            flag = _per_time(flags(variables[name]), time.size, path, name)
            out = np.where(np.isin(flag, good), out, provider_code(what, flag))
    out = np.where(again(time[:, 0])[:, None] & (out == 0), 7, out)
    held = {theirs: numbers(variables[theirs]).reshape(depth.shape) for theirs in _OURS if theirs in variables}
    flag_of = {n: flags(variables[f"{n}_QC"]).reshape(depth.shape) for n in held}
    names = [_OURS[n] for n in held if not wanted or _OURS[n] in wanted]
    place: dict[str, Any] = {"time": time, "latitude": lat, "longitude": lon, "platform": 0, "feature": 0}
    found = []
    for code, name in enumerate(names):
        theirs = next(n for n, ours in _OURS.items() if ours == name)
        value, flag = held[theirs], flag_of[theirs]
        there = np.isfinite(value)
        if name == "thetao":
            salt = np.where(np.isin(flag_of["PSAL"], good), held["PSAL"], np.nan) if "PSAL" in held else np.nan
            salt = np.where(np.isnan(salt), salinity, salt)
            value = seawater.potential_temperature(value, salt, seawater.pressure(depth, lat), lon, lat)
        qc = np.where(np.isin(flag, good), out, np.where(out > 0, out, provider_code("value", flag)))
        column = {
            **place,
            "depth": depth,
            "variable": np.int8(code),
            "value": value,
            "qc": qc,
            "error_std": errors[name],
        }
        found.append({n: np.broadcast_to(v, depth.shape)[there] for n, v in column.items()})
    attrs = next(iter(variables.values())).group().__dict__
    platform = "_".join(str(attrs.get("platform_code", "")).split()) or path.stem
    notes = [f"temperature is potential temperature (TEOS-10), with salinity {salinity:g} where none is measured"]
    columns = stacked(found) if found else {}
    return Rows(columns, names, [platform], "trajectory", notes if "thetao" in names else [])


def _depth(
    variables: Mapping[str, Any], size: int, lat: np.ndarray, good: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Depth (time, level) in m, and the reason where it is not to be used."""
    name = "DEPH" if "DEPH" in variables else "PRES"
    values = numbers(variables[name]).reshape(size, -1)
    out = np.zeros(values.shape, np.int64)
    if f"{name}_QC" in variables:
        flag = flags(variables[f"{name}_QC"]).reshape(size, -1)
        out = np.where(np.isin(flag, (*good, _NOMINAL)), 0, provider_code("depth", flag))
    return (values if name == "DEPH" else seawater.depth(values, lat)), out


def _per_time(values: np.ndarray, size: int, path: Path, name: str) -> np.ndarray:
    """A column with one entry a time, of a file that may hold one for all."""
    if values.size not in (1, size):
        raise InputError(f"{path}: {name} has {values.size} entries; expected one, or one for each of {size} times")
    return np.broadcast_to(values.reshape(-1, 1), (size, 1))


def _tracks(variables: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Name, times and positions of every trajectory of a file (trajectory, obs)."""
    by_role = {getattr(v, "standard_name", ""): name for name, v in variables.items() if v.ndim == 2}
    found = [by_role.get(role) for role in ("time", "latitude", "longitude")]
    identity = next((v for v in variables.values() if getattr(v, "cf_role", "") == "trajectory_id"), None)
    if None in found or identity is None:
        raise InputError(
            f"{path}: holds no drifters: neither an in situ file (TIME, DEPH) nor trajectories (cf_role trajectory_id, "
            "with time, latitude and longitude along them); choose another recipe"
        )
    when = times(variables[str(found[0])], str(path))
    lat, lon = (numbers(variables[str(name)]) for name in found[1:])
    tracks = []
    for k, name in enumerate(words(identity)):
        keep = ~np.isnat(when[k]) & np.isfinite(lat[k]) & np.isfinite(lon[k])
        track = {"name": name, "time": when[k][keep], "latitude": lat[k][keep], "longitude": lon[k][keep]}
        if (np.diff(track["time"]) <= np.timedelta64(0)).any():
            raise InputError(f"{path}: the times of {name} do not ascend; sort its positions, and leave out doubles")
        tracks.append(track)
    return tracks


def _velocities(
    tracks: Sequence[Mapping[str, Any]], path: Path, wanted: Mapping[str, Wanted], drogue: float, sigma: float,
    step: float, max_gap: float,
) -> Rows:  # fmt: skip
    names = [n for n in ("uo", "vo") if not wanted or n in wanted]
    platforms, platform = numbered([t["name"] for t in tracks])
    found = []
    for k, track in enumerate(tracks):
        seconds = track["time"].astype(np.int64) / 1e9
        fix = _apart(seconds, step)
        first, last = fix[:-1], fix[1:]
        near = seconds[last] - seconds[first] <= max_gap
        first, last = first[near], last[near]
        dt = seconds[last] - seconds[first]
        east = (track["longitude"][last] - track["longitude"][first] + 180) % 360 - 180
        north = track["latitude"][last] - track["latitude"][first]
        lat = track["latitude"][first] + north / 2
        metres = {
            "uo": EARTH_RADIUS * np.cos(np.deg2rad(lat)) * np.deg2rad(east),
            "vo": EARTH_RADIUS * np.deg2rad(north),
        }
        halves = (track["time"][last] - track["time"][first]) // 2
        middle = (track["time"][first] + halves).astype("datetime64[ms]").astype("datetime64[ns]")
        lon = track["longitude"][first] + east / 2
        at = {"time": middle, "latitude": lat, "longitude": lon, "depth": drogue, "platform": platform[k],
              "feature": np.int32(k), "qc": 0, "error_std": np.sqrt(2) * sigma / dt}  # fmt: skip
        both = [{**at, "variable": np.int8(code), "value": metres[n] / dt} for code, n in enumerate(names)]
        both = [dict(zip(b, np.broadcast_arrays(*b.values()), strict=True)) for b in both]
        found.append({n: np.stack([b[n] for b in both], axis=-1).ravel() for n in both[0]} if both else {})
    note = f"velocities are centred differences of positions good to {sigma:g} m, over at least {step:g} s"
    return Rows(stacked(found) if names else {}, names, platforms, "trajectory", [note])


def _apart(seconds: np.ndarray, step: float) -> np.ndarray:
    """Positions in an ascending series, each the first at least `step` after the one before it."""
    chosen, at = [], 0
    while at < seconds.size:
        chosen.append(at)
        at = int(np.searchsorted(seconds, seconds[at] + step))
    return np.array(chosen, int)


def _seconds(text: str) -> float:
    try:
        seconds = pd.Timedelta(text).total_seconds()
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise InputError(f"step or max_gap {text!r}: expected a duration such as '1h'")
    return seconds
