"""Local analyses: for every cell the equations of the observations near it, many cells at a time.

    C = (m − 1)/λ² I + Σ_o ρ_o/σo² y_oᵀ y_o

Observations of a cell are gathered into one matrix, so that C is a product of it with itself; cells with about as many
observations share a batch, so that little of it is padding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .analysis import Setting, Window
from .localisation import Reach, half_widths
from .neighbours import Neighbours, Pairs, Places, places
from .over_sea import Detours
from .square_root import Factor, Root, Thin

_log = logging.getLogger("oceanx.variational")

BLOCK = 2048  # columns that look for their observations together
BATCH = 512  # cells at most that are analysed together
ROOM = 2**20  # numbers at most in a batch's gathered observations, where more than one cell is in it

Solved = Root | Thin | Factor
Solve = Callable[[Tensor, float], Solved]


class Seen(NamedTuple):
    """What the members make of the observations.

    Attributes
    ----------
    anomalies
        Y, `[obs, m]`.
    departures
        y − H(x̄_b).
    std
        σo.
    prior
        (m − 1)/λ².
    dtype
        Of the states: products of observations are as precise, all else is in double precision.
    """

    anomalies: Float[Tensor, "obs m"]
    departures: Float[Tensor, " obs"]
    std: Float[Tensor, " obs"]
    prior: float
    dtype: torch.dtype = torch.float64


class Local:
    """The local analyses of a window.

    Parameters
    ----------
    seen
        What the members make of its observations.
    neighbours
        Which of them are near.
    where
        Where they are.
    wet
        The mask `[level, column]`.
    solve
        The Solution of scaled observations, `square_root.solved` for members.

    Attributes
    ----------
    seen, wet
        As given.
    alike
        Levels in groups of which all have the same Solutions: where observations reach through the whole column, one.
    """

    def __init__(self, seen: Seen, neighbours: Neighbours, where: Places, wet: np.ndarray, solve: Solve):
        self.seen, self._neighbours, self._solve = seen, neighbours, solve
        self.wet = wet
        levels = list(range(len(wet)))
        self.alike = [levels] if neighbours.whole_columns else [[level] for level in levels]
        self._scaled = (torch.cat((seen.anomalies, seen.departures[:, None]), 1) / seen.std[:, None]).to(seen.dtype)
        # Where each observation is at home, sorted, so that the observations of a cell stand together.
        home = where.level * wet.shape[1] + where.column
        self._at_home = torch.from_numpy(np.argsort(home, kind="stable"))
        self._home = torch.from_numpy(home)[self._at_home]

    def pairs(self, columns: np.ndarray) -> Pairs:
        """Columns and observations near each other."""
        return self._neighbours.pairs(columns)

    def solutions(self, columns: np.ndarray, pairs: Pairs, levels: Sequence[int]) -> Iterator[tuple[Tensor, Solved]]:
        """Wet columns that have observations at levels alike, as positions in `columns`, and the Solution of each."""
        device = self._scaled.device
        pairs = self._neighbours.at(pairs, levels[0])
        count, first = pairs.per_column, pairs.per_column.cumsum(0) - pairs.per_column
        asked = torch.where(torch.from_numpy(self.wet[levels][:, columns].any(0)), count, 0)
        fullest = asked.argsort(descending=True, stable=True)[: int((asked > 0).sum())]
        weight = pairs.taper.sqrt().to(self._scaled.dtype)
        while len(fullest):
            size = max(1, min(BATCH, ROOM // (int(count[fullest[0]]) * self._scaled.shape[1])))
            cells, fullest = fullest[:size], fullest[size:]
            pair, filled = _padded(first[cells], count[cells])
            much = weight.index_select(0, pair).view_as(filled).mul_(filled).to(device)
            scaled = _rows(self._scaled, pairs.observation.index_select(0, pair), filled).mul_(much[..., None])
            yield cells, self._solve(scaled, self.seen.prior)

    def reached(self, columns: np.ndarray, level: int) -> Tensor:
        """Which columns have observations at a level."""
        return self._neighbours.at(self.pairs(columns), level).per_column > 0

    def at_home(self, columns: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
        """The observations whose cell is in some columns of a level.

        Returns
        -------
        observation
            Which they are.
        rows
            Their anomalies by column, `[column, most, m]`.
        filled
            Which rows are theirs, in their order.
        """
        cell = level * self.wet.shape[1] + columns
        first, last = (torch.searchsorted(self._home, cell, right=right) for right in (False, True))
        place, filled = _padded(first, last - first)
        observation = self._at_home[place]
        rows = _rows(self.seen.anomalies, observation, filled)
        return observation.view_as(filled)[filled], rows, filled


class Ocean:
    """Where local analyses are made: the grid, and how far observations of each variable reach.

    Parameters
    ----------
    setting
        The grid, and what is known of the background's errors.
    reach
        As far as it is given, by variable.
    over_sea
        Whether distances are taken through water.

    Attributes
    ----------
    half_widths
        Of every variable (m), as they are used.
    told
        The same for the log, by variable in km and m.
    """

    def __init__(self, setting: Setting, reach: Mapping[str, Reach], over_sea: bool):
        self._geometry = setting.geometry
        self._wet = setting.geometry.mask.bool().flatten(1).cpu().numpy()
        self.half_widths = half_widths(setting, reach)
        self.told: dict[str, float] = {}
        for name, (horizontal, vertical) in self.half_widths.items():
            self.told |= {f"{name}_half_width_km": horizontal / 1000, f"{name}_half_width_m": vertical}
            _log.info("localisation of %s: half-widths of %.4g km and %.4g m", name, horizontal / 1000, vertical)
        furthest = 2 * max(each.horizontal for each in self.half_widths.values())
        self._detours = Detours(setting.geometry, furthest) if over_sea else None

    def local(self, seen: Seen, window: Window, solve: Solve) -> tuple[Local, Float[Tensor, " obs"]]:
        """The local analyses of a window, and how much every observation counts in its own cell."""
        where = places(window, self._geometry)
        neighbours = Neighbours(self._geometry, where, self.half_widths, self._detours)
        return Local(seen, neighbours, where, self._wet, solve), neighbours.at_home.to(seen.std)


def _padded(first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Runs that begin at `first` as rows of one length, end to end, and which of their places are filled."""
    slot = torch.arange(int(count.max()))
    filled = slot < count[:, None]
    return torch.where(filled, first[:, None] + slot, 0).flatten(), filled


def _rows(values: Tensor, which: Tensor, shape: Tensor) -> Tensor:
    """Rows of a matrix, as many as `shape` has places. (Indexing would copy them number by number.)"""
    return values.index_select(0, which.to(values.device)).unflatten(0, shape.shape)


def blocks(columns: np.ndarray) -> list[np.ndarray]:
    """Columns in pieces that are worked on side by side; how many cores there are has no part in it."""
    return [columns[first : first + BLOCK] for first in range(0, len(columns), BLOCK)]
