"""Class-4 scores equal a plain loop over observations that every system can answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.climatology import climatology
from oceanx.ocean.equivalents import equivalents
from oceanx.ocean.labels import forecast_labels, label
from oceanx.ocean.observations import table
from oceanx.scores import class4
from oceanx.vocabulary.errors import InputError

BANDS = ((0, 5), (5, 100), (100, 300))
LEADS = pd.timedelta_range("0D", periods=3)


def from_a_file(seed=0, n=80, gaps=0.2):
    """A table as Class-4 files give it: random values, some missing in each system."""
    rng = np.random.default_rng(seed)

    def said(*shape):
        return np.where(rng.random(shape) < gaps, np.nan, rng.normal(10, 2, shape)).astype("f4")

    columns = {
        "time": np.datetime64("2020-01-01", "ns") + np.sort(rng.integers(0, 86400, n)).astype("m8[s]"),
        "latitude": rng.uniform(-60, 60, n), "longitude": rng.uniform(-180, 179, n), "depth": rng.uniform(0, 400, n),
        "variable": rng.integers(0, 3, n).astype("i1"), "value": rng.normal(10, 2, n), "error_std": np.ones(n),
        "platform": np.zeros(n, "i4"), "feature": np.arange(n), "qc": rng.choice([0, 0, 0, 20], n).astype("u1"),
    }  # fmt: skip
    extras = {name: xr.Variable(("obs",), said(n)) for name in ("climatology", "best_estimate")}
    extras |= {name: xr.Variable(("obs", "lead_time"), said(n, 3)) for name in ("forecast", "persistence")}
    return table(columns, ["thetao", "so", "zos"], ["x"], extras=extras, coords={"lead_time": LEADS})


def plainly(obs, name, systems, rows, lead):
    """Errors of each system over the observations among `rows` that all have a value for; and shares without."""
    errors, missing = {s: [] for s in systems}, dict.fromkeys(systems, 0)
    for i in rows:
        said = {s: float(obs[s][i, lead] if "lead_time" in obs[s].dims else obs[s][i]) for s in systems}
        for s, value in said.items():
            missing[s] += not np.isfinite(value)
        if all(np.isfinite(value) for value in said.values()):
            for s, value in said.items():
                errors[s].append(value - float(obs["value"][i]))
    return errors, {s: count / len(rows) if rows else np.nan for s, count in missing.items()}


@given(seed=st.integers(0, 1000), gaps=st.floats(0, 0.6))
@settings(max_examples=10, deadline=None)
def test_scores_are_those_of_a_plain_loop(seed, gaps):
    obs = from_a_file(seed, gaps=gaps)
    found = class4(obs, depth_bands=BANDS, regions={"north": {"minimum_latitude": 0, "maximum_latitude": 90},
                   "dateline": {"minimum_latitude": -90, "maximum_latitude": 90, "minimum_longitude": 150,
                                "maximum_longitude": -150}})  # fmt: skip
    systems = ["forecast", "persistence", "climatology", "best_estimate"]
    assert found.model.values.tolist() == systems
    assert found.depth_band.values.tolist() == ["0-5 m", "5-100 m", "100-300 m"]
    inside = {"north": obs.latitude.values >= 0, "dateline": np.abs(obs.longitude.values) >= 150}
    for code, name in enumerate(("thetao", "so")):
        for region, where in inside.items():
            for band, (top, low) in zip(found.depth_band.values, BANDS, strict=True):
                good = (obs.variable == code) & (obs.qc == 0) & where & (obs.depth >= top) & (obs.depth < low)
                for lead in range(3):
                    errors, missing = plainly(obs, name, systems, np.flatnonzero(good).tolist(), lead)
                    here = found.sel(region=region, depth_band=band).isel(lead_time=lead)
                    assert int(here[f"{name}_count"]) == len(errors["forecast"])
                    for s in systems:
                        e = np.array(errors[s] or [np.nan])
                        mine = here.sel(model=s)
                        assert float(mine[f"{name}_bias"]) == pytest.approx(e.mean(), nan_ok=True)
                        assert float(mine[f"{name}_rmse"]) == pytest.approx(np.sqrt((e**2).mean()), nan_ok=True)
                        assert float(mine[f"{name}_mae"]) == pytest.approx(np.abs(e).mean(), nan_ok=True)
                        assert float(mine[f"{name}_missing"]) == pytest.approx(missing[s], nan_ok=True)
    assert found["zos_rmse"].dims == ("model", "region", "lead_time")  # no levels, no bands
    assert found["thetao_rmse"].attrs == {"long_name": "Root mean square error: thetao", "units": "degrees_C"}


def test_what_depends_on_no_lead_has_none():
    obs = from_a_file().drop_vars(["forecast", "persistence"])
    found = class4(obs, by=())
    assert found["so_rmse"].dims == ("model",)
    assert "lead_time" not in found.coords
    rows = np.flatnonzero((obs.variable == 1) & (obs.qc == 0)).tolist()
    errors, _ = plainly(obs, "so", ["climatology", "best_estimate"], rows, 0)
    np.testing.assert_allclose(found["so_bias"], [np.mean(errors[s]) for s in found.model.values])


# A forecast against observations


DS = toy_dataset.ocean(400)
STARTS, LEAD = DS.time.values[[100, 103]], pd.timedelta_range("1D", periods=4)


def forecast(change=lambda v: v, starts=STARTS, leads=LEAD):
    ds = forecast_labels(starts, leads, DS)
    there = DS[["thetao", "zos"]].sel(time=ds.valid_time).drop_vars("time")
    return label(ds.assign({n: change(v).astype("f4").assign_attrs(DS[n].attrs) for n, v in there.items()}))


def observations(n=300, seed=0, first=99, days=10, noise=0.0):
    """Of the toy ocean itself."""
    rng = np.random.default_rng(seed)
    columns = {
        "time": (DS.time.values[first] + np.sort(rng.integers(0, days * 86400, n)).astype("m8[s]")).astype("M8[ns]"),
        "latitude": rng.uniform(31, 34, n), "longitude": rng.uniform(-20, -14.5, n), "depth": rng.uniform(0, 92, n),
        "variable": rng.integers(0, 2, n).astype("i1"), "value": np.zeros(n), "error_std": np.ones(n),
        "platform": np.zeros(n, "i4"), "feature": np.arange(n), "qc": np.zeros(n, "u1"),
    }  # fmt: skip
    obs = table(columns, ["thetao", "zos"], ["x"])
    true = equivalents(DS, obs)
    obs["value"] = obs["value"] + true.fillna(0.0) + noise * rng.normal(size=n)
    return obs


def test_a_forecast_that_is_off_by_its_lead_in_days_is_scored_so():
    off = LEAD / pd.Timedelta("1D")
    fc = forecast(lambda v: v + xr.DataArray(off, dims="lead_time", coords={"lead_time": LEAD}))
    obs = observations()
    found = class4(obs, fc, by=())
    np.testing.assert_allclose(found.thetao_bias.sel(model="forecast"), off, atol=1e-5)
    np.testing.assert_allclose(found.zos_rmse.sel(model="forecast"), off, atol=1e-5)
    day = (obs.time.values.astype("M8[D]") - DS.time.values[100].astype("M8[D]")).astype(int)
    answered = np.isfinite(equivalents(DS, obs).values)
    for lead in range(4):  # from both starts: days 101 and 104 at lead 1
        asked = np.isin(day, [lead + 1, lead + 4]) & (obs.variable == 0)
        assert int(found.thetao_count[lead]) == (asked & answered).sum() > 0
        assert float(found.thetao_missing[0, lead]) == pytest.approx(1 - answered[asked].mean())


def test_systems_are_scored_on_the_same_observations():
    """One system knows the west alone, another the first start alone: what is counted is both."""
    west = forecast(lambda v: v.where(v.longitude < -17))
    early = forecast(lambda v: v + 1, starts=STARTS[:1])
    obs, cycle = observations(), climatology(DS[["thetao", "zos"]], 1)
    found = class4(obs, {"west": west, "early": early}, climatology=cycle, by=())
    one, two = equivalents(west, obs), equivalents(early, obs)
    three = equivalents(cycle, obs).expand_dims(lead_time=LEAD).transpose("obs", "lead_time")
    shared = np.isfinite(one + two + three) & (obs.variable == 0)
    np.testing.assert_array_equal(found.thetao_count, shared.sum("obs"))
    for name, said in (("west", one), ("early", two), ("climatology", three)):
        error = (said - obs["value"]).where(shared)
        np.testing.assert_allclose(found.thetao_rmse.sel(model=name), np.sqrt((error**2).mean("obs")), rtol=1e-10)
    assert (found.thetao_missing.sel(model="climatology") < found.thetao_missing.sel(model="west")).all()


def test_a_system_that_says_nothing_takes_no_part_and_no_ones_place():
    """One forecast is shorter, another has no sea level."""
    obs, fc = observations(), forecast(lambda v: v + 1)
    alone = class4(obs, {"long": fc}, by=())
    found = class4(obs, {"long": fc, "short": forecast(leads=LEAD[:2]), "deep": forecast().drop_vars("zos")}, by=())
    for name in ("thetao_count", "zos_count"):
        np.testing.assert_array_equal(found[name], alone[name])
    for name in ("thetao_rmse", "thetao_bias", "zos_mae"):
        np.testing.assert_allclose(found[name].sel(model="long"), alone[name].sel(model="long"))
    assert np.isnan(found.thetao_rmse.sel(model="short")[2:]).all()
    assert np.isfinite(found.thetao_rmse.sel(model="short")[:2]).all()
    assert np.isnan(found.zos_bias.sel(model="deep")).all()
    assert (found.zos_missing.sel(model="deep") == 1).all()
    assert (found.thetao_missing.sel(model="short")[2:] == 1).all()


def test_a_polygon_is_the_box_it_draws():
    obs, fc = observations(), forecast(lambda v: v * 1.1)
    box = {"minimum_latitude": 31.5, "maximum_latitude": 33, "minimum_longitude": -19, "maximum_longitude": -16}
    corners = [(-19, 31.5), (-16, 31.5), (-16, 33), (-19, 33)]
    found = class4(obs, fc, regions={"box": box, "corners": corners, "atlantic": "atlantic"}, by=())
    for name in ("thetao_rmse", "thetao_count", "zos_bias"):
        np.testing.assert_array_equal(found[name].sel(region="box"), found[name].sel(region="corners"))
    assert (found.thetao_count.sel(region="box") < found.thetao_count.sel(region="atlantic")).all()
    np.testing.assert_array_equal(found.thetao_count.sel(region="atlantic"), class4(obs, fc, by=()).thetao_count)
    assert "tropics" not in class4(obs, fc, by="region").region.values


def test_a_forecast_with_members_is_scored_by_their_mean():
    fc = forecast()
    ensemble = label(xr.concat([fc - 1, fc + 2], pd.Index([0, 1], name="member")).assign_coords(fc.coords))
    for name in ("thetao", "zos"):
        ensemble[name].attrs = fc[name].attrs
    found = class4(observations(), ensemble, by=())
    np.testing.assert_allclose(found.thetao_bias, 0.5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((from_a_file().isel(obs=np.flatnonzero(from_a_file().qc)),), {}, "none is flagged good"),
        ((observations(),), {}, "the table has none of forecast, persistence, climatology"),
        ((observations(first=200), forecast()), {}, "no forecast is valid on a day with observations, 2002-06-19"),
        ((observations(), forecast()), {"by": "platform"}, "unknown group to score by 'platform'"),
        ((observations(), forecast()), {"regions": ["tropic"]}, "did you mean 'tropics'"),
        ((observations(), forecast()), {"depth_bands": [(5, 0)]}, "depth_bands: found 5 to 0 m"),
        ((observations(), forecast()), {"variables": ["so"]}, "unknown observed variable 'so'"),
        ((observations(), forecast().drop_vars(["thetao", "zos"])), {}, "observed are thetao, zos; forecast have no"),
        ((observations(), forecast()), {"regions": {"sea": DS.mask[0]}}, "a mask, which tells of cells"),
        ((observations(), forecast().drop_vars("zos")), {"variables": ["zos"]}, "zos: no system has a value at any"),
        ((observations(), forecast().drop_vars("valid_time")), {}, "no coordinate 'valid_time'"),
        ((observations(), {}), {}, "nothing to score"),
        ((DS,), {}, "expected a table of observations"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(arguments, options, said):
    with pytest.raises(InputError, match=said):
        class4(*arguments, **options)
