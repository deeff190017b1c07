"""Sea surface temperature as one satellite saw it: GHRSST files of levels 2P, 3U and 3C (GDS 2), `sst` in °C.

The bias that its makers expect (SSES) is taken off, and the standard deviation that they expect is the error. What is
measured is the skin or what is just below it: on calm days warmer than the layer of a model, see `least_wind`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...ocean.observations import CODES, REJECTED, provider_code, reason
from ...vocabulary.constants import ZERO_CELSIUS
from ...vocabulary.errors import InputError
from ..formats.netcdf import opened
from ..formats.part import Wanted
from ..formats.rows import Rows, flags, needed, numbers, times

KIND = "points"
_NEEDED = ("sea_surface_temperature", "time", "quality_level", "lat", "lon")
_ERROR = 0.5
_NOT_SEA = 0b11110  # bits of l2p_flags: land, ice, lake, river
_EPOCH = np.datetime64("1981-01-01", "s")


def read(path: str | Path, **options: Any) -> xr.Dataset:
    """The observation table of one GHRSST file of level 2P or 3; options are those of `parts`."""
    return parts(Path(path), {}, **options)[0]


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path | None = None,
    *,
    good: Sequence[int] = (5,),
    bias: bool = True,
    least_wind: float | None = None,
    errors: Mapping[str, float] | None = None,
    keep_flagged: bool = False,
) -> list[xr.Dataset]:
    """The observation table of one GHRSST file of level 2P or 3. A file is a feature: the second at which it begins.

    Parameters
    ----------
    good
        Levels of quality that count as good: 5 is best, 4 acceptable.
    bias
        Subtract `sses_bias` where it is stated.
    least_wind
        In m s-1: leave out what was measured at less wind, when the sun warms the surface alone; 6 is usual.
    errors
        Standard deviations where the file states none; 0.5 °C.
    keep_flagged
        Keep what failed under its `qc`.

    References
    ----------
    GHRSST Science Team (2012), The recommended GHRSST data specification (GDS) 2.0, revision 5
    Donlon et al. (2007), https://doi.org/10.1175/BAMS-88-8-1197
    """
    if wanted and "sst" not in wanted:
        return []
    with opened(path) as variables:
        needed(variables, _NEEDED, path, "a GHRSST file of level 2P or 3")
        sst = numbers(variables["sea_surface_temperature"])
        if sst.ndim != 3 or sst.shape[0] != 1:
            raise InputError(f"{path}: sea_surface_temperature has shape {sst.shape}; expected (1, row, column)")
        qc = _qc(variables, good, least_wind)
        there = np.isfinite(sst) & (np.isin(qc, (0,)) | keep_flagged)
        left = np.unique(qc[np.isfinite(sst) & ~there], return_counts=True)
        columns = _columns(variables, sst, there, bias, (errors or {}).get("sst", _ERROR), path)
        attrs = next(iter(variables.values())).group().__dict__
        said = getattr(variables["sea_surface_temperature"], "standard_name", "sea_surface_temperature")
    platform = "_".join(f"{attrs.get('platform', '')} {attrs.get('sensor', '')}".replace(",", " ").split())
    platform = platform or path.stem
    rows = Rows({**columns, "qc": qc[there]}, ["sst"], [platform], "point", [f"sst is {said} of the satellite"])
    ds = rows.dataset(keep_flagged)
    counts = json.loads(ds.attrs.get(REJECTED, "{}")).get(platform, {})
    counts |= {f"sst {reason(int(code))}": int(count) for code, count in zip(*left, strict=True)}
    return [ds.assign_attrs({REJECTED: json.dumps({platform: counts})} if counts else {})]


def _qc(variables: Mapping[str, Any], good: Sequence[int], least_wind: float | None) -> np.ndarray:
    """Why a datum is left out (1, row, column), or 0."""
    level = flags(variables["quality_level"])
    qc = np.where(np.isin(level, list(good)), 0, provider_code("value", level))
    if least_wind is not None and "wind_speed" in variables:
        with np.errstate(invalid="ignore"):
            calm = ~(numbers(variables["wind_speed"]) >= least_wind)
        qc = np.where((qc == 0) & calm, CODES["calm"], qc)
    if "l2p_flags" in variables:
        bits = np.asarray(variables["l2p_flags"][...]).astype(np.int64)
        qc = np.where((qc == 0) & ((bits & _NOT_SEA) != 0), CODES["not_sea"], qc)
    return qc


def _columns(
    variables: Mapping[str, Any], sst: np.ndarray, there: np.ndarray, bias: bool, error: float, path: Path
) -> dict[str, np.ndarray]:
    """Columns of those pixels (1, row, column) that are there."""

    def taken(name: str, otherwise: float) -> np.ndarray:
        if name not in variables:
            return np.full(there.sum(), otherwise)
        values = np.broadcast_to(numbers(variables[name]), there.shape)[there]
        return np.where(np.isfinite(values), values, otherwise)

    reference = times(variables["time"], str(path)).reshape(-1)
    if reference.size != 1 or np.isnat(reference[0]):
        raise InputError(f"{path}: time has {reference.size} entries; expected the one that sst_dtime counts from")
    seconds = np.round(1e3 * taken("sst_dtime", 0.0)).astype("timedelta64[ms]")
    lat, lon = (numbers(variables[n]) for n in ("lat", "lon"))
    if lat.ndim == 1:
        lat, lon = np.meshgrid(lat, lon, indexing="ij")
    spread = taken("sses_standard_deviation", error)
    size = int(there.sum())
    return {
        "time": reference[0] + seconds,
        "latitude": np.broadcast_to(lat, there.shape)[there],
        "longitude": np.broadcast_to(lon, there.shape)[there],
        "depth": np.zeros(size),
        "variable": np.zeros(size, np.int8),
        "value": sst[there] - ZERO_CELSIUS - (taken("sses_bias", 0.0) if bias else 0.0),
        "error_std": np.where(spread > 0, spread, error),
        "platform": np.zeros(size, np.int32),
        "feature": np.full(size, (reference[0] - _EPOCH) // np.timedelta64(1, "s"), np.int64),
    }
