"""T–S diagrams: which points, which colours, which lines of density."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
import xarray as xr

from oceanx import plot
from oceanx.plot import water
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def day(ocean) -> xr.Dataset:
    return ocean.isel(time=0)


def points(ax):
    """The scatter of an axes."""
    (found,) = [c for c in ax.collections if type(c).__name__ == "PathCollection"]
    return found


def test_every_wet_cell_is_a_point_in_the_colour_of_its_depth(day, assert_tidy):
    figure = plot.ts_diagram(day)
    drawn = points(figure.axes[0])
    there = day["thetao"].notnull() & day["so"].notnull()
    depth = day["depth"].broadcast_like(there).where(there).values
    assert len(drawn.get_offsets()) == int(there.sum())
    assert sorted(drawn.get_array()) == sorted(depth[np.isfinite(depth)])
    salt, heat = drawn.get_offsets().T
    for value, name in ((salt, "so"), (heat, "thetao")):
        expected = day[name].values[there.values]
        assert np.allclose(np.sort(value), np.sort(expected))
    assert_tidy(figure)


def test_axes_say_what_and_in_which_unit(day):
    figure = plot.ts_diagram(day)
    ax, bar = figure.axes
    assert ax.get_xlabel() == "Salinity (psu)"
    assert ax.get_ylabel() == "Potential temperature (°C)"
    assert bar.get_ylabel() == "Depth (m)"
    assert bar.yaxis_inverted()  # the surface on top
    assert "2020-06-01" in figure.get_suptitle()
    assert "kg m⁻³" in figure.get_suptitle()


def test_the_lines_are_potential_density(day):
    figure = plot.ts_diagram(day)
    (lines,) = [c for c in figure.axes[0].collections if type(c).__name__ == "QuadContourSet"]
    place = (float(day.longitude.mean()), float(day.latitude.mean()))
    seen = 0
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        for salinity, temperature in path.vertices:
            absolute = gsw.SA_from_SP(salinity, 0.0, *place)
            density = gsw.sigma0(absolute, gsw.CT_from_pt(absolute, temperature))
            assert density == pytest.approx(level, abs=0.02)
            seen += 1
    assert seen > 50


def test_water_without_a_place_has_the_standard_composition():
    nowhere = xr.Dataset(coords={"depth": [0.0, 10.0]})
    expected = gsw.sigma0(35.16504, gsw.CT_from_pt(35.16504, 10.0))
    assert water.sigma0(np.array(35.0), np.array(10.0), nowhere) == pytest.approx(float(expected), abs=1e-9)


def test_too_many_points_are_bins_of_mean_depth(day, monkeypatch):
    monkeypatch.setattr(water, "POINTS", 100)
    monkeypatch.setattr(water, "BINS", 1)
    ax = plot.ts_diagram(day).axes[0]
    (mesh,) = [c for c in ax.collections if type(c).__name__ == "QuadMesh"]
    there = (day["thetao"].notnull() & day["so"].notnull()).values
    depth = day["depth"].broadcast_like(day["thetao"]).values[there]
    assert mesh.get_array().item() == pytest.approx(depth.mean())


def test_a_truth_stands_beside_a_field_on_the_same_axes(day, assert_tidy):
    forecast = day.assign(thetao=(day["thetao"] + 1).assign_attrs(day["thetao"].attrs))
    figure = plot.ts_diagram(forecast, day)
    left, right, _ = figure.axes
    assert [left.get_title(loc="left"), right.get_title(loc="left")] == ["Truth", "Forecast"]
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    assert points(left).norm.vmax == points(right).norm.vmax
    rise = np.sort(points(right).get_offsets()[:, 1]) - np.sort(points(left).get_offsets()[:, 1])
    assert np.allclose(rise, 1, atol=1e-5)
    assert_tidy(figure)


def test_members_of_a_column_are_lines_before_the_truth(day, assert_tidy):
    column = day.sel(latitude=35.5, longitude=-50, method="nearest")
    members = xr.concat([column, column + 0.1], "member", coords="minimal").assign_coords(member=[0, 1])
    for name in ("thetao", "so"):
        members[name].attrs = column[name].attrs
    figure = plot.ts_diagram(members, column)
    ax = figure.axes[0]
    assert len(ax.get_lines()) == 3
    assert ax.get_lines()[0].get_color() == "black"
    assert len(points(ax).get_offsets()) == 2 * int(column["thetao"].notnull().sum())
    assert "35.5°N, 50°W" in figure.get_suptitle()
    assert_tidy(figure)


def test_what_makes_no_diagram_is_refused(day):
    with pytest.raises(InputError, match="needs so; found"):
        plot.ts_diagram(day.drop_vars("so"))
    with pytest.raises(InputError, match="draws a Dataset"):
        plot.ts_diagram(day["thetao"])
    with pytest.raises(InputError, match="thetao: in 'K'; a T–S diagram needs °C"):
        plot.ts_diagram(day.assign(thetao=day["thetao"].assign_attrs(units="K")))
    with pytest.raises(InputError, match="no cell has both"):
        plot.ts_diagram(day.assign(so=day["so"] * np.nan))
    with pytest.raises(InputError, match="needs the coordinate depth"):
        plot.ts_diagram(day.isel(depth=0, drop=True))
