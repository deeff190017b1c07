import json
import warnings

import gsw
import netCDF4
import numpy as np
import pytest
import raw_points as raw
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.data import axis
from oceanx.data.readers import argo, class4, drifter
from oceanx.data.recipe import load_recipe
from oceanx.data.shelf.stores import open_store
from oceanx.data.writing import points, points_merge
from oceanx.ocean.flags import decoded
from oceanx.ocean.observations import check, reasons, rejections, select
from oceanx.ocean.wide import from_wide, to_wide
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError


def theta(t, s, p, lon=110.25, lat=-10.5):
    return gsw.pt0_from_t(gsw.SA_from_SP(s, p, lon, lat), t, p)


def baked(recipe, paths, to, **changes):
    when = axis.span(changes.pop("time", None))
    points.write(load_recipe(recipe, changes), paths, to, when=when)
    ds = open_store(to).load()
    check(ds)
    return ds


# Argo


def test_argo_delayed_mode_takes_adjusted_values(tmp_path):
    cast = {"TEMP_ADJUSTED": [25.1, 10.1, 5.1], "TEMP_ADJUSTED_ERROR": [0.002] * 3, "TEMP": [20.0, 20.0, 20.0],
            "PRES_ADJUSTED": [4.0, 499.0, 999.0], "TEMP_QC": "444", "TEMP_ADJUSTED_QC": "112"}  # fmt: skip
    ds = argo.read(raw.argo(tmp_path / "a.nc", cast))
    check(ds)
    t, s = select(ds, variable="thetao"), select(ds, variable="so")
    p = np.array([4.0, 499.0, 999.0])
    np.testing.assert_allclose(
        t.value, theta(np.float32([25.1, 10.1, 5.1]), np.float32([34, 34.6, 34.7]), p), atol=2e-6
    )
    np.testing.assert_array_equal(s.value, np.float32([34.0, 34.6, 34.7]))
    np.testing.assert_allclose(t.depth, -gsw.z_from_p(p, -10.5), rtol=1e-7)
    np.testing.assert_array_equal(t.error_std, np.float32(0.002))
    np.testing.assert_array_equal(s.error_std, np.float32(0.1))
    assert set(ds.time.values) == {np.datetime64("2004-10-04T06:00:00", "ns")}
    assert decoded(ds.platform).values.tolist() == ["5900001"] * 6
    assert rejections(ds.attrs) == {}


def test_argo_real_time_is_taken_raw_with_a_larger_error_or_left_out(tmp_path):
    path = raw.argo(tmp_path / "a.nc", {"mode": "R"}, {"mode": "A", "cycle": 2, "juld": 20010.25})
    ds = argo.read(path)
    assert ds.sizes["obs"] == 12
    assert "real-time mode carry raw values" in ds.attrs["comment"]
    only = argo.read(path, real_time=False)
    assert only.sizes["obs"] == 6
    assert rejections(only.attrs) == {"5900001": {"thetao real_time": 3, "so real_time": 3}}
    loose = argo.read(path, errors={"thetao": 0.5})
    assert set(select(loose, variable="thetao").error_std.values) == {np.float32(0.5)}


def test_argo_flags_are_counted_by_reason(tmp_path):
    path = raw.argo(
        tmp_path / "a.nc",
        {"TEMP_QC": "141", "TEMP": [25.0, 64.0, 5.0], "PSAL_QC": "113"},
        {"cycle": 2, "juld": 20010.0, "PRES": [-2220.0, 500.0, 1000.0], "PRES_QC": "411"},
        {"cycle": 3, "juld": 20020.0, "position_qc": "8"},
        {"cycle": 4, "juld": 20030.0, "juld_qc": "4"},
        {"cycle": 5, "juld": 20040.0, "TEMP_ADJUSTED": [raw.FILL] * 3},
        {"cycle": 6, "juld": 20050.0, "mode": "R", "TEMP_QC": "   "},
    )
    ds = argo.read(path, salinity=35.0)
    check(ds)
    assert rejections(ds.attrs) == {
        "5900001": {
            "thetao value_flag_4": 1, "so value_flag_3": 1, "thetao depth_flag_4": 1, "so depth_flag_4": 1,
            "thetao position_flag_8": 3, "so position_flag_8": 3, "thetao time_flag_4": 3, "so time_flag_4": 3,
            "thetao no_adjusted_value": 3, "thetao value_unflagged": 3,
        }
    }  # fmt: skip
    assert ds.sizes["obs"] == 36 - sum(rejections(ds.attrs)["5900001"].values())
    assert argo.read(path, good=[1, 2, 8], salinity=35.0).sizes["obs"] == ds.sizes["obs"] + 6


