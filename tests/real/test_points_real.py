"""Real observation files: what is read equals netCDF4 alone and gsw, datum by datum."""

from __future__ import annotations

import json

import gsw
import netCDF4
import numpy as np
import pytest
import xarray as xr

from oceanx.data.readers import argo, class4, drifter
from oceanx.data.recipe import load_recipe
from oceanx.data.shelf import catalog
from oceanx.data.shelf.stores import open_store
from oceanx.data.writing import points
from oceanx.ocean.flags import decoded
from oceanx.ocean.observations import CODES, check, concatenate, rejections, select
from oceanx.ocean.observing.quality import Quality, check_table, counts
from oceanx.ocean.wide import from_wide, to_wide
from oceanx.vocabulary.errors import InputError

pytestmark = pytest.mark.real

DELAYED = "obs/argo_5900865_prof.nc"
REAL_TIME = "obs/argo_13857_prof.nc"
CLASS4 = "obs/class4_20200101_GIOPS_TEST_profile_obs000-049.nc"
IN_SITU = "obs/insitu_drifter_2300691.nc"
POSITIONS = "obs/barents_drifters_2022.nc"
EDDIES = ("obs/Anticyclonic_20160515.nc", "obs/Cyclonic_20160515.nc")


def baked(recipe, paths, to, **changes):
    points.write(load_recipe(recipe, changes), paths, to)
    ds = open_store(to).load()
    check(ds)
    xr.testing.assert_identical(from_wide(to_wide(ds)), ds)
    return ds


def good_levels(path, suffix, names):
    """(profile, level) where netCDF4 finds a value and all flags are 1 or 2."""
    with netCDF4.Dataset(path) as nc:
        nc.set_auto_maskandscale(False)
        return np.logical_and.reduce([np.isin(nc[f"{n}{suffix}_QC"][...], [b"1", b"2"]) for n in names])


def test_argo_in_delayed_mode(real, tmp_path):
    path = real(DELAYED)
    ds = baked("argo", [path], tmp_path / "a.zarr")
    with netCDF4.Dataset(path) as nc:
        p, t, s = (nc[f"{n}_ADJUSTED"][...].filled(np.nan) for n in ("PRES", "TEMP", "PSAL"))
        error = nc["TEMP_ADJUSTED_ERROR"][...].filled(np.nan)
        lat, lon = (np.broadcast_to(nc[n][...][:, None], p.shape) for n in ("LATITUDE", "LONGITUDE"))
        days = np.broadcast_to(nc["JULD"][...][:, None], p.shape)
    good = good_levels(path, "_ADJUSTED", ("PRES", "TEMP"))
    assert good.sum() == 5667
    theta = gsw.pt0_from_t(gsw.SA_from_SP(s, p, lon, lat), t, p)[good]
    found, salt = select(ds, variable="thetao"), select(ds, variable="so")
    assert found.sizes["obs"] == salt.sizes["obs"] == 5667
    order = np.argsort(days[good], kind="stable")
    np.testing.assert_array_equal(found.value, theta[order].astype("f4"))
    np.testing.assert_array_equal(salt.value, s[good_levels(path, "_ADJUSTED", ("PRES", "PSAL"))][order])
    np.testing.assert_array_equal(found.depth, -gsw.z_from_p(p, lat)[good][order].astype("f4"))
    np.testing.assert_array_equal(found.latitude, lat[good][order])
    np.testing.assert_array_equal(found.longitude, lon[good][order])
    np.testing.assert_array_equal(found.error_std, error[good][order])
    since = (found.time.values - np.datetime64("1950-01-01")) / np.timedelta64(1, "ms")
    np.testing.assert_allclose(since, days[good][order] * 86400e3, rtol=0, atol=1)
    assert rejections(ds.attrs) == {"5900865": {"thetao value_flag_4": 13, "so value_flag_4": 13}}
    assert len(np.unique(ds.feature)) == to_wide(ds).sizes["profile"] == 80
    # Potential temperature is colder than in situ, by 0.09 to 0.17 °C at 1000 to 2000 m.
    deep = (t[good][order] - found.value)[found.depth > 1000]
    assert 0.07 < float(deep.min()) < float(deep.max()) < 0.2


