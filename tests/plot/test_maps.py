"""Maps: what they say, what they colour, what they refuse."""

from __future__ import annotations

import sys

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from oceanx import plot
from oceanx.plot import cells, style
from oceanx.vocabulary.errors import InputError


def colour_at(figure: Figure, ax, longitude: float, latitude: float) -> np.ndarray:
    """The colour drawn at a place, red green blue from 0 to 1."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1]
    i, j = ax.transData.transform((longitude, latitude)).astype(int)
    return pixels[j, i, :3] / 255


def colorbar_label(figure: Figure) -> str:
    """The label of a map's colour bar, which stands in an inset of the map's axes."""
    return figure.axes[0].child_axes[0].get_ylabel()


def norm(ax):
    return ax.collections[0].norm


@pytest.fixture
def sst(forecast) -> xr.DataArray:
    return forecast["thetao"].isel(init_time=0, lead_time=4, depth=0)


def test_a_map_says_what_where_when_and_in_which_unit(sst, assert_tidy):
    figure = plot.map(sst)
    ax = figure.axes[0]
    assert ax.get_title(loc="left") == "Potential temperature, 0.49 m\n2020-06-06, lead 5 days from 2020-06-01"
    assert colorbar_label(figure) == "Potential temperature (°C)"
    assert_tidy(figure)
    ticks = {label.get_text() for label in (*ax.get_xticklabels(), *ax.get_yticklabels())}
    assert {"60°W", "30°N"} <= ticks


def test_velocity_has_raised_units_and_salinity_is_psu(ocean):
    at = {"time": 0, "depth": 0}
    assert colorbar_label(plot.map(ocean["uo"].isel(at))) == "Eastward velocity (m s⁻¹)"
    assert colorbar_label(plot.map(ocean["so"].isel(at))) == "Salinity (psu)"


@pytest.mark.parametrize(
    ("name", "colours"), [("thetao", "thermal"), ("so", "haline"), ("uo", "balance"), ("vo", "balance")]
)
def test_the_colour_map_suits_the_variable(ocean, name, colours):
    mesh = plot.map(ocean[name].isel(time=0, depth=0)).axes[0].collections[0]
    assert mesh.cmap.name == colours


def test_speed_begins_at_zero(ocean):
    day = ocean.isel(time=0, depth=0)
    speed = np.hypot(day["uo"], day["vo"]).rename("speed").assign_attrs(units="m s-1", long_name="Speed")
    mesh = plot.map(speed).axes[0].collections[0]
    assert mesh.cmap.name == "speed"
    assert mesh.norm.vmin == 0


def test_sea_surface_height_is_symmetric_only_where_it_has_both_signs(ocean):
    zos = ocean["zos"].isel(time=0)
    both = norm(plot.map(zos).axes[0])
    assert both.vmin == -both.vmax
    high = plot.map(zos + 5.0).axes[0].collections[0]
    assert high.cmap.name == "deep"
    assert high.norm.vmin > 4
    mostly_low = plot.map(zos - 0.35).axes[0].collections[0]
    assert mostly_low.cmap.name == "deep"
    assert mostly_low.norm.vmax < 0.1


@pytest.mark.parametrize("name", ["thetao_error", "thetao_bias", "sst_anomaly"])
def test_errors_and_anomalies_are_symmetric_about_zero(sst, name):
    drift = (sst - sst.mean() + 3.0).rename(name)
    mesh = plot.map(drift).axes[0].collections[0]
    assert mesh.cmap.name == "balance"
    assert mesh.norm.vmin == -mesh.norm.vmax


def test_kind_error_asks_for_symmetry(sst):
    limits = norm(plot.map(sst - 20.0, kind="error").axes[0])
    assert limits.vmin == -limits.vmax


def test_vmin_and_vmax_are_kept(sst):
    limits = norm(plot.map(sst, vmin=10, vmax=25).axes[0])
    assert (limits.vmin, limits.vmax) == (10, 25)


def test_one_limit_of_a_symmetric_range_gives_the_other(ocean):
    limits = norm(plot.map(ocean["uo"].isel(time=0, depth=0), vmax=0.7).axes[0])
    assert (limits.vmin, limits.vmax) == (-0.7, 0.7)


def test_a_constant_field_can_be_drawn(sst):
    for constant in (0.0, 5.0):
        limits = norm(plot.map(xr.full_like(sst, constant).where(sst.notnull())).axes[0])
        assert limits.vmin < constant < limits.vmax


def test_land_is_grey_and_water_is_not(sst):
    figure = plot.map(sst)
    ax = figure.axes[0]
    assert np.allclose(colour_at(figure, ax, -78.0, 45.5), to_rgb(style.LAND), atol=0.01)
    cell = sst.sel(latitude=40.5, longitude=-50.0)
    mesh = ax.collections[0]
    assert np.allclose(colour_at(figure, ax, -50.0, 40.5), mesh.cmap(mesh.norm(float(cell)))[:3], atol=0.02)


def test_land_is_where_the_mask_says_whatever_the_values(sst):
    filled = sst.fillna(20.0)
    figure = plot.map(filled)
    assert np.allclose(colour_at(figure, figure.axes[0], -78.0, 45.5), to_rgb(style.LAND), atol=0.01)


def test_water_without_data_is_neither_land_nor_water(sst):
    figure = plot.map(sst.where((sst.latitude < 40) | (sst.longitude < -60)))
    assert np.allclose(colour_at(figure, figure.axes[0], -50.0, 45.5), to_rgb(style.NO_DATA), atol=0.01)


def test_a_mask_with_depth_gives_its_top_level_to_a_surface_field(ocean):
    zos = ocean["zos"].isel(time=0)
    assert "mask" not in zos.coords
    grid = cells.cells_of(zos, ocean["mask"])
    assert (grid.wet == (ocean["mask"].isel(depth=0).values == 1)).all()


def test_a_mask_with_depth_gives_its_level_to_a_field_at_depth(ocean):
    deep = ocean["thetao"].isel(time=0, depth=3).drop_vars("mask")
    grid = cells.cells_of(deep, ocean["mask"])
    assert (grid.wet == (ocean["mask"].isel(depth=3).values == 1)).all()


def test_cells_end_half_way_between_centres(sst):
    mesh = plot.map(sst).axes[0].collections[0]
    corners = mesh.get_coordinates()
    assert np.allclose(corners[0, :3, 0], [-80.5, -79.5, -78.5])
    assert np.allclose(corners[:3, 0, 1], [20.0, 21.0, 22.0])


def test_a_degree_has_the_shape_of_the_middle_latitude(sst):
    assert np.isclose(plot.map(sst).axes[0].get_aspect(), 1 / np.cos(np.deg2rad(35.5)))


def test_polar_cells_do_not_pass_the_pole():
    latitude = xr.DataArray(np.linspace(-90, 90, 19), dims="latitude", name="latitude")
    longitude = xr.DataArray(np.arange(-180.0, 180, 10), dims="longitude", name="longitude")
    field = xr.DataArray(np.ones((19, 36)), {"latitude": latitude, "longitude": longitude}, ("latitude", "longitude"))
    assert cells.cells_of(field).y[[0, -1]].tolist() == [-90, 90]


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(2, 7), st.integers(2, 7))))
def test_the_coast_is_every_side_between_wet_and_dry(wet):
    ny, nx = wet.shape
    grid = cells.Cells(np.arange(nx + 1.0), np.arange(ny + 1.0), wet)
    found = {tuple(map(tuple, side)) for side in cells.coast(grid)}
    expected = set()
    for j in range(ny):
        for i in range(nx):
            if i + 1 < nx and wet[j, i] != wet[j, i + 1]:
                expected.add(((i + 1.0, float(j)), (i + 1.0, j + 1.0)))
            if j + 1 < ny and wet[j, i] != wet[j + 1, i]:
                expected.add(((float(i), j + 1.0), (i + 1.0, j + 1.0)))
    assert found == expected
    assert len(cells.coast(grid)) == len(expected)


def test_transposed_fields_are_the_same_map(sst):
    one, other = plot.map(sst).axes[0].collections[0], plot.map(sst.transpose()).axes[0].collections[0]
    assert np.array_equal(one.get_array().filled(-9), other.get_array().filled(-9))


def test_given_axes_are_drawn_in(sst):
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    assert plot.map(sst, ax=right, title="Right") is figure
    assert right.get_title(loc="left") == "Right"
    assert not left.collections


def test_lazy_fields_are_read_once(ocean, sst):
    reads = []

    def read(block: np.ndarray) -> np.ndarray:
        reads.append(block.shape)
        return block

    def lazy(field: xr.DataArray) -> xr.DataArray:
        return field.copy(data=dask.array.from_array(field.values, -1).map_blocks(read, meta=np.empty((0, 0), "f4")))

    figure = plot.map(lazy(sst))
    assert reads == [sst.shape]
    mesh, eager = figure.axes[0].collections[0], plot.map(sst).axes[0].collections[0]
    assert np.array_equal(mesh.get_array().filled(-9), eager.get_array().filled(-9))
    plot.triptych(lazy(ocean["thetao"].isel(time=5, depth=0)), lazy(sst))
    assert len(reads) == 3


def test_a_single_start_date_needs_no_selecting(forecast):
    """`fc.thetao.isel(lead_time=4, depth=0)` of a forecast from one date is a map already."""
    one = forecast["thetao"].isel(init_time=[0], lead_time=4, depth=0)
    drawn = plot.map(one).axes[0]
    assert drawn.get_title(loc="left") == plot.map(one.isel(init_time=0)).axes[0].get_title(loc="left")


def test_a_very_long_name_gives_way_to_the_vocabularys_or_is_broken(sst, assert_tidy):
    long = "Sea water potential temperature of the uppermost level of the model, daily mean"
    known = plot.map(sst.assign_attrs(long_name=long))
    assert colorbar_label(known) == "Potential temperature (°C)"
    unknown = plot.map(sst.rename("x").assign_attrs(long_name=long, standard_name="x"))
    assert colorbar_label(unknown).replace("\n", " ") == f"{long} (°C)"
    assert_tidy(unknown)


@pytest.mark.parametrize(
    "box",
    [
        {},
        {"latitude": slice(30, 36)},
        {"longitude": slice(-60, -54)},
        {"latitude": slice(30, 32), "longitude": slice(-50, -48)},
    ],
)
def test_maps_of_any_shape_are_tidy(ocean, box, assert_tidy):
    assert_tidy(plot.map(ocean["uo"].isel(time=0, depth=0).sel(box)))


def test_a_global_map_is_tidy(assert_tidy):
    latitude, longitude = np.arange(-88.5, 90, 3.0), np.arange(-178.5, 180, 3.0)
    warm = 28 * np.cos(np.deg2rad(latitude))[:, None] + np.zeros(longitude.size)
    field = xr.DataArray(warm, {"latitude": latitude, "longitude": longitude}, ("latitude", "longitude"), "sst")
    figure = plot.map(field)
    assert_tidy(figure)
    assert {"120°W", "0°", "60°E", "180°"} <= {label.get_text() for label in figure.axes[0].get_xticklabels()}
    assert_tidy(plot.triptych(field, field + 1))


def test_no_figure_is_left_with_pyplot_and_a_notebook_shows_it(sst):
    import matplotlib.pyplot as plt

    figure = plot.map(sst)
    assert plt.get_fignums() == []
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_settings_of_the_user_are_left_alone(sst):
    import matplotlib

    before = {key: matplotlib.rcParams[key] for key in style.LOOK}
    plot.map(sst)
    assert {key: matplotlib.rcParams[key] for key in style.LOOK} == before


def test_a_field_with_more_dimensions_names_them(forecast):
    with pytest.raises(InputError, match=r"select init_time and lead_time and depth first.*init_time=0"):
        plot.map(forecast["thetao"])


def test_a_field_without_longitude_is_refused(ocean):
    with pytest.raises(InputError, match=r"thetao: a map needs the dimension longitude"):
        plot.map(ocean["thetao"].isel(time=0, depth=0, longitude=0))


def test_a_dataset_is_refused(ocean):
    with pytest.raises(InputError, match=r"DataArray, found Dataset"):
        plot.map(ocean)


def test_a_missing_day_is_refused(sst):
    with pytest.raises(InputError, match=r"thetao: no finite value"):
        plot.map(sst * np.nan)


def test_other_refusals_name_the_thing(sst, ocean):
    with pytest.raises(InputError, match="'nonsense'"):
        plot.map(sst, cmap="nonsense")
    with pytest.raises(InputError, match="vmin=3 is not below vmax=1"):
        plot.map(sst, vmin=3, vmax=1)
    with pytest.raises(InputError, match="latitude: a map needs two or more ascending values"):
        plot.map(sst.isel(latitude=slice(None, None, -1)))
    with pytest.raises(InputError, match="longitude: mask has 40 values"):
        plot.map(sst, mask=ocean["mask"].isel(depth=0, longitude=slice(1, None)))
    with pytest.raises(InputError, match="mask: has no level at the field's depth"):
        plot.map(sst.drop_vars("mask").assign_coords(depth=7.0), mask=ocean["mask"])


def test_a_projection_without_cartopy_says_what_to_install(sst, monkeypatch):
    monkeypatch.setitem(sys.modules, "cartopy", None)
    monkeypatch.setitem(sys.modules, "cartopy.crs", None)
    with pytest.raises(InputError, match=r"oceanx\[plot\]"):
        plot.map(sst, projection=object())


def test_a_projection_of_cartopy_is_drawn(sst):
    crs = pytest.importorskip("cartopy.crs")
    figure = plot.map(sst, projection=crs.PlateCarree(central_longitude=-60))
    assert np.allclose(colour_at(figure, figure.axes[0], -78.0 + 60, 45.5), to_rgb(style.LAND), atol=0.01)


@pytest.fixture
def pair(ocean, forecast):
    return ocean["thetao"].isel(time=5, depth=0), forecast["thetao"].isel(init_time=0, lead_time=4, depth=0)


def test_a_triptych_shares_one_scale_and_its_error_is_symmetric(pair, assert_tidy):
    figure = plot.triptych(*pair)
    truth, forecast, error = figure.axes[:3]
    assert norm(truth) is norm(forecast)
    assert norm(error).vmin == -norm(error).vmax
    assert [ax.get_title(loc="left") for ax in (truth, forecast, error)] == ["Truth", "Forecast", "Forecast − truth"]
    expected = (pair[1] - pair[0]).where(pair[0].notnull()).transpose("latitude", "longitude").values
    assert np.allclose(error.collections[0].get_array().filled(np.nan), expected, equal_nan=True)
    assert figure.get_suptitle().startswith("Potential temperature, 0.49 m\n2020-06-06, lead 5 days")
    assert_tidy(figure)


def test_a_triptych_states_the_weighted_error(pair):
    truth = pair[0]
    half = xr.where(truth.latitude < 35.5, 1.0, 3.0)
    figure = plot.triptych(truth, (truth + half).transpose(*truth.dims).assign_attrs(truth.attrs))
    weights = (np.cos(np.deg2rad(truth.latitude)) * truth.notnull()).transpose(*truth.dims)
    mean = float((weights * half).sum() / weights.sum())
    rms = float(np.sqrt((weights * half**2).sum() / weights.sum()))
    assert figure.axes[4].get_xlabel() == f"Difference (°C)\nRMSE {rms:.1f}, mean +{mean:.1f} °C"


def test_a_triptych_takes_the_areas_of_the_grid(pair):
    truth = pair[0]
    corner = xr.zeros_like(truth).where(truth.longitude < -50, 1.0).drop_vars("mask")
    error = xr.where(truth.longitude < -50, 5.0, 2.0)
    figure = plot.triptych(truth.assign_coords(cell_area=corner), (truth + error).assign_attrs(truth.attrs))
    assert "RMSE 2.0, mean +2.0 °C" in figure.axes[4].get_xlabel()


def test_a_perfect_forecast_can_be_drawn(pair):
    figure = plot.triptych(pair[0], pair[0])
    assert "RMSE 0.0" in figure.axes[4].get_xlabel()


def test_a_triptych_refuses_what_cannot_be_compared(pair, ocean):
    truth, forecast = pair
    with pytest.raises(InputError, match="truth is of 2020-06-05, forecast valid on 2020-06-06"):
        plot.triptych(ocean["thetao"].isel(time=4, depth=0), forecast)
    with pytest.raises(InputError, match="units: truth has '°C', forecast 'K'"):
        plot.triptych(truth, forecast.assign_attrs(units="K"))
    with pytest.raises(InputError, match="longitude: truth has 41 values"):
        plot.triptych(truth, forecast.isel(longitude=slice(1, None)))
    with pytest.raises(InputError, match="select lead_time first"):
        plot.triptych(truth, forecast.expand_dims("lead_time"))
    with pytest.raises(InputError, match=r"depth: truth is of 92\.3261 m, forecast of 0\.494025 m; select one"):
        plot.triptych(ocean["thetao"].sel(time="2020-06-06", depth=92.326073), forecast)


@pytest.mark.parametrize(
    ("name", "long_name", "cmap", "symmetric"),
    [
        ("sigma0", "Potential density anomaly", "dense", False),  # an anomaly by name alone
        ("ugos", "Geostrophic eastward velocity", "balance", True),
        ("heat_content", "Heat content", "thermal", False),
        ("thing", "Anomaly of the thing", "balance", True),
    ],
)
def test_what_is_told_from_others_has_its_colours(sst, name, long_name, cmap, symmetric):
    field = sst.rename(name).assign_attrs(long_name=long_name, units="1")
    mesh = plot.map(field).axes[0].collections[0]
    assert mesh.cmap.name == cmap
    assert (mesh.norm.vmin == -mesh.norm.vmax) == symmetric


def test_an_anomaly_is_known_by_its_attribute(sst):
    mesh = plot.map(sst.assign_attrs(oceanx_quantity="anomaly")).axes[0].collections[0]
    assert (mesh.cmap.name, mesh.norm.vmin) == ("balance", -mesh.norm.vmax)


@pytest.mark.parametrize(("size", "power"), [(1e9, "10⁹ "), (1e-5, "10⁻⁵ "), (1e2, ""), (1e-2, "")])
def test_large_and_small_numbers_are_counted_in_powers_of_ten(sst, size, power, assert_tidy):
    field = (sst.rename("thing") * 0 + np.linspace(1, 2, sst.longitude.size)) * size
    figure = plot.map(field.assign_attrs(long_name="Thing", units="J m-2"))
    (bar,) = figure.axes[0].child_axes
    FigureCanvasAgg(figure).draw()
    assert bar.get_ylabel() == f"Thing ({power}J m⁻²)"
    assert bar.yaxis.get_offset_text().get_text() == ""
    shown = [float(text.get_text().replace("−", "-")) for text in bar.get_yticklabels()]
    there = bar.get_yticks() / (size if power else 1)
    assert np.allclose(shown, there)
    assert_tidy(figure)


def test_a_projection_has_degrees_at_its_edges_and_paper_beyond_the_grid(sst):
    crs = pytest.importorskip("cartopy.crs")
    figure = plot.map(sst, projection=crs.LambertConformal(-60, 35))
    FigureCanvasAgg(figure).draw()
    (lines,) = [part for part in figure.axes[0].get_children() if type(part).__name__ == "Gridliner"]
    texts = {label.get_text() for label in lines.label_artists}
    assert any("W" in text for text in texts)
    assert any("N" in text for text in texts)
    assert to_rgb(figure.axes[0].get_facecolor()) == (1, 1, 1)