def test_argo_gross_values_that_are_flagged_good_are_out_of_range(tmp_path):
    cast = {"TEMP": [64.0, 10.0, 5.0], "PSAL": [34.0, 60.0, 34.7], "PRES": [5.0, 500.0, -2220.0]}
    ds = argo.read(raw.argo(tmp_path / "a.nc", cast), salinity=35.0)
    check(ds)
    assert rejections(ds.attrs) == {
        "5900001": {
            "thetao out_of_range": 1, "so out_of_range": 1, "thetao no_coordinate": 1, "so no_coordinate": 1,
        }
    }  # fmt: skip
    t = select(ds, variable="thetao").isel(obs=0)
    np.testing.assert_allclose(t.value, theta(10.0, 35.0, 500.0), atol=2e-6)  # the bad salinity is not used


def test_argo_all_bad_is_an_empty_table_and_no_store(tmp_path):
    path = raw.argo(tmp_path / "a.nc", {"TEMP_QC": "444", "PSAL_QC": "444"})
    ds = argo.read(path)
    check(ds)
    assert ds.sizes["obs"] == 0
    assert reasons(ds.attrs) == {"value_flag_4": 6}
    with pytest.raises(InputError, match=r"a\.nc: no good observation in 1 files: value_flag_4 \(6\)"):
        baked("argo", [path], tmp_path / "o.zarr")
    assert not list(tmp_path.glob("o.zarr*"))
    kept = argo.read(path, keep_flagged=True, salinity=35.0)
    check(kept)
    assert decoded(kept.qc).values.tolist() == ["value_flag_4"] * 6


def test_argo_without_salinity(tmp_path):
    path = raw.argo(tmp_path / "a.nc", {}, leave_out=("PSAL",))
    left = argo.read(path)
    assert left.sizes["obs"] == 0
    assert rejections(left.attrs) == {"5900001": {"thetao no_salinity": 3}}
    ds = argo.read(path, salinity=34.5)
    t, p = np.float32([25, 10, 5]), np.array([5.0, 500, 1000])
    np.testing.assert_allclose(ds.value, theta(t, 34.5, p), atol=2e-6)
    spread = (theta(t, 33.5, p) - theta(t, 35.5, p)) / 2
    np.testing.assert_allclose(ds.error_std, np.hypot(0.02, spread), rtol=1e-6)
    assert (np.abs(spread) < 0.004).all()
    assert "salinity taken as 34.5" in ds.attrs["comment"]


def test_argo_takes_the_primary_sampling_alone(tmp_path):
    near = {"scheme": "Near-surface sampling: averaged, unpumped []", "PRES": [0.5, 1.0, 1.5]}
    path = raw.argo(tmp_path / "a.nc", {}, near, {"direction": "D", "juld": 19999.5})
    ds = argo.read(path)
    assert sorted(set(ds.feature.values)) == [10, 11]
    assert rejections(ds.attrs) == {"5900001": {"thetao not_primary_sampling": 3, "so not_primary_sampling": 3}}
    both = argo.read(path, sampling=["primary", "near-surface"])
    assert sorted(set(both.feature.values)) == [10, 11, 14]
    wide = to_wide(both)
    assert wide.sizes["profile"] == 3
    xr.testing.assert_identical(from_wide(wide), both)


def test_argo_pressure_a_little_below_zero_is_the_surface(tmp_path):
    ds = argo.read(raw.argo(tmp_path / "a.nc", {"PRES": [-0.4, 500.0, 1000.0]}))
    assert float(ds.depth.min()) == 0.0
    assert ds.sizes["obs"] == 6


def test_argo_profile_that_is_twice_in_a_file_counts_once(tmp_path):
    ds = argo.read(raw.argo(tmp_path / "a.nc", {}, {}))
    assert ds.sizes["obs"] == 6
    assert reasons(ds.attrs) == {"repeated": 6}


