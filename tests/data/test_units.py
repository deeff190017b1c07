import numpy as np
import pytest

from oceanx.data import units
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [("m s**-1", "m s-1"), ("degC", "degrees_C"), ("Celsius", "degrees_C"), ("J m**-2", "J m-2"), ("%", "percent")],
)
def test_many_spellings_of_one_unit(spelling, unit):
    assert units.normal(spelling) == unit
    assert units.convertible(spelling, unit)


def test_every_unit_of_the_vocabulary_is_its_own_normal_form():
    assert {units.normal(v.units) for v in VARIABLES.values()} == {v.units for v in VARIABLES.values()}


@pytest.mark.parametrize(
    ("found", "wanted", "value", "expected"),
    [
        ("K", "degrees_C", 273.15, 0.0),
        ("degC", "K", -273.15, 0.0),
        ("cm/s", "m s-1", 25.0, 0.25),
        ("percent", "1", 15.0, 0.15),
        ("hPa", "Pa", 1013.25, 101325.0),
        ("N m**-2", "Pa", 0.3, 0.3),
        ("kg m-2 s-1", "m s-1", 5.0, 5e-3),
        ("m s-1", "kg m-2 s-1", 5e-3, 5.0),
        ("mm/day", "kg m-2 s-1", 86400.0, 1.0),
        ("mm day-1", "m s-1", 86400.0, 1e-3),
    ],
)
def test_conversions_are_those_of_the_physical_units(found, wanted, value, expected):
    assert units.conversion(found, wanted, "x")(np.array([value]))[0] == pytest.approx(expected, abs=1e-12)


def test_what_does_not_convert_is_refused_by_name():
    with pytest.raises(InputError, match=r"thetao: found units 'm', expected 'degrees_C'"):
        units.conversion("m", "degrees_C", "thetao")
