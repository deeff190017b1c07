"""References made while scoring equal those that are forecast and stored, and say how they were made."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import xarray as xr
from toy_scores import CLIM, TRUTH, forecast, score

from oceanx.ocean.climatology import at
from oceanx.ocean.labels import label
from oceanx.scores import combine, sums
from oceanx.vocabulary.errors import InputError

METRICS = ["rmse", "bias", "acc"]


def damping(leads=4):
    """r(lead_time, …), another in each cell."""
    rng = np.random.default_rng(2)
    lead = np.arange(1, leads + 1) * np.timedelta64(1, "D").astype("timedelta64[ns]")
    fields = {}
    for name in ("thetao", "zos"):
        like = TRUTH[name].isel(time=0, drop=True)
        values = rng.uniform(0.2, 1, size=(leads, *like.shape)).astype("f4")
        fields[name] = (("lead_time", *like.dims), values)
    return xr.Dataset(fields, {"lead_time": lead, **{d: TRUTH[d] for d in ("depth", "latitude", "longitude")}})


def stored(kind):
    """The reference as a labelled forecast, by xarray."""
    fc = forecast(error=0.0)
    now = TRUTH.sel(time=fc["init_time"]).drop_vars("time")
    usual = at(CLIM, fc["valid_time"])
    for name in ("thetao", "zos"):
        if kind == "persistence":
            values = now[name].expand_dims(lead_time=fc["lead_time"])
        elif kind == "climatology":
            values = usual[name]
        else:
            away = now[name] - at(CLIM, fc["init_time"])[name]
            values = usual[name] + damping()[name] * away
        wet = TRUTH["mask"] if "depth" in values.dims else TRUTH["mask"].isel(depth=0, drop=True)
        values = values.where(wet == 1).transpose(*fc[name].dims)
        fc[name] = (fc[name].dims, values.values.astype("f4"), fc[name].attrs)
    return label(fc)


@pytest.mark.parametrize("kind", ["persistence", "damped_persistence", "climatology"])
def test_they_equal_stored_forecasts(kind):
    table = score(
        {"stored": stored(kind)}, TRUTH, climatology=CLIM, autocorrelation=damping(), metrics=METRICS, references=True,
        by=["season", "region"],
    )  # fmt: skip
    assert table["model"].values.tolist() == ["stored", "persistence", "damped_persistence", "climatology"]
    for name in table.data_vars:
        if kind == "climatology" and name.endswith("acc"):
            continue  # of no anomaly, nothing over nothing
        mine, theirs = table[name].sel(model=kind), table[name].sel(model="stored")
        np.testing.assert_allclose(mine, theirs, rtol=2e-6, atol=1e-7, err_msg=name)


def test_what_can_be_made_is_made_without_being_asked():
    table = score(forecast(), TRUTH, references=True)
    assert table["model"].values.tolist() == ["forecast", "persistence"]
    assert table.attrs["oceanx_persistence"] == "the truth at init_time"
    assert table.attrs["oceanx_climatology"] == "left out: no climatology was given"
    assert table.attrs["oceanx_damped_persistence"] == "left out: no climatology was given"
    table = score(forecast().assign_attrs(oceanx_model="mine"), TRUTH, climatology=CLIM, references=True)
    assert table["model"].values.tolist() == ["mine", "persistence", "climatology"]
    assert table.attrs["oceanx_climatology"] == "the climatology of 2000-01-01 to 2000-12-31 at valid_time"
    assert table.attrs["oceanx_damped_persistence"] == "left out: no autocorrelation was given"
    alone = score(forecast(), TRUTH)
    assert "model" not in alone.dims
    xr.testing.assert_equal(table.sel(model="mine", drop=True), alone)


def test_those_asked_for_and_those_there_already():
    both = score({"a": forecast(), "climatology": forecast(1)}, TRUTH, climatology=CLIM, references=["climatology"])
    assert both["model"].values.tolist() == ["a", "climatology"]
    xr.testing.assert_equal(both.sel(model="climatology", drop=True), score(forecast(1), TRUTH))
    with pytest.raises(InputError, match="unknown reference 'persistance'"):
        score(forecast(), TRUTH, references=["persistance"])
    some = score(forecast(), TRUTH, climatology=CLIM, references=["climatology"])
    assert some["model"].values.tolist() == ["forecast", "climatology"]


def test_persistence_is_left_out_where_the_truth_lacks_a_start_date():
    fc = forecast()
    short = TRUTH.isel(time=~np.isin(TRUTH["time"].values, fc["init_time"].values[[2]]))
    table = score(fc, short, climatology=CLIM, autocorrelation=damping(), references=True)
    assert table["model"].values.tolist() == ["forecast", "climatology"]
    for kind in ("persistence", "damped_persistence"):
        assert table.attrs[f"oceanx_{kind}"] == "left out: the truth has no 2001-08-10 00:00:00, a start date"
    far = score(forecast(leads=6), TRUTH, climatology=CLIM, autocorrelation=damping(4), references=True)
    assert far.attrs["oceanx_damped_persistence"] == "left out: the autocorrelation is not known at 5 days 00:00:00"


def test_they_stand_on_all_levels_and_leads_of_the_forecasts():
    models = {"top": forecast().isel(depth=[0]), "deep": forecast(2, leads=2).isel(depth=[1, 2])}
    table = score(models, TRUTH, climatology=CLIM, autocorrelation=damping(), references=True)
    whole = score(stored("damped_persistence"), TRUTH)
    np.testing.assert_allclose(table["thetao_rmse"].sel(model="damped_persistence"), whole["thetao_rmse"], rtol=1e-6)


def test_a_variable_without_climatology_is_blank():
    table = score(forecast(), TRUTH, climatology=CLIM[["zos"]], references=True)
    assert table["thetao_rmse"].sel(model="climatology").isnull().all()
    assert table["zos_rmse"].sel(model="climatology").notnull().all()


def test_nothing_is_read_but_the_truth_at_the_start_dates():
    read = []

    def load(block, block_info=None):
        read.append(block_info[0]["chunk-location"][0])
        return block

    values = dask.array.from_array(TRUTH["zos"].values, chunks=(1, 4, 5))
    counted = values.map_blocks(load, dtype=values.dtype, meta=values._meta)
    lazy = TRUTH[["zos"]].assign(zos=TRUTH["zos"].copy(data=counted))
    fc = forecast()[["zos"]]
    score(fc, lazy, references=True)
    dates = np.union1d(fc["valid_time"].values.ravel(), fc["init_time"].values)
    assert sorted(read) == np.flatnonzero(np.isin(TRUTH["time"].values, dates)).tolist()


def test_parts_have_the_same_references(monkeypatch):
    fc, told = forecast(), {"climatology": CLIM, "autocorrelation": damping(), "metrics": METRICS, "references": True}
    whole = sums(fc, TRUTH, **told)
    parts = [sums(fc.isel(init_time=part), TRUTH, **told) for part in (slice(3, 4), slice(3))]
    xr.testing.assert_identical(combine(parts), whole)
    monkeypatch.setattr("oceanx.scores.reading.BATCH_BYTES", 1)
    xr.testing.assert_identical(sums(fc, TRUTH, **told), whole)
