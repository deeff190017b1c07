"""Days with ice are no days: in no pool, in no event, and flagged where nothing else is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from oceanx.heatwaves import detect, events, threshold, without_ice
from oceanx.vocabulary.errors import InputError

TIME = pd.date_range("2001-01-01", "2003-12-31")
WINTER = np.cos(2 * np.pi * TIME.day_of_year / 366.0) > 0.3


def polar():
    """A cell with ice each winter, under which the sea is at freezing; one always under ice; one never."""
    rng = np.random.default_rng(2)
    summer = 3 + rng.normal(size=len(TIME))
    temperature = np.stack([np.where(WINTER, -1.8 + 0.01 * rng.random(len(TIME)), summer), 0 * summer - 1.8, summer], 1)
    ice = np.stack([WINTER * 0.9, 0 * summer + 1.0, 0 * summer], 1)
    coords = {"time": TIME, "latitude": [70.0], "longitude": [0.0, 1.0, 2.0]}
    dims = ("time", "latitude", "longitude")
    ds = xr.Dataset({"sst": (dims, temperature[:, None]), "siconc": (dims, ice[:, None])}, coords=coords)
    ds["sst"].attrs, ds["siconc"].attrs = {"units": "degrees_C"}, {"units": "1"}
    return ds


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("lazy", [False, True])
def test_days_with_ice_are_missing(drop, lazy):
    ds = polar().drop_vars("siconc") if drop else polar()  # by the ice, or by the freezing point alone
    open_water = without_ice(ds.chunk(time=100) if lazy else ds)
    assert bool(open_water.chunks) is lazy
    np.testing.assert_array_equal(open_water.isnull()[:, 0, 0], WINTER)
    assert open_water[:, 0, 1].isnull().all()
    assert open_water[:, 0, 2].notnull().all()
    assert open_water.attrs == {"units": "degrees_C"}
    kelvin = ds.assign(sst=(ds["sst"] + 273.15).assign_attrs(units="K"))
    np.testing.assert_array_equal(without_ice(kelvin).isnull(), open_water.isnull())


def test_no_event_under_ice():
    ds = polar()
    open_water = without_ice(ds)
    limit = threshold(open_water, (2001, 2003))
    assert limit["threshold"][:, 0, 1].isnull().all()
    assert limit["threshold"].sel(dayofyear=1)[0, 0].isnull()
    assert limit["threshold"].sel(dayofyear=183)[0, 0] > 3
    found = detect(open_water, limit, min_duration=2)
    assert not (found["event"] > 0).where(ds["siconc"] > 0.15, False).any()
    summers = events(open_water, limit, min_duration=2)
    assert set(summers["longitude"]) == {0.0, 2.0}
    raw = events(ds["sst"], threshold(ds["sst"], (2001, 2003)), min_duration=2)
    under_ice = (raw["longitude"] == 0.0) & raw["date_peak"].dt.month.isin([1, 12])
    assert under_ice.any()  # a hundredth of a degree at freezing: what the treatment is for


def test_cell_at_one_temperature_has_no_category_and_is_flagged():
    sst = polar()["sst"]
    limit = threshold(sst, (2001, 2003))
    assert limit["degenerate"].values[0, 1:].tolist() == [366, 0]
    warm = sst.copy()
    warm[100:110, 0, 1] = 0.0
    table = events(warm, limit)
    assert table.loc[table["longitude"] == 1.0, "category"].isna().all()
    assert len(table[table["longitude"] == 1.0]) == 1


def test_ice_given_apart_and_its_edge():
    ds = polar()
    apart = without_ice(ds["sst"], ds["siconc"] * 0.2, most=0.5)
    np.testing.assert_array_equal(apart, without_ice(ds["sst"]))


def test_bad_input_is_refused():
    ds = polar()
    with pytest.raises(InputError, match="sst: found units ''; expected 'degrees_C' or 'K'"):
        without_ice(ds["sst"].drop_attrs())
    with pytest.raises(InputError, match="siconc: found units '%'; expected a share"):
        without_ice(ds["sst"], ds["siconc"].assign_attrs(units="%"))
    with pytest.raises(InputError, match="siconc: not on the grid and times"):
        without_ice(ds["sst"], ds["siconc"].isel(time=slice(10)))
