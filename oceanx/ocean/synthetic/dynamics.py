"""The upstream half of a day: weather, then the mesoscale it and unresolved instability drive.

Eddies come from two sources of thickness. One stands for baroclinic instability, which a single layer cannot have:
it feeds scales between two Gaussian filters until they reach an observed level, a backscatter in the manner of Jansen
et al. (2015). The other is red noise, the limit of predictability: nobody can know it in advance.

References
----------
Jansen, M. F., Held, I. M., Adcroft, A. and Hallberg, R. (2015). Energy budget-based backscatter in an eddy permitting
primitive equation model. Ocean Modelling 94, 15-26. https://doi.org/10.1016/j.ocemod.2015.07.015
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY, SECONDS_PER_DAY

from . import layer, mean, weather
from .config import Ocean
from .grid import Grid
from .mean import Mean
from .modes import Modes
from .smooth import Masked, Noise

REST = 500.0  # m, rest thickness H
RESTORE = 200.0  # days towards the mean sea level
GROWTH = 1 / 20  # d-1, of eddies
NOISE_MEMORY = 3.0  # days
Fields = dict[str, np.ndarray]


@dataclass(frozen=True)
class Driven:
    """A day of weather and of the layer it drove."""

    day: int
    air: Fields  # six-hourly, (4, ny, nx), as delivered
    layer: np.ndarray  # (4, 3, 2ny+2, 2nx+2): six-hourly means of h, u, v


class Dynamics:
    """Weather and layer of one ocean: constants, and the step of a day."""

    def __init__(self, ocean: Ocean, grid: Grid, modes: Modes, flow: Mean) -> None:
        self.ocean, self.grid, self.flow = ocean, grid, flow
        self.weather = weather.Weather.on(grid.lat, grid.lon)
        self.reduced = float(modes.speed[0]) ** 2 / REST  # g'
        self.to_sea_level = np.float32(self.reduced / GRAVITY)
        self.hbar = (flow.ssh / self.to_sea_level).astype(np.float32)
        self.length = max(1.0, 2.5 * grid.dy / 90e3)  # coarse grids carry no smaller eddies than they can resolve
        offshore = grid.wet * (1 - grid.coarse(grid.shelf))
        self.small = Masked(grid, 40e3 * self.length, offshore)
        self.large = Masked(grid, 160e3 * self.length, offshore)
        self.noise = Noise(grid, [(1.0, 90e3 * self.length), (-0.7, 180e3 * self.length)])
        self.offshore = (grid.fwet * (1 - grid.shelf)).astype(np.float32)
        self._constants(float(modes.speed[0]))

    def _constants(self, speed: float) -> None:
        grid, flow = self.grid, self.flow
        rows = grid.fwet.any(axis=1)
        fastest = speed * np.sqrt(1 / grid.dx[rows].min() ** 2 + 1 / grid.dy**2)
        spin = np.abs(grid.fcorner[rows]).max()
        self.steps = int(np.ceil(SECONDS_PER_DAY / weather.STEPS / min(0.52 / fastest, 0.6 / spin)))
        dt = SECONDS_PER_DAY / weather.STEPS / self.steps
        east, north = grid.open_faces
        clear = mean.clear_corners(grid)
        around = np.zeros_like(clear)
        wet = grid.fwet
        around[:-1, :-1] = 1 / np.maximum(wet[:-1, :-1].astype(float) + wet[1:, :-1] + wet[:-1, 1:] + wet[1:, 1:], 1)
        self.masks = np.stack([east, north, clear, grid.halo(around), wet]).astype(np.float32)
        area = grid.dy * (grid.dxv + np.roll(grid.dxv, 1)) / 2
        self.metric = np.stack([grid.dx, grid.dxv, grid.fcorner, 1 / area]).astype(np.float32)
        viscosity = 150 * self.length**2
        numbers = (dt, REST, self.reduced, 1 / (RESTORE * SECONDS_PER_DAY), viscosity, 1 / (REFERENCE_DENSITY * REST),
                   grid.dy, 0.5, 1, 23 / 12, 16 / 12, 5 / 12)  # fmt: skip
        self.numbers = np.array(numbers, np.float32)
        drag = (1 / 200 + grid.shelf / 4) / SECONDS_PER_DAY
        self.steady = np.zeros((6, *wet.shape), np.float32)
        self.steady[0], self.steady[1], self.steady[5] = flow.ub, flow.vb, drag
        self._balance()

    def _balance(self) -> None:
        """Measure the prescribed flow's own kinetic energy and vorticity flux with the layer's own arithmetic."""
        rest = np.zeros((3, *self.grid.fwet.shape), np.float32)
        work = np.zeros((4, *self.grid.fwet.shape), np.float32)
        layer._flows(rest, self.steady, self.masks, self.metric, self.numbers, work)
        U, V, K, q = (self.grid.halo(field) for field in work)
        dx, dy, quarter = self.metric[0][:, None], self.numbers[6], np.float32(0.25)
        self.steady[2] = 4 * K
        self.steady[3, 1:, :-1] = (
            quarter / dx[1:] * (q[1:, :-1] * (V[1:, :-1] + V[1:, 1:]) + q[:-1, :-1] * (V[:-1, :-1] + V[:-1, 1:]))
        )
        self.steady[4, :-1, 1:] = (
            -quarter / dy * (q[:-1, 1:] * (U[:-1, 1:] + U[1:, 1:]) + q[:-1, :-1] * (U[:-1, :-1] + U[1:, :-1]))
        )

    def start(self, rng: np.random.Generator) -> Fields:
        """A layer at its mean sea level, at rest, under weather of long standing."""
        shape = self.grid.fwet.shape
        now = np.zeros((3, *shape), np.float32)
        now[0] = self.hbar
        return {
            "weather": self.weather.start(rng), "eddies": self.noise(rng),
            "now": now, "old": np.zeros((2, 3, *shape), np.float32),
        }  # fmt: skip

    def step(
        self, state: Fields, day: int, weather_rng: np.random.Generator, noise_rng: np.random.Generator
    ) -> tuple[Fields, Driven]:
        """The state a day later, and what this day was."""
        coefficients, air = self.weather.day(state["weather"], day, weather_rng)
        keep = np.float32(np.exp(-1 / NOISE_MEMORY))
        eddies = keep * state["eddies"] + np.sqrt(1 - keep**2) * self.noise(noise_rng)
        source = self._source(state["now"][0], eddies)
        now, old = state["now"].copy(), state["old"].copy()
        means = []
        for u, v in zip(air["u10"], air["v10"], strict=True):
            means.append(layer.advance(
                now, old, source, self.hbar, self._stress(u, v), self.steady, self.masks, self.metric, self.numbers,
                self.steps, self.grid.periodic,
            ))  # fmt: skip
        self._check(now, day)
        return {"weather": coefficients, "eddies": eddies, "now": now, "old": old}, Driven(day, air, np.stack(means))

    def _source(self, h: np.ndarray, eddies: np.ndarray) -> np.ndarray:
        """Thickness source in m/s: growth of eddies towards their level, and noise."""
        level = self.grid.coarse(h - self.hbar) * self.to_sea_level
        band = self.small(level) - self.large(level)
        room = np.clip(1 - self.large(band * band) / self.flow.limit**2, -2, 1)
        rate = GROWTH * room * band + 0.8 * self.ocean.noise * eddies  # m of sea level a day
        return self.grid.fine(rate / (self.to_sea_level * SECONDS_PER_DAY)) * self.offshore

    def _stress(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Wind stress on the east and north faces, (2, …)."""
        taux, tauy = self.grid.fine(np.stack(weather.stress(u, v)))
        taux[:, :-1] = (taux[:, :-1] + taux[:, 1:]) * np.float32(0.5)
        tauy[:-1] = (tauy[:-1] + tauy[1:]) * np.float32(0.5)
        return np.stack([taux, tauy])

    def _check(self, now: np.ndarray, day: int) -> None:
        least = REST + float(now[0].min())
        if not (least > 0.2 * REST and np.isfinite(now).all()):
            raise FloatingPointError(
                f"the built-in ocean's upper layer thins to {least:.0f} m on day {day} (rest {REST:.0f} m): "
                "lower `noise`, or choose another seed"
            )
