"""The atmosphere of a labelled forecast, whoever made it, matched to start dates by day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.data.steps import averaging
from oceanx.ocean import grid, labels
from oceanx.ocean.regrid import conservative
from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError

from .stepping import NOW, Atmosphere, Weather, numbers, read

DAY = np.timedelta64(1, "D")


def forecasted(
    source: str | Path | xr.Dataset,
    ds: xr.Dataset,
    channels: Channels,
    starts: np.ndarray,
    leads: np.ndarray,
    mask: Tensor,
    *,
    within: str = "0D",
    regrid: bool = False,
) -> Atmosphere:
    """The atmosphere of a store, a NetCDF file or a Dataset that reaches from every start date to the last lead.

    A start date takes the latest forecast begun on that day or, if there is none, on one of the days before that
    `within` allows. Of the start date itself the Dataset's own analysis is told, of every later day the mean of the
    forecast's values on it.

    Raises
    ------
    InputError
        Naming what it lacks: a variable, a start date, a day; or where its grid differs.
    """
    where = "forcing" if isinstance(source, xr.Dataset) else f"forcing {source}"
    fc = _labelled(source, where, channels)
    name = str(fc.attrs.get("oceanx_model") or fc.attrs.get("title") or "a forecast")
    itself = fc.attrs.get("oceanx_forcing")
    if (leads % DAY).astype(int).any():
        raise InputError(f"{where}: is told by whole days, but the model steps by {pd.Timedelta(leads[0])}")
    regridded = bool(differing(fc, ds))
    fc = on_grid(fc, ds, where, regrid)
    days = Days(fc, _duration(within, where), _samples(fc, where), where)
    age = max(days.begun(start)[1] for start in starts)
    for start in starts:
        days.refuse_short(start, leads)
    said = [
        f"forecast by {name}" + (f" ({source})" if not isinstance(source, xr.Dataset) else ""),
        f"begun up to {age} d before the start" if age else "begun on the start date",
        *([f"means of {days.samples} values a day"] if days.samples > 1 else []),
        *(["regridded"] if regridded else []),
        *([f"itself told: {itself}"] if itself else []),
    ]

    def begin(starts: np.ndarray) -> Weather:
        dates, which = np.unique(starts, return_inverse=True)  # members share their dates
        each = [seam.to_fields(days.of(date, leads), channels) for date in dates]

        def weather(lead: np.timedelta64, ocean: State) -> Mapping[str, Tensor]:
            if lead == NOW:
                return read(ds, channels, starts, mask)
            at = int(np.searchsorted(leads, lead))
            fields = {name: torch.stack([each[date][name][at] for date in which]) for name in channels.names}
            return covering(fields, mask, starts + lead, where)

        return weather

    return Atmosphere(", ".join(said), begin)


@dataclass(frozen=True)
class Days:
    """Forecasts (init_time, lead_time, latitude, longitude), several times a day or daily, by the days they hold.

    Attributes
    ----------
    within
        How many days before a start date one may have begun.
    samples
        Values a day.
    """

    fc: xr.Dataset
    within: np.timedelta64
    samples: int
    where: str

    def of(self, start: np.datetime64, leads: np.ndarray) -> xr.Dataset:
        """The means of the days that these leads are valid on, along `time`."""
        at, _ = self.begun(start)
        valid = self.fc.init_time.values[at] + self.fc.lead_time.values
        wanted = start.astype("M8[D]") + leads.astype("m8[D]")
        # The day's last value may end with the day, at 00:00 of the next.
        near = np.flatnonzero((valid >= wanted[0]) & (valid <= wanted[-1] + DAY))
        some = self.fc.isel(init_time=at, lead_time=near).drop_vars(["init_time", "valid_time"], errors="ignore").load()
        series = some.rename(lead_time="time").assign_coords(time=valid[near])
        return averaging.daily_mean(series, self._ending, samples=self.samples).sel(time=wanted.astype("M8[ns]"))

    @property
    def _ending(self) -> tuple[str, ...]:
        """Variables that are means already, of the time before each value: a day's last one ends with the day."""
        if self.samples == 1:
            return ()
        return tuple(
            n for n in map(str, self.fc.data_vars) if "time: mean" in str(self.fc[n].attrs.get("cell_methods", ""))
        )

    def begun(self, start: np.datetime64) -> tuple[int, int]:
        """Which of the forecasts belongs to a start date, and how many days older it is."""
        inits, day = self.fc.init_time.values, start.astype("M8[D]")
        at = int(np.searchsorted(inits.astype("M8[D]"), day, side="right")) - 1
        age = (day - inits[at].astype("M8[D]")) if at >= 0 else None
        if age is None or age > self.within:
            reach = (
                f"nor up to {self.within.astype(int)} days before"
                if self.within
                else "or say how old one may be, forcing_within"
            )
            raise InputError(
                f"{self.where}: no forecast begins on {day}, {reach}; it has "
                f"{inits[0].astype('M8[D]')} to {inits[-1].astype('M8[D]')}"
            )
        return at, int(age.astype(int))

    def refuse_short(self, start: np.datetime64, leads: np.ndarray) -> None:
        """`InputError` naming the first day that is needed and not whole."""
        at, _ = self.begun(start)
        valid = self.fc.init_time.values[at] + self.fc.lead_time.values
        kinds = {name in self._ending for name in map(str, self.fc.data_vars)}
        whole = set.intersection(*({*averaging.whole_days(valid, ending, self.samples)[0]} for ending in kinds))
        needed = (start.astype("M8[D]") + leads.astype("m8[D]")).astype("M8[ns]")
        lacking = [day for day in needed if day not in whole]
        if lacking:
            begun, last = self.fc.init_time.values[at], max(whole, default=None)
            ends = f"its last whole day is {last.astype('M8[D]')}" if last is not None else "it has no whole day"
            raise InputError(
                f"{self.where}: the forecast of {str(begun)[:16]} does not hold {lacking[0].astype('M8[D]')}, lead "
                f"{pd.Timedelta(lacking[0] - start.astype('M8[D]')).days} days; {ends}. Choose a shorter lead, or "
                "another forcing"
            )


