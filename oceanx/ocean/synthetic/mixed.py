"""The downstream half of a day: tracers carried by the flow, and the mixed layer's heat budget.

Sea surface temperature integrates the weather, as in Hasselmann (1976) and Frankignoul and Hasselmann (1977), while
Ekman and geostrophic currents carry it.

References
----------
Hasselmann, K. (1976). Stochastic climate models Part I. Theory. Tellus 28, 473-485.
https://doi.org/10.1111/j.2153-3490.1976.tb00696.x
Frankignoul, C. and Hasselmann, K. (1977). Stochastic climate models, Part II. Application to sea-surface temperature
anomalies and thermocline variability. Tellus 29, 289-305. https://doi.org/10.1111/j.2153-3490.1977.tb00740.x
"""

from __future__ import annotations

import numpy as np

from oceanx.vocabulary.constants import (
    GRAVITY,
    HEAT_CAPACITY,
    REFERENCE_DENSITY,
    ROTATION,
    SECONDS_PER_DAY,
    ZERO_CELSIUS,
)

from . import tracers, weather
from .dynamics import Driven, Dynamics, Fields
from .grid import SLOW, Grid
from .mean import Mean, clear_corners
from .modes import CONTRACTION, EXPANSION, Modes, temperature
from .smooth import Noise

CARRIED = ("heat", "salt", "spice", "second")  # mixed-layer T and S, interior compensated T, sea level of mode 2
FREEZING = np.float32(-1.8)  # °C, where ice would form
SPICE_DEPTH = 400.0  # m, e-folding of the compensated temperature
SEASON_DEPTH = 90.0  # m, e-folding of the season
_SECONDS = SECONDS_PER_DAY / weather.STEPS
_INTERIOR = 156.0  # m, whose currents carry the interior
_BELOW = 100.0  # m, where entrained water comes from
_DIFFUSION = 60.0  # m2/s


