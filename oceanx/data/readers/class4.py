"""Class-4 files of OceanPredict: observations, and what a forecasting system, its analysis and climatology say there.

The model's equivalents stay beside the observations: `forecast` and `persistence` (obs, lead_time), `best_estimate`,
`nrt_analysis` and `climatology` (obs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...ocean import seawater
from ...ocean.observations import provider_code
from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS, VARIABLES, ours
from .. import units
from ..formats.netcdf import opened
from ..formats.part import Wanted
from ..formats.rows import Rows, flags, needed, numbered, numbers, times, words

KIND = "points"
_NEEDED = ("observation", "varname", "id", "juld", "latitude", "longitude")
_BESIDE = ("best_estimate", "nrt_analysis", "climatology")
_AHEAD = ("forecast", "persistence")
_ERRORS = {"thetao": 0.02, "so": 0.02, "sst": 0.3, "sla": 0.03, "zos": 0.03, "uo": 0.03, "vo": 0.03, "siconc": 0.1}
_SPOKEN = {"k": "K", "kelvin": "K", "degc": "degrees_C", "deg_c": "degrees_C", "celsius": "degrees_C", "c": "degrees_C",
           "psu": "1e-3", "pss": "1e-3", "m/s": "m s-1", "metres": "m", "meters": "m", "cm": "cm"}  # fmt: skip
_SINCE = np.datetime64("2000-01-01", "m")  # profiles are numbered by their minutes since then, times
_IN_A_MINUTE = 64  # so many of one platform


def read(path: str | Path, **options: Any) -> xr.Dataset:
    """The observation table of one Class-4 file, what is flagged bad left out; options are those of `parts`."""
    return parts(Path(path), {}, **options)[0]


def read_class4(path: str | Path, **options: Any) -> xr.Dataset:
    """The observation table of one Class-4 file with everything in it; `qc` tells what its makers flagged."""
    return read(path, keep_flagged=True, **options)


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path | None = None,
    *,
    good: Sequence[int] = (0,),
    errors: Mapping[str, float] | None = None,
    in_situ: Sequence[str] = (),
    lead_units: str = "days",
    keep_flagged: bool = False,
) -> list[xr.Dataset]:
    """The observation table of one Class-4 file.

    Parameters
    ----------
    good
        Flags that count as good.
    errors
        Standard deviations of the observations by variable, which these files do not state.
    in_situ
        Of "observation", "forecast", "best_estimate", …, those whose temperatures are in situ and are to be made
        potential with the observed salinity beside them. The files do not say which are: without this all stay as
        delivered.
    lead_units
        Of `leadtime`, in a file that does not tell.
    keep_flagged
        Keep what is flagged bad under its `qc`.

    References
    ----------
    Ryan et al. (2015), GODAE OceanView Class 4 forecast verification framework,
    https://doi.org/10.1080/1755876X.2015.1022330
    """
    with opened(path) as variables:
        needed(variables, _NEEDED, path, "a Class-4 file")
        names = [ours(name.lower()) or ours(name) or "" for name in words(variables["varname"])]
        chosen = [k for k, name in enumerate(names) if name and (not wanted or name in wanted)]
        if not chosen:
            return []
        fields = _fields(variables, names, wanted, path)
        place = _place(variables, fields["observation"].shape, path)
        qc = _qc(variables, fields["observation"].shape, tuple(good))
        lead = _leads(variables, lead_units)
    pressure = seawater.pressure(place["depth"], place["latitude"])
    notes = ["temperatures are in situ or potential as the file has them, which it does not say"]
    there = np.isfinite(fields["observation"])
    for name in in_situ:
        _make_potential(fields, name, names, qc == 0, pressure, place, path)
        notes = [f"in-situ temperature of {', '.join(in_situ)} made potential (TEOS-10) with the observed salinity"]
    qc = np.where((qc == 0) & there & np.isnan(fields["observation"]), 2, qc)
    rows = _rows(fields, there, place, qc, lead, [names[k] for k in chosen], chosen, _ERRORS | dict(errors or {}))
    rows.notes = notes if "thetao" in rows.variables else []
    return [rows.dataset(keep_flagged)]


def _fields(
    variables: Mapping[str, Any], names: Sequence[str], wanted: Mapping[str, Wanted], path: Path
) -> dict[str, np.ndarray]:
    """Observation and equivalents (profile, variable, [lead,] level) in our units."""
    spoken = words(variables["unitname"]) if "unitname" in variables else []
    fields = {}
    for name in ("observation", *_BESIDE, *_AHEAD):
        if name in variables:
            fields[name] = numbers(variables[name])
    if fields["observation"].ndim != 3:
        raise InputError(
            f"{path}: observation has shape {fields['observation'].shape}; expected (obs, variable, depth)"
        )
    for k, name in enumerate(names):
        told = spoken[k] if k < len(spoken) and not spoken[k].lstrip("-").isdigit() else ""
        unit = _SPOKEN.get(told.lower(), told) or (wanted[name].units if name in wanted else None)
        if name and unit:
            convert = units.conversion(unit, VARIABLES[name].units, f"{path}: {name}")
            for values in fields.values():
                values[:, k] = convert(values[:, k])
    return fields


def _place(variables: Mapping[str, Any], shape: tuple[int, ...], path: Path) -> dict[str, Any]:
    """Time and place (profile, level), and the number of the platform and of the profile."""
    count, levels = shape[0], shape[-1]
    depth = numbers(variables["depth"]).reshape(count, -1) if "depth" in variables else np.zeros((count, 1))
    time = times(variables["juld"], str(path)).reshape(count, 1)
    platforms, platform = numbered(words(variables["id"]))
    return {
        "time": time,
        "latitude": numbers(variables["latitude"]).reshape(count, 1),
        "longitude": numbers(variables["longitude"]).reshape(count, 1),
        "depth": np.broadcast_to(depth, (count, levels)),
        "platform": platform[:, None],
        "platforms": platforms,
        "feature": _feature(time[:, 0], platform, path)[:, None],
    }


def _feature(time: np.ndarray, platform: np.ndarray, path: Path) -> np.ndarray:
    """A number for each profile that is the same in every file: minute of its time, then order in that minute.

    A float delivers two at one time where it samples the water near the surface once more.
    """
    minutes = np.where(np.isnat(time), 0, (time.astype("datetime64[m]") - _SINCE).astype(np.int64))
    _, group = np.unique(np.stack([platform, minutes]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], group[order])
    nth = np.empty(group.size, np.int64)
    nth[order] = np.arange(group.size) - first
    if nth.size and nth.max() >= _IN_A_MINUTE:
        raise InputError(f"{path}: id: {nth.max() + 1} observations of one platform in a minute; are its names blank?")
    return minutes * _IN_A_MINUTE + nth


def _qc(variables: Mapping[str, Any], shape: tuple[int, ...], good: tuple[int, ...]) -> np.ndarray:
    if "qc" not in variables:
        return np.zeros(shape, np.int64)
    flag = np.broadcast_to(flags(variables["qc"]), shape)
    return np.where(np.isin(flag, good), 0, provider_code("value", flag))


def _leads(variables: Mapping[str, Any], otherwise: str) -> np.ndarray:
    """Lead times as timedelta64[ns]."""
    if "leadtime" not in variables:
        return np.empty(0, "timedelta64[ns]")
    v = variables["leadtime"]
    unit = str(getattr(v, "units", otherwise)).lower()
    seconds = {"d": 86400, "h": 3600, "s": 1}.get(unit[:1])
    if seconds is None:
        raise InputError(f"leadtime: units {unit!r}; expected days, hours or seconds (option lead_units)")
    return np.round(numbers(v) * seconds).astype("timedelta64[s]").astype("timedelta64[ns]")


def _make_potential(
    fields: dict[str, np.ndarray], name: str, names: Sequence[str], good: np.ndarray, pressure: np.ndarray,
    place: Mapping[str, Any], path: Path,
) -> None:  # fmt: skip
    """Replace one field's temperatures in situ by potential ones; NaN where no good salinity was observed."""
    if name not in fields or not {"thetao", "so"} <= set(names):
        raise InputError(f"{path}: in_situ: needs {name} of temperature, and salinity observed beside it")
    t, of_salt = names.index("thetao"), names.index("so")
    s = np.where(good[:, of_salt], fields["observation"][:, of_salt], np.nan)
    values = fields[name][:, t]
    ahead = values.ndim == 3
    across = [x[:, None] if ahead else x for x in (s, pressure, place["longitude"], place["latitude"])]
    fields[name][:, t] = seawater.potential_temperature(values, *across)


