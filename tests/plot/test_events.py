"""Heatwaves in pictures."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx import plot
from oceanx.plot.events import CATEGORIES, OUTCOMES
from oceanx.vocabulary.errors import InputError


def fills(ax) -> dict:
    return {fill.get_label(): fill for fill in ax.collections if not fill.get_label().startswith("_")}


def test_a_heatwave_shows_series_climatology_and_threshold(point, assert_tidy):
    figure = plot.heatwave(*point)
    ax = figure.axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    for name, given in zip(("Truth", "Climatology", "Threshold"), point, strict=True):
        assert np.array_equal(drawn[name], given.values)
    assert ax.get_ylabel() == "Sea surface temperature (°C)"
    assert ax.get_title(loc="left") == "Sea surface temperature, 29.5°S, 114°E\n2011-01-01 to 2011-07-19"
    assert_tidy(figure)


def test_each_category_is_shaded_from_its_multiple_of_the_threshold(point):
    series, mean, limit = (given.values for given in point)
    shaded = fills(plot.heatwave(*point).axes[0])
    assert list(shaded) == list(CATEGORIES)
    days = np.arange("2011-01-01", "2011-07-20", dtype="datetime64[D]").astype(float)
    for times, name in enumerate(CATEGORIES, start=1):
        lower = mean + times * (limit - mean)
        (outline,) = [path.vertices for path in shaded[name].get_paths()]
        floor = np.interp(outline[:, 0], days, lower)
        assert (outline[:, 1] >= floor - 1e-6).all()
        assert np.isclose(outline[:, 1].max(), series.max())
        above = days[series > lower]
        assert above[0] - 1 < outline[:, 0].min() <= above[0]
        assert above[-1] <= outline[:, 0].max() < above[-1] + 1


def test_no_shade_where_the_threshold_is_not_reached(point):
    _, mean, limit = point
    assert not fills(plot.heatwave(mean, mean, limit).axes[0])


def test_forecasts_stand_on_their_valid_times(point, assert_tidy):
    series, mean, limit = point
    lead = np.arange(1, 11) * np.timedelta64(1, "D")
    start = np.datetime64("2011-03-10", "ns")
    forecast = xr.DataArray(np.full(10, 25.0), {"lead_time": lead, "init_time": start}, ("lead_time",))
    figure = plot.heatwave(series, mean, limit, forecasts={"hybrid": forecast}, name="OISST")
    drawn = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert drawn["hybrid"].get_xdata()[0] == np.datetime64("2011-03-11").astype(float)
    assert "OISST" in drawn
    assert_tidy(figure)
    given = forecast.assign_coords(valid_time=("lead_time", start + lead)).drop_vars("init_time")
    again = plot.heatwave(series, mean, limit, forecasts={"hybrid": given}).axes[0].get_lines()[-1]
    assert np.array_equal(again.get_xdata(), drawn["hybrid"].get_xdata())


def test_series_that_do_not_belong_together_are_refused(point):
    series, mean, limit = point
    with pytest.raises(InputError, match="threshold: its times are not those of the series"):
        plot.heatwave(series, mean, limit.isel(time=slice(1, None)))
    with pytest.raises(InputError, match="climatology: its times are not those of the series"):
        plot.heatwave(series, mean.assign_coords(time=mean.time + np.timedelta64(1, "D")), limit)
    with pytest.raises(InputError, match="threshold: in 'K', the series in '°C'"):
        plot.heatwave(series, mean, limit.assign_attrs(units="K"))
    with pytest.raises(InputError, match="select latitude first"):
        plot.heatwave(series.drop_vars("latitude").expand_dims("latitude"), mean, limit)
    noleap = series.convert_calendar("noleap")
    with pytest.raises(InputError, match=r"time: expected datetime64.*convert_calendar"):
        plot.heatwave(noleap, mean.convert_calendar("noleap"), limit.convert_calendar("noleap"))
    lead = xr.DataArray([1.0], {"lead_time": [np.timedelta64(1, "D")]}, ("lead_time",))
    with pytest.raises(InputError, match="forecast 'x': has neither valid_time nor init_time"):
        plot.heatwave(series, mean, limit, forecasts={"x": lead})


@pytest.fixture
def days() -> tuple[xr.DataArray, xr.DataArray]:
    """Two rows at the equator and at 60°N: one column each of hits, misses, false alarms, neither; one of land."""
    at = {"latitude": [0.0, 60.0], "longitude": np.arange(5.0)}
    mask = xr.DataArray([[1, 1, 1, 1, 0]] * 2, at, ("latitude", "longitude"))
    said = xr.DataArray([[True, False, True, False, False]] * 2, mask.coords, ("latitude", "longitude"), "hot")
    happened = xr.DataArray([[True, True, False, False, False]] * 2, mask.coords, ("latitude", "longitude"), "hot")
    return said.assign_coords(mask=mask), happened.assign_coords(mask=mask)


def test_hits_misses_and_false_alarms(days, assert_tidy):
    figure = plot.exceedance(*days)
    ax = figure.axes[0]
    values = ax.collections[0].get_array().filled(-1)
    names = list(OUTCOMES)
    expected = [names.index(name) for name in ("Hit", "Miss", "False alarm", "Neither")]
    assert values.tolist() == [[*expected, -1]] * 2
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {f"{name} 25 %" for name in names}
    assert_tidy(figure)


def test_shares_are_of_the_area_not_of_the_cells(days):
    said, happened = days
    figure = plot.exceedance(said & (said.latitude < 30), happened & (happened.latitude < 30))
    texts = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert {"Hit 17 %", "Miss 17 %"} <= texts  # a quarter of the row that has two thirds of the area


def test_a_day_without_data_on_one_side_is_no_outcome(days):
    said, happened = days
    partly = happened.astype(float).where(happened.longitude != 1)
    values = plot.exceedance(said, partly).axes[0].collections[0].get_array()
    assert values.mask[:, 1].all()
    assert not values.mask[:, 0].any()


def test_counts_and_shares_are_drawn_from_zero(ocean):
    warm = (ocean["thetao"].isel(depth=0) > 22).where(ocean["thetao"].isel(depth=0).notnull())
    count = warm.sum("time", min_count=1).rename("days").assign_attrs(units="days", long_name="Days above")
    figure = plot.exceedance(count)
    mesh = figure.axes[0].collections[0]
    assert (mesh.norm.vmin, mesh.cmap.name) == (0, "amp")
    assert figure.axes[0].child_axes[0].get_ylabel() == "Days above (days)"
    share = warm.mean("time").rename("share").assign_attrs(units="1", long_name="Share of days above")
    norm = plot.exceedance(share).axes[0].collections[0].norm
    assert (norm.vmin, norm.vmax) == (0, 1)


def test_exceedances_that_are_no_yes_or_no_are_refused(days):
    said, happened = days
    with pytest.raises(InputError, match="forecast: expected true or false"):
        plot.exceedance(said * 0.5, happened)
    with pytest.raises(InputError, match="longitude: truth has 5 values"):
        plot.exceedance(said.isel(longitude=slice(1, None)), happened)
    with pytest.raises(InputError, match="select time first"):
        plot.exceedance(said.expand_dims("time"), happened)
