"""Scores of members, and of probabilities, against arithmetic done cell by cell and closed forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from toy_scores import STARTS, TRUTH, forecast, pairs, score

from oceanx.scores.fields import Fields
from oceanx.scores.probabilistic import STATISTICS


def test_ensemble_scores_equal_arithmetic_by_cell():
    fc = forecast(seed=2, members=5)
    table = score(fc, TRUTH, metrics=["rmse", "rmse_unbiased", "spread", "crps"], variables=["thetao"])
    f, t, w, _ = pairs(fc, "thetao", 2, 0)
    mean, variance = f.mean(axis=1), f.var(axis=1, ddof=1)
    found = {k: float(v.isel(lead_time=2, depth=0)) for k, v in table.items()}
    mse = np.average((mean - t) ** 2, weights=w)
    assert found["thetao_rmse"] == pytest.approx(np.sqrt(mse), rel=1e-9)
    assert found["thetao_spread"] == pytest.approx(np.sqrt(np.average(variance, weights=w)), rel=1e-9)
    unbiased = max(mse - np.average(variance, weights=w) / 5, 0)
    assert found["thetao_rmse_unbiased"] == pytest.approx(np.sqrt(unbiased), rel=1e-9)
    away = np.abs(f - t[:, None]).mean(axis=1)
    between = np.abs(f[:, :, None] - f[:, None, :]).sum(axis=(1, 2)) / (2 * 5 * 4)
    assert found["thetao_crps"] == pytest.approx(np.average(away - between, weights=w), rel=1e-9)


def test_unbiased_error_does_not_depend_on_how_many_members():
    """Truth = signal; members = signal + bias + noise: the infinite ensemble's error is the bias, 0.5."""
    starts = pd.date_range("2000-01-01", periods=300, freq="2D")
    for count in (3, 20):
        fc = forecast(seed=count, members=count, starts=starts, leads=1)
        fc["zos"] = (fc["zos"] + 0.5).assign_attrs(fc["zos"].attrs)
        table = score(fc, TRUTH, metrics=["rmse_unbiased"], variables=["zos"])
        assert float(table["zos_rmse_unbiased"].squeeze()) == pytest.approx(0.5, abs=0.03)


def test_without_members_crps_is_the_absolute_error_and_spread_is_unknown():
    models = {"one": forecast(), "many": forecast(members=3)}
    table = score(models, TRUTH, metrics=["mae", "crps", "spread", "rmse_unbiased"], variables=["zos"])
    one = table.sel(model="one")
    np.testing.assert_allclose(one["zos_crps"], one["zos_mae"])
    assert one["zos_spread"].isnull().all()
    assert one["zos_rmse_unbiased"].isnull().all()
    assert table["zos_spread"].sel(model="many").notnull().all()


def test_crps_of_a_gaussian_is_the_closed_form():
    """σ (z (2Φ(z) − 1) + 2 φ(z) − 1/√π), z = (y − μ) / σ; fair scores of few members average to it."""
    starts = pd.date_range("2000-01-01", periods=360, freq="2D")
    spread, away = 0.7, 0.4
    for count in (2, 6):
        fc = forecast(seed=count, error=spread, members=count, starts=starts, leads=1)
        fc["zos"] = (fc["zos"] + away).assign_attrs(fc["zos"].attrs)
        found = float(score(fc, TRUTH, metrics=["crps"], variables=["zos"])["zos_crps"].squeeze())
        z = -away / spread
        exact = spread * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
        assert found == pytest.approx(exact, abs=0.012)


def reliable(members, starts, seed=0):
    """Members and truth drawn alike: a signal that all share, and noise of each one's own."""
    fc = forecast(members=members, starts=starts, leads=1)[["zos"]]
    rng = np.random.default_rng(seed)
    space = (TRUTH.sizes["latitude"], TRUTH.sizes["longitude"])
    signal = rng.normal(size=(len(starts), *space))
    draws = signal + 0.8 * rng.normal(size=(members + 1, len(starts), *space))
    fc["zos"] = fc["zos"].copy(data=draws[:members, :, None].astype("f4"))
    truth = TRUTH[["zos"]].copy(deep=True)
    dates = fc["valid_time"].values[:, 0]
    truth["zos"].loc[{"time": dates}] = np.where(TRUTH["mask"][0] == 1, draws[members], np.nan).astype("f4")
    return fc, truth


