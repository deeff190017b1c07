"""Density against gsw, mixed layers of profiles that are known, currents of slopes that are known."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import derived
from oceanx.ocean.derived import density, geostrophic_velocity, mixed_layer_depth
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY, ROTATION
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

DEPTH = np.array([0.494, 5.0, 12.0, 25.0, 50.0, 100.0, 300.0, 800.0])


def columns(thetao, so, depth=DEPTH, latitude=(40.0, 41.0), longitude=(-30.0, -29.0)):
    shape = (1, len(depth), len(latitude), len(longitude))
    dims = ("time", "depth", "latitude", "longitude")
    return xr.Dataset(
        {
            name: (dims, np.broadcast_to(np.reshape(values, (1, -1, 1, 1)), shape).copy(), VARIABLES[name].attrs)
            for name, values in (("thetao", thetao), ("so", so))
        },
        coords={"time": [0], "depth": depth, "latitude": list(latitude), "longitude": list(longitude)},
        attrs={"title": "columns"},
    )


def random_ocean(seed=0, latitude=(-60.0, 0.0, 55.0, 57.0), longitude=(-170.0, -20.0, 19.0, 140.0)):
    """Places far apart, the Baltic among them, where salinity is another function."""
    rng = np.random.default_rng(seed)
    shape = (3, len(DEPTH), len(latitude), len(longitude))
    dims = ("time", "depth", "latitude", "longitude")
    ds = xr.Dataset(
        {
            "thetao": (dims, rng.uniform(-1.5, 28, shape).astype("f4"), VARIABLES["thetao"].attrs),
            "so": (dims, rng.uniform(5, 37, shape).astype("f4"), VARIABLES["so"].attrs),
        },
        coords={"time": range(3), "depth": DEPTH, "latitude": list(latitude), "longitude": list(longitude)},
    )
    ds["thetao"][:, 5:, 0, 0] = np.nan
    ds["so"][:, :, 1, 1] = np.nan
    return ds


@pytest.mark.parametrize("kind", ["sigma0", "rho"])
def test_density_is_teos10s_everywhere(kind):
    ds = random_ocean()
    found = density(ds, kind)
    depth, latitude = DEPTH[:, None, None], np.array(ds["latitude"])[None, :, None]
    pressure = gsw.p_from_z(-depth, latitude)
    SA = gsw.SA_from_SP(ds["so"].values.astype("f8"), pressure, ds["longitude"].values, latitude)
    CT = gsw.CT_from_pt(SA, ds["thetao"].values.astype("f8"))
    expected = gsw.sigma0(SA, CT) if kind == "sigma0" else gsw.rho(SA, CT, pressure)
    np.testing.assert_allclose(found, expected.astype("f4"), rtol=2e-7)
    np.testing.assert_array_equal(found.isnull(), np.isnan(expected))
    assert found.dims == ds["thetao"].dims
    assert VARIABLES[kind].attrs.items() <= found.attrs.items()
    exact = density(ds.astype("f8"), kind)
    np.testing.assert_allclose(exact, expected, rtol=1e-12)


def test_density_has_the_published_check_value():
    # TEOS-10's check cast at the surface: SP 34.30628739, t = θ = 27.962 at p = 0, 11 N 142 E.
    ds = columns([27.962], [34.30628739], depth=np.array([0.0]), latitude=(11.0, 12.0), longitude=(142.0, 143.0))
    assert float(density(ds, "rho")[0, 0, 0, 0]) == pytest.approx(1021.88630445, abs=1e-5)
    assert float(density(ds, "sigma0")[0, 0, 0, 0]) == pytest.approx(21.88630445, abs=1e-5)


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": 2, "depth": 3, "latitude": 1}])
def test_chunked_equals_whole(chunks):
    ds = random_ocean()
    ds["zos"] = ds["thetao"][:, 0].assign_attrs(VARIABLES["zos"].attrs)
    for make in (density, mixed_layer_depth, lambda ds: mixed_layer_depth(ds, method="oceanbench")):
        lazy = make(ds.chunk(chunks))
        assert lazy.chunks
        xr.testing.assert_identical(lazy.compute(), make(ds))
    xr.testing.assert_identical(geostrophic_velocity(ds.chunk(chunks)).compute(), geostrophic_velocity(ds))


def sigma(ds):
    return density(ds.astype("f8"))[0, :, 0, 0].values


def test_a_mixed_layer_ends_where_interpolated_density_has_risen():
    ds = columns([18, 18, 18, 17.9, 15, 12, 8, 5], np.full(8, 35.0))
    rho = sigma(ds)
    limit = np.interp(10.0, DEPTH, rho) + 0.03
    # On the only interval where the profile passes the limit, the depth is the inverse of linear interpolation.
    above = np.flatnonzero(rho < limit).max()
    expected = np.interp(limit, rho[above : above + 2], DEPTH[above : above + 2])
    found = mixed_layer_depth(ds)
    assert float(found[0, 0, 0]) == pytest.approx(expected, rel=1e-9)
    assert found.dims == ("time", "latitude", "longitude")
    assert found.name == "mlotst"
    assert VARIABLES["mlotst"].attrs.items() <= found.attrs.items()


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 0.5), st.floats(11.0, 700.0), st.floats(0.005, 0.03))
def test_a_linear_rise_of_density_is_found_at_its_depth(threshold, start, slope):
    """σ = σ0 down to `start`, then rising by `slope` per metre, on levels fine enough to hold the corner."""
    depth = np.concatenate([np.linspace(0.5, start, 30), start + np.linspace(1, 120, 60)])
    rho = (20 + slope * np.maximum(depth - start, 0.0))[None]
    found = derived._crossing(np.ascontiguousarray(rho), depth, threshold, 10.0)
    assert found[0] == pytest.approx(start + threshold / slope, abs=1e-6 * start + 1e-6)


def test_columns_without_a_crossing_end_at_their_deepest_level():
    uniform = columns(np.full(8, 10.0), np.full(8, 35.0))
    uniform["thetao"][:, 6:, 0, 0] = np.nan  # down to 100 m
    uniform["thetao"][:, 1:, 0, 1] = np.nan  # a shoal shallower than the reference depth
    uniform["thetao"][:, :, 1, 0] = np.nan  # land
    found = mixed_layer_depth(uniform)[0].values
    np.testing.assert_allclose(found, [[100.0, 0.494], [np.nan, 800.0]])
    bench = mixed_layer_depth(uniform, method="oceanbench")[0].values
    np.testing.assert_allclose(bench[0, 0], 100.0)
    assert np.isnan(bench[1, 0])


def test_unstable_above_the_reference_depth_does_not_matter():
    """What lies above 10 m, however light, is not looked at."""
    ds = columns([18, 18, 18, 17.9, 15, 12, 8, 5], np.full(8, 35.0))
    fresh = ds.copy(deep=True)
    fresh["so"][:, 0] = 30.0
    xr.testing.assert_equal(mixed_layer_depth(ds), mixed_layer_depth(fresh))
    assert float(mixed_layer_depth(fresh, method="oceanbench")[0, 0, 0]) == 5.0


def test_oceanbench_takes_the_first_denser_level_uninterpolated():
    ds = columns([18, 18, 17.98, 17.9, 15, 12, 8, 5], np.full(8, 35.0))
    SA = gsw.SA_from_SP(35.0, DEPTH, -30.0, 40.0)
    rho = gsw.sigma0(SA, gsw.CT_from_t(SA, ds["thetao"][0, :, 0, 0].values, DEPTH))
    assert float(mixed_layer_depth(ds, method="oceanbench")[0, 0, 0]) == DEPTH[np.argmax(rho > rho[0] + 0.03)]
    deep = columns(np.full(8, 10.0), np.full(8, 35.0))
    assert float(mixed_layer_depth(deep, method="oceanbench")[0, 0, 0]) == 300.0  # the next level is beyond 600 m


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_the_oceanbench_layer_is_that_of_a_plain_loop(kind):
    """Column by column and level by level, with gsw's exact potential density, depth for pressure and θ for t."""
    ds = random_ocean(seed=3).astype(kind)
    ds["thetao"] = ds["thetao"].clip(5, 5.3) - 0.02 * ds["depth"] / 100  # nearly mixed, so that many levels are found
    ds["so"] = 35 + 0.01 * (ds["so"] - 20) / 20
    found = mixed_layer_depth(ds, method="oceanbench")
    seen = set()
    for t in range(3):
        for i, lat in enumerate(ds["latitude"].values):
            for j, lon in enumerate(ds["longitude"].values):
                T, S = (ds[n][t, :, i, j].values.astype(float) for n in ("thetao", "so"))
                expected, top = np.nan, None
                for k, z in enumerate(DEPTH):
                    if z > 600 or np.isnan(T[k]) or np.isnan(S[k]):
                        continue
                    SA = gsw.SA_from_SP(S[k], z, lon, lat)
                    rho = gsw.pot_rho_t_exact(SA, T[k], z, 0)
                    top = rho if k == 0 else top
                    if top is None:
                        break
                    expected = z
                    if rho - top >= 0.03:
                        break
                np.testing.assert_equal(float(found[t, i, j]), float(np.dtype(kind).type(expected)))
                seen.add(expected)
    assert len(seen) > 4


