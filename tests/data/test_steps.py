import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from oceanx.data import steps
from oceanx.vocabulary.errors import InputError


def dataset(times, **variables):
    coords = {"time": times, "latitude": [10.0, 11.0, 12.0], "longitude": [-5.0, -4.0, -3.0, -2.0]}
    return xr.Dataset(
        {
            name: (("time", "latitude", "longitude"), values, {"units": unit})
            for name, (values, unit) in variables.items()
        },
        coords,
    )


def field(times, seed=0):
    return np.random.default_rng(seed).normal(size=(len(times), 3, 4))


HOURS = pd.date_range("2020-02-28", periods=72, freq="h")


def test_select_box_keeps_the_cells_whose_centres_are_inside():
    ds = steps.select_box(dataset(HOURS[:2], t2m=(field(HOURS[:2]), "K")), latitude=(10.5, 12), longitude=(-4, -2.5))
    assert ds.latitude.values.tolist() == [11, 12]
    assert ds.longitude.values.tolist() == [-4, -3]


@pytest.mark.parametrize("box", [{"longitude": (170, -170)}, {"latitude": (50, 60)}, {"latitude": (12, 10)}])
def test_select_box_refuses_what_holds_no_cell(box):
    with pytest.raises(InputError, match="select_box"):
        steps.select_box(dataset(HOURS[:2], t2m=(field(HOURS[:2]), "K")), **box)


def test_select_levels_takes_the_nearest_within_tolerance():
    ds = xr.Dataset({"thetao": (("depth",), [1.0, 2.0, 3.0])}, {"depth": [0.494025, 15.81007, 47.373692]})
    assert steps.select_levels(ds, [47.4, 0.5]).thetao.values.tolist() == [1.0, 3.0]
    with pytest.raises(InputError, match=r"nearest to 30 m is 15\.8101 m"):
        steps.select_levels(ds, [30.0])
    with pytest.raises(InputError, match="same level"):
        steps.select_levels(ds, [0.4, 0.5])


def test_sort_axes_wraps_longitude_and_turns_latitude():
    ds = xr.Dataset({"t2m": (("latitude", "longitude"), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])},
                    {"latitude": [50.0, 49.0], "longitude": [0.0, 180.0, 359.0]})  # fmt: skip
    out = steps.sort_axes(ds)
    assert out.longitude.values.tolist() == [-180, -1, 0]
    assert out.t2m.sel(latitude=49.0, longitude=-1.0) == 6.0


def test_rename_gives_the_new_names_attributes_and_keeps_units():
    ds = steps.rename(dataset(HOURS[:2], thetao=(field(HOURS[:2]), "K")), {"thetao": "sst"})
    assert ds.sst.attrs["standard_name"] == "sea_surface_temperature"
    assert ds.sst.attrs["units"] == "K"


def test_convert_units_follows_the_vocabulary():
    ds = steps.convert_units(dataset(HOURS[:2], sst=(np.full((2, 3, 4), 273.15), "K")))
    assert ds.sst.attrs["units"] == "degrees_C"
    np.testing.assert_array_equal(ds.sst, 0.0)


def test_deaccumulate_divides_by_the_interval():
    ds = dataset(HOURS[:2], ssr=(np.full((2, 3, 4), 7200.0), "J m**-2"), tp=(np.full((2, 3, 4), 3.6), "m"),
                 t2m=(field(HOURS[:2]), "K"))  # fmt: skip
    out = steps.deaccumulate(ds, 3600, ["ssr", "tp", "absent"])
    np.testing.assert_array_equal(out.ssr, 2.0)
    np.testing.assert_allclose(out.tp, 1e-3, rtol=1e-15)
    assert (out.ssr.attrs["units"], out.tp.attrs["units"]) == ("W m-2", "m s-1")
    xr.testing.assert_identical(out.t2m, ds.t2m)
    with pytest.raises(InputError, match="t2m: found units 'K'; expected an accumulation"):
        steps.deaccumulate(ds, 3600, ["t2m"])


def test_daily_mean_is_the_mean_of_the_calendar_day():
    values = field(HOURS)
    out = steps.daily_mean(dataset(HOURS, t2m=(values, "K")))
    assert out.time.dt.strftime("%m-%d").values.tolist() == ["02-28", "02-29", "03-01"]
    np.testing.assert_allclose(out.t2m, values.reshape(3, 24, 3, 4).mean(1), rtol=1e-14)
    assert out.t2m.attrs["cell_methods"] == "time: mean"


def test_daily_mean_of_fluxes_counts_the_midnight_that_ends_the_day():
    values = field(HOURS)
    out = steps.daily_mean(dataset(HOURS, t2m=(values, "K"), ssr=(values, "W m-2")), ending=["ssr"])
    assert out.sizes["time"] == 2  # the last day lacks the midnight that would end it
    np.testing.assert_allclose(out.ssr, values[1:49].reshape(2, 24, 3, 4).mean(1), rtol=1e-14)
    np.testing.assert_allclose(out.t2m, values[:48].reshape(2, 24, 3, 4).mean(1), rtol=1e-14)


@given(st.sets(st.integers(0, 71), max_size=20))
def test_daily_mean_has_the_whole_days_and_no_other(lost):
    keep = [hour for hour in range(72) if hour not in lost]
    whole = [day for day in range(3) if not any(day * 24 <= hour < day * 24 + 24 for hour in lost)]
    ds = dataset(HOURS[keep], t2m=(field(keep), "K"))
    assert steps.daily_mean(ds, samples=24).time.dt.day.values.tolist() == [[28, 29, 1][day] for day in whole]
    if lost:
        with pytest.raises(InputError, match=r"daily_mean: t2m has .* of 24 values on 2020"):
            steps.daily_mean(ds, samples=24, incomplete="error")


def test_daily_mean_refuses_what_is_not_several_a_day():
    days = pd.date_range("2020-01-01", periods=3, freq="2D")
    with pytest.raises(InputError, match="48 h apart"):
        steps.daily_mean(dataset(days, t2m=(field(days), "K")))


def test_an_unknown_step_names_its_nearest():
    with pytest.raises(InputError, match="did you mean 'daily_mean'"):
        steps.apply(dataset(HOURS[:2], t2m=(field(HOURS[:2]), "K")), [{"daily_means": {}}])
