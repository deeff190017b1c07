"""What a cycle begins from: the background store's state or the climatology on the day, and members about it.

Members are x_b + b with the mean of the b taken away, so that theirs is x_b. The b are noise as large as the
background's error and as long correlated, or, about a climatology, anomalies of the same season in years that are not
assimilated.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import xarray as xr

from oceanx import seam
from oceanx.ocean import climatology as climatologies
from oceanx.tensors.state import Increment, State
from oceanx.variational.analysis import Setting
from oceanx.vocabulary.errors import InputError, unknown

from ..batching import missing_times
from ..ensembles.members import Sea, generator, possible
from ..ensembles.perturbation import Perturbation, Perturbed

STARTS = ("background", "climatology")
SEASON = 45  # days either side of the day of the year from which anomalies are taken


def beginning(
    sea: Sea, start: str | xr.Dataset, first: np.datetime64, last: np.datetime64, members: int, setting: Setting,
    seed: int,
) -> State:  # fmt: skip
    """The State on the first date, or as many as there are members.

    Parameters
    ----------
    start
        "background", "climatology", or a Dataset of members on that date.
    last
        The last date that is assimilated: nothing from there back to the first is looked at for anomalies.

    Raises
    ------
    InputError
        If the store lacks what is asked of it.
    """
    if isinstance(start, xr.Dataset):
        return _given(sea, start, first, members)
    if start not in STARTS:
        raise unknown("start", str(start), STARTS)
    if start == "climatology":
        return _of_the_season(sea, first, last, members, seed)
    have = pd.DatetimeIndex(sea.ds.time.values).difference(pd.DatetimeIndex(missing_times(sea.ds)))
    if first not in have:
        raise InputError(
            f"background: has nothing on {first}, where the analyses begin (it has {have[0]} to {have[-1]}); begin "
            "there, or say start='climatology'"
        )
    state = sea.analyses(np.array([first]))
    return state if members == 1 else _about(state, _noise(sea, setting, first, members, seed))


def outside(ds: xr.Dataset, first: np.datetime64, last: np.datetime64) -> xr.Dataset:
    """The times of a Dataset before and after a period, without those that are missing."""
    times = ds.time.values
    return ds.isel(time=np.flatnonzero(((times < first) | (times > last)) & ~np.isin(times, missing_times(ds))))


def _noise(sea: Sea, setting: Setting, first: np.datetime64, members: int, seed: int) -> list[Increment]:
    """For each member, noise as large as the background's error in every cell, and as far correlated."""
    drawn: list[dict[str, torch.Tensor]] = [{} for _ in range(members)]
    for name, spread in setting.spread.items():
        known = {"length": setting.length[name] / 1000, "vertical": setting.height.get(name, np.nan)}
        words = {"amplitude": {name: 1.0}, "share": 0, "seed": seed} | {k: v for k, v in known.items() if v > 0}
        noise = Perturbation(Perturbed.parse(words, "members"), sea)
        for member, change in enumerate(drawn):
            change[name] = noise.of(first, member, noise.amplitudes(first))[name] * spread.float()
    return [Increment(change) for change in drawn]


def _about(state: State, changes: list[Increment]) -> State:
    """Members about a state: their mean is that, but where what is possible is bounded."""
    mean = {name: sum(change[name] for change in changes) / len(changes) for name in changes[0]}
    rows = [state + Increment({n: change[n] - mean[n] for n in change}) for change in changes]
    return possible(State({name: torch.cat([row[name] for row in rows]) for name in state}))


def _of_the_season(sea: Sea, first: np.datetime64, last: np.datetime64, members: int, seed: int) -> State:
    names = list(sea.task.prognostic.names)
    others = outside(sea.ds, first, last)
    fitted = sea.model.climatology
    if fitted is None or not set(names) <= set(fitted):
        span = others.time.values[[0, -1]] if others.sizes["time"] else np.zeros(2, "datetime64[ns]")
        if span[1] - span[0] < np.timedelta64(364, "D"):
            raise InputError(
                "start='climatology': the background has less than a year outside the assimilated period to tell it "
                "from; open a longer store, or say start='background'"
            )
        fitted = climatologies.climatology(seam.select(others, sea.task.prognostic), harmonics=3)
    fitted = seam.select(fitted[names], sea.task.prognostic)
    mean = _on_land_zero(sea, climatologies.at(fitted, np.array([first])))
    if members == 1:
        return mean
    dates = _same_season(others, first, members, seed)
    anomalies = sea.analyses(dates) - _on_land_zero(sea, climatologies.at(fitted, dates))
    return _about(mean, [Increment({n: x[m : m + 1] for n, x in anomalies.items()}) for m in range(members)])


def _same_season(others: xr.Dataset, first: np.datetime64, members: int, seed: int) -> np.ndarray:
    """As many dates of other years' same season, each once where there are enough."""
    days = climatologies.day_of_year(others.time)
    day = climatologies.day_of_year(xr.DataArray(np.array([first]), dims="time"))[0]
    apart = np.abs((days - day + 183) % 366 - 183)
    near = others.time.values[apart <= SEASON]
    if len(near) < 2:
        raise InputError(
            f"start='climatology': the background has {len(near)} days within {SEASON} days of {first} outside the "
            "assimilated period; members need some: open a longer store, or say start='background'"
        )
    chance = generator(seed, first, 0, 0, "season")
    return np.sort(chance.choice(near, members, replace=len(near) < members))


def _on_land_zero(sea: Sea, ds: xr.Dataset) -> State:
    fields = seam.to_fields(ds, sea.task.prognostic)
    seam.refuse_nan(fields, sea.mask, "the climatology")
    return State({n: torch.where(seam.wet_of(x, sea.mask), x.float(), 0.0) for n, x in fields.items()})


def _given(sea: Sea, start: xr.Dataset, first: np.datetime64, members: int) -> State:
    """Members that somebody brings: their times, where they have any, must be the first date."""
    if "member" not in start.dims:
        raise InputError(f"start: a Dataset of {dict(start.sizes)}; expected members of one date along `member`")
    if start.sizes["member"] != members:
        raise InputError(f"start: has {start.sizes['member']} members; the method is to have {members}")
    for name in ("time", "valid_time"):
        if name in start.coords and (times := np.unique(start[name].values)).size:
            if times.size > 1:
                raise InputError(
                    f"start: its members are of unequal {name}, {times[0]} to {times[-1]}; bring all to {first}"
                )
            if times[0] != first:
                raise InputError(f"start: its members are of {times[0]}, but the analyses begin on {first}")
    one = start.squeeze([d for d in ("time", "init_time", "lead_time") if d in start.dims], drop=True)
    dated = seam.select(one.drop_vars(["time", "valid_time"], errors="ignore"), sea.task.prognostic)
    fields = seam.to_fields(dated, sea.task.prognostic)
    seam.refuse_nan(fields, sea.mask, "start")
    return State({n: torch.where(seam.wet_of(x, sea.mask), x.float(), 0.0) for n, x in fields.items()})