def background(lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What interior compensated temperature and mixed-layer salinity relax to."""
    spice = 0.8 * np.clip(weather.warmth(lat) - 18, -10, 10)
    return spice, 35 + EXPANSION / CONTRACTION * spice


def interior_season(day: float, lat: np.ndarray) -> np.ndarray:
    """The season below the mixed layer (K, at the surface), five weeks after the air's."""
    return weather.warm_season(day, lat, peak=240.0)


def _single(a: np.ndarray | float) -> np.ndarray:
    return np.asarray(a, np.float32)


class Mixed:
    """Tracers and mixed layer of one ocean: constants, and the step of a day."""

    def __init__(self, grid: Grid, modes: Modes, flow: Mean, dynamics: Dynamics) -> None:
        self.grid = grid
        self.to_sea_level = dynamics.to_sea_level
        self.inner, (second,) = modes.at(_INTERIOR), modes.at(0.0)[1:]
        self.inner = _single(self.inner / np.stack([1.0, second]))
        self.heave = _single(-modes.slope(_BELOW) / EXPANSION)
        self.east, self.north = (_single(face) for face in grid.open_faces)
        self.clear = _single(clear_corners(grid))
        self.deep = _single(np.stack([flow.ub, flow.vb]))
        self.dx, self.dxv = _single(grid.dx), _single(grid.dxv)
        self.sea = _single(grid.fwet)
        fc = grid.fcorner[:, None]
        self.turn = _single(GRAVITY * fc / (fc**2 + SLOW**2))
        f = grid.lat[:, None]
        f = 2 * ROTATION * np.sin(np.radians(f))
        self.ekman = [_single(x / (f**2 + SLOW**2) / REFERENCE_DENSITY) for x in (f, np.full_like(f, SLOW))]
        self.heat_noise, self.second_noise = Noise(grid, [(1.0, 120e3)]), Noise(grid, [(1.0, 90e3 * dynamics.length)])
        spice, salt = background(grid.flat)
        self.spice, self.salt = _single(spice)[:, None], _single(salt)[:, None]
        self.sun = _single(weather.mean_sun(grid.lat))[:, None]
        self.floor = _single(np.where(grid.wet, np.maximum(grid.bottom, 30), 30))

    def start(self, rng: np.random.Generator, day: int) -> Fields:
        """Tracers at their background, noise of long standing."""
        air = weather.warmth(self.grid.flat) + weather.warm_season(day, self.grid.flat, 240.0)
        full = np.ones(self.grid.fwet.shape, np.float32)
        carried = np.stack([full * _single(air)[:, None], full * self.salt, full * self.spice, 0 * full])
        return {
            "carried": carried, "gusts": np.full(self.grid.wet.shape, 60, np.float32),
            "heat_noise": self.heat_noise(rng), "second_noise": self.second_noise(rng),
        }  # fmt: skip

    def depth(self, day: float, gusts: np.ndarray) -> np.ndarray:
        """Thickness of the mixed layer (m): deep in late winter, deepened by the wind of the last two days."""
        lat = self.grid.lat[:, None]
        cold = 0.5 + 0.5 * np.cos(2 * np.pi * (day - 55) / weather.YEAR) * np.tanh(lat / 8)
        poleward = np.clip((np.abs(lat) - 10) / 35, 0, 1)
        calm = 22 + (20 + 75 * poleward) * cold**1.5
        deep = _single(calm) * np.clip(np.float32(0.55) + np.float32(0.45 / 60) * gusts, 0.6, 1.9)
        return np.minimum(np.minimum(deep, np.float32(180)), self.floor)

    def step(self, state: Fields, driven: Driven, rng: np.random.Generator) -> tuple[Fields, Fields]:
        """The state a day later, and the coarse daily means the delivered column is made of."""
        keep = [np.float32(np.exp(-1 / days)) for days in (2.0, 20.0)]
        kick = [np.sqrt(1 - k * k) for k in keep]
        heat_noise = keep[0] * state["heat_noise"] + kick[0] * self.heat_noise(rng)
        second_noise = keep[1] * state["second_noise"] + kick[1] * self.second_noise(rng)
        carried, gusts = state["carried"].copy(), state["gusts"]
        forced, target = self.grid.fine(np.stack([40 * heat_noise, 0.02 * second_noise]))
        total = np.zeros((10, *carried.shape[1:]), np.float32)
        thin = np.zeros((3, *gusts.shape), np.float32)
        for k in range(weather.STEPS):
            air = {name: field[k] for name, field in driven.air.items()}
            before, after = gusts, self._gust(gusts, air)
            when = driven.day + k / weather.STEPS
            deep, deeper = self.depth(when, before), self.depth(when + 1 / weather.STEPS, after)
            drift = self._drift(air, deep)
            total[:4] += np.float32(0.5) * carried
            flows = self._carry(carried, driven.layer[k], drift, east_first=(driven.day * weather.STEPS + k) % 2 == 0)
            self._exchange(carried, air, driven.layer[k, 0], deep, deeper, forced, target, when)
            total[:4] += np.float32(0.5) * carried
            total[4] += driven.layer[k, 0]
            total[5:9] += flows
            thin += np.stack([deep, *drift])
            gusts = after
        means = self._means(total / np.float32(weather.STEPS), thin / np.float32(weather.STEPS))
        return {"carried": carried, "gusts": gusts, "heat_noise": heat_noise, "second_noise": second_noise}, means

    def _gust(self, gusts: np.ndarray, air: Fields) -> np.ndarray:
        """Wind speed squared, remembered for two days."""
        keep = np.float32(np.exp(-1 / weather.STEPS / 2.0))
        return keep * gusts + (1 - keep) * (air["u10"] ** 2 + air["v10"] ** 2)

    def _drift(self, air: Fields, deep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ekman currents of the mixed layer, coarse."""
        taux, tauy = weather.stress(air["u10"], air["v10"])
        turn, down = self.ekman
        return (turn * tauy + down * taux) / deep, (down * tauy - turn * taux) / deep

    def _carry(
        self, carried: np.ndarray, now: np.ndarray, drift: tuple[np.ndarray, np.ndarray], *, east_first: bool
    ) -> np.ndarray:
        """Advect everything for a quarter of a day, in place; returns mode 1's and mode 2's flow at the faces."""
        first, half = now[1:3], np.float32(0.5)
        second = self._second(carried[3])
        ekman = self.grid.fine(np.stack(drift))
        ekman[0, :, :-1] = half * (ekman[0, :, :-1] + ekman[0, :, 1:]) * self.east[:, :-1]
        ekman[1, :-1] = half * (ekman[1, :-1] + ekman[1, 1:]) * self.north[:-1]
        surface = first + second + self.deep + ekman
        interior = self.inner[0] * first + self.inner[1] * second + self.deep
        for tracer, flow in ((carried[:2], surface), (carried[2:3], interior), (carried[3:], first + self.deep)):
            self._advect(tracer, self.grid.halo(flow), east_first)
        return np.concatenate([first, second])

    def _advect(self, tracer: np.ndarray, flow: np.ndarray, east_first: bool) -> None:
        crossing = max(np.abs(flow[0] / self.dx[:, None]).max(), np.abs(flow[1]).max() / self.grid.dy)
        steps = max(2, int(np.ceil(crossing * _SECONDS / 0.9)))
        tracers.advect(
            tracer, flow[0], flow[1], self.east, self.north, self.dx, self.dxv, np.float32(self.grid.dy),
            np.float32(_SECONDS / steps), np.float32(_DIFFUSION), steps, east_first, self.grid.periodic,
        )  # fmt: skip

    def _second(self, level: np.ndarray) -> np.ndarray:
        """Flow of the second mode at the faces, from its sea level through a streamfunction at the corners."""
        psi = np.zeros_like(level)
        pairs = level[:-1] + level[1:]
        psi[:-1, :-1] = np.float32(0.25) * (pairs[:, :-1] + pairs[:, 1:])
        psi = self.grid.halo(psi * self.turn * self.clear)
        flow = np.zeros((2, *level.shape), np.float32)
        flow[0, 1:] = (psi[:-1] - psi[1:]) / np.float32(self.grid.dy)
        flow[1, :, 1:] = (psi[:, 1:] - psi[:, :-1]) / self.dxv[:, None]
        return flow

    def _exchange(self, carried: np.ndarray, air: Fields, h: np.ndarray, deep: np.ndarray, deeper: np.ndarray,
                  heat: np.ndarray, target: np.ndarray, when: float) -> None:  # fmt: skip
        """Sources of a quarter of a day, in place: heat and fresh water, entrainment, relaxation."""
        speed = np.sqrt(air["u10"] ** 2 + air["v10"] ** 2)
        coupling = np.float32(12) + np.float32(2.2) * speed  # W m-2 K-1
        capacity = np.float32(REFERENCE_DENSITY * HEAT_CAPACITY) * deep
        entrain = (np.maximum(deeper - deep, 0) / np.float32(_SECONDS) + np.float32(2e-6)) / deep
        fresh = np.float32(35 * 6e-8 * _SECONDS) * (air["ssr"] / self.sun - 1) / deep  # sunny is dry: E−P of 6e-8 m/s
        fields = np.stack([
            (air["ssr"] - self.sun) / capacity, coupling / capacity, air["t2m"] - np.float32(ZERO_CELSIUS),
            np.float32(0.5) * np.minimum(entrain, np.float32(0.5 / _SECONDS)), fresh, 1 / capacity,
        ])  # fmt: skip
        sun, pull, warm, entrained, fresh, share = self.grid.fine(fields)
        T, S, X, Y = carried
        season = interior_season(when, self.grid.flat) * np.exp(-_BELOW / SEASON_DEPTH)
        below = (
            h * (self.to_sea_level * self.heave[0]) + Y * self.heave[1] + X * np.float32(np.exp(-_BELOW / SPICE_DEPTH))
        )
        below += _single(temperature(_BELOW) + season)[:, None]
        dt = np.float32(_SECONDS)
        T += dt * (sun + heat * share + entrained * np.minimum(below - T, 0))
        pull *= dt
        carried[0] = np.maximum((T + pull * warm) / (1 + pull), FREEZING)
        S += np.float32(_SECONDS / 60 / SECONDS_PER_DAY) * (self.salt - S) + fresh
        X += np.float32(_SECONDS / 250 / SECONDS_PER_DAY) * (self.spice - X)
        Y += np.float32(_SECONDS / 40 / SECONDS_PER_DAY) * (target - Y)

    def _means(self, total: np.ndarray, thin: np.ndarray) -> Fields:
        grid, half = self.grid, np.float32(0.5)
        flows = total[5:9].copy()
        flows[0::2, :, 1:] = half * (total[5:9:2, :, 1:] + total[5:9:2, :, :-1])
        flows[1::2, 1:] = half * (total[6:9:2, 1:] + total[6:9:2, :-1])
        coarse = grid.coarse(np.concatenate([total[:5], flows]))
        names = (*CARRIED, "first", "u1", "v1", "u2", "v2")
        means = dict(zip(names, coarse, strict=True)) | dict(zip(("mixed", "ue", "ve"), thin, strict=True))
        means["first"] = means["first"] * self.to_sea_level
        return means
