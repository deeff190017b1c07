"""Confidence by moving blocks: against resampling written out, and as often right as it says on series with memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import binom
from toy_scores import CLIM, MANY, TRUTH, forecast, score

from oceanx.scores import combine, finish, sums
from oceanx.scores.bootstrap import Resampling, limits, resampling
from oceanx.vocabulary.errors import InputError


def test_blocks_are_of_neighbours_and_fill_the_series():
    counts = Resampling(block=4, resamples=200, seed=3).counts(18).values
    assert (counts.sum(axis=1) == 18).all()
    # As many distinct places as at least one whole block has; no start is out of reach.
    assert (counts > 0).any(axis=0).all()
    # With one block as long as the series, there is nothing to draw.
    np.testing.assert_array_equal(Resampling(block=18, resamples=5).counts(18), 1.0)
    # Where a series is one block and a half, both ends of the first block are drawn together.
    pairs = Resampling(block=9, resamples=300, seed=1).counts(18).values
    first = pairs[:, 0] > 0
    assert (pairs[first][:, :9] > 0).all()


def test_limits_are_the_quantiles_of_what_is_there():
    values = np.random.default_rng(0).normal(size=(101, 7))
    values[:30, 2], values[:, 5] = np.nan, np.nan
    found = limits(xr.DataArray(values, dims=("resample", "cell")), 0.9)
    for end, q in zip(found, (0.05, 0.95), strict=True):
        expected = [np.quantile(column[np.isfinite(column)], q) if np.isfinite(column).any() else np.nan
                    for column in values.T]  # fmt: skip
        np.testing.assert_allclose(end, expected)


def test_confidence_is_that_of_resampled_start_dates():
    """Starts drawn again one by one, scored from their own mean squares, each with its weight."""
    fc = forecast(starts=MANY, leads=3)
    lost = TRUTH.copy(deep=True)
    lost["zos"].loc[{"time": fc["valid_time"].values[4, 1], "latitude": [10.0, 30.0]}] = np.nan
    table = score(fc, lost, metrics=["rmse"], variables=["zos"], confidence=0.8, block=3, resamples=50, seed=9)
    drawn = np.random.default_rng(9).integers(0, 22, size=(50, 8))
    error = (
        (fc["zos"].astype(float) - lost["zos"].sel(time=fc["valid_time"])).isel(lead_time=1).transpose("init_time", ...)
    )
    weight = (TRUTH["cell_area"] * error.notnull()).transpose("init_time", "latitude", "longitude").values
    square = np.nan_to_num(error.values.astype(float)) ** 2 * weight
    again = []
    for row in drawn:
        starts = np.concatenate([np.arange(first, first + 3) for first in row])[:24]
        again.append(np.sqrt(square[starts].sum() / weight[starts].sum()))
    assert float(table["zos_rmse_low"][1]) == pytest.approx(np.quantile(again, 0.1), rel=1e-9)
    assert float(table["zos_rmse_high"][1]) == pytest.approx(np.quantile(again, 0.9), rel=1e-9)
    assert table.attrs["oceanx_bootstrap"] == "50 resamples of blocks of 3 start dates, seed 9"
    assert table.attrs["oceanx_confidence"] == 0.8


STARTS = 400
SERIES = 400


def with_memory(phi, seed, mean=0.0):
    """Many independent AR(1) series of variance 1, (series, start)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(SERIES, STARTS))
    for t in range(1, STARTS):
        noise[:, t] = phi * noise[:, t - 1] + np.sqrt(1 - phi**2) * noise[:, t]
    return noise + mean


def summed(models):
    """Sums as of one cell, with these errors (series, start) of each model; a series is called a region."""
    errors = np.stack(list(models.values()))[..., None]
    dims = ("model", "region", "init_time", "lead_time")
    kinds = {"error": errors, "squared_error": errors**2, "weight": np.ones_like(errors)}
    kinds["truth_weight"] = kinds["weight"]
    coords = {
        "model": list(models),
        "region": [str(i) for i in range(SERIES)],
        "init_time": pd.date_range("2000-01-01", periods=STARTS),
        "lead_time": pd.to_timedelta([1], "D"),
    }
    attrs = {"oceanx_metrics": ["bias", "mse"]}
    return xr.Dataset({f"zos_{k}": (dims, v) for k, v in kinds.items()}, coords, attrs)


def test_confidence_covers_the_true_value_as_often_as_it_says():
    """Of the mean, and of the mean square of series with memory. Blocks of n^⅓ see most of it, single starts none.

    Percentile limits of n/L = 50 blocks are known to be a little narrow, by some 3 % in coverage: hence the bounds, of
    99.9 % for a share between 0.91 and 0.95.
    """
    series = summed({"m": with_memory(0.5, seed=0, mean=0.3)})
    share = {}
    for block in (None, 1):
        table = finish(series, confidence=0.95, block=block, resamples=400)
        for metric, true in (("bias", 0.3), ("mse", 1 + 0.3**2)):
            inside = (table[f"zos_{metric}_low"] <= true) & (true <= table[f"zos_{metric}_high"])
            share[metric, block] = int(inside.sum())
    for metric in ("bias", "mse"):
        assert binom.ppf(0.0005, SERIES, 0.91) <= share[metric, None] <= binom.ppf(0.9995, SERIES, 0.95)
    # The mean of an AR(1) with φ = ½ has three times the variance of independent values: 1.96/√3 → 74 %.
    assert share["bias", 1] <= binom.ppf(0.9995, SERIES, 0.76)


