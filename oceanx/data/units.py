"""Units: the many spellings of one unit, and the arithmetic between units of one quantity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..vocabulary.constants import SECONDS_PER_DAY, ZERO_CELSIUS
from ..vocabulary.errors import InputError

_SPELLINGS = {
    "degrees_C": (
        "degree_C",
        "degC",
        "deg_C",
        "degrees_Celsius",
        "degree_Celsius",
        "Celsius",
        "celsius",
        "C",
        "°C",
        "degrees_celsius",
        "degree_celsius",
    ),
    "K": ("Kelvin", "kelvin", "degK", "degrees_K", "degree_K"),
    "1e-3": ("psu", "PSU", "0.001", "1.e-3", "g kg-1", "g/kg", "PSS-78", "pss-78"),
    "m s-1": ("m/s", "m s**-1", "m s^-1", "meter second-1", "meters/second", "m.s-1"),
    "cm s-1": ("cm/s", "cm s**-1", "centimeter/s", "cm.s-1"),
    "m": ("meter", "meters", "METERS", "metre", "metres", "m of water equivalent"),
    "cm": ("centimeter", "centimeters"),
    "1": ("", "(0 - 1)", "dimensionless", "fraction"),
    "percent": ("%",),
    "Pa": ("pascal", "Pascal", "N m-2", "N m**-2", "N m^-2", "N/m2", "N/m^2"),
    "hPa": ("mbar", "millibar", "millibars"),
    "W m-2": ("W/m2", "W m**-2", "W m^-2", "W/m^2"),
    "kg m-2 s-1": ("kg m**-2 s**-1", "kg/m2/s", "kg m^-2 s^-1"),
    "mm day-1": ("mm/day", "mm d-1", "mm/d", "mm day**-1"),
    "kg m-3": ("kg/m3", "kg m**-3", "kg m^-3", "kg/m^3"),
    "J m-2": ("J/m2", "J m**-2", "J m^-2", "J/m^2"),
}
_NORMAL = {spelling: unit for unit, others in _SPELLINGS.items() for spelling in (unit, *others)}


@dataclass(frozen=True)
class Conversion:
    """`values * times / over + plus`: what leads from one unit to another."""

    times: float = 1.0
    over: float = 1.0
    plus: float = 0.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if self.times != 1.0:
            values = values * self.times
        if self.over != 1.0:
            values = values / self.over
        return values + self.plus if self.plus else values


_CONVERSIONS = {
    ("K", "degrees_C"): Conversion(plus=-ZERO_CELSIUS),
    ("degrees_C", "K"): Conversion(plus=ZERO_CELSIUS),
    ("cm s-1", "m s-1"): Conversion(over=100.0),
    ("cm", "m"): Conversion(over=100.0),
    ("percent", "1"): Conversion(over=100.0),
    ("hPa", "Pa"): Conversion(times=100.0),
    # Water: 1 kg m-2 is 1 mm deep.
    ("kg m-2 s-1", "m s-1"): Conversion(over=1000.0),
    ("m s-1", "kg m-2 s-1"): Conversion(times=1000.0),
    ("mm day-1", "m s-1"): Conversion(over=1000.0 * SECONDS_PER_DAY),
    ("mm day-1", "kg m-2 s-1"): Conversion(over=SECONDS_PER_DAY),
}


def normal(unit: str) -> str:
    """The one spelling we use of a unit: `normal("m s**-1")` is `"m s-1"`; unknown units stay as they are."""
    return _NORMAL.get(unit.strip(), unit.strip())


def convertible(found: str, wanted: str) -> bool:
    """True where values in `found` can be expressed in `wanted`."""
    a, b = normal(found), normal(wanted)
    return a == b or (a, b) in _CONVERSIONS


def conversion(found: str, wanted: str, what: str) -> Conversion:
    """What leads from one unit to another; `InputError` naming `what` where nothing does."""
    a, b = normal(found), normal(wanted)
    if a == b:
        return Conversion()
    if (a, b) not in _CONVERSIONS:
        raise InputError(f"{what}: found units {found!r}, expected {wanted!r} or what converts to it")
    return _CONVERSIONS[a, b]
