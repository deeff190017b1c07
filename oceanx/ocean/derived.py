"""What temperature, salinity and sea level tell: density, the depth of the mixed layer, geostrophic currents."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import gsw
import numba
import numpy as np
import xarray as xr

from ..vocabulary.constants import EARTH_RADIUS, GRAVITY, ROTATION
from ..vocabulary.errors import InputError
from .fields import field, named, whole
from .grid import is_periodic

Kind = Literal["sigma0", "rho"]
Method = Literal["teos10", "oceanbench"]
_OCEANBENCH_DEEPEST = 600.0  # m
_SPACE = ("depth", "latitude", "longitude")


def density(ds: xr.Dataset, kind: Kind = "sigma0") -> xr.DataArray:
    """Potential density anomaly `sigma0` (kg m-3, less 1000) or density in situ `rho` from thetao and so by TEOS-10.

    Practical salinity becomes absolute and potential temperature conservative, with pressure from depth and latitude.
    Shape of `thetao`; NaN where either is. Lazy where `ds` is lazy.

    Raises
    ------
    InputError
        If a variable or `depth` is missing, or a unit is not ours.

    References
    ----------
    IOC, SCOR and IAPSO (2010), The international thermodynamic equation of seawater, Manuals and Guides 56
    Roquet et al. (2015), Accurate polynomial expressions for the density and specific volume of seawater using the
    TEOS-10 standard, doi:10.1016/j.ocemod.2015.04.002
    """
    if kind not in ("sigma0", "rho"):
        raise InputError(f"density: found kind {kind!r}; expected 'sigma0' or 'rho'")
    return named(_on_columns(_density, ds, "density", kind=kind), kind)


def mixed_layer_depth(
    ds: xr.Dataset, threshold: float = 0.03, reference_depth: float = 10.0, method: Method = "teos10"
) -> xr.DataArray:
    """Depth `mlotst` (m) at which potential density first exceeds that at `reference_depth` by `threshold`.

    Density and depth are taken as linear between levels. Where a column never gets so dense, the depth is that of its
    deepest level with a value; where it does not reach down to `reference_depth`, too. NaN on land.

    Parameters
    ----------
    threshold
        In kg m-3.
    reference_depth
        In m. Above the first level, the first level stands for it.
    method
        `oceanbench` is what that benchmark scores, for comparison with its numbers: of the levels down to 600 m the
        first that is denser than the top one by the threshold, without interpolation, or else the deepest with a value;
        depth and potential temperature are taken for pressure and temperature in situ. `reference_depth` is then not
        used.

    Raises
    ------
    InputError
        If a variable or `depth` is missing, a unit is not ours, or a parameter is out of range.

    References
    ----------
    de Boyer Montégut et al. (2004), Mixed layer depth over the global ocean, doi:10.1029/2004JC002378
    """
    if method not in ("teos10", "oceanbench"):
        raise InputError(f"mixed_layer_depth: found method {method!r}; expected 'teos10' or 'oceanbench'")
    if not (threshold > 0 and reference_depth >= 0):
        raise InputError(
            f"mixed_layer_depth: found threshold={threshold:g}, reference_depth={reference_depth:g}; expected a "
            "positive threshold and no negative depth"
        )
    result = _on_columns(
        _mixed_layer,
        ds,
        "mixed_layer_depth",
        flat=True,
        threshold=float(threshold),
        reference=float(reference_depth),
        method=method,
    )
    how = (
        f"density {threshold:g} kg m-3 above that at {reference_depth:g} m, TEOS-10"
        if method == "teos10"
        else f"first level down to 600 m {threshold:g} kg m-3 denser than the top one, as OceanBench has it"
    )
    return named(result, "mlotst", comment=how)


def geostrophic_velocity(ds: xr.Dataset, equator: float = 5.0) -> xr.Dataset:
    """Currents `ugos`, `vgos` (m s-1) in balance with the slope of `zos`: f u = −g ∂η/∂y, f v = g ∂η/∂x.

    Slopes are centred differences, exact where η is linear in latitude or longitude; at a coast or the edge of the
    grid they are one-sided, and a cell without a wet neighbour on that axis is NaN. Across longitude where the grid is
    periodic. Lazy where `ds` is lazy.

    Parameters
    ----------
    equator
        Latitude in degrees within which (exclusive) there is no balance, and NaN.

    Raises
    ------
    InputError
        If `zos` or the grid is missing or the band is negative.
    """
    if not 0 <= equator < 90:
        raise InputError(f"geostrophic_velocity: found equator={equator:g}; expected 0 to 90 degrees")
    zos = whole(field(ds, "zos", "geostrophic_velocity"), "latitude", "longitude")
    for axis in ("latitude", "longitude"):
        if ds.sizes.get(axis, 1) < 2:
            raise InputError(f"geostrophic_velocity: {axis} has {ds.sizes.get(axis, 1)} values; slopes need 2 or more")
    both = xr.apply_ufunc(
        _geostrophy,
        zos,
        input_core_dims=[["latitude", "longitude"]],
        output_core_dims=[["component", "latitude", "longitude"]],
        kwargs={
            "latitude": ds["latitude"].values.astype(float),
            "longitude": ds["longitude"].values.astype(float),
            "periodic": is_periodic(ds["longitude"]),
            "equator": equator,
        },
        keep_attrs=True,  # the coordinates'
        dask="parallelized",
        output_dtypes=[zos.dtype],
        dask_gufunc_kwargs={"output_sizes": {"component": 2}},
    )
    note = {"comment": f"from zos; none within {equator:g} degrees of the equator"}
    components = {
        name: named(both.isel(component=i).transpose(*zos.dims), name, **note)
        for i, name in enumerate(("ugos", "vgos"))
    }
    return xr.Dataset(components, attrs=ds.attrs)


def _on_columns(
    function: Callable[..., np.ndarray], ds: xr.Dataset, what: str, *, flat: bool = False, **options: object
) -> xr.DataArray:
    """`function` of salinity and temperature (…, depth, latitude, longitude), in whole columns of the whole grid."""
    temperature, salinity = field(ds, "thetao", what), field(ds, "so", what)
    for name, v in (("thetao", temperature), ("so", salinity)):
        lacking = [d for d in _SPACE if d not in v.dims]
        if lacking:
            raise InputError(f"{what}: {name} has no dimension {lacking[0]!r}; found {v.dims}")
    axes = tuple(np.ascontiguousarray(ds[d].values, dtype=float) for d in _SPACE)
    if not (np.diff(axes[0]) > 0).all() or axes[0][0] < 0:
        raise InputError(f"{what}: depth must ascend in metres below the surface; sort with ds.sortby('depth')")
    result = xr.apply_ufunc(
        function,
        *(whole(v, *_SPACE) for v in (salinity, temperature)),
        input_core_dims=[_SPACE, _SPACE],
        output_core_dims=[_SPACE[1:] if flat else _SPACE],
        kwargs={"axes": axes, **options},
        keep_attrs=True,  # the coordinates'
        dask="parallelized",
        output_dtypes=[temperature.dtype],
    )
    return result.transpose(*(d for d in temperature.dims if d in result.dims))


def _density(salinity: np.ndarray, temperature: np.ndarray, axes: tuple[np.ndarray, ...], kind: Kind) -> np.ndarray:
    result = np.empty(temperature.shape, temperature.dtype)
    for at in np.ndindex(temperature.shape[:-3]):
        SA, CT, pressure = _teos10(salinity[at], temperature[at], axes)
        result[at] = gsw.sigma0(SA, CT) if kind == "sigma0" else gsw.rho(SA, CT, pressure)
    return result


def _mixed_layer(
    salinity: np.ndarray,
    temperature: np.ndarray,
    axes: tuple[np.ndarray, ...],
    threshold: float,
    reference: float,
    method: Method,
) -> np.ndarray:
    depth = axes[0]
    result = np.empty(temperature.shape[:-3] + temperature.shape[-2:], temperature.dtype)
    for at in np.ndindex(temperature.shape[:-3]):
        if method == "teos10":
            SA, CT, _ = _teos10(salinity[at], temperature[at], axes)
            result[at] = _crossing(_columns(gsw.sigma0(SA, CT)), depth, threshold, reference).reshape(result.shape[-2:])
        else:
            upper = max(1, int((depth <= _OCEANBENCH_DEEPEST).sum()))
            column = _columns(_oceanbench_density(salinity[at][:upper], temperature[at][:upper], axes))
            result[at] = _first_level(column, depth, threshold).reshape(result.shape[-2:])
    return result


def _columns(field: np.ndarray) -> np.ndarray:
    """(depth, latitude, longitude) as (cell, depth)."""
    return np.ascontiguousarray(field.reshape(len(field), -1).T)


def _teos10(
    salinity: np.ndarray, temperature: np.ndarray, axes: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Absolute salinity (g kg-1), conservative temperature (°C) and pressure (dbar) of one field."""
    depth, latitude, _ = axes
    pressure = gsw.p_from_z(-depth[:, None, None], latitude[None, :, None])
    intercept, slope = _salinity_line(*(axis.tobytes() for axis in axes))
    SA = intercept + slope * np.maximum(salinity, 0.0, dtype=np.float64)
    return SA, gsw.CT_from_pt(SA, temperature.astype(np.float64)), pressure


