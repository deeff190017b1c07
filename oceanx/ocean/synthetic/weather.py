"""The weather: travelling and blocking pressure systems, air temperature and cloud, on the whole sphere, every 6 hours.

Each field is a sum of zonal waves m and meridional sines n, C_mn sin(n(φ+π/2)) exp(imλ), so it is periodic and can be
evaluated on any grid by two small matrix products. The coefficients are complex autoregressive processes: one set
drifts eastward and forgets in five days (cyclones), the other stands still and forgets in fifteen (blocking: it makes
the heatwaves). Values are rounded to powers of two, as those of a packed archive are, and the ocean is driven by the
rounded values, so that what is delivered is exactly what drove it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oceanx.vocabulary.constants import EARTH_RADIUS, ROTATION, ZERO_CELSIUS

STEPS = 4  # a day
AIR_DENSITY = 1.22  # kg m-3
FRICTION = 2.5e-5  # s-1, of the boundary layer
SOLAR = 1361.0  # W m-2
YEAR = 365.25
NAMES = ("u10", "v10", "t2m", "msl", "ssr")
ROUNDING = {"u10": 2**-8, "v10": 2**-8, "t2m": 2**-8, "msl": 2**-1, "ssr": 2**-2}  # units of each; ssr in W m-2

_M, _N = np.arange(2, 17), np.arange(1, 25)
_MEMORY = np.array([5.0, 15.0])  # days: travelling, blocking
_SHARE = np.array([0.8, 0.6])
_DRIFT = 4.5  # degrees of longitude a day


def season(day: float, lat: np.ndarray, peak: float) -> np.ndarray:
    """Cosine of the year with its northern maximum `peak` days into it; opposite and vanishing across the equator."""
    return np.cos(2 * np.pi * (day - peak) / YEAR) * np.tanh(lat / 8)


def warmth(lat: np.ndarray) -> np.ndarray:
    """Annual mean temperature of the sea surface and the air, °C."""
    return np.maximum(27.5 - 18 * ((np.abs(lat) - 10).clip(0) / 45) ** 1.3, -1.5)


def warm_season(day: float, lat: np.ndarray, peak: float = 205.0) -> np.ndarray:
    """Seasonal departure from `warmth`, K."""
    return 5.0 * np.clip((np.abs(lat) - 8) / 35, 0, 1) * season(day, lat, peak)


def insolation(day: float, lat: np.ndarray) -> np.ndarray:
    """Daily mean solar radiation at the top of the atmosphere, W m⁻²."""
    phi, declination = np.radians(lat), np.radians(23.45) * np.sin(2 * np.pi * (day - 80) / YEAR)
    cosine = np.clip(-np.tan(phi) * np.tan(declination), -1, 1)
    hour = np.arccos(cosine)
    both = hour * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(hour)
    return SOLAR / np.pi * both.clip(0)


def _amplitude() -> np.ndarray:
    wave = np.hypot(_M[:, None] / np.cos(np.radians(38)), _N[None, :])
    shape = np.exp(-(((wave - 10) / 5) ** 2))
    # The variance of Re(C e^imλ) sin n(φ+π/2), with |C|² = 1 on average, is a quarter in the mean over latitudes.
    return shape / np.sqrt((shape**2).sum() / 4)


@dataclass(frozen=True)
class Weather:
    """The weather on a grid: matrices that turn coefficients into fields."""

    lat: np.ndarray
    sines: np.ndarray  # (n, ny)
    slopes: np.ndarray  # (n, ny), ∂/∂φ
    waves: np.ndarray  # (2m, nx): cos, −sin, so that [Re, Im] @ waves = Re(C e^imλ)

    @classmethod
    def on(cls, lat: np.ndarray, lon: np.ndarray) -> Weather:
        """The Weather of these latitudes and longitudes."""
        phi, lam = np.radians(lat), np.radians(lon)
        angle = _N[:, None] * (phi + np.pi / 2)
        zonal = _M[:, None] * lam
        return cls(lat, np.sin(angle), _N[:, None] * np.cos(angle), np.concatenate([np.cos(zonal), -np.sin(zonal)]))

    def start(self, rng: np.random.Generator) -> np.ndarray:
        """Coefficients drawn from their stationary distribution: (kind, set, m, n) complex."""
        return _complex(rng, (2, 3, _M.size, _N.size))

    def day(
        self, coefficients: np.ndarray, day: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The coefficients a day later, and the six-hourly fields of this day, (4, ny, nx) float32 in SI units."""
        keep = np.exp(-1 / STEPS / _MEMORY)[:, None, None, None]
        turn = np.stack([np.exp(-1j * _M * np.radians(_DRIFT / STEPS)), np.ones(_M.size)])[:, None, :, None]
        kicks = _complex(rng, (STEPS, *coefficients.shape))
        steps = []
        for kick in kicks:
            coefficients = keep * turn * coefficients + np.sqrt(1 - keep**2) * kick
            steps.append(np.tensordot(_SHARE, coefficients, axes=1))
        return coefficients, self._fields(np.stack(steps) * _amplitude(), day)

    def _synthesis(self, spectrum: np.ndarray, north: np.ndarray) -> np.ndarray:
        """(…, m, n) → (…, ny, nx)."""
        rows = np.swapaxes(spectrum @ north, -1, -2)
        return np.concatenate([rows.real, rows.imag], axis=-1).astype(np.float32) @ self.waves.astype(np.float32)

    def _fields(self, spectrum: np.ndarray, day: int) -> dict[str, np.ndarray]:
        lat = self.lat[:, None]
        pressure, heat, cloud = (spectrum[:, k] for k in range(3))
        away = (np.abs(lat) - 48) / 20
        envelope = 0.35 + 0.65 * np.exp(-(away**2))
        bend = -0.65 * np.exp(-(away**2)) * 2 * away * np.sign(lat) / np.radians(20)  # d envelope/dφ
        strength = 640 * (1 - 0.25 * season(day, lat, 205.0))  # Pa
        plain = self._synthesis(pressure, self.sines)
        east = self._synthesis(pressure * (1j * _M[:, None]), self.sines)
        north = self._synthesis(pressure, self.slopes)
        p = _single(strength * envelope) * plain
        px = _single(strength * envelope / (EARTH_RADIUS * np.cos(np.radians(lat)))) * east
        py = _single(strength / EARTH_RADIUS * envelope) * north + _single(strength / EARTH_RADIUS * bend) * plain
        f = 2 * ROTATION * np.sin(np.radians(lat))
        scale = 0.75 / (AIR_DENSITY * (f**2 + FRICTION**2))
        turned, down = _single(scale * f), _single(scale * FRICTION)
        u, v = -turned * py - down * px, turned * px - down * py
        mean = np.exp(-(((np.abs(lat) - 45) / 12) ** 2)) - np.exp(-(((np.abs(lat) - 13) / 11) ** 2))
        air = _single(warmth(lat) + warm_season(day, lat) + ZERO_CELSIUS)
        warm = np.float32(2.0) * self._synthesis(heat, self.sines) + _single(0.13 * np.tanh(lat / 10)) * v
        cover = np.float32(0.6) + np.float32(0.31) * self._synthesis(cloud, self.sines) - np.float32(1.8e-4) * p
        sun = _single(0.70 * insolation(day, lat))
        fields = {
            "u10": u + _single(5.5 * mean),
            "v10": v,
            "t2m": air + warm,
            "msl": _single(101500 - 300 * np.cos(np.radians(3 * lat))) + p,
            "ssr": sun * (1 - np.float32(0.62) * cover.clip(0.05, 1)),
        }
        return {name: np.rint(field / ROUNDING[name]).astype(np.float32) * np.float32(ROUNDING[name])
                for name, field in fields.items()}  # fmt: skip


def mean_sun(lat: np.ndarray) -> np.ndarray:
    """Annual mean of the net short-wave radiation under mean cloud, W m⁻²."""
    days = np.arange(0, YEAR, YEAR / 24)
    return np.mean([0.70 * insolation(day, lat) for day in days], axis=0) * (1 - 0.62 * 0.6)


def stress(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wind stress (Pa) of 10 m winds, with a drag coefficient that grows with speed."""
    speed = np.sqrt(u * u + v * v)
    drag = np.float32(AIR_DENSITY * 1e-3) * (np.float32(0.9) + np.float32(0.05) * speed) * speed
    return drag * u, drag * v


def _single(a: np.ndarray) -> np.ndarray:
    return np.asarray(a, np.float32)


def _complex(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Circular complex normals of unit variance."""
    real = rng.standard_normal((2, *shape)) * np.sqrt(0.5)
    return real[0] + 1j * real[1]
