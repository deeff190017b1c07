"""Errors of analyses against a truth, lost lead times, increments that are a bias, means that drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import toy_analyses as toy
import toy_scores
import xarray as xr

from oceanx import scores
from oceanx.scores import analysis_scores, increments, lost_lead
from oceanx.scores.cycling import late_over_early
from oceanx.scores.incrementing import YEAR, drift
from oceanx.vocabulary.errors import InputError


@pytest.fixture(scope="module")
def cycle():
    return toy.made(12, 20, 5, refused=2)


def test_errors_are_those_of_a_plain_loop_weighted_by_area():
    truth = toy_scores.TRUTH.isel(time=slice(0, 6))
    rng = np.random.default_rng(2)
    an = truth.assign({n: truth[n] + rng.normal(0, 1, truth[n].shape) for n in ("thetao", "zos")})
    an["thetao_std"] = (xr.ones_like(truth.thetao) * (1 + np.arange(6))[:, None, None, None]).where(truth.mask == 1)
    for name in ("thetao", "zos", "thetao_std"):
        an[name].attrs = truth[name.removesuffix("_std")].attrs
    found = analysis_scores(an, truth)
    assert found.thetao_rmse.dims == ("time", "depth")
    for t in range(6):
        for k in range(3):
            error, weight = [], []
            for y in range(4):
                for x in range(5):
                    if int(truth.mask[k, y, x]):
                        error.append(float(an.thetao[t, k, y, x] - truth.thetao[t, k, y, x]))
                        weight.append(float(truth.cell_area[y, x]))
            e, w = np.array(error), np.array(weight) / np.sum(weight)
            assert float(found.thetao_rmse[t, k]) == pytest.approx(np.sqrt((w * e**2).sum()), rel=1e-6)
            assert float(found.thetao_bias[t, k]) == pytest.approx((w * e).sum(), rel=1e-5, abs=1e-7)
            assert float(found.thetao_spread[t, k]) == pytest.approx(1 + t, rel=1e-6)
    mean = np.sqrt((found.thetao_spread**2).mean("time") / (found.thetao_rmse**2).mean("time"))
    np.testing.assert_allclose(found.thetao_spread_skill, mean)
    assert "zos_spread" not in found
    an["thetao_std"] = an.thetao_std.where(xr.DataArray(np.arange(6) % 2 == 0, dims="time"))
    alternate = analysis_scores(an, truth)
    two = [np.sqrt((found[f"thetao_{kind}"][::2] ** 2).mean("time")) for kind in ("spread", "rmse")]
    np.testing.assert_allclose(alternate.thetao_spread_skill, two[0] / two[1])


def test_regions_and_bands_are_those_of_forecasts():
    truth = toy_scores.TRUTH.isel(time=slice(0, 4))
    an = truth[["thetao"]] + 1.0
    an["thetao"].attrs = truth.thetao.attrs
    found = analysis_scores(an, truth, regions=["tropics", "northern_extratropics"], depth_bands=[(0, 100)])
    assert found.thetao_rmse.sizes == {"region": 2, "time": 4, "depth_band": 1}
    np.testing.assert_allclose(found.thetao_bias, 1, rtol=1e-6)


def test_the_spread_of_the_best_analysis_is_its_error(cycle):
    an, _, truth = toy.made(120)
    found = analysis_scores(an, truth)
    np.testing.assert_allclose(found.thetao_spread_skill, 1, atol=0.06)


def test_sites_are_of_the_truth_without_its_noise(cycle):
    an, obs, truth = cycle
    kept_back = obs.isel(obs=np.flatnonzero(np.arange(obs.sizes["obs"]) % 25 >= 20))
    found = analysis_scores(an, truth, sites=kept_back)
    assert found.thetao_count_at_sites.values.tolist() == [5] * 12
    day = kept_back.isel(obs=slice(5, 10))
    places = {d: xr.DataArray(day[d].values, dims="obs") for d in ("latitude", "longitude", "depth")}
    error = (an.thetao.isel(time=1).drop_vars("obs", errors="ignore") - truth.thetao.isel(time=1)).sel(places)
    assert float(found.thetao_rmse_at_sites[1]) == pytest.approx(float((error**2).mean()) ** 0.5, rel=1e-9)
    assert float(found.thetao_bias_at_sites[1]) == pytest.approx(float(error.mean()), rel=1e-9)
    far = kept_back.assign_coords(latitude=kept_back.latitude + 30)
    with pytest.raises(InputError, match="sites: at none of them"):
        analysis_scores(an, truth, sites=far)


def test_late_over_early_is_of_the_last_ninety_days_and_days_31_to_120():
    time = pd.date_range("2001-01-01", periods=300)
    error = np.ones(300)
    error[30:120], error[210:] = 2.0, 3.0
    ratio = late_over_early(xr.DataArray(error, {"time": time}, "time"))
    assert float(ratio) == pytest.approx(1.5)
    assert np.isnan(late_over_early(xr.DataArray(error[:209], {"time": time[:209]}, "time")))
    assert np.isfinite(late_over_early(xr.DataArray(error[:210], {"time": time[:210]}, "time")))


def test_what_is_no_analysis_is_refused(cycle):
    an, _, truth = cycle
    with pytest.raises(InputError, match="shares no variable with the truth"):
        analysis_scores(an.rename(thetao="so"), truth)
    with pytest.raises(InputError, match="no dimension time"):
        analysis_scores(an.isel(time=0), truth)


# Lost lead time


def curve(values, leads, dims=("lead_time",), **coords) -> xr.Dataset:
    at = {"lead_time": pd.to_timedelta(leads, unit="D"), **coords}
    return xr.Dataset({"thetao_rmse": (dims, np.asarray(values, float))}, at)


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5, 2.0])
def test_a_shifted_straight_line_has_lost_its_shift(shift):
    leads = np.arange(1, 11)
    lost = lost_lead(curve(0.1 * (leads + shift), leads), curve(0.1 * leads, leads)).thetao_lost_lead
    known = leads + shift <= 10
    np.testing.assert_allclose(lost[known], shift, atol=1e-12)
    assert np.isnan(lost[~known]).all()
    assert lost.attrs["units"] == "d"


def test_saturating_errors_have_lost_what_their_formula_says():
    """E_t = √(1 − e^(−τ/T)), E_a² = E_0² + E_t² (1 − E_0²): τ + δ = τ − T ln(1 − E_0²)."""
    leads, scale, start = np.arange(1, 81) / 4, 6.0, 0.3
    e_t = np.sqrt(1 - np.exp(-leads / scale))
    e_a = np.sqrt(start**2 + e_t**2 * (1 - start**2))
    lost = lost_lead(curve(e_a, leads), curve(e_t, leads)).thetao_lost_lead
    np.testing.assert_allclose(lost[2:70], -scale * np.log(1 - start**2), atol=0.02)


def test_the_first_lead_that_is_as_wrong_counts():
    lost = lost_lead(curve([1.0, 2.0, 2.5], [1, 2, 3]), curve([1.0, 2.0, 1.5, 3.0], [1, 2, 3, 4])).thetao_lost_lead
    np.testing.assert_allclose(lost, [0, 0, 2 / 3])


def test_models_and_depths_are_each_for_themselves_and_leads_may_differ():
    leads = np.arange(1, 9)
    slopes, shifts = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[0.0, 1.0], [2.0, 0.5]])
    truth = slopes[..., None] * leads
    ours = slopes[..., None] * (leads[:4] + shifts[..., None])
    dims, coords = ("model", "depth", "lead_time"), {"model": ["a", "b"], "depth": [0.5, 50.0]}
    theirs = curve(truth, leads, dims, **coords).transpose("lead_time", "depth", "model")
    found = lost_lead(curve(ours, leads[:4], dims, **coords), theirs)
    assert found.thetao_lost_lead.dims == dims
    np.testing.assert_allclose(found.thetao_lost_lead, np.broadcast_to(shifts[..., None], ours.shape), atol=1e-12)


def test_scores_of_forecasts_go_in_as_they_are():
    better, worse = (scores.score(toy_scores.forecast(error=e), toy_scores.TRUTH, references=False) for e in (1, 2))
    found = lost_lead(worse, better)
    assert set(found.data_vars) == {"thetao_lost_lead", "zos_lost_lead"}
    with pytest.raises(InputError, match="share no variable with '_acc'"):
        lost_lead(worse, better, metric="acc")


# Increments and drift


def store(times: int = 40) -> xr.Dataset:
    """Analyses whose increments are a map `m` and a map `s` of changing sign."""
    an = toy.made(times, 20, 5)[0]
    rng = np.random.default_rng(3)
    mean, swing = rng.normal(size=(2, *toy.SHAPE))
    sign = np.where(np.arange(times) % 2, 1.0, -1.0)[:, None, None, None]
    an["thetao"] = an.thetao_background + mean + sign * swing
    return an.assign_coords(
        mean=(("depth", "latitude", "longitude"), mean), swing=(("depth", "latitude", "longitude"), swing)
    )


def test_the_mean_increment_and_its_share_are_found():
    an = store()
    found = increments(an)
    np.testing.assert_allclose(found.thetao_increment_bias, an["mean"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.thetao_increment_rms**2, an["mean"] ** 2 + an["swing"] ** 2, rtol=1e-9)
    area = an.cell_area
    expected = (an["mean"] ** 2 * area).sum(area.dims) / ((an["mean"] ** 2 + an["swing"] ** 2) * area).sum(area.dims)
    np.testing.assert_allclose(found.thetao_increment_bias_share, expected, rtol=1e-12)


def test_windows_without_an_increment_do_not_thin_the_mean():
    an = store()
    there = np.arange(40) % 4 < 2
    an["thetao"] = an.thetao.where(xr.DataArray(there, dims="time"), an.thetao_background)
    np.testing.assert_allclose(increments(an).thetao_increment_bias, an["mean"], rtol=1e-9, atol=1e-12)
    within = store()  # of windows of two days the first day alone has an increment
    within["thetao"] = within.thetao.copy(data=np.where(sign_of_second_days(40), within.thetao + 9, within.thetao))
    found = increments(within.assign_attrs(oceanx_window="2D"))
    np.testing.assert_allclose(found.thetao_increment_bias, within["mean"] - within["swing"], rtol=1e-9, atol=1e-12)


def sign_of_second_days(times: int) -> np.ndarray:
    return (np.arange(times) % 2 == 1)[:, None, None, None]


def test_an_assimilation_without_a_bias_has_a_share_of_one_over_its_number():
    an = toy.made(150, length=0)[0]
    np.testing.assert_allclose(increments(an).thetao_increment_bias_share, 1 / 150, rtol=0.5)


def test_land_has_no_increment_and_counts_for_nothing():
    an = store()
    wet = np.ones(toy.SHAPE, "i1")
    wet[:, 2:4, 3:6] = 0
    masked = an.assign_coords(mask=(("depth", "latitude", "longitude"), wet))
    masked["thetao"] = masked.thetao.where(masked.mask == 1)
    found = increments(masked)
    assert (np.isnan(found.thetao_increment_bias) == (wet == 0)).all()
    kept = xr.where(masked.mask == 1, an.cell_area, 0.0)
    expected = (an["mean"] ** 2 * kept).sum(("latitude", "longitude"))
    expected = expected / ((an["mean"] ** 2 + an["swing"] ** 2) * kept).sum(("latitude", "longitude"))
    np.testing.assert_allclose(found.thetao_increment_bias_share, expected, rtol=1e-12)


def test_without_backgrounds_there_is_no_increment():
    with pytest.raises(InputError, match=r"the backgrounds were not kept; assimilate with keep=\('background',\)"):
        increments(toy.made(3)[0].drop_vars("thetao_background"))


def drifting(days: int, noise: float, seed: int = 0, lag: float = 0.0) -> xr.Dataset:
    """A trend of 0.7 a year, a season where there is a year or more, and autoregressive noise."""
    an = toy.made(1)[0].drop_dims("obs").isel(time=np.zeros(days, int))
    t = np.arange(days) / YEAR
    rng, e = np.random.default_rng(seed), np.zeros(days)
    for n in range(1, days):
        e[n] = lag * e[n - 1] + rng.normal()
    season = np.cos(2 * np.pi * (t - 0.2)) if days > 364 else 0.0
    an = an.assign_coords(time=pd.date_range("2001-01-01", periods=days))
    return an.assign(thetao_drift=("time", 0.7 * t + season + noise * e))


@pytest.mark.parametrize("days", [60, 400])
def test_a_trend_is_told_from_the_season(days):
    found = drift(drifting(days, 0.0))
    assert float(found.thetao_drift_trend) == pytest.approx(0.7, rel=1e-9)
    assert found.thetao_drift_trend.attrs["units"] == "degrees_C year-1"
    assert ("the season's part is in it" in found.thetao_drift_trend.attrs["comment"]) == (days < 364)
    assert found.thetao_drift.sizes == {"time": days}


def test_the_error_of_a_trend_is_how_trends_scatter():
    found = [drift(drifting(200, 0.1, seed, lag=0.6)) for seed in range(60)]
    trends, errors = (np.array([float(one[f"thetao_drift_{k}"]) for one in found]) for k in ("trend", "trend_error"))
    assert errors.mean() == pytest.approx(trends.std(), rel=0.25)
    assert abs(trends.mean() - 0.7) < 4 * trends.std() / np.sqrt(60)


def test_a_store_without_drift_has_none_and_a_short_one_no_trend():
    assert not drift(toy.made(3)[0]).data_vars
    assert np.isnan(drift(drifting(3, 0.1)).thetao_drift_trend)
