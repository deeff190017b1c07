"""What a learned analysis is trained on: a truth that random networks observe, or observations without any truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.ocean.observations import check
from oceanx.ocean.observing.matching import as_state
from oceanx.ocean.observing.sea import Sea
from oceanx.tensors.state import Fields, State
from oceanx.variational.analysis import Observed
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.vocabulary.errors import InputError

from ..model import Model, background
from ..stepping import beginning, numbers, read
from ..windows import valid_windows
from .analysis_config import AnalysisTraining
from .random_networks import RandomNetwork, Room, table


class Source:
    """The training days of a forecast model, and what it is told on them.

    Parameters
    ----------
    ds
        Of the training days, in memory where it is small; without the ocean's own variables where there is no truth.
    grid, statistics
        Of the forecast model.
    """

    def __init__(
        self,
        config: AnalysisTraining,
        model: Model,
        ds: xr.Dataset,
        grid: xr.Dataset,
        statistics: Mapping[str, Tensor],
    ):
        assert model.task is not None
        self.config, self.model, self.task, self.ds, self.grid = config, model, model.task, ds, grid
        self.mask, self.times = seam.wet_mask(grid), ds["time"].values.astype("datetime64[ns]")
        self.step = pd.Timedelta(self.task.step).to_timedelta64().astype("timedelta64[ns]")
        self.statistics = statistics

    def starts(self, windows: int) -> np.ndarray:
        """The dates from which so many windows follow one another without a gap."""
        return self.times[valid_windows(self.ds, self.task, windows)]

    def told(self, times: np.ndarray) -> Fields:
        """The forcing on some dates, climatology included."""
        known = read(self.ds, self.task.forcing, times, self.mask)
        return Fields({**numbers(background(self.model.climatology, times, self.task)), **known})

    def truth(self, times: np.ndarray) -> State:
        """What the ocean was on some dates."""
        return beginning(self.ds, self.task, times, self.mask)

    def usual(self, times: np.ndarray) -> State:
        """The climatology on some dates, or the mean where the task has none: where every trajectory begins."""
        told, fields, rows = numbers(background(self.model.climatology, times, self.task)), {}, len(times)
        for name in self.task.prognostic.names:
            wet = seam.wet_of(self.statistics[f"{name}_mean"][None, :, None, None], self.mask)
            mean = self.statistics[f"{name}_mean"][None, :, None, None].expand(rows, -1, *self.mask.shape[1:])
            fields[name] = torch.where(wet, told.get(name + CLIMATOLOGY, mean), 0.0)
        return State(fields)


class Twin(Source):
    """A store that stands for the truth, observed by random networks."""

    def __init__(
        self,
        config: AnalysisTraining,
        model: Model,
        ds: xr.Dataset,
        grid: xr.Dataset,
        statistics: Mapping[str, Tensor],
    ):
        super().__init__(config, model, ds, grid, statistics)
        channels = self.task.prognostic
        spread = {name: statistics[f"{name}_std"].numpy() for name in channels.names}
        self.room = Room(Sea.of(grid), channels, spread)

    def observed(self, truth: State, time: np.datetime64, network: int, seed: tuple[int, ...]) -> Observed:
        """What a network of this number sees of one truth, with errors."""
        rng = np.random.default_rng(seed)
        platforms = RandomNetwork(self.config.platforms, self.room, network, self.config.missing)
        rows = table(platforms.window(rng), time)
        operator, found = seam.operator(rows, self.grid, self.task.prognostic)
        std = torch.from_numpy(rows["error_std"].values[found])
        errors = torch.from_numpy(rng.standard_normal(len(std)))
        return Observed(operator([truth])[0].double() + std * errors, std, operator)


class Reality(Source):
    """Real observations, and nothing of the truth behind them."""

    def __init__(
        self,
        config: AnalysisTraining,
        model: Model,
        ds: xr.Dataset,
        grid: xr.Dataset,
        statistics: Mapping[str, Tensor],
        observations: xr.Dataset,
    ):
        super().__init__(config, model, ds, grid, statistics)
        check(observations)
        good = observations.isel(obs=np.flatnonzero(observations["qc"].values == 0))
        self.table = as_state(good, self.task.prognostic.names)
        stamps = self.table["time"].values
        if not ((stamps >= self.times[0]) & (stamps < self.times[-1] + self.step)).any():
            raise InputError(
                f"observations: none that is good from {self.times[0]} to {self.times[-1]}; train on their days"
            )

    def observed(self, time: np.datetime64) -> Observed:
        """What was observed in the window that begins then."""
        first, last = np.searchsorted(self.table["time"].values, [time, time + self.step])
        rows = self.table.isel(obs=slice(int(first), int(last)))
        operator, found = seam.operator(rows, self.grid, self.task.prognostic)
        values, std = (torch.from_numpy(rows[name].values[found].astype("float64")) for name in ("value", "error_std"))
        return Observed(values, std, operator)

    def parted(self, observed: Observed, seed: tuple[int, ...]) -> tuple[Observed, Observed]:
        """What of it the analysis is shown, and what is kept back to score it."""
        shown = torch.from_numpy(np.random.default_rng(seed).random(len(observed)) >= self.config.kept_back)
        values, std, operator = observed.values, observed.std, observed.operator
        first, second = (Observed(values[which], std[which], operator.keep(which)) for which in (shown, ~shown))
        return first, second