def _rows(
    fields: Mapping[str, np.ndarray], held: np.ndarray, place: Mapping[str, Any], qc: np.ndarray, lead: np.ndarray,
    names: Sequence[str], chosen: Sequence[int], errors: Mapping[str, float],
) -> Rows:  # fmt: skip
    """Rows profile by profile, level by level, variable by variable."""
    level_first = fields["observation"][:, chosen].swapaxes(1, 2)  # (profile, level, variable)
    there = held[:, chosen].swapaxes(1, 2)
    spread = ("time", "latitude", "longitude", "depth", "platform", "feature")
    columns = {n: np.broadcast_to(place[n][..., None], there.shape)[there] for n in spread}
    columns |= {
        "variable": np.broadcast_to(np.arange(len(chosen), dtype=np.int8), there.shape)[there],
        "value": level_first[there],
        "error_std": np.broadcast_to([errors.get(n, np.nan) for n in names], there.shape)[there],
        "qc": qc[:, chosen].swapaxes(1, 2)[there],
    }
    extras = {}
    for name in (*_BESIDE, *_AHEAD):
        if name in fields:
            said = f"{name.replace('_', ' ').capitalize()} at the observation"
            ahead = fields[name].ndim == 4
            values = fields[name][:, chosen]
            moved = values.transpose(0, 3, 1, 2) if ahead else values.swapaxes(1, 2)
            dims = ("obs", "lead_time") if ahead else ("obs",)
            extras[name] = xr.Variable(dims, moved[there].astype(np.float32), {"long_name": said})
    coords = {"lead_time": ("lead_time", lead, DIMENSIONS["lead_time"])} if lead.size else {}
    return Rows(columns, names, place["platforms"], "profile", [], extras, coords)
