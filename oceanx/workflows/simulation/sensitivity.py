"""Sensitivity: how a number told from the end of a run changes with what it began from, what drove it, and its laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.names import VARIABLES
from oceanx.vocabulary.progress import Progress

from .edges import Boundary, zone
from .forcing import Between, Weather, blend
from .labels import labelled, time_axis
from .march import Leg, March, legs
from .metric import Metric, function_of, ratio, units_of, value_of
from .parameters import freed, parameters_of
from .setup import AnyCore, Precision, Setup, set_up
from .simulate import output_times, weather_of


def sensitivity(
    metric: Metric,
    dataset: xr.Dataset,
    forcing: xr.Dataset | None = None,
    days: float = 10.0,
    *,
    core: AnyCore = "primitive_equations",
    wrt: Sequence[str] | str | None = None,
    density: bool = False,
    units: str | None = None,
    step: float | None = None,
    init_time: Any = None,
    at_rest: bool = False,
    between: Between = "held",
    boundary: Boundary = "start",
    compile: bool = False,
    precision: Precision = "float32",
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> xr.Dataset:
    """The derivative of `metric` with respect to each cell at the start, of the forcing, and to parameters.

    Variables keep their names and dimensions; `metric` is its value. One run forward and one backward give them all,
    however many cells there are. They are exact for the run as it is computed, with the substeps it took.

    Parameters
    ----------
    metric
        Of the fields after so many days. Weights w by label, named as their variable: Σ w x (`average` makes those of
        a mean). Or a function of the fields at cell centres, `{name: tensor [1, depth, lat, lon]}`, 0 on land, and of
        their Geometry, that returns one number as a tensor.
    wrt
        Variables at the start, of the forcing, and parameters of the core, by name. All variables at the start, if
        not given.
    density
        Per m3 of the cell (surface fields: per m2), and of forcing per m2 and second that it holds: what does not
        depend on how fine the grid is. Otherwise per cell, and per date.
    units
        Of the metric; those of the one variable that is weighed, if not given.
    dataset, forcing, days, core, step, init_time, at_rest, between, boundary, compile, precision, device
        As `simulate` takes them.

    Raises
    ------
    InputError
        An unknown name in `wrt`, a metric that is no number, and whatever `simulate` refuses.

    Examples
    --------
    >>> box = ds.thetao.isel(depth=0).sel(latitude=slice(30, 40))                        # doctest: +SKIP
    >>> adjoint = ox.physics.sensitivity(ox.physics.average(box), ds, days=30)           # doctest: +SKIP
    >>> adjoint.thetao.isel(depth=0).plot()                                              # doctest: +SKIP
    """
    setup = set_up(
        dataset,
        core,
        init_time,
        forcing=forcing,
        at_rest=at_rest,
        compile=compile,
        precision=precision,
        device=device,
    )
    times = output_times(setup.moment, days, f"{days * 86400:.9f}s")
    start, stop = times[0], times[-1]
    weather = weather_of(setup, forcing, (start, stop), between)
    names = _sorted(wrt, setup, weather)
    march = March(setup.core, start, step, relax=zone(setup, boundary, (start, stop)))
    with torch.enable_grad(), freed(setup.core, names.parameters) as parameters:
        traced = _Traced(setup, march, weather, names, parameters)
        final = traced.run(start, stop, progress)
        value = value_of(function_of(metric, setup), setup.core.end(final), setup.geometry)
        found = traced.gradients(value)
    return _labelled(found, value.detach(), units or units_of(metric), density, setup, traced)


@dataclass(frozen=True)
class Names:
    """What the derivative is taken with respect to."""

    state: tuple[str, ...]
    forcing: tuple[str, ...]
    parameters: tuple[str, ...]


class _Traced:
    """A run that remembers how it came about: leaf by leaf, day by day (of each day, its beginning alone)."""

    def __init__(self, setup: Setup, march: March, weather: Weather, names: Names, parameters: Mapping[str, Tensor]):
        self.march, self.weather, self.names, self.parameters = march, weather, names, parameters
        self.state = {n: f.clone().requires_grad_(n in names.state) for n, f in setup.fields.items()}
        self.begun = setup.core.begin(self.state)
        self.dates: dict[int, dict[str, Tensor]] = {}
        self.seconds: dict[int, float] = {}

    def run(self, start: np.datetime64, stop: np.datetime64, progress: Progress | None) -> State:
        """The state at the end."""
        state, way = self.begun, list(legs(start, stop, self.weather.breaks(start, stop)))
        for number, leg in enumerate(way, 1):
            state = self._leg(state, leg)
            if progress:
                progress("sensitivity", number, len(way))
        return state

    def _leg(self, state: State, leg: Leg) -> State:
        return self.march(state, self._told(leg), leg, self._over)

    def _over(self, state: State, told: Fields, leg: Leg, number: int) -> State:
        """A leg whose substeps are done again on the way back: only its beginning stays in memory."""
        names = list(state)

        def advance(*values: Tensor) -> tuple[Tensor, ...]:
            after = self.march.over(State(dict(zip(names, values, strict=True))), told, leg, number)
            return tuple(after[name] for name in names)

        values = checkpoint(advance, *state.values(), use_reentrant=False)
        return State(dict(zip(names, values, strict=True)))

    def _told(self, leg: Leg) -> Fields:
        shares = self.weather.shares(leg.start, leg.stop)
        for at, share in shares:
            if at not in self.dates:
                fields = self.weather.of_date(at)
                self.dates[at] = {n: f.clone().requires_grad_(n in self.names.forcing) for n, f in fields.items()}
            self.seconds[at] = self.seconds.get(at, 0.0) + share * leg.seconds
        return blend([self.dates[at] for at, _ in shares], [share for _, share in shares])

    def gradients(self, value: Tensor) -> dict[tuple[str, int], Tensor]:
        """By name and date (-1 where there is none), the derivative of a value; 0 where it does not depend on it."""
        leaves = {(name, -1): self.state[name] for name in self.names.state}
        leaves |= {(name, at): self.dates[at][name] for at in sorted(self.dates) for name in self.names.forcing}
        leaves |= {(name, -1): self.parameters[name] for name in self.names.parameters}
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        for (name, _), gradient in zip(leaves, found, strict=True):
            if gradient is None and name in self.names.parameters:
                raise InputError(f"wrt: the run does not depend on {name}; it may be fixed when the core is built")
        return {
            key: torch.zeros_like(leaf) if gradient is None else gradient
            for (key, leaf), gradient in zip(leaves.items(), found, strict=True)
        }


def _sorted(wrt: Sequence[str] | str | None, setup: Setup, weather: Weather) -> Names:
    """What each name of `wrt` is; `InputError` for one that is none of them."""
    asked = setup.core.prognostic if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    state, forcing, parameters = setup.channels.names, weather.names, parameters_of(setup.core)
    for name in asked:
        if name not in (*state, *forcing, *parameters):
            raise unknown("name in wrt", name, (*state, *forcing, *parameters))
    if not asked:
        raise InputError("wrt: names nothing; name variables at the start, forcing or parameters of the core")
    return Names(
        tuple(name for name in state if name in asked),
        tuple(name for name in forcing if name in asked),
        tuple(name for name in parameters if name in asked),
    )


def _labelled(
    found: Mapping[tuple[str, int], Tensor], value: Tensor, units: str, density: bool, setup: Setup, traced: _Traced
) -> xr.Dataset:
    """The derivatives with labels, each on what it is taken with respect to."""
    names, dates = traced.names, sorted(traced.dates)
    volume = (*setup.channels.volume, *traced.weather.channels.volume)

    def size(name: str) -> Tensor | float:
        cell = setup.geometry.area * (setup.geometry.thickness if name in volume else 1.0)
        return cell if density else 1.0

    def attrs(name: str, of: str, second: str = "") -> dict[str, str]:
        per = f" {'m-3' if name in volume else 'm-2'}{second}" if density else ""
        unit = ratio(units, VARIABLES[name].units if name in VARIABLES else "1")
        words = VARIABLES[name].long_name if name in VARIABLES else name
        return {"long_name": f"Sensitivity of the metric to {words} {of}", "units": f"{unit}{per}".removeprefix("1 ")}

    parts = [_scalars(found, value, units, setup, names)]
    if names.state:
        at_start = {name: found[name, -1] / size(name) for name in names.state}
        of_start = {name: attrs(name, "at the start") for name in at_start}
        parts.append(labelled(at_start, volume, setup.like, of_start).squeeze("time"))
    if names.forcing:
        lasting = {at: traced.seconds[at] if density else 1.0 for at in dates}
        driven = {n: torch.cat([found[n, at] / (size(n) * lasting[at]) for at in dates]) for n in names.forcing}
        told = labelled(driven, volume, setup.like, {n: attrs(n, "that drives the run", " s-1") for n in driven})
        when = traced.weather.labels
        parts.append(told.assign_coords(time=time_axis(when[dates])) if len(when) else told.squeeze("time"))
    return xr.merge(reversed(parts), join="exact").assign_attrs(_said(density, setup, traced))


def _scalars(
    found: Mapping[tuple[str, int], Tensor], value: Tensor, units: str, setup: Setup, names: Names
) -> xr.Dataset:
    made, unit_of = {}, parameters_of(setup.core)
    for name in names.parameters:
        attrs = {"long_name": f"Sensitivity of the metric to the parameter {name}"}
        unit = {"units": ratio(units, unit_of[name])} if unit_of[name] else {}
        made[name] = ((), found[name, -1].cpu().numpy().squeeze(), attrs | unit)
    made["metric"] = ((), value.cpu().numpy(), {"long_name": "The metric", "units": units})
    return xr.Dataset(made)


def _said(density: bool, setup: Setup, traced: _Traced) -> dict[str, str]:
    return {
        "Conventions": "CF-1.11",
        "title": f"Sensitivity through the core {setup.kind}",
        "source": f"oceanx {version('oceanx')}, equations of motion ({setup.kind})",
        "oceanx_core": setup.said,
        "oceanx_forcing": ", ".join(traced.weather.names) or "none",
        "oceanx_start": str(setup.moment),
        "oceanx_density": "per volume or area, and second of forcing" if density else "per cell, and date of forcing",
    }