def test_argo_longitude_beyond_the_seam_and_levels_not_all_filled(tmp_path):
    short = {"PRES": [7.0], "TEMP": [20.0], "PSAL": [35.0], "cycle": 2, "juld": 20001.0, "longitude": 181.0}
    ds = argo.read(raw.argo(tmp_path / "a.nc", {}, short))
    assert ds.sizes["obs"] == 8
    assert ds.longitude.values[-1] == -179.0
    assert reasons(ds.attrs) == {}


# Drifters


def test_in_situ_drifter(tmp_path):
    ds = drifter.read(raw.in_situ(tmp_path / "d.nc", EWCT_QC=[1, 4, 1], POSITION_QC=[1, 1, 4]))
    check(ds)
    t, u = select(ds, variable="thetao"), select(ds, variable="uo")
    np.testing.assert_allclose(t.value, [28.0, 28.1], atol=2e-4)  # at 0.5 m in situ and potential differ by 1e-4
    np.testing.assert_allclose(
        t.value, [theta(v, 35.0, gsw.p_from_z(-0.5, 10.0), 85.0, 10.0) for v in (28.0, 28.1)], atol=3e-6
    )
    np.testing.assert_allclose(u.value, [0.1], rtol=1e-6)
    assert set(t.depth.values) == {0.5}
    assert set(u.depth.values) == {15.0}
    assert ds.time.values[0] == np.datetime64("2013-12-01", "ns")
    assert rejections(ds.attrs)["2300691"] == {
        "thetao position_flag_4": 1, "uo value_flag_4": 1, "uo position_flag_4": 1, "vo position_flag_4": 1,
    }  # fmt: skip


def circle(tmp_path, dt=1800.0, speed=0.4, lat=60.0, n=50):
    """A drifter that goes east along a parallel, over the date line, and one that goes north."""
    seconds = np.arange(n) * dt
    rate = np.rad2deg(speed / EARTH_RADIUS)
    lon = np.stack([179.9 + rate / np.cos(np.deg2rad(lat)) * seconds, np.full(n, 10.0)])
    lon = (lon + 180) % 360 - 180
    lats = np.stack([np.full(n, lat), lat + rate * seconds])
    return raw.tracks(tmp_path / "t.nc", ["east", "north"], np.stack([seconds] * 2), lats, lon)


def test_velocity_of_positions_is_exact_for_steady_drift(tmp_path):
    path = circle(tmp_path)
    ds = drifter.read(path, velocity=True, drogue=15.0, position_error=10.0, step="1h")
    check(ds)
    east, north = select(ds, platform="east"), select(ds, platform="north")
    np.testing.assert_allclose(select(east, variable="uo").value, 0.4, rtol=1e-5)
    np.testing.assert_allclose(select(east, variable="vo").value, 0.0, atol=1e-6)
    np.testing.assert_allclose(select(north, variable="vo").value, 0.4, rtol=1e-5)
    np.testing.assert_allclose(ds.error_std, np.sqrt(2) * 10.0 / 3600.0, rtol=1e-6)
    assert set(ds.depth.values) == {15.0}
    assert east.longitude.min() < -179.9
    assert select(east, variable="uo").time.values[0] == np.datetime64("2022-10-07T00:30", "ns")


def test_positions_alone_need_to_be_asked(tmp_path):
    path = circle(tmp_path)
    with pytest.raises(InputError, match="holds positions only, no variable of ours; say velocity=true and drogue=15"):
        drifter.read(path)
    with pytest.raises(InputError, match="drogue: velocity=true needs the depth"):
        drifter.read(path, velocity=True)
    with pytest.raises(InputError, match="'soon': expected a duration"):
        drifter.read(path, velocity=True, drogue=0.0, step="soon")
    ds = drifter.read_positions(path)
    with netCDF4.Dataset(path) as nc:
        np.testing.assert_array_equal(ds.latitude, nc["lat"][...].ravel())
    assert decoded(ds.platform).values.tolist() == ["east"] * 50 + ["north"] * 50


