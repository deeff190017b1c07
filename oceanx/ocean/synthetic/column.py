"""From the day's means of the modes to what is delivered: temperature, salinity, currents on levels, and the surface.

    zos = η₁ + η₂ + f ψ_b/g + α·50 m·(T_ml − T̄)
    u(z) = φ₁ u₁ + φ₂ u₂ + u_b + (1−w) u_E,        w = 1/(1 + exp(−(z−h)/6 m))
    T(z) = (1−w) T_ml + w min(T₀ − (η₁ φ₁' + η₂ φ₂')/α + X e^(−z/400) + season e^(−z/90), T_ml)

The heave of isotherms, −η φ'/α, is what makes temperature and currents agree by thermal wind.
"""

from __future__ import annotations

import numpy as np

from . import weather
from .dynamics import Fields
from .grid import Grid
from .mean import Mean
from .mixed import FREEZING, SEASON_DEPTH, SPICE_DEPTH, interior_season
from .modes import CONTRACTION, EXPANSION, Modes, temperature

OCEAN = ("thetao", "so", "uo", "vo", "zos", "mlotst")


class Column:
    """The delivered levels of one ocean."""

    def __init__(self, depth: tuple[float, ...], grid: Grid, modes: Modes, flow: Mean) -> None:
        z = np.array(depth)
        self.grid, self.z = grid, z.astype(np.float32)[:, None, None]
        self.mask = grid.bottom > z[:, None, None]  # (depth, ny, nx)
        self.shape = modes.at(z).astype(np.float32)[:, :, None, None]
        self.heave = (-modes.slope(z) / EXPANSION).astype(np.float32)[:, :, None, None]
        self.rest = temperature(z).astype(np.float32)[:, None, None]
        self.fade = [np.exp(-self.z / np.float32(scale)) for scale in (SPICE_DEPTH, SEASON_DEPTH)]
        ub, vb = flow.ub.copy(), flow.vb.copy()
        ub[:, 1:] = (flow.ub[:, 1:] + flow.ub[:, :-1]) / 2
        vb[1:] = (flow.vb[1:] + flow.vb[:-1]) / 2
        self.deep = grid.coarse(np.stack([ub, vb])).astype(np.float32)
        self.level = grid.coarse(flow.deep_ssh).astype(np.float32)

    def __call__(self, means: Fields, day: int) -> Fields:
        """The delivered variables, float32, NaN on land and below the sea floor."""
        lat, first, second = self.grid.lat[:, None], means["first"], means["second"]
        w = 1 / (1 + np.exp(np.clip((means["mixed"] - self.z) / np.float32(6), -30, 30)))
        season = interior_season(day + 0.5, lat).astype(np.float32)
        interior = self.rest + self.heave[0] * first + self.heave[1] * second + self.fade[0] * means["spice"]
        interior = np.clip(interior + self.fade[1] * season, FREEZING, means["heat"])
        salt = np.float32(35) + np.float32(EXPANSION / CONTRACTION) * self.fade[0] * means["spice"]
        steric = np.float32(EXPANSION * 50) * (means["heat"] - weather.warmth(lat).astype(np.float32))
        volume = {
            "thetao": means["heat"] + w * (interior - means["heat"]),
            "so": means["salt"] + w * (salt - means["salt"]),
            "uo": self.shape[0] * means["u1"] + self.shape[1] * means["u2"] + self.deep[0] + (1 - w) * means["ue"],
            "vo": self.shape[0] * means["v1"] + self.shape[1] * means["v2"] + self.deep[1] + (1 - w) * means["ve"],
        }
        surface = {"zos": first + second + self.level + steric, "mlotst": means["mixed"]}
        nan = np.float32(np.nan)
        return {name: np.where(self.mask, field, nan) for name, field in volume.items()} | {
            name: np.where(self.grid.wet, field, nan) for name, field in surface.items()
        }
