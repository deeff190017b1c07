"""Effective resolution: where a known amount of variance is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.grid import complete
from oceanx.ocean.labels import forecast_labels, label
from oceanx.scores import effective_resolution, spectrum
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES


def spectra(ratio, wavenumber, slope=-3.0):
    """Spectra as `spectrum` gives them: a power law, and a forecast with shares of it."""
    truth = wavenumber**slope
    both = {"zos_spectrum": ratio * truth, "zos_truth_spectrum": np.broadcast_to(truth, np.shape(ratio))}
    dims = ("lead_time", "wavenumber")[2 - np.ndim(ratio) :]
    return xr.Dataset({n: (dims, v) for n, v in both.items()}, coords={"wavenumber": wavenumber})


@given(cut=st.floats(30, 300), slope=st.floats(-5, 0), threshold=st.floats(0.2, 0.8))
@settings(max_examples=20, deadline=None)
def test_variance_that_dies_away_evenly_in_the_logarithm(cut, slope, threshold):
    """A share 1 − ½ log2(k cut) is linear in log k: it is ½ where k = 2 / cut, and any threshold is met exactly."""
    k = np.geomspace(1e-3, 0.2, 9)
    found = effective_resolution(spectra(1 - 0.5 * np.log2(k * cut), k, slope), threshold)
    assert float(found.zos_effective_resolution) == pytest.approx(cut / 4 ** (1 - threshold), rel=1e-9)


def test_the_last_crossing_counts_and_gaps_are_passed_over():
    k = 2.0 ** np.arange(-10, -2)
    rows = [
        [1, 1, 0.2, 1, 1, 0.0, 0.0, 0.1],  # comes back once: half-way from 2^-6 to 2^-5
        [1, 0.9, 0.8, 0.7, 0.6, 0.55, 0.51, 0.5],  # never falls below
        [0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1],  # has nowhere enough
        [1, 1, np.nan, 0.0, 0.0, 0.0, 0.0, 0.0],  # half-way from 2^-9 to 2^-7
        [0.1, 1.0, 3.0, 2.0, 1.0, 1.5, 0.75, 0.25],  # noise is no loss; half-way from 2^-4 to 2^-3
    ]
    found = effective_resolution(spectra(np.array(rows), k))
    expected = [2**5.5, 2**3, np.nan, 2**8, 2**3.5]
    np.testing.assert_allclose(found.zos_effective_resolution, expected, rtol=1e-12)
    assert found.zos_effective_resolution.attrs["units"] == "km"


def test_a_running_mean_resolves_what_its_transfer_function_leaves():
    """Of n cells of width Δ: T(k) = sin(πknΔ) / (n sin(πkΔ)), and T² = ½ at a wavelength to be found by bisection."""
    cells, width = 720, EARTH_RADIUS / 1000 * np.deg2rad(0.5)
    lat, lon = np.array([-1.0, 1.0]), np.arange(-180, 180, 0.5)
    time = pd.date_range("2020-01-01", periods=8)
    rng = np.random.default_rng(0)
    # White noise; the circles at one degree either side of the equator are as good as the equator.
    field = rng.normal(size=(8, 2, cells))
    ds = xr.Dataset(
        {"zos": (("time", "latitude", "longitude"), field, VARIABLES["zos"].attrs)},
        coords={"time": time, "latitude": lat, "longitude": lon},
    )
    ds = complete(ds)
    labels = forecast_labels(time[[0, 3]], pd.timedelta_range("1D", periods=4), ds)
    blurred = {}
    for n in (5, 11):
        smooth = sum(ds["zos"].roll(longitude=s, roll_coords=False) for s in range(-(n // 2), n // 2 + 1)) / n
        there = smooth.sel(time=labels.valid_time).drop_vars("time").assign_attrs(ds["zos"].attrs)
        blurred[str(n)] = label(labels.assign(zos=there))
    found = effective_resolution(spectrum(blurred, ds, bins=60))
    for n in (5, 11):
        k = np.linspace(1e-6, 1 / (n * width), 200001)
        left = (np.sin(np.pi * k * n * width) / (n * np.sin(np.pi * k * width))) ** 2
        expected = 1 / k[np.argmin(np.abs(left - 0.5))]
        np.testing.assert_allclose(found.zos_effective_resolution.sel(model=str(n)), expected, rtol=0.03)


@pytest.mark.parametrize(
    ("table", "threshold", "said"),
    [(xr.Dataset({"zos_rmse": ("lead_time", [1.0])}), 0.5, "expected spectra of forecast and truth"),
     (spectra(np.ones(4), np.geomspace(1e-3, 1, 4)), 1.0, "found threshold=1; expected a share")],
)  # fmt: skip
def test_what_has_no_resolution_is_refused(table, threshold, said):
    with pytest.raises(InputError, match=said):
        effective_resolution(table, threshold)
