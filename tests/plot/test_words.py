"""What figures say of units, dates, leads, depths and degrees."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from oceanx.plot import words


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ("degrees_C", "°C"),
        ("m s-1", "m s⁻¹"),
        ("W m-2", "W m⁻²"),
        ("kg m-2 s-1", "kg m⁻² s⁻¹"),
        ("m2", "m²"),
        ("(degrees_C)2", "°C²"),
        ("(m s-1)2", "(m s⁻¹)²"),
        ("degrees_C m s-1", "°C m s⁻¹"),
        ("1", ""),
        ("K", "K"),
    ],
)
def test_units_are_raised(units, said):
    assert words.pretty_units(units) == said


@pytest.mark.parametrize(
    ("value", "axis", "said"),
    [(-60, "x", "60°W"), (4.5, "x", "4.5°E"), (0, "x", "0°"), (-180, "x", "180°"), (180, "x", "180°"),
     (190, "x", "170°W"), (-33.25, "y", "33.25°S"), (90, "y", "90°N"), (0, "y", "0°")],
)  # fmt: skip
def test_degrees(value, axis, said):
    assert words.degrees(value, axis) == said


@given(st.floats(-179.9, 179.9))
def test_degrees_can_be_read_back(value):
    said = words.degrees(value, "x")
    size, _, hemisphere = said.partition("°")
    assert abs(float(size) * (-1 if hemisphere == "W" else 1) - value) <= 5.1e-4


def test_dates_and_leads():
    assert words.date(np.datetime64("2020-06-01")) == "2020-06-01"
    assert words.date(np.datetime64("2020-06-01T06:00")) == "2020-06-01 06:00"
    assert words.date(cftime.DatetimeNoLeap(2020, 2, 28)) == "2020-02-28"
    assert words.lead_text(np.timedelta64(1, "D")) == "1 day"
    assert words.lead_text(np.timedelta64(240, "h")) == "10 days"
    assert words.lead_text(np.timedelta64(6, "h")) == "6 hours"


def test_the_time_of_a_forecast_can_come_from_start_and_lead():
    field = xr.DataArray(
        1.0, {"init_time": np.datetime64("2020-02-27", "ns"), "lead_time": np.timedelta64(3, "D"), "member": 2}
    )
    assert words.when(field) == "2020-03-01, lead 3 days from 2020-02-27, member 2"


def test_a_name_comes_from_attributes_or_the_vocabulary_or_itself():
    assert words.title_of(xr.DataArray(1.0, name="thetao")) == "Potential temperature"
    assert words.title_of(xr.DataArray(1.0, name="votemper")) == "Potential temperature"
    assert words.title_of(xr.DataArray(1.0, name="ice_age", attrs={"long_name": "age of ice"})) == "Age of ice"
    assert words.title_of(xr.DataArray(1.0, name="eddy_energy")) == "Eddy energy"
    assert words.units_of(xr.DataArray(1.0, name="x", attrs={"standard_name": "eastward_wind"})) == "m s⁻¹"


def test_depths_have_as_many_digits_as_matter():
    assert [words.depth_text(d) for d in (0.494025, 5.078224, 92.326073, 1062.44)] == [
        "0.49 m",
        "5.1 m",
        "92 m",
        "1062 m",
    ]


@pytest.mark.parametrize(("category", "said"), [("Moderate", "Moderate or stronger"), ("Extreme", "Extreme")])
def test_a_heading_says_of_which_category(category, said):
    share = xr.DataArray(0.5, coords={"category": category, "depth": 10.0}, attrs={"long_name": "Probability"})
    assert words.heading(share) == f"Probability, {said}, 10 m"