def test_gaps_in_a_trajectory_are_not_bridged(tmp_path):
    seconds = np.array([[0.0, 1800, 3600, 90000, 93600]])
    path = raw.tracks(tmp_path / "t.nc", ["a"], seconds, np.full((1, 5), 60.0), np.arange(5.0).reshape(1, 5) / 100)
    ds = drifter.read(path, velocity=True, drogue=15.0)
    assert len(np.unique(ds.time)) == 2
    path = raw.tracks(tmp_path / "u.nc", ["a"], seconds[:, ::-1], np.full((1, 5), 60.0), np.zeros((1, 5)))
    with pytest.raises(InputError, match="the times of a do not ascend"):
        drifter.read(path, velocity=True, drogue=15.0)


# Class-4


def test_class4_in_kelvin(tmp_path):
    path = raw.class4(tmp_path / "c.nc")
    ds = class4.read(path)
    check(ds)
    t = select(ds, variable="thetao")
    with netCDF4.Dataset(path) as nc:
        np.testing.assert_allclose(t.value, (nc["observation"][:, 0] - 273.15).ravel(), atol=2e-5)
        order = nc["forecast"][:, 0].transpose(0, 2, 1).reshape(-1, 2)
        np.testing.assert_allclose(t.forecast, order - 273.15, atol=2e-5)
    assert t.forecast.dims == ("obs", "lead_time")
    assert (ds.lead_time.values / np.timedelta64(1, "h")).tolist() == [12, 36]
    assert ds.sizes["obs"] == 9
    assert reasons(ds.attrs) == {"value_flag_1": 3}
    assert ds.longitude.values.max() < 180
    whole = class4.read_class4(path)
    assert whole.sizes["obs"] == 12
    assert int((whole.qc != 0).sum()) == 3
    assert len(np.unique(whole.feature.values[decoded(whole.platform).values == "1901446"])) == 2
    xr.testing.assert_identical(from_wide(to_wide(whole)), whole)


def test_class4_in_situ_temperature_is_made_potential_where_asked(tmp_path):
    path = raw.class4(tmp_path / "c.nc", units=("degC", "psu"))
    plain, made = class4.read(path), class4.read(path, in_situ=["observation"])
    assert "which it does not say" in plain.attrs["comment"]
    t, s = (select(class4.read_class4(path), variable=n) for n in ("thetao", "so"))
    p = gsw.p_from_z(-t.depth.values.astype(float), t.latitude.values)
    expected = theta(t.value.values, s.value.values, p, t.longitude.values, t.latitude.values)
    got = select(made, variable="thetao")
    np.testing.assert_allclose(got.value, expected[s.qc.values == 0], atol=2e-6)
    assert reasons(made.attrs) == {"value_flag_1": 3, "no_salinity": 3}
    np.testing.assert_array_equal(select(made, variable="so").value, select(plain, variable="so").value)
    with pytest.raises(InputError, match="in_situ: needs analysis of temperature"):
        class4.read(path, in_situ=["analysis"])


def test_class4_units_that_nobody_knows(tmp_path):
    with pytest.raises(InputError, match="thetao: found units 'furlong', expected 'degrees_C'"):
        class4.read(raw.class4(tmp_path / "c.nc", units=("furlong", "psu")))
    with pytest.raises(InputError, match="leadtime: units 'weeks'; expected days, hours or seconds"):
        class4.read(raw.class4(tmp_path / "d.nc", leads="weeks"))


def test_class4_of_other_variables_is_refused(tmp_path):
    path = raw.class4(tmp_path / "c.nc", varnames=("chl", "no3"), units=("1", "1"))
    with pytest.raises(InputError, match=r"c\.nc: holds none of the variables that oceanx knows"):
        baked("class4", [path], tmp_path / "o.zarr")


# Stores


def floats(tmp_path, count=4, **changes):
    return [
        raw.argo(
            tmp_path / f"{k}_prof.nc",
            *({"platform": f"590000{k}", "cycle": c, "juld": 2e4 + 10 * c + 0.7 * k} | changes for c in range(1, 6)),
        )
        for k in range(count)
    ]


