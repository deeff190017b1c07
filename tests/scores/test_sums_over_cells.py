"""The compiled sums against NumPy in float64, over many cells, regions, levels and kinds of gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.scores import kernel
from oceanx.scores.ensembles import crps, ranks
from oceanx.scores.kernel import ANOMALIES, BASIC, Weights, counted, moments, weighted

LEADS, LEVELS = 3, 4


def made(cells, seed, dtype):
    """Forecast, truth and climatology with gaps, a mask, and weights of three regions, one of them small."""
    rng = np.random.default_rng(seed)
    forecast, truth, usual = (rng.normal(10, 2, size=(n, LEVELS, cells)).astype(dtype) for n in (LEADS, 7, 7))
    forecast[rng.random(forecast.shape) < 0.1] = np.nan
    truth[rng.random(truth.shape) < 0.1] = np.nan
    forecast[0, 0, 0], truth[0, 0, -1] = np.inf, -np.inf
    weights = rng.random((3, cells))
    weights[1, rng.random(cells) < 0.5] = 0
    weights[2, 2:] = 0
    wet = rng.random((3, cells)) < 0.9
    return forecast, truth, usual, wet, weights


def plain(forecast, truth, usual, wet, weights):
    """Sums of each statistic (lead, region, level), every one from its definition."""
    known = wet & np.isfinite(truth)
    with np.errstate(invalid="ignore"):
        error = forecast - truth
        both = known & np.isfinite(error)
        away, done = forecast - usual, truth - usual
        values = {
            "truth_weight": known, "weight": both, "error": error, "absolute_error": np.abs(error),
            "squared_error": error**2, "forecast_anomaly": away, "truth_anomaly": done,
            "anomaly_product": away * done, "squared_forecast_anomaly": away**2, "squared_truth_anomaly": done**2,
        }  # fmt: skip
    count = {name: np.where(known if name == "truth_weight" else both, x, 0.0) for name, x in values.items()}
    return {name: np.einsum("lkc,rc->lrk", x, weights) for name, x in count.items()}


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 1100), st.integers(0, 99), st.sampled_from(["f4", "f8", ">f4"]), st.booleans())
def test_moments_equal_their_definitions(cells, seed, dtype, threads):
    forecast, truth, usual, wet, weights = made(cells, seed, dtype)
    levels, at = np.array([0, 1, 3]), np.array([6, 0, 4])
    stacks = list(forecast[:, :3]), list(truth[at]), list(usual[at])
    few = -1 if threads else 10**9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_FEW", few)
        found = moments(*stacks, levels, wet, Weights(weights))
        without = moments(*stacks[:2], None, levels, wet, Weights(weights))
    wide = [x.astype(float) for x in (forecast[:, :3], truth[at][:, levels], usual[at][:, levels])]
    expected = plain(*wide, wet, weights)
    assert set(found) == {*BASIC, *ANOMALIES}
    for name, sums in expected.items():
        np.testing.assert_allclose(found[name], sums, rtol=1e-11, atol=1e-9, err_msg=name)
    for name in BASIC:  # to the bit: what else is summed changes nothing
        np.testing.assert_array_equal(without[name], found[name])


def test_threads_do_not_change_a_bit(monkeypatch):
    forecast, truth, usual, wet, weights = made(5000, 0, "f4")
    stacks = [list(x[:LEADS]) for x in (forecast[:, :3], truth, usual)]
    alone = moments(*stacks, np.arange(3), wet, Weights(weights))
    monkeypatch.setattr(kernel, "_FEW", -1)
    for cores in (1, 2, 5, 50):
        monkeypatch.setattr(kernel, "cores", lambda cores=cores: cores)
        again = moments(*stacks, np.arange(3), wet, Weights(weights))
        for name, sums in alone.items():
            np.testing.assert_array_equal(again[name], sums)


def test_one_mask_for_all_levels_and_one_field_for_all_leads():
    forecast, truth, usual, wet, weights = made(300, 1, "f4")
    found = moments([forecast[0]] * LEADS, truth[:LEADS], None, np.arange(LEVELS), wet[:1], Weights(weights))
    wide = (x.astype(float) for x in (forecast[[0, 0, 0]], truth[:3], usual[:3]))
    expected = plain(*wide, wet[:1], weights)
    np.testing.assert_allclose(found["squared_error"], expected["squared_error"], rtol=1e-11)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 700), st.integers(0, 99))
def test_values_and_counts_are_summed(cells, seed):
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=(2, 3, cells)), rng.random((2, cells)) * (rng.random((2, cells)) < 0.7)
    np.testing.assert_allclose(
        weighted(values, Weights(weights)), np.einsum("lkc,rc->lrk", values, weights), rtol=1e-11, atol=1e-9
    )
    first = rng.integers(-1, 4, size=values.shape)
    last = first + rng.integers(0, 2, size=values.shape)
    expected = np.zeros((2, 2, 3, 5))
    for lead, level, cell in np.ndindex(values.shape):
        low, high = first[lead, level, cell], last[lead, level, cell]
        for b in range(low, high + 1) if low >= 0 else ():
            expected[lead, :, level, b] += weights[:, cell] * values[lead, level, cell] / (high - low + 1)
    np.testing.assert_allclose(counted(first, last, values, 5, Weights(weights)), expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.integers(0, 99))
def test_crps_and_ranks_equal_all_pairs(count, seed):
    rng = np.random.default_rng(seed)
    members, truth = rng.integers(0, 5, size=(count, 2, 9)).astype("f4"), rng.integers(0, 5, size=(2, 9)).astype("f4")
    valid = rng.random(truth.shape) < 0.8
    found = crps(members, truth, valid)
    below, equal = ranks(members, truth, valid)
    for cell in np.ndindex(truth.shape):
        x, y = members[(slice(None), *cell)].astype(float), float(truth[cell])
        pairs = sum(abs(a - b) for a in x for b in x) / (2 * count * (count - 1))
        expected = np.abs(x - y).mean() - pairs if valid[cell] else 0.0
        assert found[cell] == pytest.approx(expected, abs=1e-12)
        assert (below[cell], equal[cell]) == ((np.sum(x < y), np.sum(x == y)) if valid[cell] else (-1, 0))
