"""The seasonal cycle: an exact harmonic year is found again, whatever the gaps and the chunks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.climatology import anomaly, at, climatology, day_of_year, expand, total
from oceanx.vocabulary.errors import InputError

TIME = pd.date_range("1999-03-05", "2002-06-20")


def harmonic_year(time, mean, *pairs):
    """mean + Σ a cos kφ + b sin kφ with φ = 2π (d − 1) / 366, d the day of a leap year."""
    leap = pd.DatetimeIndex([pd.Timestamp(2000, t.month, t.day) for t in time])
    phase = 2 * np.pi * (leap.day_of_year.values - 1) / 366
    return mean + sum(a * np.cos(k * phase) + b * np.sin(k * phase) for k, (a, b) in enumerate(pairs, 1))


def ocean(noise=0.0, time=TIME):
    """Temperature with a known cycle in each of 2 × 3 cells; the cell (0, 0) is land."""
    rng = np.random.default_rng(3)
    values = np.stack([harmonic_year(time, 10 + c, (c, 1.0), (0.5, -0.2 * c), (0.1, 0.3)) for c in range(6)], axis=1)
    values = values.reshape(-1, 2, 3) + noise * rng.normal(size=(len(time), 2, 3))
    values[:, 0, 0] = np.nan
    return xr.Dataset(
        {"sst": (("time", "latitude", "longitude"), values, {"units": "degrees_C"}), "flag": ("latitude", [1, 2])},
        coords={"time": time, "latitude": [0.0, 1.0], "longitude": [5.0, 6.0, 7.0]},
        attrs={"title": "training"},
    )


@settings(deadline=None)
@given(st.dates(pd.Timestamp("1980-01-01").date(), pd.Timestamp("2100-12-31").date()))
def test_a_date_has_one_day_number_in_every_year(date):
    stamp = pd.Timestamp(date)
    leap = pd.Timestamp(2000, stamp.month, stamp.day).day_of_year
    assert day_of_year(xr.DataArray([stamp], dims="time"))[0] == leap


def test_known_cycle_is_found_and_evaluated_on_other_dates():
    ds = ocean()
    clim = climatology(ds)
    assert clim["sst"].dims == ("harmonic", "latitude", "longitude")
    assert clim.sizes["harmonic"] == 7
    assert clim.attrs["oceanx_climatology_period"] == "1999-03-05/2002-06-20"
    assert clim["sst"].attrs == ds["sst"].attrs
    assert "flag" not in clim
    later = pd.date_range("2004-02-25", "2004-03-05")
    found = at(clim, later)["sst"]
    assert found.dims == ("time", "latitude", "longitude")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ocean(time=later)["sst"], atol=1e-5)


def test_coefficients_equal_least_squares_with_gaps_in_cells_and_missing_days():
    ds = ocean(noise=1.0)
    rng = np.random.default_rng(5)
    ds["sst"][100:140] = np.nan
    ds["sst"].values[:, 1, :] = np.where(rng.random((len(TIME), 3)) < 0.3, np.nan, ds["sst"].values[:, 1, :])
    ds["sst"][:400, 0, 1] = np.nan
    clim = climatology(ds, harmonics=2)
    leap = np.array([pd.Timestamp(2000, t.month, t.day).day_of_year for t in TIME])
    phase = 2 * np.pi * (leap - 1) / 366
    design = np.stack([np.ones_like(phase), *(f(k * phase) for k in (1, 2) for f in (np.cos, np.sin))], axis=1)
    for i, j in [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]:
        y = ds["sst"].values[:, i, j]
        ok = np.isfinite(y)
        expected = np.linalg.lstsq(design[ok], y[ok], rcond=None)[0]
        np.testing.assert_allclose(clim["sst"][:, i, j], expected, atol=2e-6)
    assert clim["sst"][:, 0, 0].isnull().all()


@pytest.mark.parametrize("chunk", [1, 37, 10_000])
def test_chunked_equals_whole(chunk):
    ds = ocean(noise=1.0)
    ds["sst"][55] = np.nan
    ds["sst"][77, 1, 1] = np.nan
    whole, parts = climatology(ds), climatology(ds.chunk(time=chunk))
    xr.testing.assert_allclose(whole, parts, atol=1e-6)


def test_small_blocks_equal_one_block(monkeypatch):
    ds = ocean(noise=1.0)
    ds["sst"][77, 1, 1] = np.nan
    ds["sst"][:200, 0, 1] = np.nan
    whole = climatology(ds)
    monkeypatch.setattr("oceanx.ocean.climatology.BLOCK_BYTES", 1)
    from oceanx.ocean import climatology as module

    blocks = module.blocks
    monkeypatch.setattr(module, "blocks", lambda v: blocks(v, limit=50 * v[0].nbytes))
    xr.testing.assert_allclose(whole, climatology(ds), atol=1e-6)


def test_cell_with_too_few_days_is_nan_not_wild():
    ds = ocean(noise=0.1)
    ds["sst"][6:, 0, 1] = np.nan
    assert climatology(ds)["sst"][:, 0, 1].isnull().all()


def test_expanded_year_gives_the_same_values_by_label():
    clim = climatology(ocean())
    year = expand(clim)
    assert year["dayofyear"].values.tolist() == list(range(1, 367))
    dates = pd.to_datetime(["2003-02-28", "2003-03-01", "2004-02-29", "2004-12-31"])
    xr.testing.assert_allclose(at(year, dates), at(clim, dates), atol=1e-6)
    np.testing.assert_array_equal(year["sst"].sel(dayofyear=[59, 61, 60, 366]), at(clim, dates)["sst"])


def test_two_dimensional_times_keep_their_shape():
    clim = climatology(ocean())
    init = xr.DataArray(pd.to_datetime(["2003-12-30", "2004-02-27"]), dims="init_time")
    lead = xr.DataArray(pd.to_timedelta([1, 2, 3], "D"), dims="lead_time")
    grid = at(clim, init + lead)["sst"]
    assert grid.dims == ("init_time", "lead_time", "latitude", "longitude")
    np.testing.assert_array_equal(grid[1, 1], at(clim, "2004-02-29")["sst"][0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 900), st.integers(1, 40), st.booleans(), st.booleans())
def test_total_undoes_anomaly(start, length, chunked, by_day):
    ds = ocean(noise=1.0)
    clim = climatology(ds)
    clim = expand(clim) if by_day else clim
    part = ds[["sst"]].isel(time=slice(start, start + length))
    part = part.chunk(time=7) if chunked else part
    back = total(anomaly(part, clim), clim)
    assert bool(back["sst"].chunks) is chunked
    xr.testing.assert_allclose(back, part, rtol=1e-14)
    assert back["sst"].attrs == ds["sst"].attrs


@pytest.mark.parametrize("chunks", [{"time": 150}, {"latitude": 1, "longitude": 2}])  # maps, and rows of all dates
@pytest.mark.parametrize("by_day", [False, True])
def test_anomalies_come_in_the_chunks_of_the_data(by_day, chunks):
    """Neither in larger ones nor in one for each date; a table of days is begun anew in each of four years."""
    ds = ocean()
    cycle = expand(climatology(ds)) if by_day else climatology(ds)
    part = ds[["sst"]].chunk(chunks)["sst"].data
    found = anomaly(ds.chunk(chunks), cycle)["sst"].data
    assert all(ours <= given for ours, given in zip(found.chunksize, part.chunksize, strict=True))
    assert found.npartitions <= (4 if by_day else 1) * part.npartitions


def test_constant_without_harmonics_from_a_short_period():
    ds = ocean().isel(time=slice(0, 30))
    np.testing.assert_allclose(climatology(ds, harmonics=0)["sst"][0], ds["sst"].mean("time"), atol=1e-5)


def test_bad_input_is_refused():
    ds = ocean()
    with pytest.raises(InputError, match="shorter than a year"):
        climatology(ds.isel(time=slice(0, 300)))
    with pytest.raises(InputError, match="harmonics"):
        climatology(ds, harmonics=-1)
    with pytest.raises(InputError, match="no variable has a `time`"):
        climatology(ds[["flag"]])
    with pytest.raises(InputError, match="`harmonic` or `dayofyear`"):
        at(ds, TIME[:2])
    with pytest.raises(InputError, match="climatology has none"):
        anomaly(ds.rename(sst="thetao"), climatology(ds))
    with pytest.raises(InputError, match="dayofyear"):
        at(expand(climatology(ds)).isel(dayofyear=slice(365)), TIME[:2])


def test_progress_is_told_to_the_end():
    said = []
    climatology(ocean(), progress=lambda *step: said.append(step))
    assert said[-1] == ("climatology of sst", len(TIME), len(TIME))


def test_noleap_calendar_has_the_same_days():
    ds = ocean(time=pd.date_range("2001-01-01", "2003-12-31"))
    other = ds.convert_calendar("noleap")
    xr.testing.assert_allclose(climatology(other), climatology(ds), atol=1e-6)
