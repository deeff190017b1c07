"""Altimetry along the tracks of one satellite: the level-3 files of Copernicus Marine, `sla` or `zos`.

Anomalies have been corrected for tides, for the atmosphere's high frequencies and for long-wavelength errors. One datum
a second is 7 km; the filtered ones hang together over some of them. A pass of the satellite is a feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...ocean.observations import CODES
from ...vocabulary.errors import InputError, unknown
from ..formats.netcdf import opened
from ..formats.part import Wanted
from ..formats.rows import Rows, needed, numbers, stacked, times

KIND = "points"
_NEEDED = ("time", "latitude", "longitude", "cycle", "track")
_ERROR = 0.03
_CORRECTIONS = {"dac": 1.0, "ocean_tide": 1.0, "internal_tide": 1.0, "lwe": -1.0}  # sla + … gives it back
_TRACKS = 100_000  # more than any satellite flies in a cycle


def read(path: str | Path, **options: Any) -> xr.Dataset:
    """The observation table of one file of along-track altimetry; options are those of `parts`."""
    return parts(Path(path), {}, **options)[0]


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path | None = None,
    *,
    filtered: bool = False,
    uncorrected: Sequence[str] = (),
    errors: Mapping[str, float] | None = None,
    keep_flagged: bool = False,
) -> list[xr.Dataset]:
    """The observation table of one file of along-track altimetry: `sla`, or `zos` where that is wanted.

    Sea surface height is zos = sla + mdt, the file's own mean dynamic topography; data without one are left out.

    Parameters
    ----------
    filtered
        Take what its makers have smoothed along the track.
    uncorrected
        Corrections of the anomalies to be undone, for a model that has that signal: "dac" (the sea's response to wind
        and pressure), "ocean_tide", "internal_tide", "lwe" (long-wavelength errors, between satellites).
    errors
        Standard deviations by variable, which these files do not state; 0.03 m.
    keep_flagged
        Keep what failed under its `qc`.

    References
    ----------
    Taburet et al. (2019), DUACS DT2018, https://doi.org/10.5194/os-15-1207-2019
    """
    names = [name for name in ("sla", "zos") if name in (wanted or ("sla",))]
    if len(names) > 1:
        raise InputError(f"{path}: sla and zos are one measurement; choose one of them")
    for correction in uncorrected:
        if correction not in _CORRECTIONS:
            raise unknown("correction", correction, _CORRECTIONS)
    if not names:
        return []
    theirs = "sla_filtered" if filtered else "sla_unfiltered"
    height = ("mdt",) if names == ["zos"] else ()
    with opened(path) as variables:
        needed(variables, (*_NEEDED, theirs, *height, *uncorrected), path, "a file of along-track altimetry")
        value = numbers(variables[theirs])
        there, qc = np.isfinite(value), np.zeros(value.size, np.int64)
        for name in uncorrected:
            value = value + _CORRECTIONS[name] * numbers(variables[name])
        if height:
            mean = numbers(variables["mdt"])
            qc = np.where(np.isnan(mean), CODES["no_mean_topography"], qc)
            value = value + mean
        cycle, track = (np.nan_to_num(numbers(variables[n])).astype(np.int64) for n in ("cycle", "track"))
        columns: dict[str, Any] = {
            "time": times(variables["time"], str(path)),
            "latitude": numbers(variables["latitude"]),
            "longitude": numbers(variables["longitude"]),
            "depth": 0.0,
            "variable": np.int8(0),
            "value": value,
            "error_std": (errors or {}).get(names[0], _ERROR),
            "platform": np.int32(0),
            "feature": cycle * _TRACKS + track,
            "qc": qc,
        }
        platform = _platform(next(iter(variables.values())).group().__dict__, path)
    held = {name: column[there] for name, column in stacked([columns]).items()}
    notes = [f"{theirs} of level 3" + (", with the file's own mdt" if height else "")]
    if uncorrected:
        notes.append(f"not corrected for {', '.join(uncorrected)}")
    return [Rows(held, names, [platform], "trajectory", notes).dataset(keep_flagged)]


def _platform(attrs: Mapping[str, Any], path: Path) -> str:
    """The satellite: what the file calls it, or else what the file is called: dt_global_s3a_phy_l3_20190101_….nc."""
    said = "_".join(str(attrs.get("platform", "")).split())
    pieces = path.stem.split("_phy_l3")
    return said or pieces[0].split("_")[-1]
