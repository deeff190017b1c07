"""Skill as the share of the room between persistence and the best that can be attained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from toy_scores import TRUTH, forecast, score

from oceanx.scores import skill
from oceanx.vocabulary.errors import InputError


def test_skill_is_the_share_of_the_room():
    leads = pd.to_timedelta([1, 2, 3], "D")
    rmse = xr.DataArray(
        [[1.0, 2.0, 3.0], [0.75, 1.5, 4.0], [0.5, 1.0, 3.0]],
        dims=("model", "lead_time"),
        coords={"model": ["persistence", "hybrid", "oracle"], "lead_time": leads},
    )
    table = skill(xr.Dataset({"zos_rmse": rmse, "zos_missing": rmse * 0}))
    assert set(table.data_vars) == {"zos_skill"}
    np.testing.assert_allclose(table["zos_skill"].sel(model="hybrid"), [0.5, 0.5, np.nan])
    np.testing.assert_allclose(table["zos_skill"].sel(model="oracle")[:2], 1.0)
    np.testing.assert_allclose(table["zos_skill"].sel(model="persistence")[:2], 0.0)


def test_skill_takes_the_infinite_ensemble_as_best():
    models = {
        "persistence": forecast(seed=1, error=2.0),
        "hybrid": forecast(seed=2),
        "oracle": forecast(seed=3, members=3),
    }
    table = score(models, TRUTH, metrics=["rmse", "rmse_unbiased"])
    p, h = (table["thetao_rmse"].sel(model=m, drop=True) for m in ("persistence", "hybrid"))
    best = table["thetao_rmse_unbiased"].sel(model="oracle", drop=True)
    found = skill(table)["thetao_skill"].sel(model="hybrid", drop=True)
    xr.testing.assert_allclose(found, (p - h) / (p - best))
    plain = skill(table, best_metric="rmse")["thetao_skill"].sel(model="hybrid", drop=True)
    xr.testing.assert_allclose(plain, (p - h) / (p - table["thetao_rmse"].sel(model="oracle", drop=True)))
    with pytest.raises(InputError, match="unknown model 'damped'"):
        skill(table, reference="damped")
    with pytest.raises(InputError, match="no dimension `model`"):
        skill(score(models["hybrid"], TRUTH))
