"""Regridding: against brute-force overlaps, and the promises: conserved, uniform, linear, monotone, wet only."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import grid as grids
from oceanx.ocean.regrid import Grid, Weights, conservative, kept_weights, means, weights, wet_fraction
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

GLOBAL = (-90.0 + 7.5 + 15 * np.arange(12), -180.0 + 10 + 20 * np.arange(18))


def dataset(latitude, longitude, values, name="thetao", **coords):
    dims = ("time", "depth", "latitude", "longitude")[4 - values.ndim :]
    axes = {"latitude": np.asarray(latitude, float), "longitude": np.asarray(longitude, float)}
    return xr.Dataset({name: (dims, values, {"units": "degrees_C"})}, {**axes, **coords}, {"title": "kept"})


def random_field(latitude, longitude, seed=0, dry=0.3, levels=()):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(*levels, len(latitude), len(longitude)))
    return np.where(rng.random(values.shape) < dry, np.nan, values)


def cells(centres, limits=None, period=None):
    """Independent of the code: (low, high) of each cell, half-way between centres."""
    c = np.asarray(centres, float)
    before, after = 2 * c[0] - c[1], 2 * c[-1] - c[-2]
    if period and np.isclose(c[0] + period - c[-1], np.diff(c).min(), rtol=0.05):
        before, after = c[-1] - period, c[0] + period
    wide = np.concatenate([[before], c, [after]])
    low, high = (wide[:-2] + c) / 2, (wide[2:] + c) / 2
    return (np.clip(low, *limits), np.clip(high, *limits)) if limits else (low, high)


def brute_force(latitude, longitude, values, target_latitude, target_longitude, least):
    """Every source cell against every target cell, one by one, in (longitude, sin latitude)."""
    south, north = cells(latitude, (-90, 90))
    west, east = cells(longitude, period=360)
    tsouth, tnorth = cells(target_latitude, (-90, 90))
    twest, teast = cells(target_longitude, period=360)
    out = np.full((len(target_latitude), len(target_longitude)), np.nan)
    share = np.zeros(out.shape)
    for j, k in np.ndindex(out.shape):
        amount = area = 0.0
        for row, column in np.ndindex(values.shape):
            low, high = max(south[row], tsouth[j]), min(north[row], tnorth[j])
            if high <= low or np.isnan(values[row, column]):
                continue
            width = sum(
                max(0.0, min(east[column] + turn, teast[k]) - max(west[column] + turn, twest[k]))
                for turn in (-360, 0, 360)
            )
            piece = (np.sin(np.radians(high)) - np.sin(np.radians(low))) * np.radians(width)
            amount, area = amount + piece * values[row, column], area + piece
        whole = (np.sin(np.radians(tnorth[j])) - np.sin(np.radians(tsouth[j]))) * np.radians(teast[k] - twest[k])
        share[j, k] = area / whole
        if area > 0 and share[j, k] >= least - 1e-9:
            out[j, k] = amount / area
    return out, share


def _meet(latitude, to_latitude, longitude, to_longitude):
    """Whether the reaches of two grids overlap in both directions."""
    met = True
    for a, b in ((latitude, to_latitude), (longitude, to_longitude)):
        (low, high), (to_low, to_high) = cells(a), cells(b)
        met &= any(
            low[0] + t < to_high[-1] and to_low[0] < high[-1] + t for t in ((-360, 0, 360) if a is longitude else (0,))
        )
    return met


# Axes on fractions of a degree that never come within rounding of one another without being equal.
spacings = st.lists(st.integers(4, 80), min_size=2, max_size=6)


@st.composite
def axes(draw, limit, unit=1 / 8):
    steps = np.array(draw(spacings))
    reach = int(2 * limit / unit) - steps.sum() - 16
    first = draw(st.integers(0, max(0, reach)))
    return -limit + unit * (8 + first + np.concatenate([[0], np.cumsum(steps)]))


@given(axes(85), axes(170), axes(85), axes(170), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_regional_grids_agree_with_brute_force(latitude, longitude, to_latitude, to_longitude, least, seed):
    values = random_field(latitude, longitude, seed)
    target = xr.Dataset(coords={"latitude": to_latitude, "longitude": to_longitude})
    expected, share = brute_force(latitude, longitude, values, to_latitude, to_longitude, least)
    if np.abs(share - least).min() < 1e-6 and least not in (0.0, 1.0):
        return  # on the threshold itself, rounding decides
    ds = dataset(latitude, longitude, values)
    if not share.any() and not _meet(latitude, to_latitude, longitude, to_longitude):
        with pytest.raises(InputError, match="nothing in common"):
            conservative(ds, target, least=least)
        return
    out = conservative(ds, target, least=least)
    np.testing.assert_allclose(out.thetao, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(wet_fraction(ds.thetao, target), share, rtol=1e-9, atol=1e-9)


@given(
    st.integers(3, 9), st.integers(4, 12), st.sampled_from(["cells", "nodes"]), st.floats(-180, 0), st.integers(0, 99)
)
@settings(deadline=None, max_examples=30)
def test_the_globe_agrees_with_brute_force_across_the_date_line_and_at_the_poles(rows, columns, placed, first, seed):
    latitude = np.linspace(-90, 90, rows + 1) if placed == "nodes" else -90 + 180 / rows * (np.arange(rows) + 0.5)
    longitude = first + 360 / columns * np.arange(columns)
    values = random_field(latitude, longitude, seed)
    target = Grid(resolution=36.0, placed=placed)
    expected, share = brute_force(latitude, longitude, values, *target.axes(), 0.0)
    ds = dataset(latitude, longitude, values)
    np.testing.assert_allclose(conservative(ds, target, least=0).thetao.where(share > 1e-4),
                               np.where(share > 1e-4, expected, np.nan), rtol=1e-4, atol=1e-4)  # fmt: skip
    np.testing.assert_allclose(wet_fraction(ds.thetao, target), share, atol=1e-4)  # edges within 1e-4° are one


@pytest.mark.parametrize("target", [{"resolution": 30.0}, {"resolution": 20.0, "placed": "nodes"}, {"resolution": 7.5}])
@pytest.mark.parametrize("dry", [0.0, 0.35])
def test_the_integral_over_wet_cells_is_conserved_to_a_millionth(target, dry):
    values = (20 + random_field(*GLOBAL, dry=dry, levels=(3, 2))).astype("f4")
    ds = dataset(*GLOBAL, values, depth=[0.5, 10.0])
    before = float((ds.thetao.astype(float) * grids.area(ds.latitude, ds.longitude)).sum())
    out = conservative(ds, target, least=0)
    share = wet_fraction(ds.thetao, target)
    after = float((out.thetao.astype(float) * share * grids.area(out.latitude, out.longitude)).sum())
    assert after == pytest.approx(before, rel=1e-6)
    assert out.thetao.dtype == np.float32


def test_the_integral_is_conserved_from_a_twelfth_of_a_degree():
    latitude, longitude = np.arange(-80, 90.01, 1 / 12).astype("f4")[:600], (-180 + np.arange(4320) / 12).astype("f4")
    values = (10 + random_field(latitude, longitude)).astype("f4")
    ds = dataset(latitude, longitude, values)
    before = float((ds.thetao.astype(float) * grids.area(ds.latitude, ds.longitude)).sum())
    for target in ({"resolution": 1.5}, {"resolution": 0.25, "latitude": [-90, 90, 0.25], "placed": "nodes"}):
        made = weights(latitude, longitude, target)
        out = conservative(ds, made, least=0)
        total = (
            out.thetao.astype(float) * wet_fraction(ds.thetao, made) * grids.area(out.latitude, out.longitude)
        ).sum()
        assert float(total) == pytest.approx(before, rel=1e-6)


def test_kept_cells_hold_what_lay_in_them():
    """With half of a cell required, what is lost is exactly what lay in the cells that became land."""
    values = random_field(*GLOBAL, dry=0.5)
    every, some = (conservative(dataset(*GLOBAL, values), {"resolution": 30.0}, least=least) for least in (0.0, 0.5))
    kept = some.thetao.notnull()
    assert 0 < int(kept.sum()) < kept.size
    np.testing.assert_array_equal(some.thetao.where(kept), every.thetao.where(kept))
    share = wet_fraction(dataset(*GLOBAL, values).thetao, {"resolution": 30.0})
    np.testing.assert_array_equal(kept, share >= 0.5)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_uniform_field_stays_uniform_and_land_never_bleeds_in(dtype):
    values = np.where(random_field(*GLOBAL, levels=(2,)) > 0, 17.3, np.nan).astype(dtype)
    out = conservative(dataset(*GLOBAL, values, depth=[0.5, 10.0]), {"resolution": 7.5}, least=0).thetao.values
    np.testing.assert_allclose(out[np.isfinite(out)], np.array(17.3, dtype), rtol=4 * np.finfo("f8").eps)


def test_the_same_grid_changes_nothing():
    for dtype in ("f4", "f8"):
        values = random_field(*GLOBAL, levels=(2,)).astype(dtype)
        ds = dataset(*GLOBAL, values, depth=[0.5, 10.0])
        np.testing.assert_allclose(conservative(ds, ds).thetao, values, rtol=1e-15)
    # float32 coordinates are off by rounding, and still the same grid
    fine = (np.arange(40, 50, 1 / 12), np.arange(-170, -150, 1 / 12))
    values = random_field(*fine)
    rounded = dataset(*(axis.astype("f4") for axis in fine), values)
    np.testing.assert_allclose(conservative(rounded, dataset(*fine, values)).thetao, values, rtol=1e-14)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_it_is_linear_in_the_field(a, b, seed):
    made = weights(*GLOBAL, {"resolution": 22.5})
    f, g = random_field(*GLOBAL, seed), random_field(*GLOBAL, seed + 1, dry=0)
    together = means(a * f + b * g, made)
    np.testing.assert_allclose(together, a * means(f, made) + b * means(np.where(np.isnan(f), np.nan, g), made),
                               rtol=1e-9, atol=1e-9 * (1 + abs(a) + abs(b)))  # fmt: skip


@given(st.integers(0, 999))
@settings(deadline=None, max_examples=20)
def test_no_value_lies_outside_those_it_is_made_of(seed):
    values = random_field(*GLOBAL, seed).astype("f4")
    out = means(values, weights(*GLOBAL, {"resolution": 6.0, "placed": "nodes"}), least=0.0)
    assert np.nanmin(out) >= np.nanmin(values)
    assert np.nanmax(out) <= np.nanmax(values)


def test_chunked_is_whole_and_threads_change_nothing():
    values = random_field(*GLOBAL, levels=(4, 3)).astype("f4")
    time = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    ds = dataset(*GLOBAL, values, depth=[0.5, 10.0, 30.0], time=time)
    whole = conservative(ds, {"resolution": 22.5}, threads=1)
    lazy = conservative(ds.chunk(time=1, depth=2, latitude=5, longitude=7), {"resolution": 22.5})
    assert lazy.chunks["time"] == (1, 1, 1, 1)
    xr.testing.assert_identical(lazy.compute(), whole)
    xr.testing.assert_identical(conservative(ds, {"resolution": 22.5}, threads=4), whole)


def test_many_threads_may_regrid_at_once():
    fields = [random_field(*GLOBAL, seed) for seed in range(16)]
    made = weights(*GLOBAL, {"resolution": 22.5})
    expected, got = [means(f, made) for f in fields], [None] * len(fields)

    def work(n):
        for _ in range(20):
            got[n] = means(fields[n], made)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(fields))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_target_cell_half_outside_the_source_counts_only_what_is_covered():
    ds = dataset([0.5, 1.5], [0.5, 1.5, 2.5], np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))
    grid = {"latitude": [0.5, 1.5, 1.0], "longitude": [1.0, 5.0, 2.0]}
    out = conservative(ds, grid, least=0.5).thetao.values
    np.testing.assert_allclose(out, [[1.5, 3.0, np.nan], [1.5, 3.0, np.nan]])  # the middle cell is covered by half
    assert np.isnan(conservative(ds, grid, least=0.6).thetao.values[:, 1]).all()


def test_names_attributes_order_and_coordinates():
    values = random_field(*GLOBAL, levels=(2, 2))
    time = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    ds = dataset(*GLOBAL, values, depth=[0.5, 10.0], time=time)
    ds["thetao"].attrs["cell_methods"] = "time: mean"
    ds["age"] = ("time", [1.0, 2.0])
    ds = grids.complete(ds.assign(uo=ds.thetao.transpose("longitude", "time", "latitude", "depth")))
    ds["latitude"].attrs["bounds"] = "latitude_bnds"
    ds = ds.assign_coords(latitude_bnds=(("latitude", "bnds"), np.zeros((12, 2))))
    out = conservative(ds, {"resolution": 30.0}, wet_fraction=True)
    assert out.thetao.dims == ds.thetao.dims
    assert out.uo.dims == ds.uo.dims
    xr.testing.assert_allclose(out.uo.transpose(*out.thetao.dims).variable, out.thetao.variable)
    assert out.attrs == {"title": "kept"}
    assert out.thetao.attrs == {"units": "degrees_C", "cell_methods": "time: mean area: mean"}
    assert out.age.identical(ds.age.assign_coords())
    assert "latitude_bnds" not in out.variables
    assert out.latitude.attrs["standard_name"] == "latitude"
    np.testing.assert_allclose(out.cell_area, grids.area(out.latitude, out.longitude))
    np.testing.assert_array_equal(out.mask, wet_fraction(ds.mask, {"resolution": 30.0}) >= 0.5)
    assert out.mask.dtype == np.int8
    np.testing.assert_array_equal(out.wet_fraction >= 0.5, out.mask == 1)
    assert out.wet_fraction.attrs["standard_name"] == "sea_area_fraction"
    assert (float(out.wet_fraction.max()), float(out.wet_fraction.min())) <= (1.0 + 1e-12, 1.0)
    grids.same_grid(
        out, xr.Dataset(coords=dict(zip(("latitude", "longitude"), Grid(resolution=30.0).axes(), strict=True)))
    )


def test_arrays_of_any_order_bytes_and_type():
    values = np.random.default_rng(0).integers(0, 99, (2, 12, 18)).astype("f4")
    made = weights(*GLOBAL, {"resolution": 22.5})
    expected = means(values, made)
    assert means(values.astype(">f4"), made).dtype == np.float32
    for other in (values.astype(">f4"), values.astype("i2"), values.astype("f8"), np.asfortranarray(values)):
        np.testing.assert_allclose(means(other, made), expected, rtol=1e-6)
    turned = dataset(GLOBAL[0], GLOBAL[1] + 180.0, np.roll(values, 9, axis=-1))  # 10 to 350 in place of -170 to 170
    np.testing.assert_allclose(conservative(turned, {"resolution": 22.5}).thetao, expected, rtol=1e-6)


def test_a_closed_form_next_to_the_pole():
    """The mean of sin(latitude) over a cap is the mean of its sines at the edges; a cosine weight would miss it."""
    edges = np.linspace(60, 90, 61)
    exact = (np.sin(np.radians(edges[1:])) + np.sin(np.radians(edges[:-1]))) / 2  # of each thin row
    centres = (edges[1:] + edges[:-1]) / 2
    longitude = np.arange(-175.0, 180, 10)
    ds = dataset(centres, longitude, np.repeat(exact[:, None], longitude.size, axis=1))
    out = conservative(ds, {"latitude": [65, 85, 10], "longitude": [-180, 150, 30]})
    expected = [(np.sin(np.radians(low)) + np.sin(np.radians(low + 10))) / 2 for low in (60, 70, 80)]
    np.testing.assert_allclose(out.thetao, np.repeat(np.array(expected)[:, None], 12, axis=1), rtol=1e-13)


def test_xarray_regrid_agrees_where_its_weights_are_exact():
    """It weighs rows by the cosine of latitude, so the two agree where that hardly changes within a cell."""
    pytest.importorskip("xarray_regrid")
    latitude, longitude = np.arange(-9.875, 10, 0.25), np.arange(-19.875, 20, 0.25)
    values = random_field(latitude, longitude, dry=0.0)
    target = xr.Dataset(coords={"latitude": np.arange(-7.5, 8, 1.5), "longitude": np.arange(-15.0, 16, 1.5)})
    ds = dataset(latitude, longitude, values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ds.regrid.conservative(target, latitude_coord="latitude", skipna=True)
    np.testing.assert_allclose(
        conservative(ds, target).thetao, theirs.thetao.transpose("latitude", "longitude"), atol=1e-4
    )


# Grids and weights


@pytest.mark.parametrize(
    ("given", "rows", "columns", "south", "west"),
    [
        ({"resolution": 1.5}, 120, 240, -89.25, -179.25),
        ({"resolution": 0.5, "placed": "nodes"}, 361, 720, -90.0, -180.0),
        ({"latitude": [-78, 89.75, 0.25], "longitude": [-180, 179.75, 0.25]}, 672, 1440, -78.0, -180.0),
        ({"resolution": 1, "latitude": [-79.5, 89.5, 1]}, 170, 360, -79.5, -179.5),
        ({"latitude": [-80, 90, 0.0833333], "longitude": [-180, 179.916667, 0.0833333]}, 2041, 4320, -80.0, -180.0),
    ],
)
def test_published_grids(given, rows, columns, south, west):
    latitude, longitude = Grid.parse(given).axes()
    assert (latitude.size, longitude.size, latitude[0], longitude[0]) == (rows, columns, south, west)
    assert np.ptp(np.diff(latitude)) < 1e-9
    assert grids.is_periodic(xr.DataArray(longitude, dims="longitude"))


def test_a_grid_like_a_store(tmp_path):
    ds = dataset(*GLOBAL, random_field(*GLOBAL))
    ds.to_zarr(tmp_path / "a.zarr", consolidated=False)
    ds.rename(latitude="lat", longitude="lon").sortby("lat", ascending=False).to_netcdf(tmp_path / "a.nc")
    for name in ("a.zarr", "a.nc"):
        for found, expected in zip(Grid(like=str(tmp_path / name)).axes(), GLOBAL, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no target grid; give resolution"),
        ({"resolution": 0.7}, "does not divide 180 degrees evenly"),
        ({"resolution": -1}, "greater than 0"),
        ({"resolution": 1, "like": "x.zarr"}, "like says the whole grid"),
        ({"resolution": 1, "latitude": [10, 0, 1]}, r"latitude \[10.0, 0.0, 1.0\]: expected \[first, last, step\]"),
        ({"resolution": 1, "longitude": [170, 190, 1]}, r"expected within \[-180, 180\)"),
        ({"resolution": 1, "latitude": [0, 10, 0.3]}, "a whole number of steps"),
        ({"latitude": [0, 10, 1]}, "no target grid"),
        ({"resolutoin": 1}, "did you mean 'resolution'"),
    ],
)
def test_grids_that_are_none_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        Grid.parse(given, "grid")


def test_what_cannot_be_regridded_is_refused(tmp_path):
    ds = dataset(*GLOBAL, random_field(*GLOBAL))
    cases = [
        (ds, {"resolution": 30.0}, {"least": 1.5}, "least: found 1.5"),
        (ds.isel(latitude=slice(None, None, -1)), {"resolution": 30.0}, {}, "latitude: expected ascending"),
        (ds.assign(zonal=("latitude", GLOBAL[0])), {"resolution": 30.0}, {}, "zonal: has latitude without longitude"),
        (ds.rename(latitude="y"), {"resolution": 30.0}, {}, "latitude: no such coordinate"),
        (ds.isel(latitude=slice(0, 2)), {"latitude": [50, 60, 1], "resolution": 1}, {}, "nothing in common"),
        (ds.isel(latitude=[0], longitude=[0]), {"resolution": 30.0}, {}, "a single point"),
        (ds.astype(str), {"resolution": 30.0}, {}, "thetao: found values of type <U"),
        (ds, 30.0, {}, "found float; expected a mapping"),
        (ds, {"like": str(tmp_path / "no.zarr")}, {}, "no such file or store"),
        (
            dataset(GLOBAL[0], np.linspace(-180, 180, 19), np.zeros((12, 19))),
            {"resolution": 30.0},
            {},
            "more than once",
        ),
    ]
    for given_ds, grid, arguments, said in cases:
        with pytest.raises(InputError, match=said):
            conservative(given_ds, grid, **arguments)
    with pytest.raises(InputError, match="latitude: is not the one that the weights are for"):
        conservative(ds.assign_coords(latitude=GLOBAL[0] + 1), weights(*GLOBAL, {"resolution": 30.0}))
    with pytest.raises(InputError, match=r"the weights are for \(12, 18\)"):
        means(np.zeros((3, 3)), weights(*GLOBAL, {"resolution": 30.0}))


def test_weights_are_stored_once_and_belong_to_their_grids(tmp_path):
    path, grid = tmp_path / "weights.npz", Grid(resolution=30.0)
    made = kept_weights(*GLOBAL, grid, path)
    written = path.stat().st_mtime_ns
    held = Weights.load(path)
    values = random_field(*GLOBAL)
    np.testing.assert_array_equal(means(values, held), means(values, weights(*GLOBAL, grid)))
    np.testing.assert_array_equal(means(values, held), means(values, made))
    kept_weights(*GLOBAL, grid, path)
    assert path.stat().st_mtime_ns == written
    assert [p.name for p in tmp_path.iterdir()] == ["weights.npz"]
    with pytest.raises(InputError, match="weights for another target grid"):
        kept_weights(*GLOBAL, Grid(resolution=15.0), path)
    with pytest.raises(InputError, match="weights for another source grid"):
        kept_weights(GLOBAL[0] + 1, GLOBAL[1], grid, path)
    for content in (b"nothing", path.read_bytes()[:100]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npz: not weights"):
            Weights.load(tmp_path / "bad.npz")
    with pytest.raises(InputError, match=r"no\.npz: no such file"):
        Weights.load(tmp_path / "no.npz")
    with pytest.raises(InputError, match="does not exist; make it first"):
        made.save(tmp_path / "no" / "w.npz")


def test_a_grid_is_a_config():
    assert issubclass(Grid, Config)
    assert Grid.parse(Grid(resolution=0.5).dump()) == Grid(resolution=0.5)
