"""Figures of real files: what they say is what the files hold."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx import heatwaves, plot

pytestmark = pytest.mark.real


@pytest.fixture
def biscay(real) -> xr.Dataset:
    """Three days of GLORYS12 at its own resolution."""
    with xr.open_dataset(real("glorys/glorys12_biscay_channel_20151116-18.nc")) as ds:
        return ds.load()


def test_a_map_of_glorys_has_its_coast_date_and_unit(biscay, assert_tidy):
    field = biscay.thetao.sel(time="2015-11-17").squeeze()
    figure = plot.map(field)
    ax = figure.axes[0]
    assert ax.get_title(loc="left") == "Temperature, 0.49 m\n2015-11-17"
    assert ax.child_axes[0].get_ylabel() == "Temperature (°C)"
    land = next(c for c in ax.collections if c.get_gid() == "land")
    assert land.get_array().count() == int(field.isnull().sum())
    assert_tidy(figure)


def test_a_film_of_glorys_has_its_three_days(biscay, assert_tidy):
    film = plot.animation(biscay.zos)
    assert [film.draw(number) or film.figure.axes[0].get_title(loc="left")[-10:] for number in range(3)] == [
        "2015-11-16", "2015-11-17", "2015-11-18",
    ]  # fmt: skip
    assert_tidy(film.figure)


def test_the_strongest_heatwave_off_tasmania_is_found(real, assert_tidy):
    with xr.open_dataset(real("mhw/oisst_tasman16_19820101-20101231.nc")) as ds:
        sst = ds.sst.rename(lat="latitude", lon="longitude").assign_attrs(units="degrees_C").load()
    limits = heatwaves.threshold(sst, baseline=(1982, 2003))
    found = heatwaves.detect(sst.sel(time=slice("2004", "2010")), limits)
    figure = plot.heatwave(found)
    anomaly = (found.temperature - found.climatology).where(found.event > 0)
    at = {dim: int(place) for dim, place in anomaly.argmax(["time", "latitude", "longitude"]).items()}
    peak = anomaly.isel(at)
    ring = next(line for line in figure.axes[1].get_lines() if line.get_gid() == "here").get_xydata()[0]
    assert np.allclose(ring, (float(peak.longitude), float(peak.latitude)))
    assert figure.axes[1].get_title(loc="left") == f"Category on {str(peak.time.values)[:10]}"
    assert_tidy(figure)
