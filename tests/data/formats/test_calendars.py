"""Calendars: dates of real days, 29 February that does not occur, and counts that are no dates."""

from __future__ import annotations

import cftime
import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import LATITUDE, LONGITUDE

import oceanx.data as data
from oceanx.data.formats.dates import dates
from oceanx.vocabulary.errors import InputError


def daily(path, numbers, calendar, units="days since 2019-12-31"):
    """Sea surface temperature that tells the day."""
    with netCDF4.Dataset(path, "w") as nc:
        for dim, values, unit in (("time", numbers, units), ("lat", LATITUDE, "degrees_north"),
                                  ("lon", LONGITUDE, "degrees_east")):  # fmt: skip
            nc.createDimension(dim, len(values))
            axis = nc.createVariable(dim, "f8", (dim,))
            axis.units = unit
            axis[:] = values
        nc["time"].calendar = calendar
        v = nc.createVariable("tos", "f4", ("time", "lat", "lon"))
        v.units = "degC"
        v[:] = np.broadcast_to(np.arange(len(numbers))[:, None, None] / 100, v.shape)
    return path


UNITS = st.sampled_from(["days since 1850-01-01", "hours since 2000-02-28 06:00:00", "days since 2004-03-01",
                         "minutes since 1999-12-31 23:59:00", "seconds since 1970-01-01"])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 400 * 365), UNITS, st.sampled_from(["noleap", "365_day", "NOLEAP"]), st.sampled_from([0, 0.25, 0.5])
)
def test_dates_without_leap_days_are_cftimes(day, units, calendar, part):
    per_day = {"d": 1, "h": 24, "m": 1440, "s": 86400}[units[0]]
    number = (day / 2 + part) * per_day
    expected = np.datetime64(cftime.num2date(number, units, calendar.lower()).isoformat(), "ns")
    assert dates(np.array([number]), units, calendar, "x")[0] == expected


def test_29_february_is_a_missing_time(tmp_path):
    """Dates keep their names; the regular axis of real days has one more, and says that it is missing."""
    path = daily(tmp_path / "cmip.nc", np.arange(1, 366), "noleap")
    ds = data.bake("cf", path, tmp_path / "s.zarr")
    assert ds.sizes["time"] == 366
    assert ds.attrs["missing_times"] == ["2020-02-29"]
    assert "no 29 February" in ds.attrs["comment"]
    of_day = ds.sst[:, 0, 0].to_series()
    assert of_day["2020-02-28"] == np.float32(0.58)
    assert np.isnan(of_day["2020-02-29"])
    assert of_day["2020-03-01"] == np.float32(0.59)
    assert of_day["2020-12-31"] == np.float32(3.64)


@pytest.mark.parametrize(
    ("calendar", "why"),
    [("360_day", "30 February"), ("julian", "13 dates away"), ("all_leap", "29 February in every year"),
     ("none", "has no dates"), ("lunar", "is not known to CF")],
)  # fmt: skip
def test_other_calendars_are_refused_with_the_reason(tmp_path, calendar, why):
    path = daily(tmp_path / "x.nc", np.arange(3.0), calendar)
    with pytest.raises(InputError, match=rf"x\.nc: time: calendar '{calendar}' .*{why}.*convert_calendar") as caught:
        data.bake("cf", path, tmp_path / "s.zarr")
    assert "\n" not in str(caught.value)


def test_a_calendar_in_capitals_is_known(tmp_path):
    ds = data.bake("cf", daily(tmp_path / "x.nc", np.arange(3.0), "Gregorian"), tmp_path / "s.zarr")
    assert ds.sizes["time"] == 3
