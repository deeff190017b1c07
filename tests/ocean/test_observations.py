import gsw
import hypothesis.extra.numpy as npst
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import seawater
from oceanx.ocean.flags import decoded, flag_attrs, meanings
from oceanx.ocean.observations import (
    KINDS,
    TESTS,
    check,
    concatenate,
    reason,
    rejections,
    select,
    table,
    violations,
)
from oceanx.ocean.wide import from_wide, to_wide
from oceanx.vocabulary.errors import InputError

NAMES = ["thetao", "so", "uo"]


def columns(n, seed=0, dtype="f4"):
    """Random data of a few profiles: many of them at the same place and moment."""
    rng = np.random.default_rng(seed)
    cast = rng.integers(0, 4, n)
    return {
        "time": np.datetime64("2020-01-01", "ns") + (cast % 3).astype("timedelta64[h]"),
        "latitude": cast * 1.5 - 3,
        "longitude": cast * 90.0 - 180,
        "depth": rng.integers(0, 3, n).astype("f4"),
        "variable": rng.integers(0, len(NAMES), n).astype("i1"),
        "value": rng.normal(size=n).astype(dtype),
        "error_std": rng.uniform(0.1, 1, n).astype(dtype),
        "platform": (cast % 2).astype("i4"),
        "feature": cast.astype("i4"),
        "qc": rng.choice([0, 0, 20, *TESTS], n).astype("u1"),
    }


def some(n=40, seed=0, **more):
    return table(columns(n, seed), NAMES, ["5900865", "13857"], kind="profile", **more)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**31), st.sampled_from(KINDS), st.sampled_from(["f4", "f8"]), st.booleans())
def test_wide_form_and_back_is_the_same_to_the_bit(n, seed, kind, dtype, with_leads):
    held = columns(n, seed, dtype)
    extras, coords = {}, {}
    if with_leads:
        rng = np.random.default_rng(seed)
        extras["forecast"] = xr.Variable(("obs", "lead_time"), rng.normal(size=(n, 2)).astype("f4"), {"long_name": "F"})
        extras["count"] = xr.Variable("obs", rng.integers(0, 9, n).astype("i2"))
        coords["lead_time"] = ("lead_time", np.array([1, 2], "timedelta64[D]").astype("timedelta64[ns]"))
    ds = table(held, NAMES, ["5900865", "13857"], kind=kind, extras=extras, coords=coords, attrs={"title": "Made up"})
    check(ds)
    wide = to_wide(ds)
    again = from_wide(wide)
    xr.testing.assert_identical(again, ds)
    for name in ds.variables:
        assert again[name].dtype == ds[name].dtype
        assert again[name].values.tobytes() == ds[name].values.tobytes()


