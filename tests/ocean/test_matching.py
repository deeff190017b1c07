import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_observed import DEPTHS, LATITUDE, LONGITUDE, changed, observed

from oceanx.ocean.flags import decoded
from oceanx.ocean.observations import CODES, check, rejections
from oceanx.ocean.observing.matching import TOPOGRAPHY, as_state, offsets, total_error
from oceanx.ocean.observing.plausible import rows_of
from oceanx.vocabulary.errors import InputError

ALL = ("thetao", "so", "zos", "sst", "sla")
AXES = {"latitude": LATITUDE, "longitude": LONGITUDE}


def topography(name="cnes_cls_2022"):
    """Linear in both, so that its value anywhere is known; land beyond 3° E."""
    height = 0.02 * LATITUDE[:, None] + 0.01 * LONGITUDE
    return xr.DataArray(np.where(LONGITUDE > 3, np.nan, height), AXES, ("latitude", "longitude"), name)


def test_surface_temperature_is_that_of_the_first_level():
    ds = observed(200, names=ALL)
    made = as_state(ds, ["thetao", "so", "zos", "sla"])
    check(made)
    was = decoded(ds.variable).values
    np.testing.assert_array_equal(decoded(made.variable), np.where(was == "sst", "thetao", was))
    assert (made.depth.values[was == "sst"] == 0).all()
    for name in ("time", "value", "error_std", "platform", "feature", "qc", "depth"):
        np.testing.assert_array_equal(made[name], ds[name])
    xr.testing.assert_identical(as_state(ds, list(ALL)), ds)


def test_what_floats_measure_near_the_surface_is_told_a_model_of_the_surface():
    ds = observed(300, names=("thetao", "sst"))
    ds = changed(ds, slice(0, 40), depth=np.linspace(0, 20, 40).astype("f4"))
    shallow = rows_of(ds, "thetao") & (ds.depth.values <= 10)
    assert 0 < shallow.sum() < rows_of(ds, "thetao").sum()
    made = as_state(ds, ["sst", "zos"])
    np.testing.assert_array_equal(rows_of(made, "sst"), rows_of(ds, "sst") | shallow)
    assert (made.depth.values[shallow] == 0).all()
    assert (made.depth.values[rows_of(made, "thetao")] > 10).all()


def test_anomalies_become_heights_above_a_named_mean():
    ds = observed(300, names=("sla", "zos", "so"))
    made = as_state(ds, ["zos", "so"], mean_topography=topography())
    check(made)
    rows = rows_of(ds, "sla")
    lost = rows & (ds.longitude.values > 3.5)  # less than half of the cells around are wet
    here = rows & (ds.longitude.values <= 3.0)
    assert lost.any()
    assert here.any()
    expected = ds.value.values + 0.02 * ds.latitude.values + 0.01 * ds.longitude.values
    np.testing.assert_allclose(made.value.values[here], expected[here], atol=1e-6)
    np.testing.assert_array_equal(made.value.values[~rows], ds.value.values[~rows])
    np.testing.assert_array_equal(made.qc.values, np.where(lost, CODES["no_mean_topography"], 0))
    counted = sum(found["sla no_mean_topography"] for found in rejections(made.attrs).values())
    assert counted == lost.sum()
    assert "sla" not in decoded(made.variable).values
    assert made.attrs[TOPOGRAPHY] == "cnes_cls_2022"
    titled = topography(None).assign_attrs(title="CNES-CLS 2022")
    assert as_state(ds, ["zos"], mean_topography=titled).attrs[TOPOGRAPHY] == "CNES-CLS 2022"
    xr.testing.assert_identical(as_state(ds, ["sla", "zos"]), ds)


@pytest.mark.parametrize(
    ("mean", "said"),
    [(None, "sea level anomalies .* for a model with zos; give the mean dynamic topography"),
     (topography(None), "mean_topography: has no name"),
     (topography().expand_dims(time=2), "mean_topography: found dimensions"),
     (topography().assign_attrs(units="cm"), "mean_topography: is in 'cm'; expected 'm'")],
)  # fmt: skip
def test_a_mean_topography_that_is_none_is_refused(mean, said):
    with pytest.raises(InputError, match=said) as caught:
        as_state(observed(20, names=("sla",)), ["zos"], mean_topography=mean)
    assert "\n" not in str(caught.value)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 150), st.integers(0, 2**31), st.integers(1, 12))
