"""Derived variables: the same calculation on both sides, known values, and lazy where the data are."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr

from oceanx.ocean.climatology import climatology
from oceanx.ocean.derived import density, geostrophic_velocity, mixed_layer_depth
from oceanx.ocean.labels import forecast_labels, label
from oceanx.scores import DERIVED, derive
from oceanx.scores.derived import derived_names
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

DS = toy_dataset.ocean(400)
DS = DS.assign(so=(DS["thetao"] * 0 + 35).assign_attrs(VARIABLES["so"].attrs))
CYCLE = climatology(DS[["uo", "vo"]], 1)
ALL = [*DERIVED, "heat_content_0_60"]


def forecast(ds=DS):
    labels = forecast_labels(ds.time.values[[10, 13]], pd.timedelta_range("1D", periods=2), ds)
    there = ds[["thetao", "so", "uo", "vo", "zos"]].sel(time=labels.valid_time).drop_vars("time")
    return label(labels.assign({n: v.assign_attrs(ds[n].attrs) for n, v in there.items()}))


def test_forecast_and_truth_are_treated_alike():
    """What is derived of the truth at the valid times is what is derived of a perfect forecast."""
    fc = derive(forecast(), ALL, CYCLE)
    truth = derive(DS, ALL, CYCLE).sel(time=fc["valid_time"])
    made = derived_names(ALL)
    assert set(made) == {"mlotst", "sigma0", "speed", "eke", "ugos", "vgos", "heat_content_0_60"}
    for name in made:
        np.testing.assert_array_equal(fc[name], truth[name].transpose(*fc[name].dims), name)
        assert np.isfinite(fc[name]).any(), name
        assert {"long_name", "units"} <= set(fc[name].attrs), name
    xr.testing.assert_identical(fc[["thetao", "zos"]], forecast()[["thetao", "zos"]])


def test_values_are_those_of_their_definitions():
    made = derive(DS, ALL, CYCLE)
    np.testing.assert_allclose(made.speed, np.hypot(DS.uo, DS.vo), rtol=1e-6)
    phase = 2 * np.pi * (DS.time.dt.strftime("2000-%m-%d").astype("M8[ns]").dt.dayofyear - 1) / 366
    away = [
        DS[n] - (CYCLE[n][0] + CYCLE[n][1] * np.cos(phase) + CYCLE[n][2] * np.sin(phase)).drop_vars("harmonic")
        for n in ("uo", "vo")
    ]
    np.testing.assert_allclose(made.eke, (0.5 * (away[0] ** 2 + away[1] ** 2)).transpose(*DS.uo.dims), atol=1e-6)
    xr.testing.assert_identical(made.sigma0, density(DS))
    xr.testing.assert_identical(made.mlotst, mixed_layer_depth(DS))
    xr.testing.assert_identical(made.vgos, geostrophic_velocity(DS).vgos)


def test_heat_is_that_of_the_water_there_is():
    """Layers of the toy ocean end at 23.934, 69.85 m: to 60 m, or to the sea floor where that is above."""
    made = derive(DS, "heat_content_0_60")["heat_content_0_60"].isel(time=0)
    t = DS.thetao.isel(time=0)
    upper = (0.494 + 47.374) / 2
    factor = REFERENCE_DENSITY * HEAT_CAPACITY
    deep = factor * (upper * t[0] + (60 - upper) * t[1])
    shallow = factor * upper * t[0]
    ground = (DS.mask[1] == 0) & (DS.mask[0] == 1)
    assert ground.any()
    np.testing.assert_allclose(made, xr.where(ground, shallow, deep), rtol=1e-6)
    below = derive(DS, "heat_content_30_60")["heat_content_30_60"].isel(time=0)
    np.testing.assert_array_equal(np.isnan(below), DS.mask[1] == 0)  # no water there, no heat
    np.testing.assert_allclose(below, factor * 30 * t[1].where(DS.mask[1] == 1), rtol=1e-6)


def test_nothing_is_calculated_before_it_is_asked_for():
    lazy = DS.isel(time=slice(0, 6)).chunk(time=1)
    made = derive(lazy, ALL, CYCLE)
    for name in derived_names(ALL):
        assert isinstance(made[name].data, dask.array.Array), name
    whole = derive(DS.isel(time=slice(0, 6)), ALL, CYCLE)
    for name in derived_names(ALL):
        np.testing.assert_allclose(made[name], whole[name], rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize(
    ("names", "cycle", "said"),
    [(["mixed_layer"], CYCLE, "did you mean 'mixed_layer_depth'"),
     (["eke"], None, "eke: needs a climatology of uo and vo"),
     (["eke"], CYCLE[["uo"]], "needs a climatology of vo"), (["heat_content_60_0"], None, "the upper one first"),
     (["heat_content_0_3000"], None, "the layers reach from 0 to"), (["heat_content"], None, "heat_content_0_300")],
)  # fmt: skip
def test_what_cannot_be_derived_is_refused(names, cycle, said):
    with pytest.raises(InputError, match=said):
        derive(DS, names, cycle)
