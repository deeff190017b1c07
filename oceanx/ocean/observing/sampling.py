"""Where and when networks observe: tables without values, of any day without a look at another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from ..interpolation import weights
from ..observations import table
from . import chance
from .floats import Currents
from .network import Network
from .networks import Words, networks
from .sea import Sea

PERFECT = 1e-6  # the `error_std` of what is observed without error: a table's are above 0
NETWORK, ERRORS, SEED = "oceanx_network", "oceanx_errors", "oceanx_seed"  # global attributes


def places(
    network: Words | Sequence[Network],
    grid: xr.Dataset,
    days: Any,
    seed: int = 0,
    *,
    errors: float | Mapping[str, Any] | None = None,
    **settings: Any,
) -> xr.Dataset:
    """The observation table of some days without its column `value`: what a network would observe, and where.

    Parameters
    ----------
    network, seed, errors, settings
        As `ox.observe` has them.
    grid
        Dataset with `latitude`, `longitude`, `mask` and `depth`. Its variables, if it has any, decide whether `sst` or
        `thetao` is observed, and floats drift with its `uo` and `vo`.
    days
        A date, or several.

    Raises
    ------
    InputError
        For an unknown network or setting, a value that will not do, or a grid without mask.

    Examples
    --------
    >>> there = places("sst+nadir3", ds, "2004-03-01", seed=1, **{"sst.cloud": 0.8})     # doctest: +SKIP
    """
    found = networks(network, map(str, grid.data_vars), errors, settings)
    wanted = np.unique(np.atleast_1d(np.asarray(days, "datetime64[D]")))
    if not wanted.size:
        raise InputError("days: none is given; say such as '2004-03-01'")
    return Sampling(found, grid, seed).on(wanted)


class Sampling:
    """Networks on a grid. To make one takes longer than a day of it: keep it where many days are wanted.

    Attributes
    ----------
    variables, platforms
        All that may be observed, and by whom, in the order of their codes.
    """

    def __init__(self, found: Sequence[Network], grid: xr.Dataset, seed: int) -> None:
        self.networks, self.seed = tuple(sorted(found, key=lambda n: n.name)), seed
        self.sea = Sea.of(grid)
        moving = {"uo", "vo"} <= set(grid.data_vars) and "time" in grid.dims
        currents = Currents(grid) if moving and any(n.kind == "argo" for n in found) else None
        self.samplers = [n.sampler(self.sea, seed, currents) for n in self.networks]
        self._grids = {deep: self._grid(deep) for deep in (False, True)}
        self.variables = [v for v in VARIABLES if any(v in n.observes for n in self.networks)]
        self.platforms = [name for sampler in self.samplers for name in sampler.platforms]
        if len(set(self.platforms)) < len(self.platforms):
            raise InputError("network: two have platforms of one name; give one of them another name")

    def on(self, days: Iterable[np.datetime64]) -> xr.Dataset:
        """The table of some days without values, only where the grid has water for the observation operator."""
        full = self.candidates(days, noise=False)
        wet = np.zeros(full.sizes["obs"], bool)
        volume = np.array([VARIABLES[name].volume for name in self.variables])[full["variable"].values]
        for deep in np.unique(volume):
            rows = np.flatnonzero(volume == deep)
            wet[rows] = weights(self._grids[bool(deep)], full.isel(obs=rows)).found
        return full.isel(obs=np.flatnonzero(wet)).drop_vars("value")

    def candidates(self, days: Iterable[np.datetime64], noise: bool = True) -> xr.Dataset:
        """The table of some days, points on land included, with errors alone as values (0 without `noise`)."""
        numbers = np.sort(np.asarray(list(days), "datetime64[D]").astype(int))
        parts = [self._columns(int(day), which, noise) for day in numbers for which in range(len(self.networks))]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return table(columns, self.variables, self.platforms, kind=self._kind, attrs=self.attrs)

    @property
    def attrs(self) -> dict[str, Any]:
        """What the table says of its networks."""
        return {
            "title": f"Simulated observations: {', '.join(n.name for n in self.networks)}",
            NETWORK: json.dumps([n.dump() for n in self.networks]),
            ERRORS: json.dumps({n.name: {name: n.sigma(name) for name in n.observes} for n in self.networks}),
            SEED: self.seed,
        }

    @property
    def _kind(self) -> str:
        kinds = {n.feature for n in self.networks}
        return kinds.pop() if len(kinds) == 1 else "point"

    def _grid(self, deep: bool) -> xr.DataArray:
        sea = self.sea
        coords = {"latitude": sea.latitude, "longitude": sea.longitude}
        if deep and sea.depth is not None:
            coords = {"depth": sea.depth, **coords}
        wet = sea.wet if "depth" in coords else sea.wet[0]
        space = xr.DataArray(wet.astype(np.int8), coords, list(coords))
        return space.assign_coords(mask=space)

    def _columns(self, day: int, which: int, noise: bool) -> dict[str, np.ndarray]:
        """One network's rows of a day as columns of the table."""
        network, sampler = self.networks[which], self.samplers[which]
        rows = sampler.on(day)
        names = network.observes
        sigma = np.array([network.sigma(name) for name in names])[rows.variable]
        code = np.array([self.variables.index(name) for name in names], np.int8)[rows.variable]
        own = np.array([chance.number(name) for name in names])[rows.variable]
        words = (self.seed, network.name, "error", day, rows.platform, own, rows.datum)
        first = self.platforms.index(sampler.platforms[0]) if sampler.platforms else 0
        return {
            "time": rows.time.astype("datetime64[ns]"),
            "latitude": rows.latitude,
            "longitude": rows.longitude,
            "depth": rows.depth.astype(float),
            "variable": code,
            "value": sigma * chance.normal(*words) if noise else np.zeros(sigma.size),
            "error_std": np.where(sigma > 0, sigma, PERFECT),
            "platform": (rows.platform + first).astype(np.int32),
            "feature": rows.feature.astype(np.int64),
            "qc": np.zeros(sigma.size, np.uint8),
        }
