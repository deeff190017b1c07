"""Making observations comparable with a model: its variables, its level of reference, its resolution.

A model that holds `thetao` is told a sea surface temperature as that of its first level; one that holds `zos` is told
a sea level anomaly with a mean dynamic topography added, which must be named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError, unknown
from ...vocabulary.names import VARIABLES
from ..flags import meanings
from ..interpolation import ABOVE, weights
from ..observations import CODES, COLUMNS, COORDINATES, FEATURE, check, table, tally, with_codes, with_rejections
from .distance import closest
from .plausible import names_of, rows_of

TOPOGRAPHY = "oceanx_mean_topography"  # global attribute: which one was added to the anomalies
SEA_LEVEL = ("zos", "sla")
FEW = 20


def as_state(observed: xr.Dataset, names: Sequence[str], *, mean_topography: xr.DataArray | None = None) -> xr.Dataset:
    """The table with what a model does not hold turned into what it does, where the two can be compared.

    - `sst` becomes `thetao` at 0 m, for a model with `thetao` and without `sst`;
    - `thetao` within 10 m of the surface becomes `sst`, for a model with `sst` alone;
    - `sla` becomes `zos`, mean topography added, for a model with `zos` and without `sla`.

    All else stays as it is. Anomalies where the mean topography is missing fail as "no_mean_topography".

    Parameters
    ----------
    names
        The model's variables.
    mean_topography
        Mean dynamic topography (latitude, longitude) in m, with a name or an attribute `title` that says which; kept in
        the result's attribute `oceanx_mean_topography`.

    Raises
    ------
    InputError
        If there are anomalies for a model with `zos` and no mean topography, or one without a name.
    """
    check(observed)
    present = set(names_of(observed))
    if "sst" in present and "thetao" in names and "sst" not in names:
        observed = _renamed(observed, rows_of(observed, "sst"), "thetao")
    if "thetao" in present and "sst" in names and "thetao" not in names:
        shallow = rows_of(observed, "thetao") & (observed["depth"].values <= ABOVE)
        observed = _renamed(observed, shallow, "sst")
    if "sla" in present and "zos" in names and "sla" not in names:
        if mean_topography is None:
            raise InputError(
                "observations: sea level anomalies (sla) for a model with zos; give the mean dynamic topography that "
                "they are to be added to, mean_topography=…"
            )
        observed = _with_topography(observed, mean_topography)
    return observed


def _renamed(observed: xr.Dataset, rows: np.ndarray, name: str) -> xr.Dataset:
    """The table with some rows called another variable, at the surface; variables without data are left out."""
    words = [*meanings(observed["variable"].attrs).values()]
    every = list(dict.fromkeys([*words, name]))
    code = observed["variable"].values.astype(np.int64)
    code = np.where(rows, every.index(name), code)
    kept = [k for k in range(len(every)) if (code == k).any()]
    place = np.zeros(len(every), np.int8)
    place[kept] = np.arange(len(kept))
    columns = {n: observed[n].values for n in (*COORDINATES, *COLUMNS)} | {"variable": place[code]}
    columns["depth"] = np.where(rows, 0, columns["depth"]).astype(columns["depth"].dtype)
    return table(
        columns,
        [every[k] for k in kept],
        [*meanings(observed["platform"].attrs).values()],
        kind=str(observed.attrs.get(FEATURE, "point")),
        extras={str(n): v.variable for n, v in observed.data_vars.items() if n not in COLUMNS},
        coords={str(n): c for n, c in observed.coords.items() if "obs" not in c.dims},
        attrs=observed.attrs,
    )


def _with_topography(observed: xr.Dataset, mean: xr.DataArray) -> xr.Dataset:
    said = str(mean.attrs.get("title") or mean.name or "")
    if not said:
        raise InputError("mean_topography: has no name; give it one that says which it is, da.rename('cnes_cls_2022')")
    if set(mean.dims) != {"latitude", "longitude"}:
        raise InputError(f"mean_topography: found dimensions {mean.dims}; expected ('latitude', 'longitude')")
    if mean.attrs.get("units", "m") != "m":
        raise InputError(f"mean_topography: is in {mean.attrs['units']!r}; expected 'm'")
    rows = rows_of(observed, "sla")
    wet = np.isfinite(mean.transpose("latitude", "longitude").values)
    axes = xr.Dataset(coords={d: mean[d] for d in ("latitude", "longitude")})
    height = weights(axes, observed.isel(obs=np.flatnonzero(rows)), wet=wet).apply(mean).values
    value = observed["value"].values.astype(float)
    value[rows] += np.where(np.isnan(height), 0.0, height)
    qc = observed["qc"].values.copy()
    lost = np.flatnonzero(rows)[np.isnan(height)]
    new = np.zeros_like(qc)
    new[lost[qc[lost] == 0]] = CODES["no_mean_topography"]
    observed = with_rejections(observed, tally(observed, new))
    observed = with_codes(observed, np.where(new > 0, new, qc))
    observed = observed.assign(value=observed["value"].copy(data=value.astype(observed["value"].dtype)))
    return _renamed(observed, rows, "zos").assign_attrs({TOPOGRAPHY: said})


def offsets(
    departures: np.ndarray,
    observed: xr.Dataset,
    window: np.ndarray | None = None,
    basins: xr.DataArray | None = None,
    *,
    variables: Sequence[str] = SEA_LEVEL,
    least: int = FEW,
) -> xr.DataArray:
    """What to take from each departure (obs) of sea level: the mean, weighted by 1/σo², of its window and basin.

    The mean topography and the model's zero of sea level differ, basin by basin, by what no observation of the ocean's
    state should mend. Other variables, and groups of few data, get 0. The offset takes one degree of freedom from each
    group; a real rise of a basin's mean sea level goes with it.

    Parameters
    ----------
    departures
        y − H x_b (obs); NaN takes no part, as do rows that have failed.
    window
        Number (obs) of the window of each row; None: all rows are of one.
    basins
        Codes (latitude, longitude), such as of the recipe `basins`; the nearest cell counts. None: one basin.
    least
        How many data a group needs.
    """
    if np.shape(departures) != (observed.sizes["obs"],):
        raise InputError(
            f"departures: found shape {np.shape(departures)}; expected one for each of {observed.sizes['obs']} rows"
        )
    rows = np.flatnonzero(np.any([rows_of(observed, name) for name in variables], axis=0))
    number = np.zeros(rows.size, np.int64) if window is None else np.asarray(window)[rows]
    basin = np.zeros(rows.size) if basins is None else _nearest(basins, observed.isel(obs=rows))
    _, group = np.unique(np.stack([number, np.nan_to_num(basin, nan=-1.0)]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    away, sigma = np.asarray(departures, float)[rows], observed["error_std"].values[rows].astype(float)
    good = np.isfinite(away) & (observed["qc"].values[rows] == 0)
    share = np.where(good, sigma**-2.0, 0.0)
    count, total, weight = (np.bincount(group, x) for x in (good, np.where(good, away, 0.0) * share, share))
    enough = count >= max(least, 1)
    mean = np.where(enough, total, 0.0) / np.where(enough, weight, 1.0)
    result = np.zeros(observed.sizes["obs"])
    result[rows] = mean[group]
    return xr.DataArray(result, dims="obs", attrs={"long_name": "Offset of sea level", "units": "m"})


def total_error(observed: xr.Dataset, representation: Mapping[str, float | xr.DataArray]) -> xr.DataArray:
    """σo (obs): the error of the instrument and that of representation, √(σ_i² + σ_r²).

    Parameters
    ----------
    representation
        By variable, what the grid cannot resolve, in the variable's unit: a number, or a DataArray by `depth` (linear
        between levels, constant beyond them), by `latitude` and `longitude`, or by all three (as the observation
        operator has it; where that finds nothing, the largest). Variables that it lacks have none.

    Raises
    ------
    InputError
        If a variable is unknown, or an error is negative or nowhere given.

    Examples
    --------
    >>> total_error(obs, {"thetao": 0.4, "zos": 0.03})                    # doctest: +SKIP
    """
    error = observed["error_std"].values.astype(float)
    for name, given in representation.items():
        if name not in VARIABLES:
            raise unknown("variable", str(name), VARIABLES)
        values = np.asarray(given, float)
        if (values < 0).any() or not np.isfinite(values).any():
            raise InputError(
                f"representation: {name}: found {np.min(values):g}; expected standard deviations from 0 up"
            )
        rows = np.flatnonzero(rows_of(observed, str(name)))
        if not rows.size:
            continue
        if isinstance(given, xr.DataArray) and given.dims:
            values = _at(given, observed.isel(obs=rows))
        error[rows] = np.hypot(error[rows], values)
    return xr.DataArray(error, dims="obs", attrs={"long_name": "Standard deviation of the error of observation"})


def _at(field: xr.DataArray, observed: xr.Dataset) -> np.ndarray:
    """A field of representation errors at the observations (obs)."""
    dims = [d for d in ("depth", "latitude", "longitude") if d in field.dims]
    if dims == ["depth"]:
        return np.interp(observed["depth"].values, field["depth"].values, field.values)
    if set(dims) != set(field.dims) or dims[-2:] != ["latitude", "longitude"]:
        raise InputError(
            f"representation: {field.name}: found dimensions {field.dims}; "
            "expected depth, or latitude and longitude, or all"
        )
    axes = xr.Dataset(coords={d: field[d] for d in dims})
    place = weights(axes, observed, wet=np.isfinite(field.transpose(*dims).values))
    return np.where(place.found, place.apply(field).values, float(field.max()))


def _nearest(codes: xr.DataArray, observed: xr.Dataset) -> np.ndarray:
    """Codes (obs) of the nearest cell, of the surface where they have a depth."""
    if "depth" in codes.dims:
        codes = codes.isel(depth=0)
    if set(codes.dims) != {"latitude", "longitude"}:
        raise InputError(f"basins: found dimensions {codes.dims}; expected ('latitude', 'longitude')")
    row = closest(codes["latitude"].values, observed["latitude"].values)
    column = closest(codes["longitude"].values, observed["longitude"].values, 360.0)
    return codes.transpose("latitude", "longitude").values[row, column].astype(float)
