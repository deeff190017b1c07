"""Desroziers' diagnostics of a Class-4 file: its forecast as background, its own analysis as analysis."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from oceanx.data.readers import class4
from oceanx.scores import desroziers

pytestmark = pytest.mark.real

FILE = "obs/class4_20200101_GIOPS_TEST_profile_obs000-049.nc"
IN_SITU = ("observation", "forecast", "nrt_analysis")


def diagnosed(path, **options):
    obs = class4.read(path, **options)
    background = obs["forecast"].isel(lead_time=0)
    return desroziers(obs["value"], background, obs["nrt_analysis"], by=obs["variable"], together=obs["feature"])


def test_the_errors_of_a_class4_file(real):
    """Temperatures as the file has them: observation, forecast and analysis are all in situ, so they go together."""
    found = diagnosed(real(FILE))
    t, s = (found.sel(variable=name) for name in ("thetao", "so"))
    assert (int(t["count"]), int(s["count"])) == (3798, 3360)
    assert [round(float(t[n]), 3) for n in ("sigma_o", "sigma_b")] == [0.518, 0.532]
    assert [round(float(s[n]), 3) for n in ("sigma_o", "sigma_b")] == [0.067, 0.123]
    assert float(t["ob_rms"]) == pytest.approx(0.7425, abs=5e-5)
    np.testing.assert_allclose(found.sigma_o**2 + found.sigma_b**2, found.ob_rms**2, rtol=1e-12)
    # fifty profiles, whose data hang together: no more is known than to a quarter
    assert 0.02 < float(t["sigma_o_error"]) < 0.15


def test_they_are_those_of_the_file_itself(real):
    with netCDF4.Dataset(real(FILE)) as nc:
        y, b, a, qc = (
            np.ma.filled(nc[n][...].astype("f8"), np.nan) for n in ("observation", "forecast", "nrt_analysis", "qc")
        )
    b = b[:, :, 0]
    found = diagnosed(real(FILE))
    for k, name in enumerate(("thetao", "so")):
        good = (qc[:, k] == 0) & np.isfinite(y[:, k] + b[:, k] + a[:, k])
        d, r = (y - b)[:, k][good], (y - a)[:, k][good]
        assert int(found["count"].sel(variable=name)) == good.sum()
        assert float(found.sigma_o.sel(variable=name)) == pytest.approx(np.sqrt((r * d).mean()), rel=1e-5)
        assert float(found.sigma_b.sel(variable=name)) == pytest.approx(np.sqrt(((d - r) * d).mean()), rel=1e-5)


def test_made_potential_fewer_data_are_left_and_they_say_nearly_the_same(real):
    """Only where salinity was observed too; departures of temperatures of one kind hardly know which kind it is."""
    t = diagnosed(real(FILE), in_situ=IN_SITU).sel(variable="thetao")
    assert int(t["count"]) == 3360
    assert [round(float(t[n]), 3) for n in ("sigma_o", "sigma_b")] != [0.518, 0.532]
    assert float(t["sigma_o"]) == pytest.approx(0.518, rel=0.05)
    assert float(t["sigma_b"]) == pytest.approx(0.532, rel=0.05)
