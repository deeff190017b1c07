"""What a forecast should neither make nor lose: heat, salt, volume, and the energy of its currents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.fields import field
from ..ocean.grid import area, thickness
from ..ocean.labels import by_model, check, wet_cells
from ..vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS
from ..vocabulary.progress import Progress
from .checking import comparable
from .levels import on_levels


@dataclass(frozen=True)
class Budget:
    """A mean over the water, of what, and the change that it stands for: `factor` times that of the column integral."""

    long_name: str
    units: str
    needs: tuple[str, ...]
    of: Callable[..., np.ndarray]
    change: str = ""  # name of its change in time, none if empty
    change_name: str = ""
    change_units: str = ""
    factor: float = 1.0


BUDGETS = {
    "mean_temperature": Budget(
        "Mean potential temperature", "degrees_C", ("thetao",), lambda t: t, "heat_change",
        "Change of heat content by area", "W m-2", REFERENCE_DENSITY * HEAT_CAPACITY,
    ),
    "mean_salinity": Budget(
        "Mean salinity", "1e-3", ("so",), lambda s: s, "salt_change", "Change of salt content by area",
        "kg m-2 s-1", REFERENCE_DENSITY * 1e-3,
    ),
    "mean_sea_level": Budget(
        "Mean sea surface height", "m", ("zos",), lambda z: z, "volume_change", "Change of volume by area", "m s-1"
    ),
    "mean_kinetic_energy": Budget(
        "Mean kinetic energy per mass", "m2 s-2", ("uo", "vo"), lambda u, v: 0.5 * (u**2 + v**2)
    ),
}  # fmt: skip


def conservation(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset | None = None,
    *,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Means over the water and their changes ([model,] init_time, lead_time); with a truth, its own and residuals.

    `mean_temperature`, `mean_salinity` and `mean_kinetic_energy` are weighted by area × thickness, `mean_sea_level` by
    area, over cells that are wet in forecast and truth. With A the area and h the thickness of cells,

        heat_change = ρ₀ c_p Σ A h (θ − θ_start) / (Σ A_surface Δt)    in W m-2,

    likewise `salt_change` with ρ₀ / 1000 and `volume_change` of the sea level. With a truth that has the date of the
    analysis, both start there; otherwise both start at the first lead, which then has no change. `<name>_truth` is the
    truth's, `<name>_residual` the forecast's less the truth's: a sea that truly warms is no leak. A cell whose value is
    lost on the way makes the mean NaN. Of an ensemble, the mean over members.

    Parameters
    ----------
    forecast
        Labelled forecast(s); a mapping gains a dimension `model`.
    truth
        Dataset with `time` on the same grid that covers every valid time.

    Raises
    ------
    InputError
        As `score`; if a forecast and the truth share no variable that a budget is of.

    Notes
    -----
    ρ₀ = 1026 kg m-3 and c_p = 3991.868 J kg-1 K-1. Layers keep their thickness: the heat of the water that raises the
    surface is left out.

    Examples
    --------
    >>> conservation(fc, truth).heat_change_residual.mean("init_time")    # doctest: +SKIP
    """
    several = by_model(forecast)
    if truth is not None:
        comparable(several, truth)
    else:
        for name, f in several.items():
            check(f, values=False, where=name)
    tables = [_of_model(name, f, truth, progress) for name, f in several.items()]
    models = xr.DataArray(list(several), dims="model", name="model")
    table = xr.concat(tables, models, join="outer", data_vars="all")
    table["lead_time"].attrs = DIMENSIONS["lead_time"]
    table["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    table = table.assign_attrs(title="Conservation", oceanx_weights="cell area × layer thickness of wet cells")
    return table.squeeze("model", drop=True) if isinstance(forecast, xr.Dataset) else table


def _of_model(model: str, f: xr.Dataset, truth: xr.Dataset | None, progress: Progress | None) -> xr.Dataset:
    result: dict[str, tuple[tuple[str, str], np.ndarray, dict[str, str]]] = {}
    dims = ("init_time", "lead_time")
    for name, budget in BUDGETS.items():
        if not set(budget.needs) <= set(f.data_vars):
            continue
        if truth is not None and not set(budget.needs) <= set(truth.data_vars):
            continue
        means, height = _means(f, truth, budget, f"{model}: {name}", progress)
        sides = {"": means[0]} | ({} if truth is None else {"_truth": means[1], "_residual": means[0] - means[1]})
        for side, values in sides.items():
            said = {"": "", "_truth": ", of the truth", "_residual": ", less the truth's"}[side]
            result[f"{name}{side}"] = (
                dims,
                values[:, 1:],
                {"long_name": budget.long_name + said, "units": budget.units},
            )
            if budget.change:
                rate = budget.factor * height[:, None] * _rate(values, f["lead_time"].values)
                attrs = {"long_name": budget.change_name + said, "units": budget.change_units}
                result[f"{budget.change}{side}"] = (dims, rate, attrs)
    if not result:
        raise InputError(f"conservation: {model} has none of thetao, so, zos, uo and vo that could be compared")
    return xr.Dataset(result, coords={"init_time": f["init_time"], "lead_time": f["lead_time"]})


def _rate(values: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Change per second (init, lead) since the start, of values (init, 1 + lead) of which the first is the start.

    Where there is no start, since the first lead.
    """
    seconds = np.concatenate([[0.0], leads / np.timedelta64(1, "s")])
    begun = np.isfinite(values[:, 0])
    start = np.where(begun, values[:, 0], values[:, 1])
    since = np.where(begun, 0.0, seconds[1])
    elapsed = seconds[None, 1:] - since[:, None]
    return np.where(elapsed > 0, (values[:, 1:] - start[:, None]) / np.where(elapsed > 0, elapsed, 1.0), np.nan)


def _means(
    f: xr.Dataset, truth: xr.Dataset | None, budget: Budget, what: str, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Means (forecast and truth, init, start and leads), and water (m) below each m2 of sea (init)."""
    fields = [field(f, n, what) for n in budget.needs]
    true = []
    if truth is not None:
        true = [on_levels(field(truth, n, what), v) for n, v in zip(budget.needs, fields, strict=True)]
    starts, leads = f.sizes["init_time"], f.sizes["lead_time"]
    means, height = np.full((2, starts, leads + 1), np.nan), np.full(starts, np.nan)
    cell = f["cell_area"] if "cell_area" in f.coords else area(f["latitude"], f["longitude"])
    size = cell.transpose("latitude", "longitude").values[None]
    if "depth" in fields[0].dims:
        layers = f["thickness"] if "thickness" in f.coords else thickness(f["depth"])
        size = size * _cells(layers, layers.ndim) if layers.ndim == 3 else size * layers.values[:, None, None]
    known = pd.DatetimeIndex([]) if truth is None else pd.DatetimeIndex(truth["time"].values)
    for i, init in enumerate(f["init_time"].values):
        here = [v.isel(init_time=i) for v in fields]
        wet = np.all([np.isfinite(_cells(v.isel(lead_time=0))).all(axis=0) for v in here], axis=0)
        said = wet_cells(f, fields[0])
        wet = wet if said is None else wet & said.reshape(said.shape if said.ndim == 3 else (1, *said.shape))
        if truth is not None:
            then = f["valid_time"].values[i]
            wet = wet & np.all([np.isfinite(_cells(v.sel(time=then[0])))[0] for v in true], axis=0)
        weight = np.where(wet, size, 0.0)
        surface = np.where(wet.any(axis=0), cell.transpose("latitude", "longitude").values, 0.0).sum()
        height[i] = (weight.sum() / surface if "depth" in fields[0].dims else 1.0) if surface else np.nan
        for lead in range(leads):
            means[0, i, lead + 1] = _mean([v.isel(lead_time=lead) for v in here], weight, budget)
            if truth is not None:
                means[1, i, lead + 1] = _mean([v.sel(time=then[lead]) for v in true], weight, budget)
        if init in known:
            means[:, i, 0] = _mean([v.sel(time=init) for v in true], weight, budget)
        if progress:
            progress(what, i + 1, starts)
    return means, height


def _cells(v: xr.DataArray, ndim: int = 4) -> np.ndarray:
    """Values as (member or 1, depth or 1, latitude, longitude), read now; without the first for three dimensions."""
    order = [d for d in ("member", "depth", "latitude", "longitude") if d in v.dims]
    v = v.transpose(*order)
    shape = (v.sizes.get("member", 1), v.sizes.get("depth", 1), v.sizes["latitude"], v.sizes["longitude"])
    return np.asarray(v.values).reshape(shape[4 - ndim :])


def _mean(fields: list[xr.DataArray], weight: np.ndarray, budget: Budget) -> float:
    """The weighted mean, of an ensemble that of its members; NaN where a wet cell has no value."""
    values = budget.of(*(_cells(v).astype(np.float64) for v in fields))
    total = weight.sum()
    return float(np.where(weight > 0, values * weight, 0.0).sum() / total / len(values)) if total else np.nan