def test_a_store_holds_all_files_by_time(tmp_path):
    paths = floats(tmp_path)
    said = []
    points.write(load_recipe("argo"), paths, tmp_path / "o.zarr", progress=lambda *p: said.append(p))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = xr.open_zarr(tmp_path / "o.zarr").load()
    check(ds)
    xr.testing.assert_identical(open_store(tmp_path / "o.zarr").load(), ds)
    parts = [argo.read(path) for path in paths]
    whole = {n: np.concatenate([p[n].values for p in parts]) for n in ("time", "value", "depth", "latitude")}
    order = np.argsort(whole["time"], kind="stable")
    for name, values in whole.items():
        np.testing.assert_array_equal(ds[name], values[order])
    assert ds.attrs["source_files"] == [path.name for path in paths]
    assert len(ds.attrs["oceanx_fingerprint"]) == 32
    assert ("reading", 0, 4) in said
    assert said[-1][0] == "writing"
    assert not (tmp_path / "o.zarr.partial").exists()
    text = (tmp_path / "o.zarr" / "platform" / "zarr.json").read_text()
    assert json.loads(text)["data_type"] == "int32"


@settings(max_examples=4, deadline=None)
@given(st.integers(1, 40), st.integers(8, 50))
def test_a_store_does_not_depend_on_how_much_is_held_at_once(tmp_path_factory, at_once, chunk):
    tmp_path = tmp_path_factory.mktemp("points")
    paths = floats(tmp_path, 2)
    whole = baked("argo", paths, tmp_path / "whole.zarr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points_merge, "AT_ONCE", at_once)
        patch.setattr(points, "CHUNK", chunk)
        parts = baked("argo", paths, tmp_path / "parts.zarr")
    parts.attrs["history"] = whole.attrs["history"]
    xr.testing.assert_identical(parts, whole)


def test_only_some_dates(tmp_path):
    ds = baked("argo", floats(tmp_path), tmp_path / "o.zarr", time="2004-10-10:2004-10-31")
    days = ds.time.values.astype("datetime64[D]")
    assert days.min() >= np.datetime64("2004-10-10")
    assert days.max() <= np.datetime64("2004-10-31")
    with pytest.raises(InputError, match="no good observation in 4 files: none at the times asked for"):
        baked("argo", floats(tmp_path), tmp_path / "p.zarr", time="1990")


def test_only_some_variables(tmp_path):
    ds = baked("argo", floats(tmp_path), tmp_path / "o.zarr", variables=["so"])
    assert set(decoded(ds.variable).values) == {"so"}
    path = raw.argo(tmp_path / "n.nc", {}, leave_out=("PSAL",))
    with pytest.raises(InputError, match="no variable so in any file"):
        baked("argo", [path], tmp_path / "p.zarr", variables=["thetao", "so"])
    with pytest.raises(InputError, match=r"n\.nc: holds none of uo"):
        baked("argo", [path], tmp_path / "p.zarr", variables=["uo"])


def test_one_profile_in_two_files(tmp_path):
    delayed = raw.argo(tmp_path / "D.nc", {"PRES_ADJUSTED": [4.9, 499.9, 999.9]}, {"cycle": 2, "juld": 20010.0})
    real = raw.argo(tmp_path / "R.nc", {"mode": "R"})
    with pytest.raises(InputError, match=r"R\.nc: thetao of 5900001 at 2004-10-04T06:00:00 is also in .*D\.nc; leave"):
        baked("argo", [delayed, real], tmp_path / "o.zarr")
    assert not list(tmp_path.glob("o.zarr*"))
    first = baked("argo", [delayed, real], tmp_path / "f.zarr", duplicates="first")
    last = baked("argo", [delayed, real], tmp_path / "l.zarr", duplicates="last")
    assert first.sizes["obs"] == last.sizes["obs"] == 12
    np.testing.assert_allclose(first.depth.min(), -gsw.z_from_p(4.9, -10.5), rtol=1e-6)
    np.testing.assert_allclose(last.depth.min(), -gsw.z_from_p(5.0, -10.5), rtol=1e-6)
    assert json.loads(first.attrs["rejected_total"]) == {"duplicate": 6}


def test_an_interrupted_bake_goes_on_where_it_was(tmp_path, monkeypatch):
    paths, recipe = floats(tmp_path), load_recipe("argo")
    whole = baked("argo", paths, tmp_path / "whole.zarr")
    asked = []
    genuine = argo.parts

    def failing(path, *rest, **options):
        asked.append(path)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return genuine(path, *rest, **options)

    monkeypatch.setattr(argo, "parts", failing)
    with pytest.raises(KeyboardInterrupt):
        points.write(recipe, paths, tmp_path / "o.zarr")
    assert not (tmp_path / "o.zarr").exists()
    points.write(recipe, paths, tmp_path / "o.zarr")
    assert [path.name for path in asked] == [paths[k].name for k in (0, 1, 2, 2, 3)]
    again = open_store(tmp_path / "o.zarr").load()
    assert again.attrs["oceanx_fingerprint"] == whole.attrs["oceanx_fingerprint"]
    again.attrs["history"] = whole.attrs["history"]
    xr.testing.assert_identical(again, whole)
    assert not list(tmp_path.glob("o.zarr.partial"))


def test_a_changed_file_is_read_anew(tmp_path, monkeypatch):
    paths = floats(tmp_path, 2)
    monkeypatch.setattr(points, "_store", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        points.write(load_recipe("argo"), paths, tmp_path / "o.zarr")
    monkeypatch.undo()
    raw.argo(paths[1], {"platform": "5900001", "cycle": 9})
    ds = baked("argo", paths, tmp_path / "o.zarr")
    assert ds.sizes["obs"] == 30 + 6


def test_zarr_v2(tmp_path):
    ds = baked("class4", [raw.class4(tmp_path / "c.nc")], tmp_path / "o.zarr", zarr_format=2)
    assert (tmp_path / "o.zarr" / ".zgroup").exists()
    ds3 = baked("class4", [tmp_path / "c.nc"], tmp_path / "p.zarr")
    assert ds.attrs["oceanx_fingerprint"] == ds3.attrs["oceanx_fingerprint"]
    assert (ds.lead_time.values / np.timedelta64(1, "h")).tolist() == [12, 36]


@pytest.mark.parametrize("recipe", ["argo", "drifter", "class4"])
def test_files_that_are_not_what_they_should_be(tmp_path, recipe):
    good = {"argo": lambda p: raw.argo(p, {}), "drifter": raw.in_situ, "class4": raw.class4}[recipe](tmp_path / "g.nc")
    cut = tmp_path / "cut.nc"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.nc: is damaged or truncated"):
        baked(recipe, [cut], tmp_path / "o.zarr")
    cut.write_bytes(b"<html>403</html>")
    with pytest.raises(InputError, match=r"cut\.nc: is not NetCDF"):
        baked(recipe, [cut], tmp_path / "o.zarr")
    cut.write_bytes(b"")
    with pytest.raises(InputError, match=r"cut\.nc: is empty"):
        baked(recipe, [cut], tmp_path / "o.zarr")
    with pytest.raises(InputError, match="no such file"):
        baked(recipe, [tmp_path / "none.nc"], tmp_path / "o.zarr")
    with netCDF4.Dataset(tmp_path / "eddies.nc", "w") as nc:
        nc.createDimension("obs", 2)
        for name in ("amplitude", "latitude", "longitude", "time"):
            nc.createVariable(name, "f4", ("obs",))[:] = [1.0, 2.0]
    said = {
        "argo": "is not an Argo profile file: it has no PLATFORM_NUMBER",
        "drifter": "holds no drifters: neither an in situ file",
        "class4": "is not a Class-4 file: it has no obs",
    }
    with pytest.raises(InputError, match=rf"eddies\.nc: {said[recipe]}"):
        baked(recipe, [tmp_path / "eddies.nc"], tmp_path / "o.zarr")
    assert not list(tmp_path.glob("o.zarr*"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"steps": [{"daily_mean": {}}]}, "steps: daily_mean is for fields on a grid"),
     ({"packed": True}, "packed and round"),
     ({"variables": {"thetao": {"names": ["TEMP"]}}}, "thetao: the reader argo knows")],
)  # fmt: skip
def test_what_is_for_grids_is_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        points.write(load_recipe("argo", changes), [raw.argo(tmp_path / "a.nc", {})], tmp_path / "o.zarr")


def test_an_unknown_option_names_its_nearest():
    with pytest.raises(InputError, match="unknown option of the reader argo 'realtime'; did you mean 'real_time'"):
        load_recipe("argo", {"options": {"realtime": False}})