def test_argo_in_real_time_without_salinity(real, tmp_path):
    path = real(REAL_TIME)
    ds = baked("argo", [path], tmp_path / "a.zarr")
    with netCDF4.Dataset(path) as nc:
        p, t = (nc[n][...].filled(np.nan).astype("f8") for n in ("PRES", "TEMP"))
        lat, lon = (np.broadcast_to(nc[n][...][:, None], p.shape) for n in ("LATITUDE", "LONGITUDE"))
        days = np.broadcast_to(nc["JULD"][...][:, None], p.shape)
    good = good_levels(path, "", ("PRES", "TEMP"))
    order = np.argsort(days[good], kind="stable")
    assert ds.sizes["obs"] == good.sum() == 14148
    theta = gsw.pt0_from_t(gsw.SA_from_SP(35.0, p, lon, lat), t, p)[good][order]
    np.testing.assert_array_equal(ds.value, theta.astype("f4"))
    assert set(decoded(ds.variable).values) == {"thetao"}
    assert rejections(ds.attrs) == {"13857": {"thetao value_flag_3": 7}}
    assert 0.02 <= float(ds.error_std.min()) < float(ds.error_std.max()) < 0.0201
    left = argo.read(path)
    assert left.sizes["obs"] == 0
    assert rejections(left.attrs)["13857"] == {"thetao no_salinity": 14148, "thetao value_flag_3": 7}
    assert argo.read(path, salinity=35.0, real_time=False).sizes["obs"] == 0


def test_both_floats_in_one_store(real, tmp_path):
    ds = baked("argo", [real(DELAYED), real(REAL_TIME)], tmp_path / "a.zarr")
    assert ds.sizes["obs"] == 2 * 5667 + 14148
    assert select(ds, platform="13857").sizes["obs"] == 14148
    assert json.loads(ds.attrs["rejected_total"]) == {"value_flag_4": 26, "value_flag_3": 7}


def test_stores_of_floats_and_drifters_open_as_one_table_of_which_none_is_rejected(real, tmp_path):
    files = (("argo", DELAYED), ("argo", REAL_TIME), ("drifter", IN_SITU))
    parts = [baked(recipe, [real(file)], tmp_path / f"{k}.zarr") for k, (recipe, file) in enumerate(files)]
    ds = catalog.open(*(tmp_path / f"{k}.zarr" for k in range(3)))
    xr.testing.assert_equal(ds.load(), concatenate(parts))
    found = counts(check_table(ds, None, Quality()))
    assert list(found) == ["good"]
    assert found["good"].to_dict() == {
        ("13857", "thetao"): 14148, ("5900865", "so"): 5667, ("5900865", "thetao"): 5667,
        **{("2300691", name): 1021 for name in ("thetao", "uo", "vo")},
    }  # fmt: skip


def test_of_casts_that_a_float_delivers_twice_one_is_kept(real):
    ds = class4.read(real(CLASS4))
    made = check_table(ds, None, Quality(tests=("nearly_repeated",)))
    again = np.zeros(ds.sizes["obs"], bool)
    held = {n: ds[n].values for n in ("platform", "feature", "variable", "depth", "time", "latitude", "longitude")}
    for feature in np.unique(held["feature"]):
        mine = held["feature"] == feature
        others = (held["platform"] == held["platform"][mine][0]) & ~mine & (held["time"] == held["time"][mine][0])
        beside = np.unique(held["feature"][others])
        if not beside.size or (others.sum(), beside[0] < feature) < (mine.sum(), True):
            continue
        assert beside.size == 1
        for variable in np.unique(held["variable"][mine]):
            there = held["depth"][others & (held["variable"] == variable)]
            which = mine & (held["variable"] == variable)
            if there.size:
                again |= which & (held["depth"] >= there.min()) & (held["depth"] <= there.max())
    assert again.sum() > 1000
    np.testing.assert_array_equal(made.qc.values == CODES["nearly_repeated"], again)


def test_class4(real, tmp_path):
    path = real(CLASS4)
    ds = baked("class4", [path], tmp_path / "c.zarr")
    with netCDF4.Dataset(path) as nc:
        fields = {n: np.ma.filled(nc[n][...], np.nan) for n in ("observation", "qc", "forecast", "persistence",
                  "climatology", "best_estimate", "nrt_analysis")}  # fmt: skip
        depth = np.ma.filled(nc["depth"][...], np.nan)
        seconds = np.ma.filled(nc["juld"][...])
    by_time = np.argsort(seconds, kind="stable")
    for k, (name, count) in enumerate((("thetao", 3841), ("so", 3403))):
        mine = select(ds, variable=name)
        good = (fields["qc"][by_time, k] == 0) & np.isfinite(fields["observation"][by_time, k])
        assert mine.sizes["obs"] == good.sum() == count
        for column, theirs in (("value", "observation"), ("climatology", "climatology"), ("nrt_analysis",) * 2,
                               ("best_estimate",) * 2):  # fmt: skip
            np.testing.assert_array_equal(mine[column], fields[theirs][by_time, k][good])
        for column in ("forecast", "persistence"):
            ahead = fields[column][by_time, k].transpose(0, 2, 1)[good]
            np.testing.assert_array_equal(mine[column], ahead)
        np.testing.assert_array_equal(mine.depth, depth[by_time][good])
    assert (ds.lead_time.values / np.timedelta64(1, "D")).tolist() == list(range(10))
    t = select(ds, variable="thetao")
    error = float(np.sqrt(((t.forecast[:, 0] - t.value) ** 2).mean()))
    assert round(error, 3) == 0.741  # worked out beforehand with netCDF4 and numpy
    whole = class4.read_class4(path)
    assert whole.sizes["obs"] == np.isfinite(fields["observation"]).sum() == 7844
    assert len(np.unique(decoded(whole.platform))) == 37
    assert to_wide(whole).sizes["profile"] == 50


