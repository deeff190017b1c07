"""Bulk formulae for the exchange between sea and air (Large and Yeager 2009), cell by cell on arrays.

Everything is in SI units and float64; `oceanx/ocean/fluxes.py` has the same on Datasets, and
`oceanx/physics/surface_exchange.py` on tensors, differentiable. The functions of one cell take and return numbers and
can be read as the equations they are.

References
----------
Large and Yeager (2004), Diurnal to decadal global forcing for ocean and sea-ice models, doi:10.5065/D6KK98Q6
Large and Yeager (2009), The global climatology of an interannually varying air-sea flux data set,
doi:10.1007/s00382-008-0441-3
"""

from __future__ import annotations

from math import atan, exp, log, pi, sqrt

import numba
import numpy as np

from ..vocabulary.constants import (
    AIR_HEIGHT,
    GAS_CONSTANT,
    GRAVITY,
    HEAT_CAPACITY_AIR,
    KARMAN,
    LAPSE,
    LARGEST_ZETA,
    LEAST_WIND,
    MOISTURE,
    OVER_SALT_WATER,
    STEFAN_BOLTZMANN,
    WIND_HEIGHT,
    ZERO_CELSIUS,
)


@numba.njit(cache=True)
def vapour_pressure(temperature: float) -> float:
    """Saturation vapour pressure in Pa over pure liquid water at a temperature in K.

    e = 611.21 exp(17.502 (T − 273.16) / (T − 32.19)), as the IFS has it, so that ERA5's dew point gives back the
    humidity it was made of.

    References
    ----------
    Buck (1981), New equations for computing vapor pressure, doi:10.1175/1520-0450(1981)020<1527:NEFCVP>2.0.CO;2
    """
    return 611.21 * exp(17.502 * (temperature - 273.16) / (temperature - 32.19))


@numba.njit(cache=True)
def specific_humidity(vapour: float, pressure: float) -> float:
    """Specific humidity in kg kg-1 of air with a vapour pressure, both in Pa: q = 0.622 e / (p − 0.378 e)."""
    return 0.622 * vapour / (pressure - 0.378 * vapour)


@numba.njit(cache=True)
def vaporisation_heat(temperature: float) -> float:
    """Latent heat of vaporisation in J kg-1 at a temperature in K: 2.501e6 − 2370 T, T in °C.

    References
    ----------
    Fairall et al. (1996), Bulk parameterization of air-sea fluxes for TOGA COARE, doi:10.1029/95JC03205
    """
    return 2.501e6 - 2370.0 * (temperature - ZERO_CELSIUS)


@numba.njit(cache=True)
def neutral_drag(wind: float) -> float:
    """Drag coefficient in neutral air for the wind at 10 m in m s-1 (Large and Yeager 2009, equation 11).

    10³ C = 2.7 / U + 0.142 + U / 13.09 − 3.14807e-10 U⁶ below 33 m s-1, and 2.34 from there on.
    """
    if wind >= 33.0:
        return 2.34e-3
    return 1e-3 * (2.7 / wind + 0.142 + wind / 13.09 - 3.14807e-10 * wind**6)


@numba.njit(cache=True)
def neutral_heat(drag: float, stable: bool) -> float:
    """Coefficient of heat in neutral air: 10³ C = 18 √C_D in stable air, 32.7 √C_D in unstable."""
    return 1e-3 * (18.0 if stable else 32.7) * sqrt(drag)


@numba.njit(cache=True)
def neutral_moisture(drag: float) -> float:
    """Coefficient of evaporation in neutral air: 10³ C = 34.6 √C_D."""
    return 1e-3 * 34.6 * sqrt(drag)


@numba.njit(cache=True)
def psi_momentum(zeta: float) -> float:
    """What stability adds to the logarithmic profile of wind, at ζ = z / L; negative in stable air."""
    if zeta >= 0.0:
        return -5.0 * zeta
    x = sqrt(sqrt(1.0 - 16.0 * zeta))
    return 2.0 * log((1.0 + x) / 2.0) + log((1.0 + x * x) / 2.0) - 2.0 * atan(x) + pi / 2.0