def test_spread_matches_error_of_a_reliable_ensemble_whatever_its_size():
    """Var of the error of a mean of K is (K + 1)/K of the members' variance (Fortin et al. 2014)."""
    starts = pd.date_range("2000-01-01", periods=700)
    for members in (2, 5):
        fc, truth = reliable(members, starts, seed=members)
        table = score(fc, truth, metrics=["spread_skill", "spread", "rmse"])
        assert float(table["zos_spread_skill"].squeeze()) == pytest.approx(1.0, abs=0.02)
        ratio = float((table["zos_spread"] / table["zos_rmse"]).squeeze())
        assert ratio == pytest.approx(np.sqrt(members / (members + 1)), abs=0.02)


def test_rank_histogram_of_a_reliable_ensemble_is_flat_and_of_a_narrow_one_is_not():
    starts = pd.date_range("2000-01-01", periods=500)
    fc, truth = reliable(4, starts)
    flat = score(fc, truth, metrics=["rank_histogram"])["zos_rank_histogram"].squeeze()
    assert flat.dims == ("rank",)
    assert float(flat.sum()) == pytest.approx(1.0)
    # Cells of a start share their weights alone: 500 × 19 draws, of areas that differ by a factor of 3.
    np.testing.assert_allclose(flat, 0.2, atol=5 * np.sqrt(0.2 * 0.8 / (500 * 12)))
    narrow = fc.assign(zos=(fc["zos"].mean("member") + 0.1 * (fc["zos"] - fc["zos"].mean("member"))))
    narrow["zos"] = narrow["zos"].transpose(*fc["zos"].dims).astype("f4").assign_attrs(fc["zos"].attrs)
    ends = score(narrow, truth, metrics=["rank_histogram"])["zos_rank_histogram"].squeeze()
    assert float(ends[0] + ends[-1]) > 0.7


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 4), st.integers(0, 50))
def test_rank_histogram_shares_ties_evenly(members, seed):
    """Against a loop over cells, on values of which many are equal."""
    fc = forecast(members=members, starts=STARTS[:2], leads=2)[["zos"]]
    rng = np.random.default_rng(seed)
    fc["zos"] = fc["zos"].copy(data=rng.integers(0, 3, fc["zos"].shape).astype("f4"))
    truth = TRUTH[["zos"]].copy(data={"zos": rng.integers(0, 3, TRUTH["zos"].shape).astype("f4")})
    truth["zos"] = truth["zos"].where(TRUTH["mask"].isel(depth=0, drop=True) == 1).assign_attrs(TRUTH["zos"].attrs)
    found = score(fc, truth, metrics=["rank_histogram"])["zos_rank_histogram"].isel(lead_time=1)
    expected, total = np.zeros(members + 1), 0.0
    for i in range(2):
        actual = truth["zos"].sel(time=fc["valid_time"].values[i, 1])
        for y in range(4):
            for x in range(5):
                done, weight = float(actual[y, x]), float(TRUTH["cell_area"][y, x])
                if np.isnan(done):
                    continue
                said = fc["zos"].values[:, i, 1, y, x]
                places = [r for r in range(members + 1) if (said < done).sum() <= r <= (said <= done).sum()]
                expected[places] += weight / len(places)
                total += weight
    np.testing.assert_allclose(found, expected / total, rtol=1e-12)


def test_ranks_that_a_smaller_ensemble_lacks_are_blank():
    models = {"few": forecast(members=2), "many": forecast(members=4), "one": forecast()}
    found = score(models, TRUTH, metrics=["rank_histogram"], variables=["zos"])["zos_rank_histogram"]
    assert found.sizes["rank"] == 5
    assert found.sel(model="few").isel(lead_time=0).isnull().values.tolist() == [False, False, False, True, True]
    assert found.sel(model="one").isnull().all()


