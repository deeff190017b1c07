"""The whole ocean: its state, and the step of a day.

Nothing feeds back: weather drives the layer, the layer drives the tracers. Random numbers are keyed by (seed, stream,
day), never streamed, so a day depends on the state before it and on its date alone: a restart is the uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import grid, mean, modes
from .column import Column
from .config import Ocean
from .dynamics import Driven, Dynamics, Fields
from .mixed import Mixed

_WEATHER, _EDDIES, _TRACERS, _START = 1, 2, 3, 4
TRACER_SPINUP = 300  # days of the spin-up that carry tracers; before them the layer runs alone


@dataclass(frozen=True)
class Keys:
    """Which future happens: extra words for the keys of weather and noise. Empty is the truth."""

    weather: tuple[int, ...] = ()
    noise: tuple[int, ...] = ()


@dataclass(frozen=True)
class Day:
    """A delivered day: its number since 1950-01-01, the ocean's means, the six-hourly air, the state at its end."""

    number: int
    ocean: Fields
    air: Fields
    state: Fields


TRUTH = Keys()


class Model:
    """An Ocean made ready to run."""

    def __init__(self, ocean: Ocean) -> None:
        self.ocean = ocean
        self.grid = grid.build(ocean)
        self.modes = modes.solve()
        self.flow = mean.build(ocean, self.grid)
        self.dynamics = Dynamics(ocean, self.grid, self.modes, self.flow)
        self.mixed = Mixed(self.grid, self.modes, self.flow, self.dynamics)

    @cached_property
    def column(self) -> Column:
        """The delivered levels."""
        return Column(self.ocean.depth, self.grid, self.modes, self.flow)

    def _rng(self, stream: int, day: int, key: tuple[int, ...] = ()) -> np.random.Generator:
        return np.random.default_rng([self.ocean.seed, stream, day, *key])

    def drive(self, state: Fields, day: int, keys: Keys = TRUTH) -> tuple[Fields, Driven]:
        """The upstream half of a day."""
        return self.dynamics.step(
            state, day, self._rng(_WEATHER, day, keys.weather), self._rng(_EDDIES, day, keys.noise)
        )

    def mix(self, state: Fields, driven: Driven, keys: Keys = TRUTH) -> tuple[Fields, Fields]:
        """The downstream half of a day."""
        return self.mixed.step(state, driven, self._rng(_TRACERS, driven.day, keys.noise))

    def start(self, day: int) -> Fields:
        """A state at the beginning of `day` that has not yet spun up."""
        return self.dynamics.start(self._rng(_START, day)) | self.mixed.start(self._rng(_START, day, (1,)), day)

    def step(self, state: Fields, day: int, keys: Keys = TRUTH) -> tuple[Fields, Fields]:
        """The state at the end of `day`, and the delivered daily means. The given state is left as it is."""
        upstream, driven = self.drive(state, day, keys)
        downstream, means = self.mix(state, driven, keys)
        return upstream | downstream, self.column(means, day)

    def spin_up(self, first: int) -> Iterator[tuple[int, Fields]]:
        """Day by day to the state at the beginning of `first`; the last state yielded is that one."""
        begin = first - self.ocean.spinup
        state = self.start(begin)
        alone = max(begin, first - TRACER_SPINUP)
        for day in range(begin, alone):
            upstream, _ = self.drive(state, day)
            state = {**state, **upstream}
            yield day, state
        if alone > begin:
            state = {**state, **self.mixed.start(self._rng(_START, alone, (1,)), alone)}
        for made in self.run(state, alone, first):
            state = made.state
            yield made.number, state
        if begin == first:
            yield first - 1, state

    def run(self, state: Fields, first: int, stop: int, keys: Keys = TRUTH) -> Iterator[Day]:
        """Days `first` … `stop`−1 from the state before them; the layer runs a day ahead in a thread."""
        if stop <= first:
            return
        with ThreadPoolExecutor(1) as pool:
            ahead: Future[tuple[Fields, Driven]] = pool.submit(self.drive, state, first, keys)
            for day in range(first, stop):
                upstream, driven = ahead.result()
                if day + 1 < stop:
                    ahead = pool.submit(self.drive, upstream, day + 1, keys)
                downstream, means = self.mix(state, driven, keys)
                state = upstream | downstream
                yield Day(day, self.column(means, day), driven.air, state)
