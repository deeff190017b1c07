"""Sections, Hovmöller diagrams and profiles."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx import plot
from oceanx.plot.sections import interfaces
from oceanx.vocabulary.errors import InputError


def test_a_section_has_the_surface_on_top_and_its_place_in_the_title(forecast, assert_tidy):
    field = forecast["thetao"].isel(init_time=0, lead_time=4).sel(latitude=33.5)
    figure = plot.section(field)
    ax = figure.axes[0]
    bottom, top = ax.get_ylim()
    assert top == 0
    assert bottom > 1062.4
    assert ax.get_ylabel() == "Depth (m)"
    assert ax.get_title(loc="left") == "Potential temperature, 33.5°N\n2020-06-06, lead 5 days from 2020-06-01"
    assert ax.child_axes[0].get_ylabel() == "Potential temperature (°C)"
    assert_tidy(figure)


def test_a_section_along_a_meridian(ocean, assert_tidy):
    figure = plot.section(ocean["uo"].isel(time=0).sel(longitude=-55.0))
    assert "30°N" in {label.get_text() for label in figure.axes[0].get_xticklabels()}
    norm = figure.axes[0].collections[1].norm
    assert norm.vmin == -norm.vmax
    assert_tidy(figure)


def test_interfaces_are_half_way_and_begin_at_the_surface():
    depth = xr.DataArray([1.0, 3.0, 9.0], dims="depth", name="depth")
    assert interfaces(depth).tolist() == [0, 2, 6, 12]


@pytest.mark.parametrize(
    ("place", "x", "y"),
    [
        ({"latitude": 40.5}, "longitude", "time"),
        ({"longitude": -50.0}, "time", "latitude"),
    ],
)
def test_a_hovmoller_diagram_turns_as_is_usual(ocean, place, x, y, assert_tidy):
    field = ocean["zos"].sel(place)
    figure = plot.hovmoller(field)
    mesh = figure.axes[0].collections[0]
    expected = field.transpose(y, x).values
    assert np.allclose(mesh.get_array().filled(np.nan), expected, equal_nan=True)
    assert figure.axes[0].get_title(loc="left").endswith("2020-06-01 to 2020-06-16")
    assert_tidy(figure)


def test_a_hovmoller_diagram_against_depth_has_the_surface_on_top(ocean, assert_tidy):
    figure = plot.hovmoller(ocean["thetao"].sel(latitude=40.5, longitude=-50.0))
    assert figure.axes[0].get_ylim()[1] == 0
    assert_tidy(figure)


def test_a_hovmoller_diagram_of_a_forecast_counts_days(forecast, assert_tidy):
    figure = plot.hovmoller(forecast["thetao"].isel(init_time=0, depth=0).sel(longitude=-50.0))
    ax = figure.axes[0]
    assert ax.get_xlabel() == "Lead time (days)"
    assert ax.get_xlim() == (0.5, 10.5)
    assert ax.get_title(loc="left").endswith("Forecast from 2020-06-01")
    assert_tidy(figure)


def test_a_profile_per_day(ocean, assert_tidy):
    field = ocean["thetao"].isel(time=[0, 9]).sel(latitude=40.5, longitude=-50.0)
    figure = plot.profile(field)
    ax = figure.axes[0]
    first, last = ax.get_lines()
    assert np.allclose(first.get_xdata(), field.isel(time=0))
    assert np.allclose(last.get_ydata(), field["depth"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["2020-06-01", "2020-06-10"]
    assert ax.get_xlabel() == "Potential temperature (°C)"
    assert ax.get_ylim()[1] == 0
    assert_tidy(figure)


def test_one_profile_needs_no_legend(ocean, assert_tidy):
    figure = plot.profile(ocean["so"].isel(time=0).sel(latitude=40.5, longitude=-50.0))
    assert not figure.legends
    assert_tidy(figure)


def test_other_dimensions_are_refused(ocean, forecast):
    with pytest.raises(InputError, match="a section has the dimensions depth × longitude alone; select time and"):
        plot.section(ocean["thetao"])
    with pytest.raises(InputError, match="a section needs the dimension longitude"):
        plot.section(ocean["thetao"].isel(time=0, latitude=0, longitude=0))
    with pytest.raises(InputError, match="Hovmöller diagram needs the dimension time"):
        plot.hovmoller(ocean["thetao"].isel(time=0))
    with pytest.raises(InputError, match="select latitude first"):
        plot.hovmoller(ocean["zos"])
    with pytest.raises(InputError, match="a profile needs the dimension depth"):
        plot.profile(ocean["zos"].isel(time=0, latitude=0))
    with pytest.raises(InputError, match="16 lines are too many"):
        plot.profile(ocean["thetao"].isel(latitude=0, longitude=-1))
    with pytest.raises(InputError, match="DataArray, found Dataset"):
        plot.section(ocean)


@pytest.fixture
def transect(ocean) -> xr.DataArray:
    """A straight line of 41 cells, as a section through points would give it."""
    slice_ = ocean["thetao"].isel(time=0, latitude=15).drop_vars("latitude")
    along = {"distance": 100.0 * np.arange(41), "latitude": ("distance", np.linspace(20, 40, 41))}
    placed = slice_.rename(longitude="distance").assign_coords(longitude=("distance", slice_.longitude.values))
    return placed.assign_coords(along)


def test_a_transect_is_drawn_against_its_distance(transect, assert_tidy):
    figure = plot.section(transect)
    ax = figure.axes[0]
    assert ax.get_xlabel() == "Distance (km)"
    assert ax.get_xlim() == (-50, 4050)
    assert ax.get_title(loc="left") == "Potential temperature, 20°N 80°W to 40°N 40°W\n2020-06-01"
    assert_tidy(figure)


def test_a_hovmoller_diagram_along_a_transect(transect, assert_tidy):
    days = np.arange("2020-06-01", "2020-06-05", dtype="datetime64[D]").astype("datetime64[ns]")
    over = transect.isel(depth=0).expand_dims(time=days)
    figure = plot.hovmoller(over)
    assert figure.axes[0].get_ylabel() == "Distance (km)"
    assert_tidy(figure)


def test_profiles_of_many_days_go_from_pale_to_dark(ocean):
    days = ocean["thetao"].isel(latitude=20, longitude=20, time=slice(0, 8))
    colours = [line.get_color() for line in plot.profile(days).axes[0].get_lines()]
    brightness = [sum(colour[:3]) for colour in colours]
    assert len(brightness) == 8
    assert brightness == sorted(brightness, reverse=True)
