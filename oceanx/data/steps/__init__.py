"""Steps: plain functions Dataset → Dataset that a recipe names in YAML, one job each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr

from ...vocabulary.errors import unknown
from .anomalies import anomaly, total
from .averaging import daily_mean
from .converting import convert_units, deaccumulate
from .deriving import (
    density,
    geostrophic_velocity,
    mixed_layer_depth,
    net_longwave,
    turbulent_fluxes,
    wind_stress,
)
from .gridding import interpolate_levels, regrid, remap_levels
from .selecting import drop, keep, rename, select_box, select_levels, select_polygon, sort_axes

STEPS: dict[str, Callable[..., xr.Dataset]] = {
    step.__name__: step
    for step in (
        select_box,
        select_polygon,
        select_levels,
        sort_axes,
        rename,
        keep,
        drop,
        convert_units,
        deaccumulate,
        daily_mean,
        regrid,
        remap_levels,
        interpolate_levels,
        density,
        mixed_layer_depth,
        geostrophic_velocity,
        wind_stress,
        turbulent_fluxes,
        net_longwave,
        anomaly,
        total,
    )
}
ARITHMETIC = {"convert_units", "deaccumulate", "daily_mean"}  # these want float64 to work on, rounded once at the end
MOVING = {
    "select_box",
    "select_polygon",
    "select_levels",
    "sort_axes",
    "rename",
    "keep",
    "drop",
}  # these leave every number as it is
# These make one variable of several, which must therefore come to them together.
JOINT = {"density", "mixed_layer_depth", "wind_stress", "turbulent_fluxes", "net_longwave", "geostrophic_velocity"}


def step(name: str) -> Callable[..., xr.Dataset]:
    """The step of that name; `InputError` with the nearest match if there is none."""
    if name not in STEPS:
        raise unknown("step", name, STEPS)
    return STEPS[name]


def apply(ds: xr.Dataset, steps: Sequence[Mapping[str, Mapping[str, Any]]]) -> xr.Dataset:
    """The Dataset after all steps of a recipe, in order."""
    for entry in steps:
        for name, arguments in entry.items():
            ds = step(name)(ds, **arguments)
    return ds