def test_offsets_are_weighted_means_by_window_and_basin(n, seed, least):
    rng = np.random.default_rng(seed)
    ds = observed(n, seed, names=("zos", "sla", "so"), error_std=rng.uniform(0.02, 0.2, n).astype("f4"))
    ds = changed(ds, rng.random(n) < 0.1, qc=CODES["on_land"])
    away = rng.normal(0.1, 0.1, n)
    away[rng.random(n) < 0.1] = np.nan
    window = np.sort(rng.integers(0, 3, n))
    basins = xr.DataArray(np.where(LONGITUDE < -5, 1, 2) * np.ones((21, 1)), AXES, ("latitude", "longitude"))
    found = offsets(away, ds, window, basins, least=least).values
    level = ~rows_of(ds, "so")
    basin = np.where(np.round(ds.longitude.values) < -5, 1, 2)
    expected = np.zeros(n)
    for i in np.flatnonzero(level):
        same = [j for j in np.flatnonzero(level) if window[j] == window[i] and basin[j] == basin[i]
                and np.isfinite(away[j]) and ds.qc.values[j] == 0]  # fmt: skip
        if len(same) >= least:
            expected[i] = np.average(away[same], weights=1 / ds.error_std.values[same].astype(float) ** 2)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    whole = offsets(away, ds, least=1).values
    assert len(set(whole[level].tolist())) <= 1
    assert not whole[~level].any()


def test_offsets_leave_no_mean_departure():
    rng = np.random.default_rng(0)
    ds = observed(400, names=("zos",), error_std=rng.uniform(0.02, 0.2, 400).astype("f4"))
    away = rng.normal(0.3, 0.1, 400)
    left = away - offsets(away, ds).values
    assert abs(np.average(left, weights=1 / ds.error_std.values.astype(float) ** 2)) < 1e-12
    with pytest.raises(InputError, match=r"departures: found shape \(3,\); expected one for each of 400 rows"):
        offsets(away[:3], ds)
    with pytest.raises(InputError, match="basins: found dimensions"):
        offsets(away, ds, basins=topography().isel(latitude=0))


def test_the_error_is_that_of_the_instrument_and_of_representation():
    ds = observed(300, names=ALL)
    by_depth = xr.DataArray(0.5 - DEPTHS / 2500, {"depth": DEPTHS}, "depth")
    by_cell = xr.DataArray(0.2 + 0.01 * LATITUDE[:, None] + 0 * LONGITUDE, AXES, ("latitude", "longitude"))
    volume = (by_cell * (1 - by_depth)).transpose("latitude", "depth", "longitude")
    found = total_error(ds, {"thetao": by_depth, "zos": by_cell, "so": volume, "sst": 0.3}).values
    z, y = ds.depth.values, ds.latitude.values
    depth = 0.5 - np.maximum(z, DEPTHS[0]) / 2500
    cell = 0.2 + 0.01 * y
    by_name = {"thetao": depth, "zos": cell, "so": cell * (1 - depth), "sst": 0.3 + 0 * z, "sla": 0 * z}
    expected = np.select([rows_of(ds, n) for n in by_name], list(by_name.values()))
    np.testing.assert_allclose(found, np.hypot(0.1, expected), rtol=1e-6)
    np.testing.assert_array_equal(total_error(ds, {}), ds.error_std)
    dry = by_cell.where(by_cell.longitude < -10)
    there = total_error(ds, xr.Dataset({"zos": dry})).values
    beyond = rows_of(ds, "zos") & (ds.longitude.values > -10)
    np.testing.assert_allclose(there[beyond], np.hypot(0.1, float(dry.max())), rtol=1e-6)


@pytest.mark.parametrize(
    ("representation", "said"),
    [({"zoz": 1.0}, "unknown variable 'zoz'; did you mean 'zos'"),
     ({"zos": -0.1}, "representation: zos: found -0.1; expected standard deviations from 0 up"),
     ({"zos": np.nan}, "representation: zos: found nan"),
     ({"zos": topography().isel(longitude=0)}, "found dimensions .*; expected depth, or latitude and longitude")],
)  # fmt: skip
def test_a_wrong_error_of_representation_is_refused(representation, said):
    if isinstance(representation.get("zos"), xr.DataArray):
        representation = {"zos": abs(representation["zos"]).rename("zos_error")}
    with pytest.raises(InputError, match=said):
        total_error(observed(30, names=("zos",)), representation)