@settings(max_examples=30, deadline=None)
@given(npst.arrays("f4", st.integers(1, 20), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_wide_form_keeps_any_number(values):
    held = columns(values.size) | {"value": values}
    ds = table(held, NAMES, ["a", "b"], kind="profile")
    assert from_wide(to_wide(ds)).value.values.tobytes() == ds.value.values.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_wide_form_survives_a_file(tmp_path, kind):
    ds = some()
    to_wide(ds, kind).to_netcdf(tmp_path / "wide.nc")
    with xr.open_dataset(tmp_path / "wide.nc") as wide:
        assert wide.attrs["featureType"] == kind
        xr.testing.assert_identical(from_wide(wide.load()), ds)


def test_wide_form_is_a_cf_geometry():
    ds = some()
    wide = to_wide(ds, "profile")
    assert wide["thetao"].attrs["standard_name"] == "sea_water_potential_temperature"
    assert wide["thetao"].attrs["units"] == "degrees_C"
    assert wide["thetao"].attrs["ancillary_variables"] == "thetao_standard_error thetao_status_flag"
    assert wide["thetao_standard_error"].attrs["standard_name"] == "sea_water_potential_temperature standard_error"
    assert wide["row_size"].attrs["sample_dimension"] == "obs"
    assert wide["profile_id"].attrs["cf_role"] == "profile_id"
    assert wide["time"].dims == ("profile",)
    assert int(wide["row_size"].sum()) == wide.sizes["obs"]
    there = wide["thetao_status_flag"] != 255
    assert int(there.sum()) == int((decoded(ds["variable"]) == "thetao").sum())
    np.testing.assert_array_equal(np.isfinite(wide["thetao"]), there)


def test_a_profile_of_several_times_is_no_profile():
    ds = some()
    ds["feature"] = ds["feature"] * 0
    ds["platform"] = ds["platform"] * 0
    with pytest.raises(InputError, match="time: differs within profile 0 of 5900865; say kind='trajectory'"):
        to_wide(ds, "profile")
    xr.testing.assert_identical(from_wide(to_wide(ds, "trajectory")), ds)
    with pytest.raises(InputError, match="unknown kind of feature 'profil'; did you mean 'profile'"):
        to_wide(ds, "profil")


def test_a_damaged_wide_form_is_refused():
    wide = to_wide(some())
    with pytest.raises(InputError, match="so_status_flag: not there"):
        from_wide(wide.drop_vars("so_status_flag"))
    wide["row_size"][0] += 1
    with pytest.raises(InputError, match="row_size: adds up to"):
        from_wide(wide)


def put(name, at, value):
    def change(ds):
        values = ds[name].values.copy()
        values[at] = value
        return ds.assign({name: ds[name].copy(data=values)}) if name in ds.data_vars else ds.assign_coords(
            {name: ds[name].copy(data=values)})  # fmt: skip

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda ds: ds.rename(obs="row"), "no 'obs'"),
     (lambda ds: ds.drop_vars(["qc", "depth"]), "depth, qc: not there"),
     (put("depth", 3, np.nan), "depth: 1 of 40 are missing (first at row 3)"),
     (put("time", 39, np.datetime64("NaT")), "time: 1 of 40 are missing"),
     (put("value", 0, np.inf), "value: 1 of 40 are missing"),
     (put("depth", 0, -2.0), "depth: has -2.0; expected values positive down"),
     (put("longitude", 0, 180.0), "expected values from -180 to below 180; shift with (longitude + 180)"),
     (put("latitude", 0, 91.0), "latitude: has 91.0"),
     (put("longitude", 0, 359.5), "longitude: has 359.5; expected values from -180 to below 180"),
     (put("error_std", 0, 0.0), "error_std: has 0.0; expected values above 0"),
     (put("time", 0, np.datetime64("2021-01-01")), "time: is not sorted"),
     (put("variable", 0, 7), "variable: code 7 has no meaning"),
     (put("qc", 0, 200), "qc: code 200 has no meaning"),
     (lambda ds: ds.assign(value=ds.value.astype("i4")), "value: is int32; expected float32 or float64"),
     (lambda ds: ds.assign(qc=ds.qc.astype("i4")), "qc: is int32; expected uint8"),
     (lambda ds: ds.assign(extra=("row", [1.0])), "extra: has dimensions"),
     (lambda ds: ds.assign_attrs(oceanx_feature="pass"), "oceanx_feature: is 'pass'"),
     (lambda ds: ds.assign(variable=ds.variable.assign_attrs(flag_meanings="TEMP so uo")), "say 'thetao'"),
     (lambda ds: ds.assign(platform=ds.platform.assign_attrs(flag_values=[1, 0])), "platform: flag_values are [1, 0]")],
)  # fmt: skip
def test_what_violates_the_contract_is_named(change, said):
    assert violations(some()) == []
    ds = change(some())
    assert any(said in line for line in violations(ds)), violations(ds)
    with pytest.raises(InputError) as caught:
        check(ds)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_concatenation_is_a_stable_sort_by_time(sizes):
    parts = []
    for k, size in enumerate(sizes):
        names = NAMES[k % 3 :] + NAMES[: k % 3]
        parts.append(table(columns(size, k), names, [f"p{k}", "shared"], kind="profile"))
    ds = concatenate(parts)
    check(ds)
    for name in ("value", "depth"):
        whole = np.concatenate([part[name].values for part in parts])
        order = np.argsort(np.concatenate([part["time"].values for part in parts]), kind="stable")
        np.testing.assert_array_equal(ds[name], whole[order])
    for name in ("variable", "platform", "qc"):
        whole = np.concatenate([decoded(part[name]).values for part in parts])
        np.testing.assert_array_equal(decoded(ds[name]), whole[order])


