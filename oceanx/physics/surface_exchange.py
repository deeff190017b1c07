"""Surface exchange: what sea and air give each other, from the weather and the sea's temperature. Differentiable.

The bulk formulae of Large and Yeager (2009), as `oceanx/ocean/bulk.py` has them for Datasets:

    τ   = ρ C_D |ΔU| ΔU              Q_H = ρ c_p C_H |ΔU| (θ − T_s)
    E   = ρ C_E |ΔU| (q_s − q)       Q_E = −L(T_s) E                  Q_L = ε (L↓ − σ T_s⁴)

Heat and momentum are positive downward, into the sea, evaporation upward. The coefficients depend on the stability of
the air, which depends on the fluxes: they are made to agree in a fixed number of rounds, and the gradient is that of
these rounds.

References
----------
Large & Yeager (2004), Diurnal to decadal global forcing for ocean and sea-ice models, doi:10.5065/D6KK98Q6.
Large & Yeager (2009), Clim. Dyn. 33, 341, doi:10.1007/s00382-008-0441-3.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import (
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
    REFERENCE_DENSITY,
    STEFAN_BOLTZMANN,
    WIND_HEIGHT,
    ZERO_CELSIUS,
)
from oceanx.vocabulary.errors import InputError

WEATHER = ("u10", "v10", "t2m", "d2m", "msl", "strd", "ssr", "mtpr")
CHANNELS = ("str", "ssr", "sshf", "slhf", "tauuo", "tauvo", "evs", "mtpr")
# What stands over land while the fluxes are calculated: any weather that has some.
_ANY = {"u10": 5.0, "v10": 0.0, "t2m": 285.0, "d2m": 280.0, "msl": 1.0e5, "strd": 350.0, "ssr": 0.0, "mtpr": 0.0}

Cells = Float[Tensor, "*cells"]


class Turbulent(NamedTuple):
    """Stress (Pa), sensible and latent heat (W m-2), all downward, and evaporation (kg m-2 s-1), upward."""

    tauuo: Tensor
    tauvo: Tensor
    sshf: Tensor
    slhf: Tensor
    evs: Tensor


class Transfer(NamedTuple):
    """C_D, C_H, C_E at the height of the wind, and θ (K) and q (kg kg-1) of the air there."""

    drag: Tensor
    heat: Tensor
    moisture: Tensor
    theta: Tensor
    humidity: Tensor


def exchange(
    atmosphere: Mapping[str, Tensor],
    sst: Float[Tensor, "batch 1 lat lon"],
    currents: tuple[Tensor, Tensor] | None = None,
    mask: Tensor | None = None,
    iterations: int = 5,
) -> Fields:
    """The eight channels of the exchange: `str, ssr, sshf, slhf, tauuo, tauvo, evs, mtpr`, in this order.

    Net long-wave, net short-wave, sensible and latent heat (W m-2, into the sea), stress on the sea (Pa), evaporation
    (kg m-2 s-1, upward) and precipitation (kg m-2 s-1, downward). Open water: where there is ice, take the share of it.

    Parameters
    ----------
    atmosphere
        `u10 v10` (m s-1), `t2m d2m` (K), `msl` (Pa), `strd ssr` (W m-2), `mtpr` (kg m-2 s-1).
    sst
        Temperature of the sea surface, °C.
    currents
        Of the surface, eastward and northward (m s-1): the wind is taken relative to them.
    mask
        1 where wet: elsewhere whatever is given, NaN too, is not looked at, and the fluxes are 0. Without a mask there
        must be weather everywhere.
    iterations
        How often stability and coefficients are brought to agree.

    Raises
    ------
    InputError
        If a variable of the atmosphere is missing.
    """
    missing = [name for name in WEATHER if name not in atmosphere]
    if missing:
        raise InputError(f"exchange: the atmosphere lacks {missing}; expected {list(WEATHER)}")
    air = {name: _at_sea(atmosphere[name], mask, value) for name, value in _ANY.items()}
    sst = _at_sea(sst, mask, 15.0)
    u, v = air["u10"], air["v10"]
    if currents is not None:
        u, v = u - _at_sea(currents[0], mask, 0.0), v - _at_sea(currents[1], mask, 0.0)
    sea = sst + ZERO_CELSIUS
    fluxes = turbulent(u, v, air["t2m"], air["d2m"], air["msl"], sea, iterations)._asdict()
    fluxes |= {"str": net_longwave(air["strd"], sea), "ssr": air["ssr"], "mtpr": air["mtpr"]}
    return Fields({name: _at_sea(fluxes[name], mask, 0.0) for name in CHANNELS})


def turbulent(u: Cells, v: Cells, air: Cells, dew: Cells, msl: Cells, sea: Cells, iterations: int = 5) -> Turbulent:
    """Stress, sensible and latent heat into the sea, evaporation out of it.

    Parameters
    ----------
    u, v
        Wind at 10 m relative to the sea, m s-1. Below 0.5 m s-1 gusts carry the exchange.
    air, dew
        Temperature and dew point at 2 m, K.
    msl, sea
        Pressure at sea level, Pa; temperature of the sea surface, K.
    """
    q = specific_humidity(vapour_pressure(dew), msl)
    saturated = specific_humidity(OVER_SALT_WATER * vapour_pressure(sea), msl)
    # The bound is inside the root: no infinite slope in calm air.
    wind = (u**2 + v**2).clamp(min=LEAST_WIND**2).sqrt()
    found = coefficients(wind, air + LAPSE * AIR_HEIGHT, q, sea, saturated, iterations)
    carried = msl / (GAS_CONSTANT * air * (1.0 + MOISTURE * q)) * wind
    evaporation = carried * found.moisture * (saturated - found.humidity)
    return Turbulent(
        tauuo=carried * found.drag * u,
        tauvo=carried * found.drag * v,
        sshf=HEAT_CAPACITY_AIR * carried * found.heat * (found.theta - sea),
        slhf=-vaporisation_heat(sea) * evaporation,
        evs=evaporation,
    )


def coefficients(
    wind: Cells, theta: Cells, humidity: Cells, sea: Cells, saturated: Cells, iterations: int = 5
) -> Transfer:
    """The coefficients at the height of the wind, and the air brought there from 2 m.

    Begins in neutral air and goes round `iterations` times:

        u* = √C_D U    θ* = C_H/√C_D (θ − T_s)    q* = C_E/√C_D (q − q_s)
        ζ = κ g z / u*² · (θ*/θ_v + q* / (q + 1/0.608)),  |ζ| ≤ 10
        U_N = U / (1 − √C_DN/κ · ψ_m(ζ_u))
        θ(z_u) = θ(z_θ) − θ*/κ · (ln z_θ/z_u + ψ_h(ζ_u) − ψ_h(ζ_θ)), and q likewise
        C_D = C_DN / (1 − √C_DN/κ · ψ_m)²
        C_H = C_HN √(C_D/C_DN) / (1 − C_HN/(κ √C_DN) · ψ_h), and C_E likewise

    Parameters
    ----------
    wind
        Speed relative to the sea, m s-1, at least 0.5.
    theta, humidity
        Potential temperature (K) and specific humidity of the air at 2 m.
    sea, saturated
        Temperature of the sea surface (K) and specific humidity of air saturated by it.
    """
    aloft, moist = theta, humidity
    drag_n = neutral_drag(wind)
    heat_n = neutral_heat(drag_n, theta * (1 + MOISTURE * humidity) > sea * (1 + MOISTURE * saturated))
    damp_n = neutral_moisture(drag_n)
    drag, heat, damp = drag_n, heat_n, damp_n
    for _ in range(iterations):
        root = drag.sqrt()
        theta_star, q_star = heat / root * (aloft - sea), damp / root * (moist - saturated)
        virtual = aloft * (1.0 + MOISTURE * moist)
        buoyancy = KARMAN * GRAVITY / (drag * wind**2) * (theta_star / virtual + q_star / (moist + 1.0 / MOISTURE))
        zeta_u = (buoyancy * WIND_HEIGHT).clamp(-LARGEST_ZETA, LARGEST_ZETA)
        zeta_t = (buoyancy * AIR_HEIGHT).clamp(-LARGEST_ZETA, LARGEST_ZETA)
        scalar = psi_scalar(zeta_u)
        of_wind, of_scalar = -psi_momentum(zeta_u) / KARMAN, -scalar / KARMAN
        lifted = (log(AIR_HEIGHT / WIND_HEIGHT) + scalar - psi_scalar(zeta_t)) / KARMAN
        aloft, moist = theta - theta_star * lifted, humidity - q_star * lifted
        drag_n = neutral_drag((wind / (1.0 + drag_n.sqrt() * of_wind)).clamp(min=LEAST_WIND))
        root_n = drag_n.sqrt()
        heat_n, damp_n = neutral_heat(drag_n, zeta_u > 0.0), neutral_moisture(drag_n)
        ratio = 1.0 / (1.0 + root_n * of_wind)  # √(C_D / C_DN)
        drag = drag_n * ratio**2
        heat = heat_n * ratio / (1.0 + heat_n / root_n * of_scalar)
        damp = damp_n * ratio / (1.0 + damp_n / root_n * of_scalar)
    return Transfer(drag, heat, damp, aloft, moist)


def neutral_drag(wind: Cells) -> Cells:
    """Drag coefficient in neutral air for the wind at 10 m in m s-1 (Large and Yeager 2009, equation 11).

    10³ C = 2.7 / U + 0.142 + U / 13.09 − 3.14807e-10 U⁶ below 33 m s-1, and 2.34 from there on.
    """
    below = wind.clamp(max=33.0)
    sixth = (below * below * below) ** 2  # three times as fast as a power of 6
    curve = 2.7 / below + 0.142 + below / 13.09 - 3.14807e-10 * sixth
    return 1e-3 * torch.where(wind < 33.0, curve, 2.34)


def neutral_heat(drag: Cells, stable: Tensor) -> Cells:
    """Coefficient of heat in neutral air: 10³ C = 18 √C_D in stable air, 32.7 √C_D in unstable: it jumps at neutral."""
    root = drag.sqrt()
    return torch.where(stable, 18e-3 * root, 32.7e-3 * root)


def neutral_moisture(drag: Cells) -> Cells:
    """Coefficient of evaporation in neutral air: 10³ C = 34.6 √C_D."""
    return 1e-3 * 34.6 * drag.sqrt()


def psi_momentum(zeta: Cells) -> Cells:
    """What stability adds to the logarithmic profile of wind, at ζ = z / L; negative in stable air."""
    x = (1.0 - 16.0 * zeta.clamp(max=0.0)).sqrt().sqrt()
    unstable = 2.0 * ((1.0 + x) / 2.0).log() + ((1.0 + x * x) / 2.0).log() - 2.0 * x.atan() + pi / 2.0
    return torch.where(zeta >= 0.0, -5.0 * zeta, unstable)


def psi_scalar(zeta: Cells) -> Cells:
    """The same for temperature and humidity."""
    unstable = 2.0 * ((1.0 + (1.0 - 16.0 * zeta.clamp(max=0.0)).sqrt()) / 2.0).log()
    return torch.where(zeta >= 0.0, -5.0 * zeta, unstable)


def vapour_pressure(temperature: Cells) -> Cells:
    """Saturation vapour pressure in Pa over pure liquid water at a temperature in K.

    e = 611.21 exp(17.502 (T − 273.16) / (T − 32.19)), as the IFS has it.

    References
    ----------
    Buck (1981), J. Appl. Meteorol. 20, 1527, doi:10.1175/1520-0450(1981)020<1527:NEFCVP>2.0.CO;2.
    """
    return 611.21 * (17.502 * (temperature - 273.16) / (temperature - 32.19)).exp()


def specific_humidity(vapour: Cells, pressure: Cells) -> Cells:
    """Specific humidity in kg kg-1 of air with a vapour pressure, both in Pa: q = 0.622 e / (p − 0.378 e)."""
    return 0.622 * vapour / (pressure - 0.378 * vapour)


def vaporisation_heat(temperature: Cells) -> Cells:
    """Latent heat of vaporisation in J kg-1 at a temperature in K: 2.501e6 − 2370 T, T in °C.

    References
    ----------
    Fairall et al. (1996), J. Geophys. Res. 101, 3747, doi:10.1029/95JC03205.
    """
    return 2.501e6 - 2370.0 * (temperature - ZERO_CELSIUS)


def net_longwave(downward: Cells, sea: Cells, emissivity: float | Tensor = 1.0) -> Cells:
    """Long-wave radiation absorbed less emitted, W m-2: ε (L − σ T_s⁴), T_s in K."""
    return emissivity * (downward - STEFAN_BOLTZMANN * (sea * sea) ** 2)


def nonsolar(fluxes: Mapping[str, Tensor]) -> Tensor:
    """The heat that enters at the very surface, W m-2: net long-wave, sensible and latent."""
    return fluxes["str"] + fluxes["sshf"] + fluxes["slhf"]


def freshwater(evs: Cells, precipitation: Cells, density: float | Tensor = REFERENCE_DENSITY) -> Cells:
    """The volume of fresh water that enters the sea, m s-1: (P − E) / ρ₀, of both in kg m-2 s-1.

    Divided by the density of the sea and not of the rain: where volume stands for mass (Boussinesq), the sea gains the
    mass that falls, and salinity is diluted as it would be.
    """
    return (precipitation - evs) / density


def virtual_salt(volume: Cells, salinity: Cells) -> Cells:
    """The flux of salt into a sea of fixed volume that dilutes as so much fresh water would: −S (P − E), 1e-3 m s-1.

    For cores whose cells cannot swell. It makes salt where it evaporates; a moving surface needs none of it.
    """
    return -salinity * volume


def _at_sea(field: Tensor, mask: Tensor | None, elsewhere: float) -> Tensor:
    return field if mask is None else torch.where(mask > 0, field, elsewhere)