def test_better_is_sure_of_a_difference_and_evenly_spread_without():
    ours, theirs = with_memory(0.5, seed=1), with_memory(0.5, seed=2)
    table = finish(summed({"ours": 0.7 * ours, "theirs": theirs}), compare="theirs", resamples=300)
    better = table["zos_mse_better"].squeeze("lead_time")
    assert (better.sel(model="ours") > 0.97).mean() > 0.97
    assert better.sel(model="theirs").isnull().all()
    alike = finish(summed({"ours": ours, "theirs": theirs}), compare="theirs", resamples=300)["zos_mse_better"]
    shares = alike.sel(model="ours").values.ravel()
    wrong = ((shares < 0.05) | (shares > 0.95)).sum()  # 10 %, and what blocks miss
    assert binom.ppf(0.0005, SERIES, 0.1) <= wrong <= binom.ppf(0.9995, SERIES, 0.16)
    opposite = finish(summed({"ours": theirs, "theirs": ours}), compare="theirs", resamples=300)["zos_mse_better"]
    np.testing.assert_allclose(opposite.sel(model="ours").values.ravel(), 1 - shares)


def test_better_knows_which_way_each_metric_points():
    """A copy is as good; errors grow, correlation falls, and a bias is better near zero on either side."""
    fc = forecast(starts=MANY, error=0.5)
    worse = fc.copy(deep=True)
    for name in ("thetao", "zos"):
        noise = np.random.default_rng(1).normal(size=fc[name].shape).astype("f4")
        worse[name] = (fc[name] + noise - 1.0).assign_attrs(fc[name].attrs)
    models = {"good": fc, "copy": fc, "worse": worse}
    metrics = ["rmse", "acc", "bias", "activity"]
    table = score(models, TRUTH, climatology=CLIM, metrics=metrics, compare="copy", resamples=20)
    for metric in ("rmse", "acc", "bias"):
        better = table[f"thetao_{metric}_better"]
        assert (better.sel(model="good") == 0.5).all()
        assert (better.sel(model="worse") == 0).all()
        assert better.sel(model="copy").isnull().all()
    assert "thetao_activity_better" not in table


def test_blocks_reach_over_the_longest_lead():
    weekly = pd.date_range("2001-01-01", periods=40, freq="7D")

    def block(leads, starts):
        lead = pd.to_timedelta(leads, "D")
        return resampling(xr.Dataset(coords={"init_time": starts, "lead_time": lead})).block

    assert block([1, 10], weekly) == 4  # 40^⅓ = 3.4
    assert block([1, 30], weekly) == 5
    assert block([35], weekly) == 5
    assert block([1, 15], pd.date_range("2001-01-01", periods=40)) == 15
    assert block([1, 10], weekly[:8]) == 2


def test_parts_combined_have_the_confidence_of_the_whole():
    fc = forecast(starts=MANY)
    options = {"metrics": ["rmse", "bias"], "references": False}
    whole = sums(fc, TRUTH, **options)
    parts = combine([sums(fc.isel(init_time=part), TRUTH, **options) for part in (slice(9, 24), slice(9))])
    xr.testing.assert_identical(parts, whole)
    xr.testing.assert_identical(finish(parts, confidence=0.9), finish(whole, confidence=0.9))
    assert list(finish(parts, ["bias"]).data_vars) == ["thetao_bias", "thetao_missing", "zos_bias", "zos_missing"]


def test_leads_one_at_a_time_give_the_same(monkeypatch):
    whole = score(forecast(starts=MANY), TRUTH, metrics=["rmse"], by=["season"], confidence=0.9, references=True)
    monkeypatch.setattr("oceanx.scores.finishing.HELD_BYTES", 1)
    again = score(forecast(starts=MANY), TRUTH, metrics=["rmse"], by=["season"], confidence=0.9, references=True)
    xr.testing.assert_identical(again, whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 95}, "confidence: found 95; expected a share"),
        ({"compare": "persistance"}, "unknown model to compare with 'persistance'; did you mean 'persistence'"),
        ({"confidence": 0.9, "by": ["init_time"]}, "confidence: is over start dates"),
        ({"confidence": 0.9, "block": 0}, "expected 1 or more"),
        ({"confidence": 0.9, "block": 13}, "24 start dates 10 days apart are fewer than two blocks of 13"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        score({"persistence": forecast(starts=MANY)}, TRUTH, **options)


def test_one_start_date_says_nothing():
    with pytest.raises(InputError, match="one start date tells nothing"):
        score(forecast(starts=MANY[:1]), TRUTH, confidence=0.9)
