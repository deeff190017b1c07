"""Spectra: waves stand where they are, variance is all there, land cuts rows, blurring shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.climatology import climatology
from oceanx.ocean.grid import complete
from oceanx.ocean.labels import forecast_labels, label
from oceanx.scores import spectrum
from oceanx.scores.zonal import Segment, bin_edges, harmonics, segments, shares
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

TIME = pd.date_range("2000-01-01", periods=12)
STARTS = TIME[[0, 4]]
LATITUDE, LONGITUDE = np.array([-20.0, 0.0, 20.0, 40.0]), np.arange(-30.0, 30.0)


def ocean(longitude=LONGITUDE, land=True):
    """Temperature at two levels and sea level, random; an island in one row, and shallow water in another."""
    rng = np.random.default_rng(3)
    size = (len(TIME), 2, len(LATITUDE), len(longitude))
    values, level = rng.normal(10, 2, size), rng.normal(0, 0.1, (size[0], *size[2:]))
    if land:
        values[:, :, 1, 30:33] = values[:, 1, 2, :] = np.nan
        level[:, 1, 30:33] = np.nan
    ds = xr.Dataset(
        {
            "thetao": (("time", "depth", "latitude", "longitude"), values, {"units": "degrees_C"}),
            "zos": (("time", "latitude", "longitude"), level, {"units": "m"}),
        },
        coords={"time": TIME, "depth": [5.0, 30.0], "latitude": LATITUDE, "longitude": longitude},
    )
    return complete(ds)


TRUTH = ocean()


def forecast(truth=TRUTH, change=lambda v: v, members=None):
    ds = forecast_labels(STARTS, pd.timedelta_range("1D", periods=3), truth, members)
    there = truth.sel(time=ds["valid_time"]).drop_vars("time")
    for name in truth.data_vars:
        v = change(there[name])
        ds[name] = (v.expand_dims(member=members) if members is not None else v).assign_attrs(truth[name].attrs)
    return label(ds)


def summed(table, name):
    return (table[name] * table["bandwidth"]).sum("wavenumber")


@given(n=st.integers(4, 41), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_the_harmonics_of_a_segment_hold_its_variance(n, seed):
    values = np.random.default_rng(seed).normal(size=(3, n)).cumsum(axis=1)
    for circle, taper in ((True, "hann"), (False, "none")):
        np.testing.assert_allclose(harmonics(values, circle, taper).sum(axis=1), values.var(axis=1), rtol=1e-10)
    place, weight = np.arange(n), np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
    straight = np.stack([row - np.polyval(np.polyfit(place, row, 1), place) for row in values])
    tapered = straight * weight / np.sqrt((weight**2).mean())
    np.testing.assert_allclose(harmonics(values).sum(axis=1), tapered.var(axis=1), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("m", [1, 3, 8])
def test_a_wave_stands_at_its_wavenumber(m):
    wave = 0.7 * np.cos(2 * np.pi * m * np.arange(16) / 16 + 0.3 * (m < 8))
    found = harmonics(wave[None], circle=True)[0]
    assert found[m - 1] == pytest.approx(0.7**2 / (2 if m < 8 else 1))
    assert np.delete(found, m - 1).max() < 1e-12


def test_a_step_at_the_end_of_a_segment_does_not_look_like_small_scales():
    trend = np.linspace(0, 1, 48)[None] + 0.01 * np.sin(2 * np.pi * np.arange(48) * 20 / 48)
    loud, quiet = harmonics(trend, taper="none")[0], harmonics(trend)[0]
    assert quiet[7:16].max() < 1e-3 * loud[7:16].max()
    assert quiet[18:22].sum() == pytest.approx(0.01**2 / 2, rel=0.05)


@given(cells=st.integers(4, 60), apart=st.floats(5.0, 200.0), bins=st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_bins_share_out_every_harmonic_wholly(cells, apart, bins):
    two = [Segment(0, 0, cells, apart, False), Segment(1, 0, 30, 50.0, False)]
    edges = bin_edges(two, bins)
    assert (np.diff(edges) > 0).all()
    for segment in two:
        share = shares(segment, edges)
        assert share.shape == (segment.cells // 2, bins)
        np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-6)
        centre = (np.arange(segment.cells // 2) + 1) / segment.length
        at = np.clip(np.searchsorted(edges, centre) - 1, 0, bins - 1)
        assert (share[np.arange(len(at)), at] > 0).all()


def test_rows_are_cut_at_land_and_may_go_round():
    wet = np.array([[1, 1, 0, 1, 1, 1, 0, 1], [1] * 8, [0] * 8, [1, 0, 1, 0, 1, 1, 1, 0]], dtype=bool)
    latitude, globe = np.array([0.0, 10.0, 20.0, 60.0]), np.arange(-180.0, 180.0, 45.0)
    apart = EARTH_RADIUS / 1000 * np.cos(np.deg2rad(latitude)) * np.pi / 4
    found = segments(wet, latitude, globe, 3)
    assert [(s.row, s.first, s.cells, s.circle) for s in sorted(found)] == [
        (0, 3, 3, False), (0, 7, 3, False), (1, 0, 8, True), (3, 4, 3, False),
    ]  # fmt: skip
    for segment in found:
        assert segment.apart == pytest.approx(apart[segment.row])
    np.testing.assert_array_equal(sorted(found)[1].cut(np.arange(32.0).reshape(4, 8)), [7, 0, 1])
    cut = segments(wet, latitude, np.linspace(0.0, 70.0, 8), 2)
    assert [(s.row, s.first, s.cells) for s in cut] == [(0, 0, 2), (0, 3, 3), (1, 0, 8), (3, 4, 3)]
    assert not any(s.circle for s in cut)


def test_the_sum_over_wavenumber_is_the_variance_of_the_segments():
    table = spectrum(forecast(change=lambda v: 2 * v), TRUTH, taper="none")
    assert table["thetao_spectrum"].dims == ("lead_time", "depth", "wavenumber")
    assert table["zos_spectrum"].dims == ("lead_time", "wavenumber")
    areas = TRUTH["cell_area"].values
    runs = [(0, 0, 60), (1, 0, 30), (1, 33, 60), (2, 0, 60), (3, 0, 60)]
    for name, level, used in (("thetao", 0, runs), ("thetao", 1, [r for r in runs if r[0] != 2]), ("zos", None, runs)):
        expected = []
        for lead in (1, 2, 3):
            days = [TRUTH[name].sel(time=start + pd.Timedelta(lead, "D")) for start in STARTS]
            maps = [(day if level is None else day.isel(depth=level)).values for day in days]
            weights = [areas[j, a:b].sum() for j, a, b in used]
            expected.append(np.mean([np.average([m[j, a:b].var() for j, a, b in used], weights=weights) for m in maps]))
        pick = table if level is None else table.isel(depth=level)
        np.testing.assert_allclose(summed(pick, f"{name}_truth_spectrum"), expected, rtol=1e-6)
        np.testing.assert_allclose(summed(pick, f"{name}_spectrum"), 4 * np.array(expected), rtol=1e-6)


def test_wavenumbers_are_cycles_per_km_of_each_row():
    """Five waves along 60 degrees are longer at 20°S than at 40°N."""
    wave = np.cos(2 * np.pi * 5 * np.arange(60) / 60)
    truth = TRUTH[["zos"]].copy()
    truth["zos"] = (truth["zos"] * 0 + wave).where(truth.latitude.isin([-20.0, 40.0])).assign_attrs(units="m")
    truth = complete(truth.drop_vars("mask", errors="ignore"))
    table = spectrum(forecast(truth), truth, taper="none", bins=200, least=60)
    degree = EARTH_RADIUS / 1000 * np.pi / 180
    lengths = np.array([12 * degree * np.cos(np.deg2rad(row)) for row in (20.0, 40.0)])
    found = table["zos_spectrum"].isel(lead_time=0)
    heard = found.wavenumber.values[found.values > 1e-9 * found.values.max()]
    for length in lengths:
        assert np.abs(np.log(heard * length)).min() < 0.02
    assert (np.abs(np.log(heard[:, None] * lengths)).min(axis=1) < 0.13).all()  # within half a harmonic and a bin
    assert table["wavenumber"].attrs["units"] == "km-1"
    assert table["zos_spectrum"].attrs["units"] == "(m)2 km"


def test_blurring_shows_at_the_small_scales_and_members_keep_theirs():
    truth = ocean(np.arange(-180.0, 180.0, 4.0), land=False)
    fc = forecast(truth, lambda v: (v.roll(longitude=1) + 2 * v + v.roll(longitude=-1)) / 4)
    several = {"blurred": fc, "same": forecast(truth), "members": forecast(truth, members=range(3))}
    table = spectrum(several, truth)
    ratio = table["zos_spectrum"] / table["zos_truth_spectrum"]
    assert list(table["model"].values) == list(several)
    np.testing.assert_allclose(ratio.sel(model=["same", "members"]), 1.0, rtol=1e-5)
    # On the equator a wave of wavenumber m keeps cos⁴(π m / n) of its variance, elsewhere it is shorter.
    assert (ratio.sel(model="blurred").isel(wavenumber=0) > 0.95).all()
    assert (ratio.sel(model="blurred").isel(wavenumber=-1) < 0.05).all()
    assert (ratio.sel(model="blurred").mean("lead_time").diff("wavenumber") < 0.02).all()


def test_anomalies_are_from_the_climatology():
    years = pd.date_range("1999-01-01", "2000-12-31")
    cycle = np.cos(2 * np.pi * np.arange(len(years)) / 365.25)[:, None, None]
    fixed = np.sin(np.arange(60) / 4.0)[None, None] * np.ones((1, 4, 1))
    zos = xr.Dataset(
        {"zos": (("time", "latitude", "longitude"), fixed + cycle, {"units": "m"})},
        coords={"time": years, "latitude": LATITUDE, "longitude": LONGITUDE},
    )
    truth = complete(zos)
    usual = climatology(truth)
    fc = forecast(truth.sel(time=slice("2000-01-01", "2000-02-01")))
    assert float(summed(spectrum(fc, truth), "zos_spectrum").max()) > 0.1
    assert float(summed(spectrum(fc, truth, climatology=usual), "zos_spectrum").max()) < 1e-6


def test_a_region_is_all_that_counts():
    box = {"minimum_latitude": 15, "maximum_latitude": 45, "minimum_longitude": -30, "maximum_longitude": 0.5}
    one = spectrum(forecast(), TRUTH, region=box, taper="none")
    there = TRUTH.sel(latitude=slice(15, 45), longitude=slice(-30, 0))
    other = spectrum(forecast(there), there, taper="none")
    xr.testing.assert_allclose(one.drop_vars(["mask", "cell_area"], errors="ignore"), other)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"least": 61}, "no row has 61 wet cells"),
        ({"taper": "hamming"}, "taper: found 'hamming'"),
        ({"least": 2}, "at least 4 cells"),
        ({"region": "gulf_straem"}, "did you mean 'gulf_stream'"),
        ({"variables": ["sla"]}, "unknown variable 'sla'"),
        ({"climatology": xr.Dataset()}, "the climatology lacks it"),
    ],
)
def test_what_cannot_be_done_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        spectrum(forecast(), TRUTH, **options)


def test_longitudes_must_be_evenly_spaced():
    truth = ocean(np.sort(np.random.default_rng(0).uniform(-30, 30, 60)))
    with pytest.raises(InputError, match="evenly spaced longitudes"):
        spectrum(forecast(truth), truth)


def test_spectra_survive_a_file(tmp_path):
    table = spectrum({"a": forecast()}, TRUTH)
    table.to_netcdf(tmp_path / "spectra.nc")
    with xr.open_dataset(tmp_path / "spectra.nc") as back:
        xr.testing.assert_identical(back.load(), table)
