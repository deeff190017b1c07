"""Desroziers' diagnostics of columns of a table; means and their sampling errors; the fingerprint of a table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import toy_analyses as toy
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.flags import flag_attrs
from oceanx.ocean.observing import fingerprint as prints
from oceanx.ocean.observing.fingerprint import fingerprint
from oceanx.scores import desroziers
from oceanx.scores.tallies import FEWEST, Tally
from oceanx.vocabulary.errors import InputError


def columns(n: int = 20000, sigma_o: float = 0.3, sigma_b: float = 0.6, seed: int = 0) -> tuple[xr.DataArray, ...]:
    """y, H x_b and H x_a of the best analysis of each datum by itself."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(10, 3, n)
    y, b = truth + sigma_o * rng.normal(size=n), truth + sigma_b * rng.normal(size=n)
    a = b + sigma_b**2 / (sigma_b**2 + sigma_o**2) * (y - b)
    return tuple(xr.DataArray(x, dims="obs") for x in (y, b, a))


def test_errors_are_found_and_add_up():
    found = desroziers(*columns())
    for name, expected in (("sigma_o", 0.3), ("sigma_b", 0.6), ("sigma_a", 0.3 * 0.6 / np.hypot(0.3, 0.6))):
        error = float(found[f"{name}_error"])
        assert error == pytest.approx(expected / np.sqrt(2 * 20000), rel=0.05)  # of Gaussian numbers
        assert abs(float(found[name]) - expected) < 4 * error
    assert float(found.sigma_o**2 + found.sigma_b**2) == pytest.approx(float(found.ob_rms) ** 2, rel=1e-12)
    assert int(found["count"]) == 20000


def test_groups_are_separate_and_gaps_left_out():
    y, b, a = columns()
    kind = xr.DataArray(np.arange(y.size) % 2, dims="obs", name="variable", attrs=flag_attrs(["so", "thetao"], "int8"))
    a = a.where(np.arange(y.size) > 99)
    found = desroziers(y, b, a, by=kind)
    assert found["variable"].values.tolist() == ["so", "thetao"]
    assert found["count"].values.tolist() == [9950, 9950]
    for number, name in enumerate(("so", "thetao")):
        rows = (kind.values == number) & np.isfinite(a.values)
        d, r = (y - b).values[rows], (y - a).values[rows]
        assert float(found.sigma_o.sel(variable=name)) == pytest.approx(np.sqrt((r * d).mean()), rel=1e-12)
        assert float(found.oa_rms.sel(variable=name)) == pytest.approx(np.sqrt((r**2).mean()), rel=1e-12)


def test_what_hangs_together_counts_once():
    """Each datum ten times: the error of the mean is that of the tenth part, √10 as large as if all were new."""
    y, b, a = (x.isel(obs=slice(0, 2000)) for x in columns())
    one = desroziers(y, b, a)
    ten = [x.isel(obs=np.repeat(np.arange(2000), 10)) for x in (y, b, a)]
    profile = xr.DataArray(np.repeat(np.arange(2000), 10), dims="obs")
    clustered, alone = desroziers(*ten, together=profile), desroziers(*ten)
    assert float(clustered.sigma_o_error) == pytest.approx(float(one.sigma_o_error), rel=1e-3)
    assert float(clustered.sigma_o_error) == pytest.approx(np.sqrt(10) * float(alone.sigma_o_error), rel=1e-3)
    assert float(clustered.sigma_o) == pytest.approx(float(one.sigma_o), rel=1e-12)


def test_a_variance_below_zero_and_too_few_data_are_missing():
    y, b, _ = columns(500)
    worse = y + (y - b) * 0.2  # beyond the observation: (y − a) d < 0
    found = desroziers(y, b, worse)
    assert np.isnan(found.sigma_o)
    assert float(found.sigma_b) == pytest.approx(np.sqrt(1.2) * float(found.ob_rms))
    few = desroziers(*(x[:9] for x in columns(500)))
    assert np.isnan(few.sigma_o)
    assert int(few["count"]) == 9
    assert np.isfinite(desroziers(*(x[:9] for x in columns(500)), least=9).sigma_o)


def test_columns_that_do_not_fit_are_refused():
    y, b, a = columns(50)
    with pytest.raises(InputError, match=r"desroziers: background has dimensions .*'lead_time': 2.* select the rest"):
        desroziers(y, b.expand_dims(lead_time=2), a)
    with pytest.raises(InputError, match="no observation has both"):
        desroziers(y, b * np.nan, a)


@given(seed=st.integers(0, 999), cells=st.integers(1, 5), parts=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_a_tally_is_a_plain_loop_in_any_parts(seed, cells, parts):
    rng = np.random.default_rng(seed)
    n = 200
    cluster = np.sort(rng.integers(0, 40, n))
    cell, x = rng.integers(-1, cells, n), np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    tally = Tally(cells, ["x"], ["x"])
    ends = [0, *np.searchsorted(cluster, np.sort(rng.integers(0, 40, parts - 1))).tolist(), n]
    for first, last in itertools.pairwise(ends):
        tally.add(cell[first:last], cluster[first:last], {"x": x[first:last]})
    for c in range(cells):
        rows = (cell == c) & np.isfinite(x)
        assert tally.count("x")[c] == rows.sum()
        if not rows.any():
            assert np.isnan(tally.mean("x")[c])
            continue
        m, total = x[rows].mean(), rows.sum()
        assert tally.mean("x")[c] == pytest.approx(m)
        sums = [((x[rows & (cluster == w)] - m).sum()) for w in np.unique(cluster[rows])]
        k = len(sums)
        if k >= FEWEST:
            expected = np.sqrt(k / (k - 1) * np.square(sums).sum()) / total
        else:
            expected = x[rows].std(ddof=1) / np.sqrt(total) if total > 1 else np.nan
        assert tally.error("x")[c] == pytest.approx(expected, nan_ok=True, rel=1e-6, abs=1e-12)


def test_the_stated_error_is_how_means_scatter():
    """Windows of twenty data that share half of their variance, 200 times over."""
    rng = np.random.default_rng(1)
    window = np.repeat(np.arange(40), 20)
    means, errors = [], []
    for _ in range(200):
        x = rng.normal(size=40)[window] + rng.normal(size=800)
        tally = Tally(1, ["x"], ["x"])
        tally.add(np.zeros(800, int), window, {"x": x})
        means.append(tally.mean("x")[0])
        errors.append(tally.error("x")[0])
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)
    assert np.mean(errors) == pytest.approx(np.sqrt((1 + 1 / 20) / 40), rel=0.05)


def test_a_fingerprint_is_of_the_values_and_not_of_their_width(monkeypatch):
    obs = toy.made(3)[1]
    mine = fingerprint(obs)
    assert len(mine) == 64
    narrow = obs.assign(feature=obs.feature.astype("i4"), platform=obs.platform.astype("i2"))
    assert fingerprint(narrow) == mine
    assert fingerprint(obs.assign(more=("obs", np.zeros(150))).assign_attrs(title="x")) == mine
    monkeypatch.setattr(prints, "_AT_ONCE", 7)
    assert fingerprint(obs.chunk(obs=11)) == mine
    for name in ("value", "error_std", "qc", "platform"):
        changed = obs[name].copy(data=obs[name].values)
        changed[5] += 1
        assert fingerprint(obs.assign({name: changed})) != mine
    renamed = obs.platform.assign_attrs(flag_attrs(["a", "b", "c"], "int32"))
    assert fingerprint(obs.assign(platform=renamed)) != mine
