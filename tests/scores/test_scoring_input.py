"""What cannot be compared is refused and named, and what is missing is reported."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import toy_scores
import xarray as xr
from toy_scores import CLIM, STARTS, TIME, TRUTH, forecast, pairs, score

from oceanx.ocean.climatology import climatology
from oceanx.vocabulary.errors import InputError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, t: (f.drop_vars("valid_time"), t), "m: no coordinate 'valid_time'"),
        (
            lambda f, t: (f, t.sel(time=slice("2001-05-31", None))),
            r"truth: no 2001-02-21 .*\(4 of 16 valid dates of m are missing\); it covers 2001-05-31",
        ),
        (lambda f, t: (f, t.assign_coords(time=t.time + np.timedelta64(12, "h"))), "truth: no 2001-02-21"),
        (lambda f, t: (f.assign_coords(lead_time=[1, 2, 3, 4]), t), "m: lead_time: found int64"),
        (lambda f, t: (f, t.assign_coords(longitude=t.longitude + 0.25)), "longitude: grids differ"),
        (lambda f, t: (f, t.isel(latitude=slice(3))), "latitude: grids differ"),
        (lambda f, t: (f, t.assign(zos=t.zos.assign_attrs(units="cm"))), "zos: units of m are 'm', of the truth 'cm'"),
        (lambda f, t: (f, t[["zos"]].rename(zos="ssh")), "share no variable"),
        (lambda f, t: (f, t.rename(time="day")), "truth: no dimension `time`"),
        (lambda f, t: (f, t.assign(zos=t.zos * np.nan)), "truth: zos has no value"),
        (lambda f, t: (f, t.isel(time=[0, 0, *range(1, len(TIME))])), "truth: 2000-01-01.* more than once"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    fc, truth = change(forecast(), TRUTH)
    with pytest.raises(InputError, match=message):
        score({"m": fc}, truth)


def test_another_spelling_of_the_unit_is_the_same_unit():
    fc = forecast()
    other = TRUTH.assign(thetao=TRUTH["thetao"].assign_attrs(units="degree_Celsius"))
    np.testing.assert_array_equal(score(fc, other)["thetao_rmse"], score(fc, TRUTH)["thetao_rmse"])


def test_bad_options_are_named():
    fc = forecast()
    with pytest.raises(InputError, match="unknown metric 'rsme'; did you mean 'rmse'"):
        score(fc, TRUTH, metrics=["rsme"])
    with pytest.raises(InputError, match="unknown group to score by 'basin'"):
        score(fc, TRUTH, by=["basin"])
    with pytest.raises(InputError, match="unknown variable 'sst'"):
        score(fc, TRUTH, variables=["sst"])
    with pytest.raises(InputError, match="acc: needs a climatology"):
        score(fc, TRUTH, metrics=["acc"])
    with pytest.raises(InputError, match="spread: needs an ensemble"):
        score(fc, TRUTH, metrics=["spread"])
    with pytest.raises(InputError, match="b: 3 start dates differ from the 4 of a"):
        score({"a": fc, "b": fc.isel(init_time=slice(3))}, TRUTH)
    with pytest.raises(InputError, match="nothing to score"):
        score({}, TRUTH)


def test_what_the_forecast_lacks_is_reported():
    fc = forecast()
    holes = fc.assign(thetao=fc["thetao"].where(fc["latitude"] < 60))
    table = score(holes, TRUTH)
    cells = TRUTH["cell_area"].where(TRUTH["mask"].isel(depth=0) == 1)
    share = float(cells.sel(latitude=70).sum() / cells.sum())
    np.testing.assert_allclose(table["thetao_missing"].isel(depth=0), share)
    xr.testing.assert_allclose(
        table["thetao_rmse"].isel(depth=0),
        score(fc.isel(latitude=slice(3)), TRUTH.isel(latitude=slice(3)))["thetao_rmse"].isel(depth=0),
    )
    empty = fc.assign(zos=fc["zos"] * np.nan)
    empty["zos"].attrs = fc["zos"].attrs
    with pytest.raises(InputError, match="b: zos has no value where the truth has some"):
        score({"a": fc, "b": empty}, TRUTH)


def test_missing_day_of_the_truth_counts_for_nobody():
    fc = forecast()
    lost = TRUTH.copy(deep=True)
    lost["zos"].loc[{"time": fc["valid_time"].values[1, 2]}] = np.nan
    table = score(fc, lost)
    f, t, w, _ = pairs(fc.isel(init_time=[0, 2, 3]), "zos", 2)
    assert float(table["zos_rmse"][2]) == pytest.approx(np.sqrt(np.average((f - t) ** 2, weights=w)), rel=1e-12)
    assert float(table["zos_missing"][2]) == 0


def test_a_variable_on_levels_in_one_model_alone_is_refused():
    flat = forecast(2)
    flat["thetao"] = flat["thetao"].isel(depth=0, drop=True)
    with pytest.raises(InputError, match="thetao: has a depth in whole and none in flat"):
        score({"whole": forecast(1), "flat": flat}, TRUTH, variables=["thetao"])


def test_a_climatology_that_has_seen_the_test_is_warned_of():
    """It is named, with how many dates; and only where it is used."""
    seen = climatology(TRUTH)
    words = r"climatology: was made from 2000-01-01 to 2001-12-31, which includes 16 of the 16 .*first is 2001-02-21"
    for options in ({"metrics": ["acc"]}, {"references": True}):
        with pytest.warns(UserWarning, match=words) as caught:
            score(forecast(), TRUTH, climatology=seen, **options)
        assert {warning.filename for warning in caught} == {toy_scores.__file__}  # the caller's file, not ours
    part = climatology(TRUTH.sel(time=slice("2000-03-01", "2001-02-28")))
    with pytest.warns(UserWarning, match="includes 4 of the 16 valid dates"):
        score(forecast(), TRUTH, climatology=part, metrics=["acc"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(forecast(), TRUTH, climatology=seen, metrics=["rmse"])
        score(forecast(), TRUTH, climatology=CLIM, metrics=["acc"], references=True)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_other_calendars_are_refused_with_the_remedy(calendar):
    days = xr.date_range("2001-01-01", periods=360, calendar=calendar, use_cftime=True)
    truth = TRUTH.isel(time=slice(360)).assign_coords(time=days)
    words = f"truth: its dates are of the calendar '{calendar}'; convert them with truth.convert_calendar"
    with pytest.raises(InputError, match=words):
        score(forecast(), truth)
    if calendar == "noleap":  # what the message says works
        converted = truth.convert_calendar("standard", use_cftime=False)
        fc = forecast(starts=STARTS[:3])
        assert score(fc, converted)["zos_rmse"].notnull().all()


def test_lead_times_as_integers_are_mended_as_the_message_says():
    fc = forecast()
    integers = fc.assign_coords(lead_time=("lead_time", [1, 2, 3, 4], fc["lead_time"].attrs))
    with pytest.raises(InputError, match=r"lead_time: found int64, expected timedelta64; .*pd.to_timedelta"):
        score(integers, TRUTH)
    mended = integers.assign_coords(lead_time=pd.to_timedelta(integers.lead_time, unit="D"))
    xr.testing.assert_allclose(score(mended, TRUTH), score(fc, TRUTH))


def test_masks_that_differ_score_what_both_have():
    """What is dry in the truth counts for nobody; what the forecast alone left out is the missing share."""
    fc = forecast()
    wider = fc.assign(zos=fc["zos"].fillna(99.0).assign_attrs(fc["zos"].attrs))  # a value on the truth's land
    xr.testing.assert_identical(score(wider, TRUTH, variables=["zos"]), score(fc, TRUTH, variables=["zos"]))
    shore = TRUTH["mask"].where(TRUTH["longitude"] > -15, 0).astype("i1")
    table = score(fc, TRUTH.assign_coords(mask=shore), variables=["zos"])
    east = [ds.sel(longitude=slice(-15, 10)) for ds in (fc, TRUTH)]
    xr.testing.assert_allclose(table, score(*east, variables=["zos"]))
    assert (table["zos_missing"] == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truth": TRUTH.expand_dims(member=[0, 1])}, "truth: has members; give one"),
        ({"climatology": CLIM.expand_dims(member=[0, 1])}, "climatology: thetao has the dimension 'member'"),
        ({"climatology": CLIM.isel(longitude=slice(4))}, "climatology: longitude: grids differ"),
        (
            {"climatology": CLIM.assign(thetao=CLIM["thetao"].assign_attrs(units="K"))},
            "thetao: units of the climatology are 'K', of the truth 'degrees_C'",
        ),
        ({"climatology": CLIM.isel(depth=[0, 1])}, "level 500 m is not in the climatology, whose nearest is 50 m"),
        ({"forecast": forecast().reset_coords("valid_time")}, "m: no coordinate 'valid_time'"),
        ({"forecast": forecast().drop_vars("init_time")}, "m: no dimension 'init_time' with labels"),
        ({"derived": ["vorticity"]}, "unknown derived variable 'vorticity'"),
        ({"derived": ["speed"]}, "speed: "),
    ],
)
def test_strange_companions_are_refused(options, message):
    fc, truth = options.pop("forecast", forecast()), options.pop("truth", TRUTH)
    with pytest.raises(InputError, match=message):
        score({"m": fc}, truth, **{"climatology": CLIM, "metrics": ["acc"]} | options)
