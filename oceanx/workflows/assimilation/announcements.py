"""What a cycle says of itself: a line a window, and an alarm where it drifts, collapses or blows up."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.ocean import climatology as climatologies
from oceanx.ocean.labels import date_said
from oceanx.vocabulary.names import VARIABLES

from .store import METHOD
from .windows import Span

_log = logging.getLogger("oceanx.workflows")

DRIFTS = {"thetao": 1.0, "sst": 1.5, "so": 0.1, "zos": 0.05}  # a year: more than that is announced
YEAR = 365.25  # days
SHORTEST = 30  # days that tell a trend where the season is known
SPREAD = (0.2, 5.0)  # of spread over error: below is a collapse, above a blow-up
WINDOWS = 10  # over which that is taken together


class Series(Protocol):
    """Where diagnostics along time are kept."""

    def series(self, name: str) -> np.ndarray:
        """One of them; NaN where there is nothing yet."""


def line(span: Span, numbers: Mapping[str, np.ndarray], known: Series) -> str:
    """A window in a few words: observations used, increments by variable, and what the method says anew."""
    used, rejected = (int(numbers[f"observations_{what}"][0]) for what in ("used", "rejected"))
    words = [f"{date_said(span.begin)}: {used} of {used + rejected} observations"]
    if used:
        for name in (key.removesuffix("_increment_max") for key in numbers if key.endswith("_increment_max")):
            mean, most = (float(numbers[f"{name}_increment_{what}"][0]) for what in ("mean", "max"))
            words.append(f"{name} {mean:+.2g} (at most {most:.2g})")
        held = sum(int(values[0]) for key, values in numbers.items() if key.endswith("_bounded"))
        words += [f"{held} cells held within bounds"] if held else []
    for key in (key for key in numbers if key.startswith(METHOD)):
        before = known.series(key)[: span.at.start]
        before = before[np.isfinite(before)]
        if not before.size or before[-1] != numbers[key][0]:
            words.append(f"{key.removeprefix(METHOD).replace('_', ' ')} {float(numbers[key][0]):.4g}")
    return ", ".join(words)


@dataclass
class Alarms:
    """The alarms of one cycle.

    Attributes
    ----------
    times
        Of all analyses; `begins` are those of the windows, by their place.
    members
        How many the method carries.
    usual
        By variable, the mean over the sea that is usual at `times`, where somebody knows.
    starts
        By variable, the mean over the sea of the first background.
    """

    times: np.ndarray
    begins: Sequence[int]
    members: int
    usual: Mapping[str, np.ndarray]
    starts: dict[str, float] = field(default_factory=dict)

    def look(self, span: Span, known: Series) -> None:
        """Say so if all observations of this window are rejected, or the ensemble has just collapsed or blown up."""
        when = date_said(span.begin)
        used, rejected = (int(known.series(f"observations_{w}")[span.at.start]) for w in ("used", "rejected"))
        if rejected and not used:
            _log.warning("%s: all %d observations are rejected; the background goes on", when, rejected)
        ratios = self._ratios(known)[: span.number + 1]
        now, before = state(ratios), state(ratios[:-1])
        if now and now != before:
            _log.warning("%s: the ensemble %s", when, now)

    def attrs(self, known: Series) -> dict[str, str]:
        """What is recorded in the end; said aloud, too."""
        found = {}
        said = [text for name in DRIFTS if (text := self._drift(name, known))]
        if said:
            found["oceanx_drift"] = "; ".join(said)
            _log.warning("drift: %s", found["oceanx_drift"])
        ratios = self._ratios(known)
        words = [state(ratios[: number + 1]) for number in range(len(ratios))]
        alarms = [
            f"{word} on {date_said(self.times[self.begins[number]])}"
            for number, word in enumerate(words)
            if word and (number == 0 or words[number - 1] != word)
        ]
        return found | ({"oceanx_ensemble": "; ".join(alarms)} if alarms else {})

    def _ratios(self, known: Series) -> np.ndarray:
        if self.members == 1:
            return np.empty(0)
        return known.series("spread_over_error")[list(self.begins)]

    def _drift(self, name: str, known: Series) -> str | None:
        """A trend beyond its bound, in words."""
        if name not in self.starts:
            return None
        trend = yearly_trend(self.times, known.series(f"{name}_drift"), self.usual.get(name))
        if trend is None or abs(trend) <= DRIFTS[name]:
            return None
        unit = VARIABLES[name].units
        return f"the mean {name} over the sea changes by {trend:+.3g} {unit} a year (more than {DRIFTS[name]:g})"


def state(ratios: np.ndarray) -> str | None:
    """Whether an ensemble has collapsed or blown up, by spread over error in its last windows."""
    last = ratios[-WINDOWS:]
    if len(last) < WINDOWS or not np.isfinite(last).any():
        return None
    ratio = float(np.nanmean(last))
    if SPREAD[0] <= ratio <= SPREAD[1]:
        return None
    what = "has collapsed" if ratio < SPREAD[0] else "has blown up"
    return f"{what}: its spread is {ratio:.2g} of the error"


def yearly_trend(times: np.ndarray, values: np.ndarray, usual: np.ndarray | None) -> float | None:
    """The trend of a series in a year, by least squares; None where season and trend cannot be told apart.

    Parameters
    ----------
    usual
        The season, where it is known; else an annual harmonic is fitted to a year or more.
    """
    days = (times - times[0]) / np.timedelta64(1, "D")
    there = np.isfinite(values)
    columns = [np.ones_like(days), days / YEAR]
    if usual is not None:
        values = values - (usual - usual[0])
    else:
        columns += [np.cos(2 * np.pi * days / YEAR), np.sin(2 * np.pi * days / YEAR)]
    if there.sum() <= len(columns) or days[there][-1] - days[there][0] < (SHORTEST if usual is not None else YEAR - 1):
        return None
    return float(np.linalg.lstsq(np.stack(columns, axis=1)[there], values[there], rcond=None)[0][1])


def season(
    climatology: xr.Dataset | None, weights: Mapping[str, np.ndarray], times: np.ndarray
) -> dict[str, np.ndarray]:
    """The usual mean over the sea at some times, by variable, where a climatology has the levels of the weights."""
    if climatology is None:
        return {}
    found = {}
    for name in (name for name in DRIFTS if name in weights and name in climatology):
        dims = [d for d in ("depth", "latitude", "longitude") if d in climatology[name].dims]
        weight = weights[name] if "depth" in dims else weights[name][0]
        if weight.shape == tuple(climatology[name].sizes[d] for d in dims):
            share = xr.DataArray(weight / weight.sum(), dims=dims)
            mean = (climatology[name].fillna(0.0).drop_vars(dims, errors="ignore") * share).sum(dims)
            found[name] = climatologies.at(mean.to_dataset(name=name), pd.DatetimeIndex(times))[name].values
    return found