# Geostrophy


def sea_level(height, latitude, longitude):
    lat, lon = xr.DataArray(latitude, dims="latitude"), xr.DataArray(longitude, dims="longitude")
    values = height(lat, lon).transpose("latitude", "longitude").expand_dims(time=[0])
    return xr.Dataset(
        {"zos": values.assign_attrs(VARIABLES["zos"].attrs)}, coords={"latitude": latitude, "longitude": longitude}
    )


def coriolis(latitude):
    return 2 * ROTATION * np.sin(np.deg2rad(latitude))


def test_a_plane_surface_gives_exact_currents():
    latitude, longitude = np.array([20.0, 20.5, 22.0, 25.0, 30.0]), np.array([-10.0, -9.0, -8.5, -5.0])
    ds = sea_level(lambda lat, lon: 0.01 * lat - 0.02 * lon, latitude, longitude)
    found = geostrophic_velocity(ds)
    per_degree = np.deg2rad(1) * EARTH_RADIUS
    f = coriolis(latitude)[:, None]
    u = -GRAVITY / f * 0.01 / per_degree
    v = GRAVITY / f * -0.02 / (per_degree * np.cos(np.deg2rad(latitude))[:, None])
    np.testing.assert_allclose(found["ugos"][0], np.broadcast_to(u, (5, 4)), rtol=1e-10)
    np.testing.assert_allclose(found["vgos"][0], np.broadcast_to(v, (5, 4)), rtol=1e-10)
    for name in ("ugos", "vgos"):
        assert VARIABLES[name].attrs.items() <= found[name].attrs.items()
        assert found[name].dims == ("time", "latitude", "longitude")


