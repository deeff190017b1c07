"""Forecasted: the atmosphere of a labelled forecast, whoever made it, matched to start dates by day."""

from __future__ import annotations

from collections.abc import Iterator
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
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Forecasted:
    """A forecast of the atmosphere (init_time, lead_time, latitude, longitude), several times a day or daily.

    A start date takes the latest forecast begun on that day or, if there is none, on one of the days before that
    `within` allows. Of the start date itself the Dataset's own analysis is told, of every later day the mean of the
    forecast's values on it.

    Attributes
    ----------
    fc
        With all of the channels, on the grid of `ds`.
    said
        Whose forecast it is, and how old at the start.
    samples
        Values a day.
    """

    fc: xr.Dataset
    ds: xr.Dataset
    channels: Channels
    within: np.timedelta64
    samples: int
    said: str
    where: str

    @classmethod
    def of(
        cls,
        source: str | Path | xr.Dataset,
        ds: xr.Dataset,
        channels: Channels,
        starts: np.ndarray,
        leads: np.ndarray,
        *,
        within: str = "0D",
        regrid: bool = False,
    ) -> Forecasted:
        """The atmosphere of a store, a NetCDF file or a Dataset, if it reaches from every start date to the last lead.

        Raises
        ------
        InputError
            Naming what it lacks: a variable, a start date, a day; or where its grid differs.
        """
        where = "forcing" if isinstance(source, xr.Dataset) else f"forcing {source}"
        fc = _labelled(source, where)
        lacking = [name for name in channels.names if name not in fc.data_vars]
        if lacking:
            raise InputError(
                f"{where}: lacks {lacking}, which the model is told; it has {sorted(map(str, fc.data_vars))}"
            )
        if "member" in fc.dims:
            raise InputError(f"{where}: has {fc.sizes['member']} members; choose one, .isel(member=0), or their mean")
        name = str(fc.attrs.get("oceanx_model") or fc.attrs.get("title") or "a forecast")
        fc = _on_grid(fc[list(channels.names)], ds, where, regrid)
        samples = _samples(fc, where)
        made = cls(fc, ds, channels, _days(within, where), samples, "", where)
        if (leads % DAY).astype(int).any():
            raise InputError(f"{where}: is told by whole days, but the model steps by {pd.Timedelta(leads[0])}")
        ages = [made._begun(start)[1] for start in starts]
        for start in starts:
            made._refuse_short(start, leads)
        said = [
            f"forecast by {name}" + (f" ({source})" if not isinstance(source, xr.Dataset) else ""),
            f"begun up to {max(ages)} d before the start" if max(ages) else "begun on the start date",
            *([f"means of {samples} values a day"] if samples > 1 else []),
            *(["regridded"] if regrid else []),
        ]
        return cls(fc, ds, channels, made.within, samples, ", ".join(said), where)

    def over(self, starts: np.ndarray, leads: np.ndarray) -> Iterator[dict[str, Tensor]]:
        """The analysis of the start dates, and then the forecast's days."""
        yield seam.to_fields(seam.select(self.ds, self.channels).sel(time=starts).load(), self.channels)
        each = [seam.to_fields(self._daily(start, leads), self.channels) for start in starts]
        for i in range(len(leads)):
            yield {name: torch.stack([fields[name][i] for fields in each]) for name in self.channels.names}

    def _daily(self, start: np.datetime64, leads: np.ndarray) -> xr.Dataset:
        """The means of the days that these leads are valid on, along `time`."""
        at, _ = self._begun(start)
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
        return tuple(n for n in self.channels.names if "time: mean" in str(self.fc[n].attrs.get("cell_methods", "")))

    def _begun(self, start: np.datetime64) -> tuple[int, int]:
        """Which of the forecasts belongs to a start date, and how many days older it is."""
        inits, day = self.fc.init_time.values, start.astype("M8[D]")
        at = int(np.searchsorted(inits.astype("M8[D]"), day, side="right")) - 1
        age = (day - inits[at].astype("M8[D]")) if at >= 0 else None
        if age is None or age > self.within:
            reach = f"nor up to {self.within.astype(int)} days before" if self.within else "or say how old one may be"
            raise InputError(
                f"{self.where}: no forecast begins on {day}, {reach}; it has "
                f"{inits[0].astype('M8[D]')} to {inits[-1].astype('M8[D]')}"
            )
        return at, int(age.astype(int))

    def _refuse_short(self, start: np.datetime64, leads: np.ndarray) -> None:
        """`InputError` naming the first day that is needed and not whole."""
        at, _ = self._begun(start)
        valid = self.fc.init_time.values[at] + self.fc.lead_time.values
        kinds = {name in self._ending for name in self.channels.names}
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


def _labelled(source: str | Path | xr.Dataset, where: str) -> xr.Dataset:
    """The forecast, its labels checked."""
    if not isinstance(source, xr.Dataset):
        return labels.open_forecast(source)
    if not {"init_time", "lead_time"} <= set(source.dims):
        raise InputError(
            f"{where}: found dimensions {sorted(map(str, source.dims))}; expected a forecast with init_time and "
            "lead_time (open analyses together with the ocean, and say forcing='observed')"
        )
    labelled = labels.label(source)
    labels.check(labelled, values=False, where=where)
    return labelled


def _on_grid(fc: xr.Dataset, ds: xr.Dataset, where: str, regrid: bool) -> xr.Dataset:
    bare = fc.drop_vars([name for name in fc.coords if name not in fc.dims])
    if regrid:
        return conservative(bare, ds[["latitude", "longitude"]], least=0.0)
    try:
        grid.same_grid(bare.drop_dims("depth", errors="ignore"), ds)
    except InputError as error:
        said = str(error).replace("; interpolate one to the other", "")
        raise InputError(f"{where}: {said}; ask for it to be regridded, forcing_regrid=True") from None
    return bare.assign_coords({name: ds[name].variable for name in grid.HORIZONTAL})


def _samples(fc: xr.Dataset, where: str) -> int:
    """Values a day, of the leads."""
    leads = fc.lead_time.values
    if leads.size == 1:
        return 1
    try:
        return averaging.samples_a_day(fc.init_time.values[0] + leads)
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix('daily_mean: ')}") from None


def _days(within: str, where: str) -> np.timedelta64:
    try:
        found = pd.Timedelta(within)
    except ValueError:
        raise InputError(f"{where}: forcing_within={within!r} is no duration; expected such as '1D'") from None
    return found.to_timedelta64().astype("m8[D]")