@lru_cache(maxsize=2)
def _salinity_line(*axes: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Absolute salinity is a + b · practical salinity at each place: a and b, looked up once for a grid."""
    depth, latitude, longitude = (np.frombuffer(axis) for axis in axes)
    pressure = gsw.p_from_z(-depth[:, None, None], latitude[None, :, None])
    fresh, salty = (gsw.SA_from_SP(SP, pressure, longitude, latitude[None, :, None]) for SP in (0.0, 35.0))
    return fresh, (salty - fresh) / 35.0


def _oceanbench_density(salinity: np.ndarray, temperature: np.ndarray, axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """Potential density with depth as pressure and potential temperature as temperature in situ."""
    depth, latitude, longitude = axes[0][: len(salinity), None, None], axes[1][None, :, None], axes[2]
    SA = gsw.SA_from_SP(salinity.astype(np.float64), depth, longitude, latitude)
    return gsw.pot_rho_t_exact(np.maximum(SA, 0.0), temperature.astype(np.float64), depth, 0.0)


@numba.njit(nogil=True, cache=True)
def _crossing(columns: np.ndarray, depth: np.ndarray, threshold: float, reference: float) -> np.ndarray:
    """Depth at which each column (cell, depth) first exceeds its value at the reference depth by the threshold."""
    cells, levels = columns.shape
    result = np.full(cells, np.nan)
    for i in range(cells):
        column = columns[i]
        wet = 0
        while wet < levels and not np.isnan(column[wet]):
            wet += 1
        if wet == 0:
            continue
        deepest = depth[wet - 1]
        result[i] = deepest
        if deepest < reference:
            continue
        k = 0  # the first level below the reference depth
        while k < wet and depth[k] <= reference:
            k += 1
        above, density_above = max(reference, depth[0]), column[0]
        if k > 0:
            density_above = column[k - 1]
            if k < wet:
                share = (reference - depth[k - 1]) / (depth[k] - depth[k - 1])
                density_above += share * (column[k] - column[k - 1])
        limit = density_above + threshold
        while k < wet:
            if column[k] >= limit:
                share = (limit - density_above) / (column[k] - density_above)
                result[i] = above + share * (depth[k] - above)
                break
            above, density_above = depth[k], column[k]
            k += 1
    return result


@numba.njit(nogil=True, cache=True)
def _first_level(columns: np.ndarray, depth: np.ndarray, threshold: float) -> np.ndarray:
    """Depth of the first level of each column (cell, depth) that exceeds the top one by the threshold, or the last."""
    cells, levels = columns.shape
    result = np.full(cells, np.nan)
    for i in range(cells):
        top = columns[i, 0]
        if np.isnan(top):
            continue
        for k in range(levels):
            if np.isnan(columns[i, k]):
                continue
            result[i] = depth[k]
            if columns[i, k] - top >= threshold:
                break
    return result


def _geostrophy(
    zos: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, periodic: bool, equator: float
) -> np.ndarray:
    """East and north components, as a dimension before the last two."""
    phi = np.deg2rad(latitude)[:, None]
    with np.errstate(divide="ignore"):
        balance = GRAVITY / (2 * ROTATION * np.sin(phi))
    none = (np.abs(latitude) < equator) | (latitude == 0) | (np.abs(latitude) > 90 - 1e-6)  # at a pole there is no east
    balance = np.where(none[:, None], np.nan, balance)
    height = zos.astype(np.float64)
    north = _slope(height.swapaxes(-1, -2), EARTH_RADIUS * phi[:, 0], None).swapaxes(-1, -2)
    east = _slope(height, np.deg2rad(longitude), 2 * np.pi if periodic else None) / (EARTH_RADIUS * np.cos(phi))
    return np.stack([-balance * north, balance * east], axis=-3).astype(zos.dtype)


def _slope(values: np.ndarray, x: np.ndarray, period: float | None) -> np.ndarray:
    """Differences along the last axis between the neighbours of each cell that have a value, the cell itself else."""
    before, after = np.roll(values, 1, axis=-1), np.roll(values, -1, axis=-1)
    x_before, x_after = np.roll(x, 1), np.roll(x, -1)
    if period is None:
        before[..., 0] = after[..., -1] = np.nan
    else:
        x_before[0] -= period
        x_after[-1] += period
    first, last = np.isnan(before), np.isnan(after)
    rise = np.where(last, values, after) - np.where(first, values, before)
    run = np.where(last, x, x_after) - np.where(first, x, x_before)
    slope = np.divide(rise, run, out=np.full(values.shape, np.nan), where=run != 0)
    return np.where(np.isnan(values), np.nan, slope)
