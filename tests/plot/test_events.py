"""Heatwaves in pictures."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx import plot
from oceanx.plot.events import CATEGORIES
from oceanx.plot.outcomes import OUTCOMES
from oceanx.vocabulary.errors import InputError


def fills(ax) -> dict:
    return {fill.get_label(): fill for fill in ax.collections if not fill.get_label().startswith("_")}


def test_a_heatwave_shows_series_climatology_and_threshold(point, assert_tidy):
    figure = plot.heatwave(*point)
    ax = figure.axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    for name, given in zip(("Temperature", "Climatology", "Threshold"), point, strict=True):
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


@pytest.fixture
def detected() -> xr.Dataset:
    """Two events on a grid of 4 × 5 with a land cell: a weak one in the west, a strong one at 31°S 152°E in July."""
    time = np.arange("2011-01-01", "2012-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    latitude, longitude = np.arange(-33.0, -29), np.arange(150.0, 155)
    at = {"time": time, "latitude": latitude, "longitude": longitude}
    warm = np.zeros((time.size, 4, 5))
    warm[20:30, :, 0] = 1.5
    bump = 4.6 * np.exp(-(((np.arange(time.size) - 190) / 10.0) ** 2))[:, None, None]
    warm += bump * np.where(np.hypot(latitude[:, None] + 31, longitude - 152) < 1.5, 1, 0.1)
    warm[:, 2, 2] *= 1.01
    units = {"units": "degrees_C"}
    ds = xr.Dataset(
        {
            "temperature": (("time", "latitude", "longitude"), 20 + warm, {"long_name": "Temperature", **units}),
            "climatology": (("time", "latitude", "longitude"), 20 + 0 * warm, units),
            "threshold": (("time", "latitude", "longitude"), 21 + 0 * warm, units),
        },
        at,
    )
    ds["category"] = np.floor(ds.temperature - 20).astype("int8")
    ds["event"] = (ds.temperature > 21).astype("int32") * xr.where(ds.time < np.datetime64("2011-04-01"), 1, 2)
    dry = (ds.latitude == -33) & (ds.longitude == 154)
    ds["temperature"] = ds.temperature.where(~dry)
    return ds


def panel(figure):
    """The two axes of a heatwave panel, and where the ring is."""
    series, beside = figure.axes
    (ring,) = [line for line in beside.get_lines() if line.get_gid() == "here"]
    return series, beside, tuple(float(x) for x in ring.get_xydata()[0])


def test_the_strongest_event_is_found_with_its_cell_and_days(detected, assert_tidy):
    figure = plot.heatwave(detected)
    series, beside, ring = panel(figure)
    assert ring == (152.0, -31.0)
    assert beside.get_title(loc="left") == "Category on 2011-07-10"
    lasting = detected.event.sel(latitude=-31, longitude=152)
    days = detected.time.values[lasting.values == 2]
    margin = np.timedelta64(45, "D")
    first, last = (str(day)[:10] for day in (days[0] - margin, days[-1] + margin))
    assert series.get_title(loc="left") == f"Temperature, 31°S, 152°E\n{first} to {last}"
    assert series.get_ylabel() == "Temperature (°C)"
    assert_tidy(figure)


def test_the_map_has_the_categories_of_the_day_and_land(detected):
    _, beside, _ = panel(plot.heatwave(detected))
    drawn = beside.collections[0].get_array()
    expected = detected.category.sel(time="2011-07-10").values
    dry = detected.temperature.sel(time="2011-07-10").isnull().values
    assert (drawn.mask == dry).all()
    assert (drawn.filled(0)[~dry] == expected[~dry]).all()
    assert {0, 4} <= set(drawn.compressed())


def test_a_place_and_days_can_be_chosen(detected):
    figure = plot.heatwave(detected, latitude=-32.2, longitude=150.4, time=slice("2011-01-10", "2011-02-20"))
    series, beside, ring = panel(figure)
    assert ring == (150.0, -32.0)
    assert series.get_title(loc="left") == "Temperature, 32°S, 150°E\n2011-01-10 to 2011-02-20"
    assert beside.get_title(loc="left").startswith("Category on 2011-01-2")


def test_a_chosen_time_is_searched_alone(detected):
    _, beside, _ = panel(plot.heatwave(detected, time=slice("2011-01", "2011-03")))
    assert beside.get_title(loc="left").startswith("Category on 2011-01-2")


def test_lazy_fields_and_a_single_series_do_as_well(detected):
    lazy, eager = (panel(plot.heatwave(ds))[2] for ds in (detected.chunk(time=-1, latitude=2), detected))
    assert lazy == eager
    alone = plot.heatwave(detected.sel(latitude=-31, longitude=152))
    assert len(alone.axes) == 1
    assert "31°S, 152°E" in alone.axes[0].get_title(loc="left")


def test_cold_spells_are_shaded_below_in_blue(point):
    series, mean, limit = point
    cold, below = 2 * mean - series, 2 * mean - limit
    shaded = fills(plot.heatwave(cold.assign_attrs(series.attrs), mean, below.assign_attrs(series.attrs)).axes[0])
    assert list(shaded) == list(CATEGORIES)
    red, _, blue, _ = shaded["Severe"].get_facecolor()[0]
    assert blue > red
    (outline,) = [path.vertices for path in shaded["Extreme"].get_paths()]
    assert np.isclose(outline[:, 1].min(), cold.min())


def test_what_was_not_detected_is_refused(detected):
    with pytest.raises(InputError, match=r"heatwave: no event; give what oceanx\.heatwaves\.detect returns"):
        plot.heatwave(detected.drop_vars("event"))
    with pytest.raises(InputError, match="no event in these days"):
        plot.heatwave(detected.assign(event=detected.event * 0))
    with pytest.raises(InputError, match="no day from 1990 to 1991"):
        plot.heatwave(detected, time=slice("1990", "1991"))
    with pytest.raises(InputError, match="give longitude too"):
        plot.heatwave(detected, latitude=-31)
    with pytest.raises(InputError, match="select depth first"):
        plot.heatwave(detected.expand_dims(depth=[0.5]))
    with pytest.raises(InputError, match="needs a climatology and a threshold"):
        plot.heatwave(detected.temperature.isel(latitude=0, longitude=0))
