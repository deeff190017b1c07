"""Departures: the observations of one window held against the states of the model there, tested, and told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.ocean.interpolation import When
from oceanx.ocean.observations import CODES
from oceanx.ocean.observing.matching import offsets, total_error
from oceanx.ocean.observing.quality import Quality, check_window
from oceanx.tensors.observe import Operator
from oceanx.tensors.state import State
from oceanx.variational.analysis import Analysis, Observed
from oceanx.vocabulary.channels import Channels

from ..ensembles.members import generator
from .windows import Span, placed


@dataclass(frozen=True)
class Against:
    """What observations are held against, the same in every window.

    Attributes
    ----------
    grid, channels
        Of the state.
    spread
        σ of the background's error by variable `[level, lat, lon]`; empty where nobody knows.
    quality
        Which tests are made.
    representation
        What the grid cannot resolve, as `total_error` takes it.
    offset
        Whether sea level is compared but for its mean over each window and basin.
    basins
        Codes by latitude and longitude, or None.
    """

    grid: xr.Dataset
    channels: Channels
    spread: Mapping[str, Tensor]
    quality: Quality
    representation: Mapping[str, float | xr.DataArray]
    offset: bool
    basins: xr.DataArray | None


@dataclass(frozen=True)
class Seen:
    """The observations of a window, tested against a background.

    Attributes
    ----------
    table
        All rows of the window, in the model's variables.
    found
        Those that the operator is of.
    qc
        0 for the rows used, or the test that failed.
    values, std
        Of all rows, offsets taken off, and the standard deviations of their errors, representation included.
    operator
        H of the rows found.
    """

    table: xr.Dataset
    found: np.ndarray
    qc: np.ndarray
    values: np.ndarray
    std: np.ndarray
    operator: Operator

    @property
    def used(self) -> np.ndarray:
        """Which rows are used."""
        return self.qc == 0

    def observed(self, dtype: torch.dtype) -> Observed:
        """What a method is given: the rows used."""
        values, std = (torch.from_numpy(x[self.used]).to(dtype) for x in (self.values, self.std))
        return Observed(values, std, self.operator.keep(torch.from_numpy(self.used[self.found])))

    def place(self, name: str) -> Tensor:
        """`latitude`, `longitude` or `depth` of the rows used."""
        return torch.from_numpy(self.table[name].values[self.used].astype("float64"))

    def age(self, begin: np.datetime64) -> Tensor:
        """When the rows used were observed, in seconds after the analysis time."""
        return torch.from_numpy((self.table["time"].values[self.used] - begin) / np.timedelta64(1, "s"))

    def equivalents(self, states: Sequence[State]) -> np.ndarray:
        """H(x) (batch, obs) at all rows, NaN where the grid has nothing to say."""
        with torch.no_grad():
            there = self.operator(states).double().numpy()
        whole = np.full((len(there), len(self.found)), np.nan)
        whole[:, self.found] = there
        return whole


def seen(part: xr.Dataset, span: Span, background: Sequence[State], against: Against) -> Seen:
    """The rows of a window, tested against the states of the background at its times."""
    time: When | None = "nearest" if span.steps > 1 else None
    where = against.grid.assign_coords(time=span.times) if time else against.grid
    operator, found = seam.operator(placed(part, span), where, against.channels, time=time)
    std = total_error(part, against.representation).values
    known = part["qc"].values
    bare = Seen(part, found, known, part["value"].values.astype("float64"), std, operator)
    there = bare.equivalents(background)
    mean, spread = there.mean(axis=0), _spread(bare, there, background, against.spread)
    values = _less_offsets(bare, mean, known, against)
    qc = check_window(
        part.assign(value=("obs", values, part["value"].attrs)),
        mean,
        np.where(np.isnan(spread), np.inf, spread),
        std,
        grid=None,
        settings=against.quality,
    )
    qc = np.where((qc == 0) & ~found, CODES["no_equivalent"], qc).astype("uint8")
    return Seen(part, found, qc, _less_offsets(bare, mean, qc, against), std, operator)


def _spread(bare: Seen, there: np.ndarray, background: Sequence[State], spread: Mapping[str, Tensor]) -> np.ndarray:
    """√diag(HBHᵀ): of members their standard deviation, else as the statistics have it; NaN where nobody knows.

    What nobody knows is no reason to reject anything.
    """
    if len(there) > 1:
        return there.std(axis=0, ddof=1)
    known = {name: torch.zeros_like(x[:1]) if name not in spread else spread[name][None].to(x.dtype)
             for name, x in background[0].items()}  # fmt: skip
    return bare.equivalents([State(known)] * len(background))[0] if spread else np.full(there.shape[1], np.nan)


def _less_offsets(bare: Seen, mean: np.ndarray, qc: np.ndarray, against: Against) -> np.ndarray:
    if not against.offset:
        return bare.values
    away = bare.values - mean
    live = bare.table.assign(qc=bare.table["qc"].copy(data=qc), error_std=("obs", bare.std))
    return bare.values - offsets(away, live, basins=against.basins).values


def columns(
    window: Seen, background: np.ndarray, analysis: np.ndarray, found: Analysis, seed: int, begin: np.datetime64
) -> dict[str, np.ndarray]:
    """What is kept of every observation of a window, by name.

    Parameters
    ----------
    background, analysis
        H(x) (batch, obs) of both.
    found
        The method's, of the rows used.
    seed, begin
        Of the noise that is added to the members before they are ranked.
    """
    members = len(background)
    said = {
        "background_std": _root(window, found.variance, background),
        "analysis_std": _root(window, found.analysed_variance, analysis),
        "influence": _all(window, found.influence),
    }
    rank = np.full(len(window.qc), -1, "int16")
    if members > 1:
        noise = generator(seed, begin, 0, 0, "rank").standard_normal(background.shape) * window.std
        below = (background + noise < window.values).sum(axis=0)
        rank = np.where(window.found, below, -1).astype("int16")
    return {
        "background": (window.values - background.mean(axis=0)).astype("float32"),
        "analysis": (window.values - analysis.mean(axis=0)).astype("float32"),
        "error_std": window.std.astype("float32"),
        "rank": rank,
        "qc": window.qc,
        **said,
    }


def spread_over_error(used: np.ndarray, columns: Mapping[str, np.ndarray]) -> float:
    """√(E[HBHᵀ/σo²] / (E[d²/σo²] − 1)) over the rows used: 1 where a background is as wrong as it is said to be.

    NaN where the departures are no larger than the errors of the observations alone.
    """
    error = columns["error_std"][used].astype(float)
    stated = np.square(columns["background_std"][used] / error)
    found = np.square(columns["background"][used] / error)
    if not np.isfinite(stated).any() or not found.mean() > 1:
        return np.nan
    return float(np.sqrt(np.nanmean(stated) / (found.mean() - 1)))


def _all(window: Seen, values: Tensor | None) -> np.ndarray:
    """Numbers of the rows used among all rows, NaN elsewhere."""
    whole = np.full(len(window.qc), np.nan, "float32")
    if values is not None:
        whole[window.used] = values.detach().cpu().numpy()
    return whole


def _root(window: Seen, variance: Tensor | None, there: np.ndarray) -> np.ndarray:
    """Standard deviations: of the members where there are some, else what the method says of the rows used."""
    if len(there) > 1:
        whole = there.std(axis=0, ddof=1).astype("float32")
        return whole if variance is None else np.where(window.used, _all(window, variance.clamp(min=0).sqrt()), whole)
    return _all(window, None if variance is None else variance.clamp(min=0).sqrt())