LIMIT = 10.5


def exceeding(fc, lead, level):
    """Members beyond the limit, whether the truth is, and the weight, of every cell."""
    f, t, w, _ = pairs(fc, "thetao", lead, level)
    return (f > LIMIT).sum(axis=1), t > LIMIT, w / w.sum()


def test_brier_is_that_of_ferro_by_cell():
    fc = forecast(seed=5, members=4, error=2.0)
    found = score(fc, TRUTH, metrics=["brier"], variables=["thetao"], threshold=LIMIT)["thetao_brier"]
    k, o, w = exceeding(fc, 1, 2)
    expected = np.sum(w * ((k / 4 - o) ** 2 - k * (4 - k) / (16 * 3)))
    assert float(found.isel(lead_time=1, depth=2)) == pytest.approx(expected, rel=1e-9)


def test_fair_brier_does_not_depend_on_how_many_members():
    """Members and truth alike: E(fair) is that of infinitely many members, whatever their number."""
    starts = pd.date_range("2000-01-01", periods=700)
    means = []
    for members in (2, 8):
        fc, truth = reliable(members, starts, seed=3)
        means.append(float(score(fc, truth, metrics=["brier"], threshold=0.5)["zos_brier"].squeeze()))
    assert means[0] == pytest.approx(means[1], abs=0.01)


def test_brier_parts_add_up_to_the_score_without_correction():
    """Reliability − resolution + uncertainty = mean (p − o)² (Murphy 1973), as each bin holds one probability."""
    parts = ["brier_reliability", "brier_resolution", "brier_uncertainty"]
    for members in (2, 5, 10):
        fc = forecast(seed=members, members=members, error=2.0)
        found = score(fc, TRUTH, metrics=parts, variables=["thetao"], threshold=LIMIT).isel(lead_time=2, depth=0)
        k, o, w = exceeding(fc, 2, 0)
        reliability, resolution, uncertainty = (float(found[f"thetao_{part}"]) for part in parts)
        plain = np.sum(w * (k / members - o) ** 2)
        assert reliability - resolution + uncertainty == pytest.approx(plain, rel=1e-9)
        assert uncertainty == pytest.approx(np.sum(w * o) * (1 - np.sum(w * o)), rel=1e-9)


def test_reliability_curve_is_the_frequency_by_probability():
    fc = forecast(seed=7, members=5, error=2.0)
    found = score(fc, TRUTH, metrics=["reliability"], variables=["thetao"], threshold=LIMIT)
    assert found["thetao_reliability"].dims == ("lead_time", "depth", "probability")
    k, o, w = exceeding(fc, 0, 1)
    at = found.isel(lead_time=0, depth=1)
    for count in range(6):
        here = k == count
        bin_ = at.sel(probability=count / 5, method="nearest")
        assert float(bin_["thetao_forecast_share"]) == pytest.approx(w[here].sum(), rel=1e-9, abs=1e-12)
        if here.any():
            assert float(bin_["thetao_reliability"]) == pytest.approx(np.average(o[here], weights=w[here]), rel=1e-9)
        else:
            assert bin_["thetao_reliability"].isnull()
    assert at["thetao_forecast_share"].isel(probability=[1, 3, 5, 7, 9]).sum() == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.data())
def test_every_probability_is_in_the_nearest_bin(members, data):
    count = data.draw(st.integers(0, members))
    fields = Fields(np.array([1.0] * count + [-1.0] * (members - count))[:, None], np.zeros(1), np.ones(1, bool),
                    ensemble=True, threshold=0.5)  # fmt: skip
    (place,) = STATISTICS["bin_forecasts"](fields).first
    assert abs(Fraction(int(place), 10) - Fraction(count, members)) <= Fraction(1, 20)