@numba.njit(cache=True)
def psi_scalar(zeta: float) -> float:
    """The same for temperature and humidity."""
    if zeta >= 0.0:
        return -5.0 * zeta
    return 2.0 * log((1.0 + sqrt(1.0 - 16.0 * zeta)) / 2.0)


@numba.njit(cache=True)
def coefficients(
    wind: float,
    theta: float,
    humidity: float,
    sea: float,
    saturated: float,
    iterations: int,
    wind_height: float = WIND_HEIGHT,
    air_height: float = AIR_HEIGHT,
) -> tuple[float, float, float, float, float]:
    """C_D, C_H, C_E at the height of the wind, and θ and q brought there from the height of the air.

    Begins in neutral air and goes round `iterations` times:

        u* = √C_D U    θ* = C_H/√C_D (θ − T_s)    q* = C_E/√C_D (q − q_s)
        ζ = κ g z / u*² · (θ*/θ_v + q* / (q + 1/0.608)),  |ζ| ≤ 10
        U_N = U / (1 + √C_DN/κ · (ln z_u/10 − ψ_m(ζ_u)))
        θ(z_u) = θ(z_θ) − θ*/κ · (ln z_θ/z_u + ψ_h(ζ_u) − ψ_h(ζ_θ)), and q likewise
        C_D = C_DN / (1 + √C_DN/κ · (ln z_u/10 − ψ_m))²
        C_H = C_HN √(C_D/C_DN) / (1 + C_HN/(κ √C_DN) · (ln z_u/10 − ψ_h)), and C_E likewise

    Parameters
    ----------
    wind
        Speed relative to the sea, m s-1.
    theta, humidity
        Potential temperature (K) and specific humidity of the air at `air_height`.
    sea, saturated
        Temperature of the sea surface (K) and specific humidity of air saturated by it.
    """
    wind = max(wind, LEAST_WIND)
    aloft, moist = theta, humidity
    drag_n = neutral_drag(wind)
    heat_n = neutral_heat(drag_n, theta * (1 + MOISTURE * humidity) > sea * (1 + MOISTURE * saturated))
    damp_n = neutral_moisture(drag_n)
    drag, heat, damp = drag_n, heat_n, damp_n
    for _ in range(iterations):
        root = sqrt(drag)
        u_star = root * wind
        theta_star = heat / root * (aloft - sea)
        q_star = damp / root * (moist - saturated)
        virtual = aloft * (1.0 + MOISTURE * moist)
        buoyancy = KARMAN * GRAVITY / u_star**2 * (theta_star / virtual + q_star / (moist + 1.0 / MOISTURE))
        zeta_u = min(max(buoyancy * wind_height, -LARGEST_ZETA), LARGEST_ZETA)
        zeta_t = min(max(buoyancy * air_height, -LARGEST_ZETA), LARGEST_ZETA)
        scalar = psi_scalar(zeta_u)
        of_wind = (log(wind_height / 10.0) - psi_momentum(zeta_u)) / KARMAN
        of_scalar = (log(wind_height / 10.0) - scalar) / KARMAN
        lifted = (log(air_height / wind_height) + scalar - psi_scalar(zeta_t)) / KARMAN
        aloft = theta - theta_star * lifted
        moist = humidity - q_star * lifted
        drag_n = neutral_drag(max(wind / (1.0 + sqrt(drag_n) * of_wind), LEAST_WIND))
        root_n = sqrt(drag_n)
        heat_n, damp_n = neutral_heat(drag_n, zeta_u > 0.0), neutral_moisture(drag_n)
        drag = drag_n / (1.0 + root_n * of_wind) ** 2
        ratio = sqrt(drag / drag_n)
        heat = heat_n * ratio / (1.0 + heat_n / root_n * of_scalar)
        damp = damp_n * ratio / (1.0 + damp_n / root_n * of_scalar)
    return drag, heat, damp, aloft, moist


