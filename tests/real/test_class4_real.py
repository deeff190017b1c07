"""Class-4 scores of the GIOPS file equal netCDF4 and numpy alone, by lead and depth; what its temperatures are."""

from __future__ import annotations

import itertools

import gsw
import netCDF4
import numpy as np
import pytest

from oceanx.data.readers import class4 as reader
from oceanx.scores import class4

pytestmark = pytest.mark.real

FILE = "obs/class4_20200101_GIOPS_TEST_profile_obs000-049.nc"
SYSTEMS = ("forecast", "persistence", "climatology", "best_estimate", "nrt_analysis")
IN_SITU = ("observation", "forecast", "climatology", "nrt_analysis")  # and the others potential: see below
EDGES = (0, 5, 100, 300, 600, 1000, 2000, 6000)


def raw(path, potential=()):
    """Columns (profile, variable, [lead,] level) as in the file; temperatures of some made potential."""
    with netCDF4.Dataset(path) as nc:
        fields = {n: np.ma.filled(nc[n][...].astype("f8"), np.nan) for n in ("observation", "qc", "depth", *SYSTEMS)}
        lat, lon = (np.ma.getdata(nc[n][...]).astype("f8")[:, None] for n in ("latitude", "longitude"))
    depth = fields["depth"]
    pressure = np.ma.getdata(gsw.p_from_z(-np.where(np.isfinite(depth), depth, 0.0), lat))
    salinity = np.where(fields["qc"][:, 1] == 0, fields["observation"][:, 1], np.nan)
    absolute = np.ma.getdata(gsw.SA_from_SP(np.where(np.isfinite(salinity), salinity, 35.0), pressure, lon, lat))
    absolute = np.where(np.isfinite(salinity), absolute, np.nan)
    for name in potential:
        t = fields[name][:, 0]
        made = (
            gsw.pt0_from_t(absolute[:, None], t, pressure[:, None])
            if t.ndim == 3
            else gsw.pt0_from_t(absolute, t, pressure)
        )
        fields[name][:, 0] = made
    return fields


@pytest.mark.parametrize("in_situ", [(), IN_SITU])
def test_scores_are_those_of_the_file_itself(real, in_situ):
    path = real(FILE)
    found = class4(reader.read(path, in_situ=in_situ), by=("depth_band",))
    fields = raw(path, in_situ)
    assert found.model.values.tolist() == ["forecast", "persistence", "climatology", "best_estimate", "nrt_analysis"]
    assert found.sizes["lead_time"] == 10
    good, depth, counted = fields["qc"] == 0, fields["depth"], 0
    for k, name in enumerate(("thetao", "so")):
        truth = fields["observation"][:, k]
        seen = good[:, k] & np.isfinite(truth)
        for lead in range(10):
            said = {n: fields[n][:, k, lead] if fields[n].ndim == 4 else fields[n][:, k] for n in SYSTEMS}
            shared = seen & np.all([np.isfinite(v) for v in said.values()], axis=0)
            for band, (top, low) in enumerate(itertools.pairwise(EDGES)):
                layer = (depth >= top) & (depth < low)
                here = found.isel(depth_band=band, lead_time=lead)
                rows = shared & layer
                assert int(here[f"{name}_count"]) == rows.sum()
                counted += rows.sum()
                for system, values in said.items():
                    mine = here.sel(model=system)
                    if (seen & layer).any():
                        missing = 1 - (np.isfinite(values) & seen & layer).sum() / (seen & layer).sum()
                        assert float(mine[f"{name}_missing"]) == pytest.approx(missing, abs=1e-12)
                    if rows.any():
                        error = (values - truth)[rows]
                        assert float(mine[f"{name}_bias"]) == pytest.approx(error.mean(), rel=1e-5, abs=2e-6)
                        assert float(mine[f"{name}_rmse"]) == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
                        assert float(mine[f"{name}_mae"]) == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert counted > 60000


def test_over_all_depths_the_errors_are_those_known_beforehand(real):
    """Worked out with netCDF4 and numpy before this was written, each column over what it has."""
    obs = reader.read(real(FILE))
    for column, name, expected in (
        ("climatology", "thetao", 1.854), ("nrt_analysis", "thetao", 0.621), ("climatology", "so", 0.217),
        ("nrt_analysis", "so", 0.105),
    ):  # fmt: skip
        others = [n for n in SYSTEMS if n != column]
        found = class4(obs.drop_vars(others), by=(), variables=[name])
        assert round(float(found[f"{name}_rmse"].sel(model=column)), 3) == expected
    alone = class4(obs.drop_vars([n for n in SYSTEMS if n != "forecast"]), by=())
    np.testing.assert_allclose(alone.thetao_rmse[0, [0, 4, 9]], [0.741, 0.791, 0.842], atol=6e-4)


def test_forecast_climatology_and_analysis_are_in_situ_best_estimate_and_persistence_potential(real):
    """The file does not say. Below 1500 m the ocean hardly changes in ten days, yet the columns of one system differ
    by what in-situ and potential temperature differ by, 0.13 °C: forecasts, climatology and analysis from the best
    estimate, but not persistence. The observations, of floats, are in situ: the forecast agrees with them as they are,
    and the best estimate once they are made potential."""
    fields = raw(real(FILE))
    t, potential = fields["observation"][:, 0], raw(real(FILE), ("observation",))["observation"][:, 0]
    deep = (fields["qc"] == 0).all(axis=1) & (fields["depth"] > 1500) & np.isfinite(potential)
    assert deep.sum() == 86
    apart = (t - potential)[deep].mean()
    assert 0.12 < apart < 0.14
    best = fields["best_estimate"][:, 0]
    columns = {n: fields[n][:, 0, 0] if fields[n].ndim == 4 else fields[n][:, 0] for n in SYSTEMS}
    warmer = {name: (values - best)[deep].mean() / apart for name, values in columns.items()}
    assert abs(warmer["persistence"]) < 0.1
    for name in ("forecast", "climatology", "nrt_analysis"):
        assert 0.9 < warmer[name] < 1.5, (name, warmer[name])
    assert abs((columns["forecast"] - t)[deep].mean()) < 0.4 * apart
    assert abs((best - potential)[deep].mean()) < 0.4 * apart


def test_made_alike_the_systems_stand_nearer_to_each_other_at_depth(real):
    """Mixed, persistence is half as wrong again as the forecast below 1000 m; alike, as good as it."""
    mixed, alike = (
        class4(reader.read(real(FILE), in_situ=kinds), variables=["thetao"], by=("depth_band",))
        for kinds in ((), IN_SITU)
    )
    deep = {"depth_band": "1000-2000 m", "lead_time": mixed.lead_time[0]}
    ratio = [
        float(t.thetao_rmse.sel(model="persistence", **deep) / t.thetao_rmse.sel(model="forecast", **deep))
        for t in (mixed, alike)
    ]
    assert ratio[0] > 1.4
    assert 0.7 < ratio[1] < 1.2
    assert "made potential (TEOS-10)" in alike.attrs["comment"]
    assert "it does not say" in mixed.attrs["comment"]