def test_concatenation_adds_up_rejections_and_refuses_odd_columns():
    one = some(attrs={"rejected": '{"a": {"so value_flag_4": 2}}', "comment": "x; y", "title": "T"})
    two = some(seed=1, attrs={"rejected": '{"a": {"so value_flag_4": 3}, "b": {"so real_time": 1}}', "comment": "y; z"})
    ds = concatenate([one, two])
    assert rejections(ds.attrs) == {"a": {"so value_flag_4": 5}, "b": {"so real_time": 1}}
    assert ds.attrs["comment"] == "x; y; z"
    assert "title" not in ds.attrs
    with pytest.raises(InputError, match="forecast is a column of some parts only"):
        concatenate([one, two.assign(forecast=two.value)])


def test_selection():
    ds = some(200)
    part = select(ds, variable="so", platform="13857")
    expected = (decoded(ds.variable) == "so") & (decoded(ds.platform) == "13857")
    assert part.sizes["obs"] == int(expected.sum()) > 0
    assert select(ds, platform="unheard of").sizes["obs"] == 0


def test_flags():
    attrs = flag_attrs(["good", "bad"], "uint8", [0, 4])
    assert attrs["flag_values"].dtype == np.uint8
    assert meanings(attrs) == {0: "good", 4: "bad"}
    assert meanings({"flag_values": [0, 1], "flag_meanings": "one"}) == {}
    assert [reason(c) for c in (0, 2, 20, 26, 36, 58, 73, 99)] == [
        "good", "no_salinity", "value_flag_4", "value_unflagged", "depth_flag_4", "position_unflagged", "time_flag_9",
        "test_99"]  # fmt: skip


def test_potential_temperature_against_published_check_values():
    # TEOS-10 check values of gsw_pt0_from_t (http://www.teos-10.org/pubs/gsw/html/gsw_pt0_from_t.html).
    absolute = np.array([34.7118, 34.8915, 35.0256, 34.8472, 34.7366, 34.7324])
    t = np.array([28.7856, 28.4329, 22.8103, 10.2600, 6.8863, 4.4036])
    p = np.array([10.0, 50, 125, 250, 600, 1000])
    expected = [28.783196819670632, 28.420983342398962, 22.784930399117108, 10.230523661095731, 6.829230224409661,
                4.324510571845719]  # fmt: skip
    practical = gsw.SP_from_SA(absolute, p, 188.0, 4.0)
    theta = seawater.potential_temperature(t, practical, p, 188.0, 4.0)
    np.testing.assert_allclose(theta, expected, atol=1e-8)


def test_depth_of_pressure_against_published_check_values():
    # TEOS-10 check values of gsw_z_from_p at 4° N.
    p = np.array([10.0, 50, 125, 250, 600, 1000])
    expected = [9.9445834469453, 49.7180897012550, 124.2726219409978, 248.4700576548589, 595.8253480356214,
                992.0919060719987]  # fmt: skip
    np.testing.assert_allclose(seawater.depth(p, 4.0), expected, atol=1e-9)
    np.testing.assert_allclose(seawater.pressure(seawater.depth(p, 4.0), 4.0), p, rtol=1e-12)