def test_class4_observations_are_in_situ_and_its_best_estimate_potential(real):
    """Below 1000 m the best estimate is nearer to observations made potential, the forecast to those as delivered."""
    rms = {}
    for made in ((), ("observation",)):
        t = select(class4.read(real(CLASS4), in_situ=made), variable="thetao")
        t = t.isel(obs=np.flatnonzero(t.depth > 1000))
        for name in ("best_estimate", "forecast"):
            beside = t[name][:, 0] if name == "forecast" else t[name]
            rms[name, bool(made)] = float(np.sqrt(((beside - t.value) ** 2).mean()))
    assert rms["best_estimate", True] < 0.7 * rms["best_estimate", False]
    assert rms["forecast", False] < 0.8 * rms["forecast", True]


def test_in_situ_drifter(real, tmp_path):
    path = real(IN_SITU)
    ds = baked("drifter", [path], tmp_path / "d.zarr")
    with netCDF4.Dataset(path) as nc:
        u, v, t = (nc[n][:, k].filled(np.nan) for n, k in (("EWCT", 2), ("NSCT", 2), ("TEMP", 1)))
        t, lat, lon = (np.ma.getdata(x).astype("f8") for x in (t, nc["LATITUDE"][...], nc["LONGITUDE"][...]))
        days = nc["TIME"][...]
    p = gsw.p_from_z(-0.5, lat)
    theta = gsw.pt0_from_t(gsw.SA_from_SP(35.0, p, lon, lat), t, p)
    for name, expected, depth in (("uo", u, 15.0), ("vo", v, 15.0), ("thetao", theta, 0.5)):
        mine = select(ds, variable=name)
        assert mine.sizes["obs"] == 1021
        np.testing.assert_array_equal(mine.value, expected.astype("f4"))
        assert set(mine.depth.values) == {depth}
        np.testing.assert_array_equal(mine.latitude, lat)
        since = (mine.time.values - np.datetime64("1950-01-01")) / np.timedelta64(1, "ms")
        np.testing.assert_allclose(since, days * 86400e3, rtol=0, atol=1)
    assert np.abs(theta - t).max() < 2e-4
    assert set(decoded(ds.platform).values) == {"2300691"}


def test_positions_of_drifters(real, tmp_path):
    path = real(POSITIONS)
    with pytest.raises(InputError, match="holds positions only, no variable of ours; say velocity=true"):
        baked("drifter", [path], tmp_path / "d.zarr")
    tracks = drifter.read_positions(path)
    with netCDF4.Dataset(path) as nc:
        lon, lat = (np.ma.compressed(np.ma.masked_invalid(nc[n][...])) for n in ("lon", "lat"))
        names = nc["drifter_names"][...].tolist()
    np.testing.assert_array_equal(tracks.longitude, lon)
    np.testing.assert_array_equal(tracks.latitude, lat)
    assert sorted(set(decoded(tracks.platform).values)) == sorted(names)
    ds = baked("drifter", [path], tmp_path / "d.zarr", options={"velocity": True, "drogue": 1.0})
    # The mean of the velocities between fixes is the whole displacement over the whole time (no gap in the second).
    mine = select(select(ds, platform=names[1]), variable="vo")
    track = tracks.isel(obs=np.flatnonzero(decoded(tracks.platform) == names[1]))
    steps = 10.0 * np.sqrt(2) / mine.error_std
    hours = (track.time.values[-1] - track.time.values[0]) / np.timedelta64(1, "s")
    metres = np.deg2rad(float(track.latitude[-1] - track.latitude[0])) * 6.371e6
    np.testing.assert_allclose(float((mine.value * steps).sum()), metres, atol=2000)
    np.testing.assert_allclose(float(steps.sum()), hours, rtol=0.01)


@pytest.mark.parametrize("file", EDDIES)
@pytest.mark.parametrize(
    ("recipe", "said"),
    [("argo", "is not an Argo profile file: it has no PLATFORM_NUMBER"), ("drifter", "holds no drifters"),
     ("class4", "is not a Class-4 file: it has no observation")],
)  # fmt: skip
def test_eddies_are_no_observations_of_ours(real, tmp_path, file, recipe, said):
    with pytest.raises(InputError, match=said):
        baked(recipe, [real(file)], tmp_path / "e.zarr")
