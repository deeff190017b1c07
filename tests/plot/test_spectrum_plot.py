"""The picture of spectra: which curves are drawn, where they stand, what the axes say."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx import plot
from oceanx.plot.spectra import DECADES
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import DIMENSIONS


@pytest.fixture
def spectra() -> xr.Dataset:
    """k^-3 for the truth at every lead; one model has lost a tenth of it a day, the other nothing."""
    k = np.geomspace(1e-4, 1e-2, 12)
    truth = np.broadcast_to(1e-9 * k**-3, (2, 4, 12))
    left = np.stack([1 - 0.1 * np.arange(1, 5), np.ones(4)])[:, :, None]
    dims, units = ("model", "lead_time", "wavenumber"), {"units": "(m)2 km"}
    thetao = np.stack([truth, truth / 4], axis=2)
    warm = (*dims[:2], "depth", dims[2])
    return xr.Dataset(
        {
            "zos_spectrum": (dims, left * truth, units),
            "zos_truth_spectrum": (dims, truth, units),
            "thetao_spectrum": (warm, left[..., None] * thetao, {"units": "(degrees_C)2 km"}),
            "thetao_truth_spectrum": (warm, thetao, {"units": "(degrees_C)2 km"}),
        },
        {
            "model": ["blurred", "sharp"],
            "lead_time": np.arange(1, 5) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
            "depth": ("depth", [0.494025, 92.326073], DIMENSIONS["depth"]),
            "wavenumber": k,
        },
    )


def lines(ax) -> dict:
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_there_is_a_panel_for_each_variable_and_depth_and_nothing_overlaps(spectra, assert_tidy):
    figure = plot.spectrum(spectra)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["Sea surface height", "Potential temperature, 0.49 m", "Potential temperature, 92 m"]
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "Variance density (m² km)",
        "Variance density (°C² km)",
        "Variance density (°C² km)",
    ]
    assert_tidy(figure)


def test_curves_stand_on_wavelengths_at_the_lead_asked_for(spectra):
    ax = plot.spectrum(spectra, "zos", lead="2D").axes[0]
    drawn = lines(ax)
    assert list(drawn) == ["blurred", "sharp", "truth"]
    assert np.allclose(drawn["truth"].get_xdata(), 1 / spectra.wavenumber)
    assert np.allclose(drawn["blurred"].get_ydata(), 0.8 * drawn["truth"].get_ydata())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


def test_the_last_lead_is_drawn_without_one_and_said(spectra):
    figure = plot.spectrum(spectra, "zos", title="Eddies")
    assert np.allclose(lines(figure.axes[0])["blurred"].get_ydata(), 0.6 * 1e-9 * spectra.wavenumber**-3)
    assert figure.get_suptitle() == "Eddies, after 4 days"


def test_what_is_nothing_is_left_out_and_the_axis_stays_readable(spectra):
    spectra["zos_spectrum"][{"model": 0, "wavenumber": 3}] = 0.0
    spectra["zos_spectrum"][{"model": 0, "wavenumber": -1}] = 1e-30
    ax = plot.spectrum(spectra, "zos").axes[0]
    assert np.isnan(lines(ax)["blurred"].get_ydata()[3])
    bottom, top = ax.get_ylim()
    assert top / bottom <= 2.001 * 10**DECADES


def test_one_forecast_without_a_model_is_drawn_too(spectra):
    drawn = lines(plot.spectrum(spectra.isel(model=0, drop=True), "zos").axes[0])
    assert list(drawn) == ["forecast", "truth"]


def test_what_is_not_there_is_refused(spectra):
    with pytest.raises(InputError, match="thetaoo"):
        plot.spectrum(spectra, "thetaoo")
    with pytest.raises(InputError, match="'9D' is not there; the scores have 1 to 4 days"):
        plot.spectrum(spectra, lead="9D")
    with pytest.raises(InputError, match="no dimension lead_time"):
        plot.spectrum(spectra.isel(lead_time=0), lead="1D")
    with pytest.raises(InputError, match="wavenumber"):
        plot.spectrum(spectra.isel(wavenumber=0))
    with pytest.raises(InputError, match="sharpp"):
        plot.spectrum(spectra, models=["sharpp"])