def test_solid_rotation_is_found_again_to_second_order():
    """A zonal flow u = U cos φ is balanced by η = −(Ω a U / g) sin² φ."""
    errors = []
    for step in (2.0, 1.0, 0.5):
        latitude, longitude = np.arange(-70, 70 + step / 2, step), np.arange(-180, 180, step)
        ds = sea_level(
            lambda lat, lon: -ROTATION * EARTH_RADIUS * 0.5 / GRAVITY * np.sin(np.deg2rad(lat)) ** 2 + 0 * lon,
            latitude,
            longitude,
        )
        found = geostrophic_velocity(ds).isel(latitude=slice(1, -1))
        away = np.abs(found["latitude"]) >= 5
        expected = 0.5 * np.cos(np.deg2rad(found["latitude"]))
        errors.append(float(np.abs(found["ugos"] - expected).where(away).max()))
        assert float(np.abs(found["vgos"]).max()) < 1e-12
        assert bool(found["ugos"].isnull().where(~away, True).all())
        assert bool(found["ugos"].notnull().where(away, True).all())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.05)


@given(st.integers(0, 23))
def test_a_periodic_grid_has_no_beginning(shift):
    latitude, longitude = np.array([40.0, 45.0, 50.0]), np.arange(-180.0, 180, 15)
    waves = lambda lat, lon: np.cos(np.deg2rad(2 * lon)) * (1 + 0.1 * lat)  # noqa: E731
    found = geostrophic_velocity(sea_level(waves, latitude, longitude))["vgos"].values
    moved = geostrophic_velocity(sea_level(lambda lat, lon: waves(lat, lon + 15.0 * shift), latitude, longitude))[
        "vgos"
    ].values
    np.testing.assert_allclose(moved, np.roll(found, -shift, axis=-1), atol=1e-12)


