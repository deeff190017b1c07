"""Scores against arithmetic done cell by cell, over whichever cells, levels and leads a forecast has."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from toy_scores import CLIM, TRUTH, forecast, pairs, score

from oceanx.ocean.climatology import at
from oceanx.ocean.labels import label
from oceanx.vocabulary.errors import InputError


def test_errors_equal_arithmetic_by_cell():
    fc = forecast()
    table = score(fc, TRUTH, metrics=["rmse", "mse", "mae", "bias"])
    assert table["thetao_rmse"].dims == ("lead_time", "depth")
    assert table["zos_rmse"].dims == ("lead_time",)
    for name, level in (("thetao", 0), ("thetao", 2), ("zos", None)):
        for lead in (0, 3):
            f, t, w, _ = pairs(fc, name, lead, level)
            found = table.isel(lead_time=lead) if level is None else table.isel(lead_time=lead, depth=level)
            mse = np.average((f - t) ** 2, weights=w)
            assert float(found[f"{name}_mse"]) == pytest.approx(mse, rel=1e-12)
            assert float(found[f"{name}_rmse"]) == pytest.approx(np.sqrt(mse), rel=1e-12)
            assert float(found[f"{name}_mae"]) == pytest.approx(np.average(np.abs(f - t), weights=w), rel=1e-12)
            assert float(found[f"{name}_bias"]) == pytest.approx(np.average(f - t, weights=w), rel=1e-9)
    assert (table["thetao_missing"] == 0).all()


def test_anomaly_scores_equal_arithmetic_by_cell():
    fc = forecast(seed=1, error=1.5)
    table = score(fc, TRUTH, climatology=CLIM, metrics=["acc", "nrmse", "activity", "activity_ratio"])
    f, t, w, c = pairs(fc, "thetao", 1, 1, clim=True)
    away, true = f - c, t - c
    found = {k: float(v.isel(lead_time=1, depth=1)) for k, v in table.items() if k.startswith("thetao")}
    mean = lambda x: np.average(x, weights=w)  # noqa: E731
    std = lambda x: np.sqrt(mean(x**2) - mean(x) ** 2)  # noqa: E731
    assert found["thetao_acc"] == pytest.approx(mean(away * true) / np.sqrt(mean(away**2) * mean(true**2)), rel=1e-9)
    assert found["thetao_nrmse"] == pytest.approx(np.sqrt(mean((f - t) ** 2) / mean(true**2)), rel=1e-9)
    assert found["thetao_activity"] == pytest.approx(std(away), rel=1e-9)
    assert found["thetao_activity_ratio"] == pytest.approx(std(away) / std(true), rel=1e-9)
    assert table.attrs["oceanx_climatology_period"] == "2000-01-01/2000-12-31"


def test_climatology_as_forecast_has_no_activity_and_perfect_forecast_no_error():
    perfect = forecast(error=0.0)
    table = score(perfect, TRUTH, climatology=CLIM, metrics=["rmse", "acc", "activity_ratio"])
    assert (table["thetao_rmse"] == 0).all()
    np.testing.assert_allclose(table["zos_acc"], 1.0)
    np.testing.assert_allclose(table["zos_activity_ratio"], 1.0)
    cycle = at(CLIM, perfect["valid_time"])
    dull = perfect.assign({n: cycle[n].drop_vars("valid_time").assign_attrs(perfect[n].attrs) for n in cycle})
    assert (score(label(dull), TRUTH, climatology=CLIM, metrics=["activity"])["thetao_activity"] == 0).all()


def test_forecast_on_some_of_the_levels():
    fc = forecast()
    some = fc.isel(depth=[0, 2])
    xr.testing.assert_allclose(score(some, TRUTH)["thetao_rmse"], score(fc, TRUTH)["thetao_rmse"].isel(depth=[0, 2]))
    with pytest.raises(InputError, match="depth: the forecast's level 60 m is not in the truth, whose nearest is 50"):
        score(fc.assign_coords(depth=[0.5, 60.0, 500.0]), TRUTH)


def test_models_with_fewer_leads_or_variables_are_blank_there():
    models = {"long": forecast(), "short": forecast(seed=3, leads=2)[["zos"]]}
    table = score(models, TRUTH)
    assert table["zos_rmse"].sel(model="short").notnull().values.tolist() == [True, True, False, False]
    assert table["thetao_rmse"].sel(model="short").isnull().all()
    xr.testing.assert_allclose(table.sel(model="long", drop=True), score(models["long"], TRUTH))


def test_models_on_other_levels_are_blank_where_they_have_none():
    """Each is scored on its own levels as it would be alone, whichever comes first."""
    whole, top, deep = forecast(1), forecast(2).isel(depth=[0]), forecast(3).isel(depth=[1, 2])
    deep = deep.assign_coords(depth=("depth", (deep.depth.values + 1e-5).astype("float32"), deep.depth.attrs))
    several = {"top": top, "deep": deep, "whole": whole}
    together = score(several, TRUTH, metrics=["rmse", "acc"], climatology=CLIM)
    assert together.depth.values.tolist() == pytest.approx([0.5, 50.0, 500.0], abs=1e-4)
    for model, levels in {"top": [0], "deep": [1, 2], "whole": [0, 1, 2]}.items():
        alone = score(several[model], TRUTH, metrics=["rmse", "acc"], climatology=CLIM)
        mine = together.sel(model=model)
        for name in alone.data_vars:
            part = mine[name].isel(depth=levels) if "depth" in alone[name].dims else mine[name]
            np.testing.assert_array_equal(part.values, alone[name].values, err_msg=f"{model} {name}")
        absent = [level for level in range(3) if level not in levels]
        assert np.isnan(mine.thetao_rmse.isel(depth=absent)).all()


def test_scores_survive_a_file(tmp_path):
    table = score({"a": forecast(), "b": forecast(seed=1)}, TRUTH)
    table.to_netcdf(tmp_path / "scores.nc")
    with xr.open_dataset(tmp_path / "scores.nc") as back:
        xr.testing.assert_identical(back.load(), table)
