"""Observing a truth: what simulated networks would have read in it, with errors as stated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES, ours
from ...vocabulary.progress import Progress
from ..fields import field
from ..interpolation import When, weights
from ..labels import wet_cells
from .network import Network
from .sampling import Sampling

_BYTES = 128 * 2**20  # of fields read at once
_SPACE = ("depth", "latitude", "longitude")


def observed(
    truth: xr.Dataset,
    networks: Sequence[Network],
    days: np.ndarray,
    *,
    seed: int = 0,
    between: When = "day",
    middle: str = "12h",
    progress: Progress | None = None,
) -> Iterator[xr.Dataset]:
    """Observation tables of some days each, in time: H x + e, with H of `oceanx.ocean.interpolation`, e ~ N(0, σ²).

    All of them have the same codes. Where H finds no water, or the truth has no value, there is no observation.

    Parameters
    ----------
    truth
        Of `prepared`.
    networks
        Of `networks.networks`.
    days
        datetime64[D], ascending.
    between, middle
        As `time` and `middle` of `interpolation.weights`: how moments are matched with fields.

    Raises
    ------
    InputError
        If a variable is not there or in another unit, or `between` does not suit the truth's times.
    """
    names = sorted({name for network in networks for name in network.observes}, key=list(VARIABLES).index)
    ocean = {name: _wet(truth, _observable(truth, name, networks)) for name in names}
    sampling = Sampling(networks, _with_mask(truth, ocean), seed)
    stamps = truth["time"].values.astype("datetime64[D]")
    size = sum(v.isel(time=0).size * 8 for v, _ in ocean.values())
    length = int(np.clip(_BYTES // max(size, 1), 1, 64))
    for start in range(0, len(days), length):
        some = days[start : start + length]
        first, last = np.searchsorted(stamps, some[0]), np.searchsorted(stamps, some[-1], side="right")
        around = slice(max(first - 1, 0), last + 1) if between != "day" else slice(first, last)
        found = _values(sampling.candidates(some), ocean, around, between, middle)
        yield found.assign_attrs(source=str(truth.attrs.get("title", "not stated")))
        if progress:
            progress("observing", min(start + length, len(days)), len(days))


def prepared(truth: xr.Dataset, names: Sequence[str] = ()) -> xr.Dataset:
    """A Dataset that can be observed: with ascending `time`, of one member, its variables under oceanx's words.

    Raises
    ------
    InputError
        If it has no time, or a dimension too many.
    """
    if "init_time" in truth.dims:
        raise InputError("truth: is a forecast; choose a lead, and make of its valid_time the dimension time")
    if "time" not in truth.dims or truth["time"].dtype.kind != "M":
        raise InputError(f"truth: found dimensions {sorted(map(str, truth.dims))}; expected fields along dates, `time`")
    if "member" in truth.dims:
        raise InputError("truth: has members; choose one with ds.isel(member=0)")
    if (np.diff(truth["time"].values) <= np.timedelta64(0)).any():
        raise InputError("time: expected ascending dates, each once; sort with ds.sortby('time')")
    found: dict[str, list[str]] = {}
    for name in map(str, truth.data_vars):
        found.setdefault(ours(name) or name, []).append(name)
    aliases = {names[0]: word for word, names in found.items() if len(names) == 1 and names[0] != word}
    return truth.rename(aliases)


def _observable(truth: xr.Dataset, name: str, networks: Sequence[Network]) -> xr.DataArray:
    """A variable of the truth; `InputError` naming the network where it cannot be observed."""
    mine = next(network for network in networks if name in network.observes)
    if name not in truth.data_vars:
        has = ", ".join(map(str, truth.data_vars)) or "none"
        several = len(mine.observes) > 1
        remedy = f"; say {mine.name}.variables=[…] of those there are" if several else ""
        raise InputError(f"{mine.name}: observes {name}; the truth has {has}{remedy}")
    v = field(truth, name, mine.name)
    lacking = [d for d in ("time", "latitude", "longitude") if d not in v.dims]
    if lacking:
        raise InputError(
            f"{mine.name}: {name} has dimensions {v.dims}, no {', '.join(lacking)}; expected fields in time"
        )
    return v


def _wet(truth: xr.Dataset, v: xr.DataArray) -> tuple[xr.DataArray, np.ndarray]:
    """A variable and its wet cells: by the mask, or where the first field that is there has values."""
    said = wet_cells(truth, v)
    if said is not None:
        return v, said
    space = [d for d in _SPACE if d in v.dims]
    for moment in range(v.sizes["time"]):
        there = np.isfinite(v.isel(time=moment).transpose(*space).values)
        if there.any():
            return v, there
    raise InputError(f"{v.name}: has no value at any time; there is nothing to observe")


def _with_mask(truth: xr.Dataset, ocean: dict[str, tuple[xr.DataArray, np.ndarray]]) -> xr.Dataset:
    """The truth with a mask: its own, or that of the deepest variable that is observed."""
    if "mask" in truth.coords:
        return truth
    v, wet = max(ocean.values(), key=lambda pair: pair[1].ndim)
    return truth.assign_coords(mask=([d for d in _SPACE if d in v.dims], wet.astype(np.int8)))


def _values(
    table: xr.Dataset, ocean: dict[str, tuple[xr.DataArray, np.ndarray]], around: slice, between: When, middle: str
) -> xr.Dataset:
    """The table with what the truth says added to its errors, where the truth says anything."""
    values = table["value"].values.copy()
    for code, (v, wet) in enumerate(ocean.values()):
        rows = np.flatnonzero(table["variable"].values == code)
        if not rows.size:
            continue
        mine, fields = table.isel(obs=rows), v.isel(time=around)
        if "depth" in v.dims:  # no level below the deepest that is observed is read
            below = int(np.searchsorted(v["depth"].values, mine["depth"].values.max())) + 1
            fields, wet = fields.isel(depth=slice(below)), wet[:below]
        fields = fields.load()
        values[rows] += weights(fields, mine, time=between, wet=wet, middle=middle).apply(fields).values
    kept = table.assign(value=table["value"].copy(data=values))
    return kept.isel(obs=np.flatnonzero(np.isfinite(values)))
