"""Covariances written down as functions of how far apart two points are in space, depth and time.

    B = [σ σ' ρ(r/L) ρ(z/D) + σ_b²] ρ(t/T)        ρ(a) = exp(−a²)  or  exp(−a)

r along great circles; σ_b is an error that the whole basin has in common. Observations know when they were made, so a
window may reach before and after the analysis, and no model is needed between.

References
----------
Bretherton, Davis & Fandry (1976), Deep-Sea Res. 23, 559, doi:10.1016/0011-7471(76)90001-2; Le Traon, Nadal & Ducet
(1998), J. Atmos. Oceanic Technol. 15, 522, doi:10.1175/1520-0426(1998)015<0522:AIMMOM>2.0.CO;2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Increment
from oceanx.vocabulary.channels import Offset
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

from .analysis import Setting, Window
from .observation_space import persisted

AT_ONCE = 2**20  # pairs of a cell and an observation that are looked at together


class AnalyticConfig(Config):
    """A covariance that is a function of distance and time.

    Attributes
    ----------
    shape
        ρ.
    length
        L in km; None: of each variable that which the Setting has (σ''s own curvature for `gaussian`).
    height
        D in m; None: the Setting's.
    time
        T, such as `7D`; None: errors last.
    spread
        σ by variable, in its unit; of others the Setting's.
    basin
        σ_b by variable, in its unit; of others 0.
    """

    kind: Literal["analytic"] = "analytic"
    shape: Literal["gaussian", "exponential"] = "gaussian"
    length: PositiveFloat | None = None
    height: PositiveFloat | None = None
    time: Offset | None = None
    spread: Mapping[str, PositiveFloat] = {}
    basin: Mapping[str, NonNegativeFloat] = {}

    def build(self, setting: Setting) -> SpaceTime:
        """The covariance in this Setting."""
        strangers = sorted({*self.spread, *self.basin} - set(setting.channels.names))
        if strangers:
            raise InputError(f"analytic covariance: {strangers} are not among {list(setting.channels.names)}")
        return SpaceTime({name: self._scales(name, setting) for name in setting.channels.names}, setting.geometry, self)

    def _scales(self, name: str, setting: Setting) -> Scales:
        levels = setting.channels.levels(name)
        wet = setting.geometry.mask_of(levels).double()
        spread = wet * self.spread[name] if name in self.spread else setting.spread[name].double() * wet
        curved = 2**0.5 if self.shape == "gaussian" else 1.0  # Daley's length is 1/√(−ρ''(0)), of exp(−r²/L²) L/√2
        length = 1e3 * self.length if self.length else curved * setting.length[name]
        height = self.height or (curved * setting.height[name] if levels > 1 else None)
        return Scales(spread, self.basin.get(name, 0.0), length, height if levels > 1 else None)


class Scales(NamedTuple):
    """What a variable's errors are like: σ `[level, lat, lon]`, σ_b, L (m) and D (m; None: nothing beneath)."""

    spread: Tensor
    basin: float
    length: float
    height: float | None


class Points(NamedTuple):
    """Where and when the observations of one variable were made, and σ there."""

    rows: Tensor
    place: Tensor
    depth: Tensor
    age: Tensor
    spread: Tensor


