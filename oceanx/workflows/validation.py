"""Validation: forecasts from days that training does not see, scored while it goes on; the best weights are kept."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx.objectives.losses import Measure
from oceanx.tensors.integrate import rollout

from . import runs
from .batching import Windows, small, unpack
from .checkpoints import Checkpoint
from .logs import Log, add, restart
from .run_setup import needed_of, period
from .runs import save_tensors
from .train_config import TrainConfig

_COLUMNS = ("iteration", "variable", "depth", "lead_days", "rmse")


class Validator:
    """Scores a run's forecasts where the config asks for it; otherwise nothing.

    Root-mean-square errors in physical units by variable, level and lead, area-weighted over wet cells and all start
    dates, go to `validation.csv`. The score is their mean in units of each channel's spread, variables weighted as in
    the loss; the weights with the lowest are `best.safetensors`. Forecasts are made with the weights that `load`
    would give (their running mean, if there is one) and the forcing that was observed.
    """

    def __init__(self, ds: xr.Dataset, config: TrainConfig, checkpoint: Checkpoint):
        self.config, self.checkpoint, self.asked = config, checkpoint, config.validation
        self.run, self.here, self.channels = checkpoint.run, checkpoint.here, config.task.prognostic
        if self.asked is None:
            return
        steps = round(pd.Timedelta(self.asked.lead) / pd.Timedelta(config.task.step))
        ds = needed_of(period(ds, *self.asked.period, what="validation"), config)
        self.windows = Windows(ds, config.task, steps, self.run.dataset("climatology"))
        if small(self.windows.nbytes):
            self.windows.keep_in_memory()
        self.starts = np.unique(np.linspace(0, len(self.windows) - 1, self.asked.starts).round().astype(int))
        geometry, statistics = runs.described(self.run)
        measure = Measure(self.channels, geometry, statistics, config.weights)
        self.shares = {name: measure.share(name).to(self.here.device) for name in self.channels.names}
        self.spreads = {name: measure.spread(name, "spread")[:, 0, 0] for name in self.channels.names}
        if self.here.first:
            restart(self.run / "validation.csv", _COLUMNS, checkpoint.iteration)

    def score_if_due(self, log: Log) -> None:
        """After every so many iterations: forecast, score, write, and keep the weights if they are the best so far."""
        if self.asked is None or self.checkpoint.iteration % self.asked.every:
            return
        with self.checkpoint.at_its_best():
            errors = self.errors()
        score = self.score(errors)
        if score < self.checkpoint.best:
            self.checkpoint.best = score
            weights = self.checkpoint.weights()
            if self.here.first:
                save_tensors(self.run / "best.safetensors", weights)
                self.run.note(best=score, best_iteration=self.checkpoint.iteration)
        if self.here.first:
            rows = self._rows(errors)
            add(self.run / "validation.csv", [(self.checkpoint.iteration, *row) for row in rows])
            said = {f"rmse/{'_'.join(filter(None, row[:2]))}/{row[2]}d": float(row[3]) for row in rows}
            log.tell({"validation/score": score, **said})
        log.rested()

    @torch.no_grad()
    def errors(self) -> dict[str, Tensor]:
        """The RMSE `[lead, level]` of every variable, in its unit."""
        self.checkpoint.model.eval()
        squares = {name: torch.zeros(self.windows.steps, self.channels.levels(name)) for name in self.channels.names}
        rounds = math.ceil(len(self.starts) / self.here.count)
        for turn in range(rounds):
            # Every process makes as many forecasts, for sharded models need them all; what is too many is not counted.
            number = turn * self.here.count + self.here.rank
            batch = self.windows.__getitems__([int(self.starts[min(number, len(self.starts) - 1)])])
            state, forcings, targets = unpack(self.here.move(batch))
            for lead, (x, y) in enumerate(zip(rollout(self.checkpoint.model, state, forcings), targets, strict=True)):
                for name in squares if number < len(self.starts) else ():
                    off = (x[name] - y[name]).double() ** 2 * self.shares[name]
                    squares[name][lead] += off.sum(dim=(0, 2, 3)).float().cpu()
        self.checkpoint.model.train()
        sizes = [square.numel() for square in squares.values()]
        flat = self.here.sums(torch.cat([square.flatten() for square in squares.values()]).tolist())
        parts = torch.tensor(flat).split(sizes)
        return {
            name: (part / len(self.starts)).sqrt().view_as(squares[name])
            for name, part in zip(squares, parts, strict=True)
        }

    def score(self, errors: dict[str, Tensor]) -> float:
        """One number: the mean RMSE in units of the spread."""
        weights = {name: self.config.weights.get(name, 1.0) for name in errors}
        parts = [weights[name] * float((error / self.spreads[name]).mean()) for name, error in errors.items()]
        return sum(parts) / sum(weights.values())

    def _rows(self, errors: dict[str, Tensor]) -> list[tuple[str, str, str, str]]:
        step = pd.Timedelta(self.config.task.step) / pd.Timedelta("1D")
        rows = []
        for name, error in errors.items():
            depths = [f"{z:g}" for z in self.channels.depth] if name in self.channels.volume else [""]
            for lead, levels in enumerate(error.tolist(), start=1):
                rows += [(name, z, f"{lead * step:g}", repr(e)) for z, e in zip(depths, levels, strict=True)]
        return rows
