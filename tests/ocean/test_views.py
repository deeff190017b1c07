"""Forecasts under others' names and back: exact, whatever their shape; and what is no layout is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_forecast import forecast, unreadable

from oceanx.ocean.labels import check
from oceanx.ocean.views import LAYOUTS, back, to
from oceanx.vocabulary.errors import InputError

shapes = {
    "inits": st.integers(1, 3),
    "leads": st.integers(1, 4),
    "members": st.sampled_from([None, 1, 3]),
    "step": st.sampled_from(["1D", "6h", "30min", "15s", "5D"]),
}


@settings(max_examples=20, deadline=None)
@given(layout=st.sampled_from(sorted(LAYOUTS)), **shapes)
def test_there_and_back_changes_nothing(layout, inits, leads, members, step):
    ds = forecast(1 if layout == "cf" else inits, leads, members, step=step)
    before = ds.copy(deep=True)
    there = to(ds, layout)
    xr.testing.assert_identical(back(there), before)
    xr.testing.assert_identical(ds, before)
    xr.testing.assert_identical(back(ds), ds)  # what is ours already stays
    check(back(there))


def test_the_names_of_weatherbench():
    ds = forecast(members=2)
    there = to(ds, "weatherbench")
    assert there["thetao"].dims == ("number", "time", "prediction_timedelta", "level", "latitude", "longitude")
    assert there["prediction_timedelta"].dtype == np.dtype("timedelta64[ns]")
    assert "valid_time" not in there.coords
    np.testing.assert_array_equal(there["time"], ds["init_time"])


@pytest.mark.parametrize(
    ("step", "numbers", "unit"),
    [("1D", [1, 2, 3, 4], "days"), ("6h", [6, 12, 18, 24], "hours"), ("90min", [90, 180, 270, 360], "minutes"),
     ("12h", [12, 24, 36, 48], "hours"), ("15s", [15, 30, 45, 60], "seconds")],
)  # fmt: skip
def test_climpreds_leads_are_whole_numbers_of_a_unit(step, numbers, unit):
    there = to(forecast(step=step), "climpred")
    assert there["lead"].values.tolist() == numbers
    assert there["lead"].dtype == np.int64
    assert there["lead"].attrs["units"] == unit
    assert there["valid_time"].dims == ("init", "lead")


def test_a_forecast_of_one_start_on_its_valid_dates():
    ds = forecast(members=2).isel(init_time=[1])
    there = to(ds, "cf")
    assert there["thetao"].dims == ("realization", "time", "depth", "latitude", "longitude")
    np.testing.assert_array_equal(there["time"], ds["valid_time"][0])
    assert pd.Timestamp(there["forecast_reference_time"].values) == pd.Timestamp("2020-01-01")
    assert there["forecast_period"].dims == ("time",)
    names = {c: there[c].attrs["standard_name"] for c in ("time", "forecast_reference_time", "forecast_period")}
    assert names == {c: c for c in names}
    assert there["zos"].attrs["cell_measures"] == "area: cell_area"
    with pytest.raises(InputError, match="layout cf: found 3 start dates"):
        to(forecast(), "cf")


def test_leads_that_another_tool_made_floats_are_durations_again():
    ds = forecast(step="6h")
    there = to(ds, "climpred")
    lead = (there["lead"] / 24.0).assign_attrs(there["lead"].attrs | {"units": "days"})
    xr.testing.assert_identical(back(there.assign_coords(lead=lead)), ds)
    durations = there.assign_coords(lead=("lead", ds["lead_time"].values, ds["lead_time"].attrs))
    xr.testing.assert_identical(back(durations), ds)
    with pytest.raises(InputError, match="lead: found units 'months'"):
        back(there.assign_coords(lead=there["lead"].assign_attrs(units="months")))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_computed(layout):
    ds = unreadable(forecast(1))
    for v in back(to(ds, layout)).data_vars.values():
        assert v.chunks


def test_what_is_no_layout_is_refused():
    ds = forecast()
    with pytest.raises(InputError, match="unknown layout 'climpre'; did you mean 'climpred'"):
        to(ds, "climpre")
    with pytest.raises(InputError, match="no coordinate 'valid_time'; add it with"):
        to(ds.drop_vars("valid_time"), "weatherbench")
    with pytest.raises(InputError, match="no dimension 'lead_time'"):
        to(ds.isel(lead_time=0), "weatherbench")
    with pytest.raises(InputError, match=r"no layout that is known: dimensions .*expected init_time and lead_time"):
        back(ds.isel(init_time=0))
