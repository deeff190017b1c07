"""What drives a core through a run: fields with dates of their own, and what they are between two moments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.ocean import grid
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError, unknown

from ..windows import missing_times
from .labels import channels_of
from .setup import filled

Between = Literal["held", "linear"]
_DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")


class Weather:
    """Fields along their own dates; without dates they stay as they are.

    Parameters
    ----------
    ds
        Where the fields are, or None for none at all.
    names
        Which of them are wanted.
    like, geometry
        The grid of the core, with labels and as tensors.
    period
        First and last moment of the run; `InputError` if the dates do not cover it.
    what
        What it is called in messages.
    between
        `held`: a value holds from its date to the next one, as a daily mean labelled with its day does.
        `linear`: values are of their moment, with a straight line between two.
    """

    def __init__(
        self,
        ds: xr.Dataset | None,
        names: Sequence[str],
        like: xr.Dataset,
        geometry: Geometry,
        period: tuple[np.datetime64, np.datetime64],
        between: Between = "held",
        what: str = "forcing",
    ):
        if between not in ("held", "linear"):
            raise unknown("way from date to date", between, ("held", "linear"))
        self.between, self.what = between, what
        self.names = tuple(names) if ds is not None else ()
        self.labels = np.array([], dtype="datetime64[ns]")
        if ds is None or not self.names:
            return
        if "depth" in ds.dims and "depth" not in like.dims:
            ds = ds.isel(depth=0, drop=True)  # to a core of the surface, the surface is all there is
        grid.same_grid(like.drop_dims("depth", errors="ignore"), ds)
        self._channels = channels_of(ds, self.names, like)
        self._geometry = geometry
        chosen = seam.select(ds, self._channels)
        if "time" in chosen.dims:
            chosen = _present(chosen, ds, what)
            self.labels = chosen.time.values.astype("datetime64[ns]")
            self._refuse_gaps(period)
        else:
            chosen = chosen.drop_vars("time", errors="ignore").expand_dims("time")
        self._ds = chosen
        # A leg asks for the date it is in and at most the next one; the run never turns back.
        self.of_date = lru_cache(maxsize=2)(self._of_date)

    @property
    def channels(self) -> Channels:
        """The wanted fields, in order."""
        return self._channels if self.names else Channels()

    def breaks(self, start: np.datetime64, stop: np.datetime64) -> np.ndarray:
        """The dates between two moments: a leg of the run crosses none of them."""
        return self.labels[(self.labels > start) & (self.labels < stop)]

    def shares(self, start: np.datetime64, stop: np.datetime64) -> list[tuple[int, float]]:
        """Which dates make the mean from one moment to the next, and how much each counts; no date lies between."""
        if not len(self.labels):
            return [(0, 1.0)] if self.names else []
        first = int(np.searchsorted(self.labels, start, side="right")) - 1
        if self.between == "held" or first + 1 == len(self.labels):
            return [(first, 1.0)]
        middle = start + (stop - start) / 2
        later = float((middle - self.labels[first]) / (self.labels[first + 1] - self.labels[first]))
        return [(first, 1 - later), (first + 1, later)] if later else [(first, 1.0)]

    def mean(self, start: np.datetime64, stop: np.datetime64) -> Fields:
        """The mean of every field from one moment to the next, `[1, depth, lat, lon]`."""
        shares = self.shares(start, stop)
        return blend([self.of_date(at) for at, _ in shares], [share for _, share in shares])

    def label(self, at: int) -> str:
        """A date in words."""
        return "all dates" if not len(self.labels) else str(pd.Timestamp(self.labels[at]))

    def _of_date(self, at: int) -> dict[str, Tensor]:
        date = self._ds.isel(time=at, drop=True)
        return filled(date, self._channels, self._geometry, f"{self.what}, {self.label(at)}")

    def _refuse_gaps(self, period: tuple[np.datetime64, np.datetime64]) -> None:
        """`InputError` naming the first moment of the run for which there is no forcing."""
        start, stop = period
        steps = np.diff(self.labels)
        if (steps <= np.timedelta64(0)).any():
            raise InputError(f"{self.what}: expected ascending dates, each once; sort with {self.what}.sortby('time')")
        step = steps.min() if len(steps) else _DAY
        ends = self.labels + (step if self.between == "held" else np.timedelta64(0, "ns"))
        gap = np.flatnonzero((steps > 1.5 * step) & (self.labels[:-1] < stop) & (self.labels[1:] > start))
        lacking = None
        if start < self.labels[0]:
            lacking = start
        elif len(gap):
            lacking = self.labels[gap[0]] + step
        elif stop > ends[-1]:
            lacking = max(ends[-1], start)
        if lacking is not None:
            have = f"{pd.Timestamp(self.labels[0])} to {pd.Timestamp(self.labels[-1])}"
            raise InputError(
                f"{self.what}: {', '.join(self.names)} lacking on {pd.Timestamp(lacking)}, found {have}; give what "
                f"covers {pd.Timestamp(start)} to {pd.Timestamp(stop)}, or simulate fewer days"
            )


def blend(fields: Sequence[dict[str, Tensor]], shares: Sequence[float]) -> Fields:
    """The weighted sum of mappings with the same names; a single one as it is."""
    if not fields:
        return Fields({})
    if len(fields) == 1:
        return Fields(fields[0])
    parts = [{name: share * f for name, f in some.items()} for some, share in zip(fields, shares, strict=True)]
    return Fields({name: torch.stack([part[name] for part in parts]).sum(0) for name in fields[0]})


def _present(chosen: xr.Dataset, ds: xr.Dataset, what: str) -> xr.Dataset:
    """Without the dates that a store lists as missing."""
    if chosen.time.dtype.kind != "M":
        raise InputError(f"{what}: `time` is {chosen.time.dtype}, expected dates; decode it with xr.decode_cf")
    present = chosen.isel(time=~np.isin(chosen.time.values, missing_times(ds)))
    if not present.sizes["time"]:
        raise InputError(f"{what}: has no date at all; give what covers the run")
    return present