@numba.njit(nogil=True, cache=True)
def _turbulent(
    u: np.ndarray, v: np.ndarray, air: np.ndarray, dew: np.ndarray, msl: np.ndarray, sea: np.ndarray,
    iterations: int, result: np.ndarray,
) -> None:  # fmt: skip
    for i in range(u.size):
        if np.isnan(u[i] + v[i] + air[i] + dew[i] + msl[i] + sea[i]):
            result[:, i] = np.nan
            continue
        pressure, sst = np.float64(msl[i]), np.float64(sea[i])
        east, north, temperature = np.float64(u[i]), np.float64(v[i]), np.float64(air[i])
        q = specific_humidity(vapour_pressure(np.float64(dew[i])), pressure)
        q_sea = specific_humidity(OVER_SALT_WATER * vapour_pressure(sst), pressure)
        wind = max(sqrt(east**2 + north**2), LEAST_WIND)
        theta = temperature + LAPSE * AIR_HEIGHT
        drag, heat, damp, aloft, moist = coefficients(wind, theta, q, sst, q_sea, iterations)
        density = pressure / (GAS_CONSTANT * temperature * (1.0 + MOISTURE * q))
        evaporation = density * damp * wind * (q_sea - moist)
        result[0, i] = density * drag * wind * east
        result[1, i] = density * drag * wind * north
        result[2, i] = density * HEAT_CAPACITY_AIR * heat * wind * (aloft - sst)
        result[3, i] = -vaporisation_heat(sst) * evaporation
        result[4, i] = evaporation


def turbulent(
    u: np.ndarray,
    v: np.ndarray,
    air: np.ndarray,
    dew: np.ndarray,
    msl: np.ndarray,
    sea: np.ndarray,
    iterations: int = 5,
) -> np.ndarray:
    """Stress east and north (Pa), sensible and latent heat (W m-2) into the sea, evaporation (kg m-2 s-1) out of it.

    Parameters
    ----------
    u, v
        Wind at 10 m relative to the sea, m s-1; any shape, the same for all.
    air, dew
        Temperature and dew point at 2 m, K.
    msl, sea
        Pressure at sea level, Pa; temperature of the sea surface, K.

    Returns
    -------
    np.ndarray
        float64, the five fluxes and then the shape of the input; NaN where any input is.
    """
    shape, result = u.shape, np.empty((5, u.size))
    u, v, air, dew, msl, sea = map(_flat, (u, v, air, dew, msl, sea))
    _turbulent(u, v, air, dew, msl, sea, iterations, result)
    return result.reshape(5, *shape)


@numba.njit(nogil=True, cache=True)
def _neutral(u: np.ndarray, v: np.ndarray, density: float, result: np.ndarray) -> None:
    for i in range(u.size):
        east, north = np.float64(u[i]), np.float64(v[i])
        if np.isnan(east + north):
            result[:, i] = np.nan
            continue
        wind = max(sqrt(east**2 + north**2), LEAST_WIND)
        factor = density * neutral_drag(wind) * wind
        result[0, i] = factor * east
        result[1, i] = factor * north


def neutral_stress(u: np.ndarray, v: np.ndarray, density: float) -> np.ndarray:
    """Stress east and north (Pa) of a wind at 10 m in neutral air of a density in kg m-3; NaN where any input is."""
    result = np.empty((2, u.size))
    _neutral(_flat(u), _flat(v), density, result)
    return result.reshape(2, *u.shape)


def net_longwave(downward: np.ndarray, sea: np.ndarray, emissivity: float = 1.0) -> np.ndarray:
    """Long-wave radiation absorbed less emitted, W m-2: ε (L − σ T_s⁴), T_s in K; in float64."""
    return emissivity * (np.asarray(downward, np.float64) - STEFAN_BOLTZMANN * np.asarray(sea, np.float64) ** 4)


def _flat(x: np.ndarray) -> np.ndarray:
    """One dimension, float64; or float32 as it is, since the kernel widens each number, which spares a copy."""
    return np.ascontiguousarray(x, np.float32 if x.dtype == np.float32 else np.float64).reshape(-1)