class SpaceTime:
    """The covariance between observations, and between them and cells. Variables know nothing of each other."""

    def __init__(self, scales: Mapping[str, Scales], geometry: Geometry, config: AnalyticConfig):
        self.scales, self.geometry, self.config = dict(scales), geometry, config
        self.lasting = pd.Timedelta(config.time).total_seconds() if config.time else float("inf")

    def observed(self, window: Window) -> Float[Tensor, "obs obs"]:
        """H B Hᵀ, float64."""
        size = len(window.observed)
        found = torch.zeros(size, size, dtype=torch.float64)
        for name, at in self._points(window).items():
            scales = self.scales[name]
            near = self._rho(self._apart(at.place, at.place) / scales.length)
            if scales.height is not None:
                near = near * self._rho((at.depth[:, None] - at.depth).abs() / scales.height)
            near = near * at.spread[:, None] * at.spread + scales.basin**2
            found[at.rows[:, None], at.rows] = near * self._rho((at.age[:, None] - at.age).abs() / self.lasting)
        return found

    def increment(self, weights: Float[Tensor, " obs"], window: Window) -> Increment:
        """B Hᵀ w at the analysis time, a batch of one."""
        fields = {name: torch.zeros_like(scales.spread)[None] for name, scales in self.scales.items()}
        for name, at in self._points(window).items():
            fields[name] = self._spread_out(self.scales[name], at, weights[at.rows].double())[None]
        return Increment(fields)

    def _spread_out(self, scales: Scales, at: Points, w: Tensor) -> Tensor:
        levels, rows, columns = scales.spread.shape
        latitude, longitude = self.geometry.latitude.double(), self.geometry.longitude.double()
        cells = self._placed(latitude[:, None].expand(rows, columns), longitude.expand(rows, columns))
        w = w * self._rho(at.age.abs() / self.lasting)
        deep = torch.ones(levels, len(w), dtype=w.dtype)
        if scales.height is not None:
            deep = self._rho((self.geometry.depth.double()[:, None] - at.depth).abs() / scales.height)
        told = (w * at.spread * deep).T  # [obs, level]
        parts = [self._rho(self._apart(part, at.place) / scales.length) @ told for part in cells.split(_many(len(w)))]
        field = torch.cat(parts).T.reshape(scales.spread.shape) * scales.spread
        return field + scales.basin**2 * w.sum() * (self.geometry.mask_of(levels) > 0)

    def _points(self, window: Window) -> dict[str, Points]:
        if window.latitude is None or window.longitude is None:
            raise ValueError("an analytic covariance needs the latitude and longitude of the observations")
        latitude, longitude = window.latitude.double(), window.longitude.double()
        none = torch.zeros_like(latitude)
        place = self._placed(latitude, longitude)
        depth = none if window.depth is None else window.depth.double()
        age = none if window.age is None else window.age.double()
        operator = persisted(window.observed.operator)
        sigma = operator(Increment({name: scales.spread[None] for name, scales in self.scales.items()}))[0]
        parts = {name: part.rows for name, part in operator.parts.items()}
        return {n: Points(rows, place[rows], depth[rows], age[rows], sigma[rows]) for n, rows in parts.items()}

    def _placed(self, latitude: Tensor, longitude: Tensor) -> Tensor:
        """Points in m, on the sphere in three dimensions `[point, 2 or 3]`."""
        if self.geometry.flat:
            return torch.stack((latitude, longitude), -1).flatten(0, -2)
        phi, lam = torch.deg2rad(latitude), torch.deg2rad(longitude)
        vector = torch.stack((phi.cos() * lam.cos(), phi.cos() * lam.sin(), phi.sin()), -1)
        return EARTH_RADIUS * vector.flatten(0, -2)

    def _apart(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances (m) `[first, second]`."""
        if self.geometry.flat:
            g, (y, x), (other_y, other_x) = self.geometry, first.T, second.T
            north = _along(y, other_y, g.length_x[:, 0] if g.periodic_y else None)
            return torch.hypot(north, _along(x, other_x, g.length_y[0] if g.periodic else None))
        chord = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
        return 2 * EARTH_RADIUS * (chord / (2 * EARTH_RADIUS)).clamp(max=1).asin()

    def _rho(self, apart: Tensor) -> Tensor:
        return (-apart.square()).exp() if self.config.shape == "gaussian" else (-apart).exp()


def _along(first: Tensor, second: Tensor, around: Tensor | None) -> Tensor:
    """How far apart along one axis, the shorter way where the lengths of its cells go round."""
    apart = (first[:, None] - second).abs()
    return apart if around is None else torch.minimum(apart, (around.double().sum() - apart).abs())


def _many(observations: int) -> int:
    return max(1, AT_ONCE // max(1, observations))
