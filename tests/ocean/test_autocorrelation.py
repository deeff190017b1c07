"""The memory of anomalies against a loop over pairs of dates, with gaps, and however the data are cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import autocorrelation as module
from oceanx.ocean.autocorrelation import autocorrelation
from oceanx.ocean.climatology import anomaly, climatology
from oceanx.vocabulary.errors import InputError


def ocean(days=420, gaps=(), seed=0):
    """A red series of temperature on two levels of 2 × 3 cells, one of them land and one sometimes missing."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(days, 2, 2, 3))
    for t in range(1, days):
        noise[t] = 0.8 * noise[t - 1] + 0.6 * noise[t]
    noise[:, :, 0, 0] = np.nan
    noise[40:60, 1, 1, 1] = np.nan
    time = pd.date_range("2001-01-01", periods=days)
    axes = {"depth": [1.0, 10.0], "latitude": [1.0, 2.0], "longitude": [1.0, 2.0, 3.0]}
    ds = xr.Dataset({"thetao": (("time", *axes), noise.astype("f4"))}, {"time": time, **axes})
    return ds.isel(time=~np.isin(np.arange(days), gaps))


LEADS = np.array([1, 2, 5], dtype="timedelta64[D]").astype("timedelta64[ns]")


def by_pairs(ds, clim, lead):
    """Every two dates so far apart, one after another."""
    away = anomaly(ds, clim)["thetao"].values.astype(float)
    dates = pd.DatetimeIndex(ds["time"].values)
    both = aa = bb = 0.0
    for i, date in enumerate(dates):
        later = date + pd.Timedelta(lead)
        if later in dates:
            a, b = away[i], away[dates.get_loc(later)]
            good = np.isfinite(a) & np.isfinite(b)
            a, b = np.where(good, a, 0), np.where(good, b, 0)
            both, aa, bb = both + a * b, aa + a * a, bb + b * b
    spread = np.sqrt(aa * bb)
    return np.where(spread > 0, both / np.where(spread > 0, spread, 1), 0).clip(0, 1)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, 415), max_size=6), st.integers(1, 100), st.booleans())
def test_it_equals_a_loop_over_pairs(gaps, chunk, few_leads_at_once):
    ds = ocean(gaps=gaps)
    clim = climatology(ds, harmonics=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oceanx.ocean.climatology.BLOCK_BYTES", 1000)
        if few_leads_at_once:
            patch.setattr(module, "HELD_BYTES", 1)
        found = autocorrelation(ds.chunk(time=chunk), clim, LEADS)
    assert found["thetao"].dims == ("lead_time", "depth", "latitude", "longitude")
    for i, lead in enumerate(LEADS):
        np.testing.assert_allclose(found["thetao"][i], by_pairs(ds, clim, lead), atol=2e-6)


def test_missing_days_count_for_nothing():
    ds = ocean()
    clim = climatology(ds, harmonics=1)
    lost = ds["time"].values[[7, 8, 200]]
    found = autocorrelation(ds, clim, LEADS, missing=lost)
    without = autocorrelation(ds.isel(time=~np.isin(ds["time"].values, lost)), clim, LEADS)
    xr.testing.assert_allclose(found, without)


def test_progress_and_what_is_too_short():
    ds, said = ocean(), []
    clim = climatology(ds, harmonics=1)
    autocorrelation(ds, clim, LEADS, progress=lambda *step: said.append(step))
    assert said[-1] == ("autocorrelation of thetao", 420, 420)
    with pytest.raises(InputError, match="no two training days are 500 days"):
        autocorrelation(ds, clim, [np.timedelta64(500, "D")])
