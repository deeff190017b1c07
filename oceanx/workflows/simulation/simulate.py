"""Simulate: a labelled ocean and what drives it → the ocean of the days that follow, by equations alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx.physics.guard import check_present
from oceanx.tensors.state import State
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from ..restart import Restart
from .budget import Budget
from .edges import Boundary, zone
from .forcing import Between, Weather
from .labels import attrs_of, labelled, time_axis
from .march import DAY, March, legs
from .setup import AnyCore, Precision, Setup, set_up
from .store import finished, unfinished

TOGETHER = 2**26  # bytes of output that are held before they are written
WORTH_COMPILING = 10**6  # cells times days of a run
_COUNTED = "counted "  # before what a budget carries beside the state
_TIME_STEP = {"long_name": "Shortest time step since the output before", "units": "s"}

Parts = Iterator[tuple[xr.Dataset, slice]]


def simulate(
    dataset: xr.Dataset,
    forcing: xr.Dataset | None = None,
    days: float = 10.0,
    *,
    core: AnyCore = "primitive_equations",
    step: float | None = None,
    every: str = "1D",
    init_time: Any = None,
    at_rest: bool = False,
    between: Between = "held",
    boundary: Boundary = "start",
    compile: bool | None = None,
    precision: Precision = "float32",
    device: str | torch.device = "cpu",
    to: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """The ocean at its start and `every` so often for so many days, as a labelled Dataset over `time`.

    Parameters
    ----------
    dataset
        The variables that the core begins from, at one moment or at several; NaN or 0 on land.
    forcing
        What drives it, on the same grid; None where nothing does. Without `time` it does not change.
    core
        A core's name, its Config, or plain values with a `kind`.
    step
        The longest step in seconds. Chosen day by day, of what currents, waves and mixing allow, if not given.
    every
        How far apart the outputs are; each is of its moment.
    init_time
        Which moment of the Dataset to start from, or what to call its only one.
    at_rest
        Whether current and sea level, where the Dataset lacks them, are 0.
    between
        `held`: forcing holds from its date to the next, as daily means do. `linear`: a straight line between dates.
    boundary
        What open edges of a region are drawn towards: `start`, what they were, or a Dataset with the core's variables.
        `closed` makes walls of them.
    compile
        Whether a core that can is compiled, which takes a minute and then runs several times faster; where not said,
        for runs that are long enough.
    precision, device
        Of the arithmetic, and where it is done.
    to
        Write to this Zarr store as the run goes, and return it lazily. Without it everything is held in memory.
    resume
        Continue an interrupted run: the result is that of one that was not interrupted.

    Raises
    ------
    InputError
        A variable, date or unit that is missing or wrong, a value on land or none at sea, a `step` that is too long.
    DivergedError
        Where the sea ceases to be made of numbers: which variable, where and when.

    Examples
    --------
    >>> sim = ox.physics.simulate(ds, weather, days=30, init_time="2004-03-01")          # doctest: +SKIP
    >>> sim.thetao.isel(time=-1, depth=0).plot()                                         # doctest: +SKIP
    """
    setup = set_up(
        dataset,
        core,
        init_time,
        forcing=forcing,
        at_rest=at_rest,
        compile=_worth_compiling(dataset, days) if compile is None else compile,
        precision=precision,
        device=device,
    )
    times = output_times(setup.moment, days, every)
    period = (times[0], times[-1])
    weather = weather_of(setup, forcing, period, between)
    march = March(setup.core, setup.moment, step, relax=zone(setup, boundary, period))
    run = Run(setup, march, weather, times, Budget(setup.core))
    template = run.template()
    together = max(1, min(len(times), TOGETHER * len(times) // max(1, template.nbytes)))
    if to is None:
        made = []
        for part, at in run.parts(together):
            made.append(part)
            if progress:
                progress("simulate", at.stop, len(times))
        whole = xr.concat(made, "time", combine_attrs="override", join="exact")
        return whole.assign_coords(template.coords).assign_attrs(template.attrs)
    if resume and (found := finished(Path(to), template)) is not None:
        return found
    with unfinished(Path(to), template, together, resume=resume, overwrite=overwrite) as store:
        for part, at in run.parts(together, store.restart):
            store.write(part, at, Restart(at.stop, run.carried()))
            if progress:
                progress("simulate", at.stop, len(times))
        return store.publish()


@dataclass
class Run:
    """A simulation under way: which outputs there are, and the state after the last one made."""

    setup: Setup
    march: March
    weather: Weather
    times: np.ndarray
    budget: Budget
    state: State = field(default_factory=lambda: State({}), init=False)

    def parts(self, together: int, restart: Restart | None = None) -> Parts:
        """The outputs that are left, so many at a time, and which they are."""
        self._begin(restart)
        for first in range(restart.done if restart else 0, len(self.times), together):
            at = slice(first, min(first + together, len(self.times)))
            yield xr.concat([self._output(n) for n in range(at.start, at.stop)], "time", join="exact"), at

    def carried(self) -> dict[str, Tensor]:
        """What the run goes on from."""
        counted = {
            _COUNTED + name: torch.tensor(value, dtype=torch.float64) for name, value in self.budget.start.items()
        }
        return {**self.state, **counted}

    def template(self) -> xr.Dataset:
        """The simulation without its numbers: every label, attribute and coordinate."""
        self._begin(None)
        first = self._labelled()
        variables = {}
        for name, one in first.data_vars.items():
            empty = dask.array.full(
                (len(self.times), *one.shape[1:]), np.nan, dtype=one.dtype, chunks=(1, *one.shape[1:])
            )
            variables[name] = (one.dims, empty, one.attrs)
        coords = {"time": time_axis(self.times), **self.setup.like.coords}
        return xr.Dataset(variables, coords=coords, attrs=self._attrs())

    @torch.no_grad()
    def _begin(self, restart: Restart | None) -> None:
        if restart is None:
            self.state = self.setup.core.begin(self.setup.fields)
            self.budget.start = self.budget.counted(self.state)
        else:
            like = self.setup.geometry.mask
            carried = {name: f.to(like.device) for name, f in restart.tensors.items()}
            self.state = State({name: f for name, f in carried.items() if not name.startswith(_COUNTED)})
            start = {name.removeprefix(_COUNTED): float(f) for name, f in carried.items() if name.startswith(_COUNTED)}
            self.budget.start = start
        self.march.look(self.state, self.setup.moment)

    @torch.no_grad()
    def _output(self, number: int) -> xr.Dataset:
        """The output of this number, after all before it."""
        self.march.shortest = np.inf
        if number:
            start, stop = self.times[number - 1 : number + 1]
            for leg in legs(start, stop, self.weather.breaks(start, stop)):
                told = self.weather.mean(leg.start, leg.stop)
                self.state = self.march(self.state, told, leg)
        return self._labelled()

    def _labelled(self) -> xr.Dataset:
        setup = self.setup
        attrs = {name: attrs_of(setup.source, name) for name in setup.channels.names}
        fields = {name: field for name, field in setup.core.end(self.state).items() if name in setup.channels.names}
        made = labelled(fields, setup.channels.volume, setup.like, attrs)
        shortest = self.march.shortest if np.isfinite(self.march.shortest) else np.nan
        made["time_step"] = ("time", np.array([shortest]), _TIME_STEP)
        return made.merge(self.budget.at(self.state))

    def _attrs(self) -> dict[str, str]:
        setup, start = self.setup, self.times[0]
        first = next(legs(start, self.times[-1], self.weather.breaks(start, self.times[-1])))
        taken = self.march.substeps(self.state, self.weather.mean(first.start, first.stop), first)
        told = f"{', '.join(self.weather.names)} ({self.weather.between})" if self.weather.names else "none"
        return {
            "Conventions": "CF-1.11",
            "title": f"Simulation by the core {setup.kind}",
            "source": f"oceanx {version('oceanx')}, equations of motion ({setup.kind})",
            "institution": str(setup.source.attrs.get("institution", "unknown")),
            "references": str(setup.source.attrs.get("references", "")),
            "oceanx_core": setup.said,
            "oceanx_substeps": f"{taken.reason} (the first leg; later ones as `time_step` says)",
            "oceanx_step": "chosen" if self.march.step is None else f"{self.march.step:g} s at most",
            "oceanx_forcing": told,
            "oceanx_boundary": "drawn towards what is outside" if self.march.relax else "closed, or none",
            "oceanx_start": _hash_of(self.state),
            "oceanx_analysis_fingerprint": str(setup.source.attrs.get("oceanx_fingerprint", "unknown")),
        }


def _hash_of(state: State) -> str:
    """A hash of the numbers of a state."""
    digest = hashlib.sha256()
    for name, values in state.items():
        digest.update(name.encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _worth_compiling(ds: xr.Dataset, days: float) -> bool:
    cells = np.prod([ds.sizes.get(axis, 1) for axis in ("depth", "latitude", "longitude")])
    return bool(cells * days > WORTH_COMPILING)


def output_times(start: np.datetime64, days: float, every: str) -> np.ndarray:
    """The moments of output: the start, and `every` so often up to `days` later."""
    try:
        apart = np.timedelta64(pd.Timedelta(every).value, "ns")
    except ValueError:
        raise InputError(f"every {every!r}: is no duration; expected such as '1D' or '6h'") from None
    number = days * (DAY / apart) if apart > np.timedelta64(0) else 0.0
    if round(number) < 1 or abs(number - round(number)) > 1e-6:
        raise InputError(f"days {days:g}: expected a multiple of every={every!r}, and at least that long")
    return start + np.arange(round(number) + 1) * apart


def weather_of(
    setup: Setup, forcing: xr.Dataset | None, period: tuple[np.datetime64, np.datetime64], between: Between
) -> Weather:
    """The core's forcing over a period; `InputError` if the Dataset lacks a variable or a day of it."""
    if forcing is not None:
        check_present(map(str, forcing.data_vars), setup.core.forcing)
    return Weather(forcing, setup.core.forcing, setup.like, setup.geometry, period, between)
