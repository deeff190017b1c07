"""Sea water by TEOS-10: conservative temperature, specific volume (75 terms) and Boussinesq density (55 terms).

All are polynomials whose coefficients are plain numbers, so that compiled code reads each field once. Salinity enters
through a square root, x = √(S/40) or s = √((S_A + d)/40.189); temperature as τ = Θ/40; depth or pressure as ζ = z/10⁴.
Absolute salinity is practical salinity times 35.16504/35: sea salt of standard composition.

References
----------
IOC, SCOR and IAPSO (2010), The international thermodynamic equation of seawater, Manuals and Guides 56.
Roquet, Madec, McDougall & Barker (2015), Ocean Modelling 90, 29, doi:10.1016/j.ocemod.2015.04.002.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from oceanx.vocabulary.constants import HEAT_CAPACITY

Rows = tuple[tuple[float, ...], ...]  # by powers of temperature, in each by powers of the root of salinity

SALT = 35.16504 / 35  # g kg-1 of absolute salinity to one of practical salinity
UNIT = 40 * SALT  # g kg-1

# fmt: off
# Potential enthalpy (J kg-1) at potential temperature 40 y and practical salinity 40 x²: the Gibbs function at 0 dbar.
ENTHALPY: Rows = (
    (61.01362420681071, 0.0, 268.5520265845071, 937.2099110620707, -1687.914374187449, 246.9598888781377,
     123.59576582457964, -48.5891069025409),
    (168776.46138048015, 0.0, -12019.028203559312, 588.1802812170108, 936.3206544460336),
    (-2735.2785605119625, 0.0, 3734.858026725145, 248.39476522971285, -942.7827304544439),
    (2574.2164453821433, 0.0, -2046.7671145057618, -3.871557904936333, 369.4389437509002),
    (-1536.6644434977543, 0.0, 465.28655623826234, -2.6268019854268356, -33.83664947895248),
    (545.7340497931629, 0.0, -0.6370820302376359, 0.0, -9.987880382780322),
    (-50.91091728474331, 0.0, -10.650848542359153),
    (-18.30489878927802,),
)
# Specific volume (m3 kg-1): by powers of pressure, with s² = (S_A + 24)/40.189.
VOLUME: tuple[Rows, ...] = (
    ((1.0769995862e-3, -3.1038981976e-4, 6.6928067038e-4, -8.5047933937e-4, 5.8086069943e-4, -2.1092370507e-4,
      3.1932457305e-5),
     (-1.5649734675e-5, 3.5009599764e-5, -4.3592678561e-5, 3.4532461828e-5, -1.1959409788e-5, 1.3864594581e-6),
     (2.7762106484e-5, -3.7435842344e-5, 3.5907822760e-5, -1.8698584187e-5, 3.8595339244e-6),
     (-1.6521159259e-5, 2.4141479483e-5, -1.4353633048e-5, 2.2863324556e-6),
     (6.9111322702e-6, -8.7595873154e-6, 4.3703680598e-6),
     (-8.0539615540e-7, -3.3052758900e-7),
     (2.0543094268e-7,)),
    ((-6.0799143809e-5, 2.4262468747e-5, -3.4792460974e-5, 3.7470777305e-5, -1.7322218612e-5, 3.0927427253e-6),
     (1.8505765429e-5, -9.5677088156e-6, 1.1100834765e-5, -9.8447117844e-6, 2.5909225260e-6),
     (-1.1716606853e-5, -2.3678308361e-7, 2.9283346295e-6, -4.8826139200e-7),
     (7.9279656173e-6, -3.4558773655e-6, 3.1655306078e-7),
     (-3.4102187482e-6, 1.2956717783e-6),
     (5.0736766814e-7,)),
    ((9.9856169219e-6, -5.8484432984e-7, -4.8122251597e-6, 4.9263106998e-6, -1.7811974727e-6),
     (-1.1736386731e-6, -5.5699154557e-6, 5.4620748834e-6, -1.3544185627e-6),
     (2.1305028740e-6, 3.9137387080e-7, -6.5731104067e-7),
     (-4.6132540037e-7, 7.7618888092e-9),
     (-6.3352916514e-8,)),
    ((-1.1309361437e-6, 3.6310188515e-7, 1.6746303780e-8),
     (-3.6527006553e-7, -2.7295696237e-7),
     (2.8695905159e-7,)),
    ((1.0531153080e-7, -1.1147125423e-7),
     (3.1454099902e-7,)),
    ((-1.2647261286e-8,),),
    ((1.9613503930e-9,),),
)
# Density (kg m-3): by powers of depth, with s² = (S_A + 32)/40.189, and a part of depth alone (its powers from 1 on).
DENSITY: tuple[Rows, ...] = (
    ((8.0189615746e2, 8.6672408165e2, -1.7864682637e3, 2.0375295546e3, -1.2849161071e3, 4.3227585684e2,
      -6.0579916612e1),
     (2.6010145068e1, -6.5281885265e1, 8.1770425108e1, -5.6888046321e1, 1.7681814114e1, -1.9193502195),
     (-3.7074170417e1, 6.1548258127e1, -6.0362551501e1, 2.9130021253e1, -5.4723692739),
     (2.1661789529e1, -3.3449108469e1, 1.9717078466e1, -3.1742946532),
     (-8.3627885467, 1.1311538584e1, -5.3563304045),
     (5.4048723791e-1, 4.8169980163e-1),
     (-1.9083568888e-1,)),
    ((1.9681925209e1, -4.2549998214e1, 5.0774768218e1, -3.0938076334e1, 6.6051753097),
     (-1.3336301113e1, -4.4870114575, 5.0042598061, -6.5399043664e-1),
     (6.7080479603, 3.5063081279, -1.8795372996),
     (-2.4649669534, -5.5077101279e-1),
     (5.5927935970e-1,)),
    ((2.0660924175, -4.9527603989, 2.5019633244),
     (2.0564311499, -2.1311365518e-1),
     (-1.2419983026,)),
    ((-2.3342758797e-2, -1.8507636718e-2),
     (3.7969820455e-1,)),
)
DEPTH_ALONE = (0.0, 4.6494977072e1, -5.2099962525, 2.2601900708e-1, 6.4326772569e-2, 1.5616995503e-2, -1.7243708991e-3)
# fmt: on


def absolute_salinity(so: Tensor) -> Tensor:
    """Absolute salinity (g kg-1) of practical salinity, for sea salt of standard composition."""
    return so * SALT


def conservative_temperature(thetao: Tensor, so: Tensor) -> Tensor:
    """Conservative temperature (°C) of potential temperature (°C) and practical salinity: potential enthalpy / c_p⁰."""
    return _STANDARD_HEAT + _warmth(thetao, so)


def specific_volume(SA: Tensor, CT: Tensor, pressure: Tensor | float) -> Tensor:
    """Specific volume (m3 kg-1) of absolute salinity (g kg-1), conservative temperature (°C), pressure (dbar)."""
    return _polynomial(VOLUME, ((SA + 24) / UNIT).sqrt(), CT / 40, pressure / 1e4)


def density_in_situ(thetao: Tensor, so: Tensor, pressure: Tensor | float) -> Tensor:
    """Density (kg m-3) of potential temperature (°C), practical salinity and sea pressure (dbar): 75 terms."""
    return 1 / specific_volume(absolute_salinity(so), conservative_temperature(thetao, so), pressure)


def sea_pressure(depth: Tensor, latitude: Tensor | float) -> Tensor:
    """Sea pressure (dbar) of depth (m, positive down) and latitude (degrees): under water of 0 °C and 35.16504 g kg-1.

    With h the dynamic enthalpy of that water, h(p) = g(φ) (z + ½ γ z²), by two steps of Newton's, the second of which
    is exact to 1e-6 dbar. Gravity grows downwards by γ.

    References
    ----------
    IOC, SCOR and IAPSO (2010), §3.32 and appendix D; Moritz (2000), J. Geodesy 74, 128, doi:10.1007/s001900050278.
    """
    poleward = torch.sin(torch.deg2rad(torch.as_tensor(latitude, dtype=depth.dtype, device=depth.device))) ** 2
    gravity = 9.780327 * (1 + (5.2792e-3 + 2.32e-5 * poleward) * poleward)
    energy = gravity * depth * (1 + 1.13e-7 * depth)
    pressure = 1.01 * depth
    for _ in range(2):
        enthalpy = _series(_DYNAMIC_ENTHALPY, pressure / 1e4)
        pressure = pressure + (energy - enthalpy) / (1e4 * _series(_COLD_VOLUME, pressure / 1e4))
    return pressure


def density_anomaly(thetao: Tensor, so: Tensor, depth: Tensor | float) -> Tensor:
    """By how much water is denser (kg m-3) than water of 10 °C and 35 at the same depth (m): 55 terms.

    The published polynomial, expanded about that water (exactly: it is a Taylor series that ends), so that no large
    numbers cancel and single precision keeps 1e-5 kg m-3.
    """
    root = (so / 40 + 32 / UNIT).sqrt()
    saltiness = (so - 35) / 40 / (root + _STANDARD_ROOT)  # s − s₀ of s² − s₀², to the last digit
    return _polynomial(_ANOMALY, saltiness, _warmth(thetao, so) / 40, depth / 1e4)


def standard_density(depth: Tensor) -> Tensor:
    """Density (kg m-3) of water of 10 °C and 35 at this depth (m); with `density_anomaly` it is density in situ."""
    return _series(_STANDARD, depth / 1e4)


def _warmth(thetao: Tensor, so: Tensor) -> Tensor:
    """Conservative temperature less that of water of 10 °C and 35."""
    square = so / 40
    root = square.clamp(min=1e-24).sqrt()  # fresh water, and land, where its slope would be infinite
    return _polynomial((_WARMTH,), (square - 0.875) / (root + math.sqrt(0.875)), (thetao - 10) / 40, 0.0)


def _polynomial(planes: tuple, s: Tensor, t: Tensor, z: Tensor | float) -> Tensor:
    """Σ c_kji sⁱ tʲ zᵏ, the powers of z first: where z is the same for a whole level they cost nothing."""
    rows = [
        [_series([plane[j][i] for plane in planes if len(plane) > j and len(plane[j]) > i], z) for i in range(len(row))]
        for j, row in enumerate(planes[0])
    ]
    return _series([_series(row, s) for row in rows], t)


def _series(coefficients: tuple | list, x: Any) -> Any:
    """Σ c_n xⁿ of numbers or fields c, in pairs: chains of sums are short, and a processor works on several at once.

    References
    ----------
    Estrin (1960), Proc. Western Joint Computer Conf., 33, doi:10.1145/1460361.1460365.
    """
    while len(coefficients) > 1:
        pairs = [low + high * x for low, high in zip(coefficients[::2], coefficients[1::2], strict=False)]
        coefficients, x = [*pairs, *coefficients[2 * len(pairs) :]], x * x
    return coefficients[0]


def _about(rows: Rows, s: float, t: float) -> Rows:
    """The same polynomial in powers of the distances from s and t."""
    wide = max(len(row) for row in rows)
    moved = [[0.0] * wide for _ in rows]
    for j, row in enumerate(rows):
        for i, coefficient in enumerate(row):
            for b in range(j + 1):
                for a in range(i + 1):
                    share = math.comb(i, a) * s ** (i - a) * math.comb(j, b) * t ** (j - b)
                    moved[b][a] += coefficient * share
    kept = [max((len(row) for row in rows[j:]), default=1) for j in range(len(rows))]
    return tuple(tuple(row[:length]) for row, length in zip(moved, kept, strict=True))


def _without_constant(rows: Rows) -> Rows:
    return ((0.0, *rows[0][1:]), *rows[1:])


_COLD_VOLUME = tuple(_series(rows[0], math.sqrt((35.16504 + 24) / UNIT)) for rows in VOLUME)
_DYNAMIC_ENTHALPY = (0.0, *(1e8 * volume / (k + 1) for k, volume in enumerate(_COLD_VOLUME)))
_HEAT = tuple(tuple(c / HEAT_CAPACITY for c in row) for row in _about(ENTHALPY, math.sqrt(0.875), 0.25))
_STANDARD_HEAT = _HEAT[0][0]
_WARMTH = _without_constant(_HEAT)
_STANDARD_ROOT = math.sqrt(0.875 + 32 / UNIT)
_SHIFTED = tuple(_about(rows, _STANDARD_ROOT, _STANDARD_HEAT / 40) for rows in DENSITY)
_ANOMALY = tuple(_without_constant(rows) for rows in _SHIFTED)
_STANDARD = tuple(alone + (_SHIFTED[k][0][0] if k < len(_SHIFTED) else 0.0) for k, alone in enumerate(DEPTH_ALONE))