def differing(ds: xr.Dataset, like: xr.Dataset) -> str:
    """How the grids of two Datasets differ; nothing where they are one."""
    try:
        grid.same_grid(ds.drop_dims("depth", errors="ignore"), like.drop_dims("depth", errors="ignore"))
    except InputError as error:
        return str(error).replace("; interpolate one to the other", "")
    return ""


def on_grid(ds: xr.Dataset, like: xr.Dataset, where: str, regrid: bool) -> xr.Dataset:
    """The Dataset on the grid of another, by area where they differ; `InputError` if nobody asked for that."""
    differs = differing(ds, like)
    if not differs:
        return ds.assign_coords({name: like[name].variable for name in grid.HORIZONTAL})
    if not regrid:
        raise InputError(f"{where}: {differs}; ask for it to be regridded, forcing_regrid=True (--forcing-regrid)")
    return conservative(ds, like[["latitude", "longitude"]], least=0.0)


def covering(fields: Mapping[str, Tensor], mask: Tensor, times: np.ndarray, where: str) -> dict[str, Tensor]:
    """The fields as numbers; `InputError` unless each covers the whole sea."""
    try:
        seam.refuse_nan(fields, mask, f"{times[0]} to {times[-1]}")
    except InputError as error:
        raise InputError(f"{where}: {str(error).partition(';')[0]}; it must cover the whole sea") from None
    return numbers(fields)


def _labelled(source: str | Path | xr.Dataset, where: str, channels: Channels) -> xr.Dataset:
    """What is wanted of the forecast, labelled and checked, without further coordinates."""
    fc = source if isinstance(source, xr.Dataset) else labels.opened(source)
    if not {"init_time", "lead_time"} <= set(fc.dims):
        raise InputError(
            f"{where}: found dimensions {sorted(map(str, fc.dims))}; expected a forecast with init_time and "
            "lead_time (open analyses together with the ocean, and say forcing='observed')"
        )
    lacking = [name for name in channels.names if name not in fc.data_vars]
    if lacking:
        raise InputError(f"{where}: lacks {lacking}, which the model is told; it has {sorted(map(str, fc.data_vars))}")
    if "member" in fc.dims:
        raise InputError(f"{where}: has {fc.sizes['member']} members; choose one, .isel(member=0), or their mean")
    fc = labels.label(fc[list(channels.names)])
    labels.check(fc, values=False, where=where)
    return fc.drop_vars([name for name in fc.coords if name not in fc.dims])


def _samples(fc: xr.Dataset, where: str) -> int:
    """Values a day, of the leads."""
    leads = fc.lead_time.values
    if leads.size == 1:
        return 1
    try:
        return averaging.samples_a_day(fc.init_time.values[0] + leads)
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix('daily_mean: ')}") from None


def _duration(within: str, where: str) -> np.timedelta64:
    try:
        found = pd.Timedelta(within)
    except ValueError:
        raise InputError(f"{where}: forcing_within={within!r} is no duration; expected such as '1D'") from None
    return found.to_timedelta64().astype("m8[D]")