def test_slopes_at_coasts_use_wet_cells_only():
    latitude, longitude = np.arange(30.0, 35), np.arange(0.0, 6)
    plane = sea_level(lambda lat, lon: 0.01 * lat + 0.03 * lon, latitude, longitude)
    full = geostrophic_velocity(plane)
    plane["zos"][0, 2, 2] = plane["zos"][0, 0, 4] = plane["zos"][0, 0, 2] = np.nan
    coast = geostrophic_velocity(plane)
    # On a plane one-sided differences are exact as well, so the land changes nothing beside it.
    for name in ("ugos", "vgos"):
        np.testing.assert_allclose(coast[name].where(full[name].notnull()), full[name].where(coast[name].notnull()))
        assert coast[name].isnull()[0, 2, 2]
    alone = coast.isel(time=0, latitude=0, longitude=3)  # land to the east and west
    assert np.isnan(alone["vgos"])
    assert np.isfinite(alone["ugos"])


def test_bad_input_is_named():
    ds = random_ocean()
    with pytest.raises(InputError, match="density: needs the variable so"):
        density(ds.drop_vars("so"))
    with pytest.raises(InputError, match="found kind 'sigma2'"):
        density(ds, "sigma2")
    with pytest.raises(InputError, match="depth must ascend"):
        density(ds.isel(depth=slice(None, None, -1)))
    with pytest.raises(InputError, match="no dimension 'depth'"):
        mixed_layer_depth(ds.isel(depth=0))
    with pytest.raises(InputError, match="method 'mean'"):
        mixed_layer_depth(ds, method="mean")
    with pytest.raises(InputError, match="threshold=-1"):
        mixed_layer_depth(ds, threshold=-1)
    with pytest.raises(InputError, match="needs the variable zos"):
        geostrophic_velocity(ds)
    plane = sea_level(lambda lat, lon: lat + lon, np.array([30.0, 31]), np.array([3.0, 4]))
    with pytest.raises(InputError, match="equator=95"):
        geostrophic_velocity(plane, equator=95)
    with pytest.raises(InputError, match="longitude has 1 values"):
        geostrophic_velocity(plane.isel(longitude=[0]))


@pytest.mark.real
def test_real_currents_of_the_gulf_stream_are_nearly_geostrophic(real):
    ds = xr.open_dataset(real("glorys/glorys12_gulfstream_19930101-02.nc")).load()
    found = geostrophic_velocity(ds)
    for ours, theirs in (("ugos", "uo"), ("vgos", "vo")):
        a, b = found[ours].values.ravel(), ds[theirs].isel(depth=0).values.ravel()
        assert np.corrcoef(a, b)[0, 1] > 0.95
