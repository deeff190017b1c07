"""Spectra of variance along latitude circles: what a forecast has kept of each scale, by lead, beside the truth.

A blurred forecast has lost what is small, a noisy one has gained it; errors alone tell neither from the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.climatology import at
from ..ocean.grid import area
from ..ocean.labels import by_model, wet_cells
from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS
from .checking import comparable, shared
from .levels import on_levels
from .regions import resolve
from .zonal import Segment, Taper, bin_edges, harmonics, segments, shares

LONG_NAMES = {"spectrum": "Zonal variance density", "truth_spectrum": "Zonal variance density of the truth"}


class Piece(NamedTuple):
    """A segment, the area of its cells, and how much of its harmonics lies in each bin."""

    segment: Segment
    area: float
    shares: np.ndarray


def spectrum(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    region: Any = None,
    least: int = 24,
    bins: int = 24,
    taper: Taper = "hann",
) -> xr.Dataset:
    """Density of variance by lead: `<variable>_spectrum` and `<variable>_truth_spectrum` ([model,] …, wavenumber).

    Each row is cut at land; what is left are segments, and those of at least so many cells are counted. Of a segment
    the mean and the trend are taken out, and its ends are tapered, so that what is large does not look small where the
    segment breaks off; a whole latitude circle has no ends and is taken as it is. The variance of each of its harmonics
    is spread over the wavenumbers half-way to the next. Segments are weighted by their area, all starts alike, and
    members are averaged as spectra. So the sum over wavenumber of density × `bandwidth` is the mean variance of the
    segments.

    Short segments know nothing of long waves and count as none there: compare with the truth, which has the same.

    Parameters
    ----------
    forecast
        Labelled forecast(s); a mapping gains a dimension `model`.
    truth
        Dataset with `time` on the same grid that covers every valid time.
    climatology
        Of `oceanx.ocean.climatology`: spectra are of anomalies from it. Without, they are of the whole fields.
    variables
        All that both have, if None.
    region
        A name in `oceanx.scores.REGIONS`, or a box `{minimum_latitude: …}`; everywhere if None.
    least
        Cells of the shortest segment that counts.
    bins
        Of wavenumber, evenly spaced in its logarithm from the longest wave to the shortest.
    taper
        `hann`, of unit mean square, after the trend is taken out; or `none`, which takes out the mean alone, and of
        which the sum over wavenumber is the variance itself.

    Raises
    ------
    InputError
        As `score`; if longitudes are not evenly spaced, or no segment is long enough.

    Examples
    --------
    >>> table = spectrum({"hybrid": fc}, truth, climatology=clim)                           # doctest: +SKIP
    >>> (table.zos_spectrum / table.zos_truth_spectrum).sel(lead_time="10D")                # doctest: +SKIP
    """
    several = by_model(forecast)
    comparable(several, truth)
    names = shared(several, truth, variables)
    _check(several, truth, names, climatology, taper, least, bins)
    inside = _inside(region, truth)
    found = {name: _segments(name, several, truth, inside, least) for name in names}
    edges = bin_edges([each for levels in found.values() for level in levels for each in level], bins)
    result = {}
    for name in names:
        pieces = _pieces(found[name], truth, edges)
        rows = [_variances(f[name], f["valid_time"], truth[name], climatology, pieces, taper) for f in several.values()]
        for kind, values in zip(LONG_NAMES, zip(*rows, strict=True), strict=True):
            density = xr.concat(values, pd.Index(list(several), name="model")) / np.diff(edges)
            units = f"({truth[name].attrs.get('units', '1')})2 km"
            result[f"{name}_{kind}"] = density.assign_attrs(long_name=f"{LONG_NAMES[kind]}: {name}", units=units)
    table = _labelled(xr.Dataset(result), edges).assign_attrs(title="Zonal spectra", oceanx_taper=taper)
    return table.squeeze("model", drop=True) if isinstance(forecast, xr.Dataset) else table


def _check(
    forecasts: Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    names: Sequence[str],
    climatology: xr.Dataset | None,
    taper: str,
    least: int,
    bins: int,
) -> None:
    if taper not in get_args(Taper):
        raise InputError(f"taper: found {taper!r}; expected one of {', '.join(get_args(Taper))}")
    if least < 4 or bins < 1:
        raise InputError(f"spectrum: least = {least} and bins = {bins}; expected at least 4 cells and 1 bin")
    for name in names:
        without = [model for model, f in forecasts.items() if name not in f.data_vars]
        if without:
            raise InputError(f"{name}: {without[0]} does not have it; name the `variables` that all have")
        if climatology is not None and name not in climatology.data_vars:
            raise InputError(f"{name}: the climatology lacks it; fit it with {name}, or name other `variables`")
    steps = np.diff(truth["longitude"].values.astype(float))
    if not (steps.size and np.allclose(steps, steps[0], rtol=1e-3)):
        raise InputError("longitude: a spectrum needs evenly spaced longitudes; interpolate to such a grid")


def _inside(region: Any, truth: xr.Dataset) -> np.ndarray:
    """Which cells (latitude, longitude) count."""
    if region is None:
        return np.ones((truth.sizes["latitude"], truth.sizes["longitude"]), dtype=bool)
    (inside,) = resolve(
        {region if isinstance(region, str) else "box": region}, truth["latitude"], truth["longitude"]
    ).values()
    return inside


def _segments(
    name: str, forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset, inside: np.ndarray, least: int
) -> list[list[Segment]]:
    """Of every level; cells are wet by the mask and have a value on the first day in truth and forecasts."""
    first = next(iter(forecasts.values()))
    there = _maps(on_levels(truth[name], first[name]).sel(time=first["valid_time"].values[0, 0]))
    wet = np.isfinite(there) & inside
    if "mask" in truth.coords:
        mask = on_levels(truth["mask"], first[name]) if "depth" in truth["mask"].dims else truth["mask"]
        wet &= np.asarray(wet_cells(xr.Dataset(coords={"mask": mask}), first[name]))
    for f in forecasts.values():
        one = f[name].isel(init_time=0, lead_time=0)
        wet &= np.isfinite(_maps(one.isel(member=0) if "member" in one.dims else one))
    latitude, longitude = (truth[axis].values.astype(float) for axis in ("latitude", "longitude"))
    found = [segments(level, latitude, longitude, least) for level in wet]
    if not any(found):
        raise InputError(f"{name}: no row has {least} wet cells side by side; ask for fewer with least=...")
    return found


def _pieces(found: list[list[Segment]], truth: xr.Dataset, edges: np.ndarray) -> list[list[Piece]]:
    cell = truth["cell_area"] if "cell_area" in truth.coords else area(truth["latitude"], truth["longitude"])
    areas = cell.transpose("latitude", "longitude").values
    return [[Piece(each, float(each.cut(areas).sum()), shares(each, edges)) for each in level] for level in found]


def _variances(
    forecast: xr.DataArray,
    valid_time: xr.DataArray,
    truth: xr.DataArray,
    climatology: xr.Dataset | None,
    pieces: list[list[Piece]],
    taper: Taper,
) -> tuple[xr.DataArray, xr.DataArray]:
    """The variance in each bin of a forecast and of its truth, averaged over starts."""
    actual, starts = on_levels(truth, forecast), forecast.sizes["init_time"]
    ensemble = forecast if "member" in forecast.dims else forecast.expand_dims("member")
    sums: list[Any] = [0.0, 0.0]
    for i in range(starts):
        true = actual.sel(time=valid_time.values[i])
        usual: Any = 0.0
        if climatology is not None:
            usual = _maps(on_levels(at(climatology[[truth.name]], true["time"])[truth.name], forecast))
        members = ensemble.isel(init_time=i).transpose("member", "lead_time", ...)
        sums[0] += np.mean([_binned(_maps(member) - usual, pieces, taper) for member in members], axis=0)
        sums[1] += _binned(_maps(true) - usual, pieces, taper)
    return _by_lead(sums[0] / starts, forecast), _by_lead(sums[1] / starts, forecast)


def _binned(values: np.ndarray, pieces: list[list[Piece]], taper: Taper) -> np.ndarray:
    """The variance in each bin, (lead, level, bin), of values (lead, level, latitude, longitude)."""
    bins = next(piece.shares.shape[1] for level in pieces for piece in level)
    result = np.full((*values.shape[:2], bins), np.nan)  # a level without a segment has none
    for k, level in enumerate(pieces):
        if level:
            parts = [p.area * harmonics(p.segment.cut(values[:, k]), p.segment.circle, taper) @ p.shares for p in level]
            result[:, k] = np.sum(parts, axis=0) / sum(piece.area for piece in level)
    return result


def _maps(v: xr.DataArray) -> np.ndarray:
    """Values as (…, depth or 1, latitude, longitude), read now."""
    depth = "depth" in v.dims
    values = v.transpose(..., *(["depth"] if depth else []), "latitude", "longitude").values
    return values if depth else values[..., None, :, :]


def _by_lead(values: np.ndarray, forecast: xr.DataArray) -> xr.DataArray:
    """The variances (lead, level, bin) with their labels."""
    dims, coords = ("lead_time", "depth", "wavenumber"), {"lead_time": forecast["lead_time"].values}
    if "depth" in forecast.dims:
        return xr.DataArray(values, dims=dims, coords={**coords, "depth": forecast["depth"]})
    return xr.DataArray(values[:, 0], dims=(dims[0], dims[2]), coords=coords)


def _labelled(table: xr.Dataset, edges: np.ndarray) -> xr.Dataset:
    table = table.transpose("model", "lead_time", "depth", "wavenumber", missing_dims="ignore").assign_coords(
        wavenumber=("wavenumber", np.sqrt(edges[1:] * edges[:-1])), bandwidth=("wavenumber", np.diff(edges))
    )
    table["wavenumber"].attrs = {"long_name": "Zonal wavenumber, cycles per km", "units": "km-1"}
    table["bandwidth"].attrs = {"long_name": "Width of the band of wavenumbers", "units": "km-1"}
    table["lead_time"].attrs = DIMENSIONS["lead_time"]
    table["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    return table
