"""Yes and no beyond a threshold: against counting cells, with numbers, days of the year and members."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from toy_scores import TRUTH, forecast, pairs, score

from oceanx.heatwaves import threshold as heatwave_threshold
from oceanx.ocean.climatology import at, daily_climatology, day_of_year
from oceanx.vocabulary.errors import InputError

METRICS = ["csi", "pod", "far", "hss", "sedi", "base_rate"]
LIMIT = 10.5


def counted(said, done, w):
    return [np.sum(w[x]) / w.sum() for x in (said & done, ~said & done, said & ~done, ~said & ~done)]


def check(found, a, m, f, r):
    assert float(found["thetao_csi"]) == pytest.approx(a / (a + m + f), rel=1e-9)
    assert float(found["thetao_pod"]) == pytest.approx(a / (a + m), rel=1e-9)
    assert float(found["thetao_far"]) == pytest.approx(f / (a + f), rel=1e-9)
    assert float(found["thetao_base_rate"]) == pytest.approx(a + m, rel=1e-9)
    right, chance = a + r, (a + m) * (a + f) + (f + r) * (m + r)
    assert float(found["thetao_hss"]) == pytest.approx((right - chance) / (1 - chance), rel=1e-9)
    logs = np.log([f / (f + r), a / (a + m), r / (f + r), m / (a + m)])
    assert float(found["thetao_sedi"]) == pytest.approx((logs[0] - logs[1] - logs[2] + logs[3]) / logs.sum(), rel=1e-9)


@pytest.mark.parametrize("side", ["above", "below"])
def test_a_number_for_all_dates(side):
    fc = forecast(error=1.5)
    table = score(fc, TRUTH, metrics=METRICS, variables=["thetao"], threshold=LIMIT, side=side)
    f, t, w, _ = pairs(fc, "thetao", 1, 0)
    said, done = (f > LIMIT, t > LIMIT) if side == "above" else (f < LIMIT, t < LIMIT)
    check(table.isel(lead_time=1, depth=0), *counted(said, done, w))
    assert table.attrs["oceanx_thetao_threshold"] == f"{side} 10.5"


def by_day(ds=TRUTH):
    """A threshold of its own for each day, level and cell."""
    shape = (366, *(ds.sizes[d] for d in ("depth", "latitude", "longitude")))
    values = 10 + np.random.default_rng(4).normal(size=shape).astype("f4")
    dims = ("dayofyear", "depth", "latitude", "longitude")
    grid = {d: ds[d] for d in dims[1:]}
    return xr.Dataset({"thetao": (dims, values, {"units": "degrees_C"})}, coords={"dayofyear": range(1, 367), **grid})


def test_a_threshold_by_day_of_the_year():
    fc, limits = forecast(error=1.5), by_day()
    table = score(fc, TRUTH, metrics=METRICS, variables=["thetao"], threshold=limits)
    said, done, weight = [], [], []
    for i in range(4):
        date = fc["valid_time"].isel(init_time=i, lead_time=[2])
        limit = limits["thetao"].sel(dayofyear=int(day_of_year(date)[0])).isel(depth=1).values
        actual = TRUTH["thetao"].sel(time=date.values[0]).isel(depth=1).values
        wet = np.isfinite(actual)
        said += list((fc["thetao"].values[i, 2, 1] > limit)[wet])
        done += list((actual > limit)[wet])
        weight += list(TRUTH["cell_area"].values[wet])
    check(table.isel(lead_time=2, depth=1), *counted(np.array(said), np.array(done), np.array(weight)))


def test_a_climatology_by_day_of_the_year_may_be_larger_than_memory(monkeypatch):
    """Read whole, or the days of a few dates at a time: the same scores as of `at`, to the bit."""
    fc, limits, usual = forecast(error=1.5), by_day(), daily_climatology(TRUTH.sel(time="2000"))
    told = {"threshold": {"thetao": limits}, "climatology": usual, "references": ["climatology"], "variables": "thetao"}
    whole = score(fc, TRUTH, metrics=["csi", "acc"], **told)
    monkeypatch.setattr("oceanx.scores.reading._HELD", 0)
    monkeypatch.setattr("oceanx.scores.reading._SMALL", 1)
    lazy = told | {"threshold": {"thetao": limits.chunk(dayofyear=50)}, "climatology": usual.chunk(latitude=2)}
    xr.testing.assert_identical(score(fc, TRUTH, metrics=["csi", "acc"], **lazy), whole)
    cycle = at(usual, fc["valid_time"])["thetao"]
    square = ((cycle - TRUTH["thetao"].sel(time=fc["valid_time"])).astype(float) ** 2).weighted(TRUTH["cell_area"])
    expected = square.mean(("latitude", "longitude")).mean("init_time").transpose("lead_time", "depth") ** 0.5
    rmse = score(fc, TRUTH, **{k: v for k, v in lazy.items() if k != "threshold"})["thetao_rmse"]
    np.testing.assert_allclose(rmse.sel(model="climatology"), expected, rtol=1e-6)


def test_a_threshold_of_heatwaves_at_the_surface():
    """Of `heatwaves.threshold`, which has no level: for a forecast of one."""
    top, truth = forecast(error=1.5).isel(depth=[0]), TRUTH.isel(depth=[0])
    limits = heatwave_threshold(TRUTH["thetao"].isel(depth=0, drop=True).sel(time="2000"), baseline=(2000, 2000))
    table = score(top, truth, metrics=["base_rate", "csi"], variables=["thetao"], threshold=limits)
    alone = score(
        top.isel(depth=0, drop=True), truth.isel(depth=0, drop=True), metrics=["base_rate", "csi"],
        variables=["thetao"], threshold=limits,
    )  # fmt: skip
    np.testing.assert_array_equal(table["thetao_csi"].isel(depth=0), alone["thetao_csi"])
    assert 0 < float(table["thetao_base_rate"].mean()) < 0.3
    assert table.attrs["oceanx_thetao_threshold"] == "above percentile 90 of the day of the year"


def test_cells_without_a_threshold_do_not_count():
    fc, limits = forecast(error=1.5), by_day()
    north = limits.where(limits["latitude"] > 40)
    north["thetao"].attrs = limits["thetao"].attrs
    some, own = (ds.sel(latitude=slice(40, 90)) for ds in (fc, TRUTH))
    found = score(fc, TRUTH, metrics=METRICS, variables=["thetao"], threshold=north)
    expected = score(some, own, metrics=METRICS, variables=["thetao"], threshold=limits.sel(latitude=slice(40, 90)))
    for name in METRICS:
        np.testing.assert_allclose(found[f"thetao_{name}"], expected[f"thetao_{name}"], rtol=1e-12)


def test_of_an_ensemble_the_mean_says_yes_or_no():
    fc = forecast(members=3, error=1.5)
    mean = fc.mean("member", keep_attrs=True)
    found, expected = (score(f, TRUTH, metrics=METRICS, variables=["thetao"], threshold=LIMIT) for f in (fc, mean))
    np.testing.assert_allclose(found["thetao_csi"], expected["thetao_csi"], rtol=1e-9)


def test_each_variable_has_its_own_threshold():
    both = score(forecast(), TRUTH, metrics=["base_rate"], threshold={"thetao": LIMIT, "zos": 0.05})
    for name, limit in (("thetao", LIMIT), ("zos", 0.05)):
        alone = score(forecast(), TRUTH, metrics=["base_rate"], variables=[name], threshold=limit)
        np.testing.assert_array_equal(both[f"{name}_base_rate"], alone[f"{name}_base_rate"])


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (None, "csi: needs a threshold of \\['thetao'\\]"),
        (by_day().isel(latitude=slice(3)), "threshold: latitude: grids differ"),
        (by_day().rename(thetao="so"), "threshold: has \\['so'\\] and none of thetao"),
        (by_day().isel(dayofyear=0, drop=True), "threshold: thetao has dimensions .*expected `dayofyear` 1…366"),
        (by_day().isel(dayofyear=slice(365)), "dayofyear: expected 1…366"),
        (by_day().isel(depth=[0, 1]), "level 500 m is not in the threshold"),
        (by_day().expand_dims(percentile=[90, 99]), "threshold: thetao has the dimension 'percentile'; select one"),
        ({"sst": 3.0}, "unknown variable with a threshold 'sst'"),
        (
            by_day().assign(thetao=by_day()["thetao"].assign_attrs(units="K")),
            "thetao: units of the threshold are 'K', of the truth 'degrees_C'",
        ),
    ],
)
def test_thresholds_that_do_not_fit_are_refused(threshold, message):
    with pytest.raises(InputError, match=message):
        score(forecast(), TRUTH, metrics=["csi"], variables=["thetao"], threshold=threshold)


def test_a_threshold_that_has_seen_the_test_is_warned_of():
    limits = by_day().assign_attrs(oceanx_baseline="2000/2001")
    with pytest.warns(UserWarning, match="threshold: was made from 2000 to 2001, which includes 16 of the 16 valid"):
        score(forecast(), TRUTH, metrics=["csi"], variables=["thetao"], threshold=limits)
    with pytest.raises(InputError, match="threshold: no metric needs one"):
        score(forecast(), TRUTH, variables=["thetao"], threshold=LIMIT)
    with pytest.raises(InputError, match="unknown side 'over'"):
        score(forecast(), TRUTH, metrics=["csi"], threshold=LIMIT, side="over")
