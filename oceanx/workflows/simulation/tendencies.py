"""Tendencies: each term of the equations as a labelled variable, and their sum. A budget is some of them together."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx.ocean import grid
from oceanx.physics.core import Core
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

from .forcing import Between
from .labels import labelled, one_moment, time_axis
from .march import along, seen_from
from .setup import AnyCore, Precision, Setup, filled, set_up, still
from .simulate import weather_of

TOTAL = "total"

# What CF calls a variable's change by a term. It has no such names for potential temperature (only for temperature in
# situ), for velocity, nor for the sea surface above the geoid.
_STANDARD = {
    ("so", TOTAL): "tendency_of_sea_water_salinity",
    ("so", "advection"): "tendency_of_sea_water_salinity_due_to_advection",
    ("so", "vertical_mixing"): "tendency_of_sea_water_salinity_due_to_vertical_mixing",
    ("so", "horizontal_mixing"): "tendency_of_sea_water_salinity_due_to_horizontal_mixing",
}
_PER_SECOND = {"degrees_C": "K s-1", "K": "K s-1", "m s-1": "m s-2", "m": "m s-1", "1": "s-1", "s-1": "s-2"}


def tendencies(
    dataset: xr.Dataset,
    forcing: xr.Dataset | None = None,
    *,
    core: AnyCore = "primitive_equations",
    between: Between = "held",
    init_time: Any = None,
    at_rest: bool = False,
    precision: Precision = "float64",
    device: str | torch.device = "cpu",
) -> xr.Dataset:
    """Each term's change of each variable per second at cell centres, `<variable>_<term>`, and `<variable>_total`.

    Over `time`, if the Dataset has it. Positive is an increase; the terms of a variable add up to its total.

    Parameters
    ----------
    dataset
        The variables that the core begins from, at one moment or at several.
    forcing
        What drives it, on the same grid; None where nothing does.
    core, at_rest, between, precision, device
        As `simulate` takes them.
    init_time
        What to call the moment of a Dataset without a date.

    Raises
    ------
    InputError
        A variable, date or unit that is missing or wrong, a value on land or none at sea.

    Examples
    --------
    >>> budget = ox.physics.tendencies(ds.sel(time="2004-03-01"), weather)               # doctest: +SKIP
    >>> budget.thetao_advection.isel(depth=0).plot()                                     # doctest: +SKIP
    """
    several = "time" in dataset.dims
    moments = dataset.time.values if several else [init_time]
    if not len(moments):
        raise InputError("time: the Dataset has no date at all; expected at least one moment")
    dataset = grid.complete(dataset) if several else dataset
    setup = set_up(
        dataset,
        core,
        moments[0],
        forcing=forcing,
        at_rest=at_rest,
        compile=False,
        precision=precision,
        device=device,
    )
    dataset = still(dataset, setup.core.prognostic) if at_rest else dataset
    made = [_one(setup, *one_moment(dataset, moment), forcing, between) for moment in moments]
    whole = xr.concat(made, "time", join="exact", combine_attrs="override")
    return whole if several else whole.isel(time=0)


def _one(setup: Setup, ds: xr.Dataset, now: np.datetime64, forcing: xr.Dataset | None, between: Between) -> xr.Dataset:
    core, weather = setup.core, weather_of(setup, forcing, (now, now), between)
    state = core.begin(filled(ds, setup.channels, setup.geometry, str(pd.Timestamp(now))))
    fields = centred(core, state, weather.mean(now, now))
    changes = {f"{name}_{term}": field for (name, term), field in fields.items()}
    attrs = {f"{name}_{term}": _attrs(ds, name, term) for name, term in fields}
    volume = [
        f"{name}_{term}"
        for (name, term), field in fields.items()
        if name in setup.channels.volume or (name not in setup.channels.surface and field.shape[1] > 1)
    ]
    said = {
        "Conventions": "CF-1.11",
        "title": f"Terms of the equations of the core {setup.kind}",
        "source": f"oceanx {version('oceanx')}, equations of motion ({setup.kind})",
        "oceanx_core": setup.said,
        "oceanx_forcing": ", ".join(weather.names) or "none",
    }
    made = labelled(changes, volume, setup.like, attrs)
    return made.assign_coords(time=time_axis(np.array([now]))).assign_attrs(said)


@torch.no_grad()
def centred(core: Core, state: State, forcing: Fields) -> dict[tuple[str, str], Tensor]:
    """By variable and term, the change per second of what the core gives back at cell centres; `total` is their sum.

    The fields at centres are a function of the state, so a term changes them by that function's derivative along it:
    whatever points and variables the core works with, the terms add up to the whole.
    """
    terms = core.terms(state, forcing)
    seen = seen_from(core, state)
    found: dict[tuple[str, str], Tensor] = {}
    for term, tendency in terms.items():
        changes = along(core, state, tendency)
        touched = {name for field in tendency for name in seen[field]}
        found |= {(name, term): changes[name] for name in core.prognostic if name in touched}
        # What it advances beside the fields it gives back, such as vorticity, is named as it is.
        found |= {(field, term): change for field, change in tendency.items() if not seen[field]}
    names = dict.fromkeys((*core.prognostic, *(name for name, _ in found)))
    for name in names:
        parts = [field for (whose, _), field in found.items() if whose == name]
        if parts:
            found[name, TOTAL] = torch.stack(parts).sum(0)
    return {key: found[key] for name in names for key in found if key[0] == name}


def _attrs(ds: xr.Dataset, name: str, term: str) -> dict[str, str]:
    known = VARIABLES.get(name)
    words = known.long_name if known else name
    units = known.units if known else str(ds[name].attrs.get("units", "1")) if name in ds else "1"
    standard = {"standard_name": _STANDARD[name, term]} if (name, term) in _STANDARD else {}
    spoken = "by all terms together" if term == TOTAL else f"by {term.replace('_', ' ')}"
    temperature = {"units_metadata": "temperature: difference"} if units in ("degrees_C", "K") else {}
    return {
        **standard,
        "long_name": f"{words}: change {spoken}",
        "units": _PER_SECOND.get(units, f"{units} s-1"),
        **temperature,
    }
