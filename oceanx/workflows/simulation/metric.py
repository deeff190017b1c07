"""The scalar whose gradient is asked for: labelled weights, or a function of the fields at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from oceanx.ocean import grid
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.names import VARIABLES

from .setup import Setup

Function = Callable[[Mapping[str, Tensor], Geometry], Tensor]
Metric = xr.DataArray | xr.Dataset | Function

_AXES = ("depth", "latitude", "longitude")


def average(selection: xr.DataArray) -> xr.DataArray:
    """The weights of a mean over the wet cells of a selection, by their size: what `sensitivity` takes as its metric.

    Parameters
    ----------
    selection
        Some cells of a variable, chosen as xarray chooses: a box, a level, a point. Only its labels and what is land
        there count, and of several dates the first.

    Examples
    --------
    >>> average(ds.thetao.isel(depth=0).sel(latitude=slice(30, 40)))                     # doctest: +SKIP
    """
    if selection.name is None:
        raise InputError("average: the selection has no name; name it as its variable is in the Dataset")
    one = (selection.isel(time=0) if "time" in selection.dims else selection).drop_vars("time", errors="ignore")
    lacking = [axis for axis in ("latitude", "longitude") if axis not in one.coords]
    if lacking:
        raise InputError(f"average: the selection has no {lacking[0]}; choose cells of the Dataset, without averaging")
    whole = one.to_dataset(name=str(one.name))
    size = whole["cell_area"] if "cell_area" in whole.coords else _area(one)
    if "depth" in one.dims:
        size = size * (whole["thickness"] if "thickness" in whole.coords else grid.thickness(one["depth"]))
    wet = one.notnull()
    if not bool(wet.any()):
        raise InputError(f"average: no wet cell in the selection of {one.name}; choose another box or level")
    weights = (size * wet).transpose(*one.dims)
    made = (weights / weights.sum()).drop_vars(["cell_area", "thickness", "mask"], errors="ignore").rename(one.name)
    made.attrs = {"units": "1", "long_name": f"Weights of a mean of {one.name}"}
    return made


def function_of(metric: Metric, setup: Setup) -> Function:
    """The metric as a function of the fields at cell centres and their geometry."""
    if isinstance(metric, xr.DataArray):
        if metric.name is None:
            raise InputError("metric: the weights have no name; name them as the variable they weigh")
        metric = metric.to_dataset()
    if isinstance(metric, xr.Dataset):
        weights = {str(name): _on_grid(metric[name], setup) for name in metric.data_vars}
        if not weights:
            raise InputError("metric: the Dataset of weights holds no variable")
        return lambda fields, geometry: torch.stack([(w * fields[name]).sum() for name, w in weights.items()]).sum()
    if not callable(metric):
        raise InputError(f"metric: found {type(metric).__name__}, expected weights (DataArray, Dataset) or a function")
    return metric


def value_of(function: Function, fields: Mapping[str, Tensor], geometry: Geometry) -> Tensor:
    """The metric's value, a tensor without dimensions; `InputError` unless it is one number with a history."""
    value = function(fields, geometry)
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"metric: found {found}, expected one number as a torch tensor; sum or average the result")
    if not value.requires_grad:
        raise InputError("metric: does not depend on anything in wrt; use torch operations on the fields it is given")
    if not bool(torch.isfinite(value)):
        raise InputError(f"metric: is {value.item()}; fields are 0 on land, so take care what you divide by")
    return value.reshape(())


def units_of(metric: Metric) -> str:
    """The metric's unit: that of the one variable it weighs, times that of the weights; otherwise unknown, 1."""
    weighed = metric if isinstance(metric, xr.DataArray) else None
    if isinstance(metric, xr.Dataset) and len(metric.data_vars) == 1:
        weighed = metric[next(iter(metric.data_vars))]
    if weighed is None or weighed.name not in VARIABLES:
        return "1"
    own = str(weighed.attrs.get("units", "1"))
    unit = VARIABLES[str(weighed.name)].units
    return unit if own == "1" else f"{own} {unit}"


def ratio(metric: str, unit: str) -> str:
    """The unit of a derivative: `ratio("degrees_C", "m s-1")` is `"K/(m s-1)"`, of like units `"1"`."""
    above, below = ("K" if u == "degrees_C" else u for u in (metric, unit))
    if above == below:
        return "1"
    if below == "1":
        return above
    return f"{above}/({below})" if " " in below else f"{above}/{below}"


def _on_grid(weights: xr.DataArray, setup: Setup) -> Tensor:
    """Weights at the cells of the core's grid, 0 where none are given."""
    name = str(weights.name)
    if name not in setup.channels.names:
        raise unknown("variable of the metric", name, setup.channels.names)
    axes = _AXES if name in setup.channels.volume else _AXES[1:]
    if "time" in weights.dims:
        raise InputError(f"metric: the weights of {name} have a time; they are of the last moment, so leave it out")
    for axis in axes:
        if axis not in weights.coords:
            raise InputError(f"metric: the weights of {name} have no {axis}; say by a coordinate which they are for")
        weights = weights if axis in weights.dims else weights.expand_dims(axis)
    given = weights.transpose(*axes).fillna(0.0).drop_vars([c for c in weights.coords if c not in axes])
    placed = np.zeros([setup.like.sizes[axis] for axis in axes])
    placed[np.ix_(*(_positions(given[axis], setup.like[axis]) for axis in axes))] = given.values
    full = torch.from_numpy(placed).to(setup.geometry.mask)
    return (full if len(axes) == 3 else full[None]) * setup.geometry.mask_of(len(full) if len(axes) == 3 else 1)


def _positions(labels: xr.DataArray, axis: xr.DataArray) -> np.ndarray:
    found = np.abs(axis.values[None, :] - labels.values[:, None]).argmin(1)
    off = np.abs(axis.values[found] - labels.values) > 1e-4 * np.maximum(1.0, np.abs(labels.values))
    if off.any():
        raise InputError(
            f"metric: {axis.name} {labels.values[off][0]:g} is not on the grid; choose cells of the Dataset"
        )
    return found


def _area(one: xr.DataArray) -> xr.DataArray:
    axes = {axis: np.atleast_1d(one[axis].values) for axis in ("latitude", "longitude")}
    coords = {axis: xr.DataArray(values, dims=axis) for axis, values in axes.items()}
    return grid.area(coords["latitude"], coords["longitude"]).squeeze(drop=True)
