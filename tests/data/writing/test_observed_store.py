"""Stores of simulated observations: written some days at a time, opened as the same table."""

from __future__ import annotations

import numpy as np
import pytest
import toy_observing
import xarray as xr
import zarr

import oceanx as ox
from oceanx.data.writing import tables
from oceanx.ocean import observations
from oceanx.ocean.observing import observe as observing
from oceanx.ocean.wide import from_wide, to_wide
from oceanx.vocabulary.errors import InputError

NAMES = [*observations.COORDINATES, *observations.COLUMNS]
ASKED = {"network": "sst+jason+argo+mooring", "seed": 3}


@pytest.fixture(scope="module")
def truth():
    return toy_observing.truth(8)


@pytest.fixture(scope="module")
def obs(truth):
    return ox.observe(truth, **ASKED)


def the_same(a: xr.Dataset, b: xr.Dataset) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)
        assert a[name].dtype == b[name].dtype


@pytest.mark.parametrize("chunk", [500, 1717, 2**20])
def test_a_store_is_the_table_however_it_is_cut(truth, obs, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(tables, "CHUNK", chunk)
    monkeypatch.setattr(observing, "_BYTES", 1)  # day by day
    stored = ox.observe(truth, **ASKED, to=tmp_path / "obs.zarr")
    observations.check(stored)
    the_same(stored, obs)
    assert zarr.open_group(tmp_path / "obs.zarr")["value"].chunks == (min(chunk, obs.sizes["obs"]),)
    for key in obs.attrs:
        assert stored.attrs[key] == obs.attrs[key]
    assert stored.attrs["history"].endswith("observe argo+jason+mooring+sst in A toy to observe, seed 3")
    the_same(ox.open(tmp_path / "obs.zarr"), obs)
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_in_a_store_has_a_fingerprint(truth, tmp_path):
    made = [
        ox.observe(truth, "sst", seed=seed, to=tmp_path / f"{n}.zarr").attrs["oceanx_fingerprint"]
        for n, seed in enumerate((1, 1, 2))
    ]
    assert made[0] == made[1] != made[2]


def test_a_stored_table_goes_round_the_wide_form(truth, obs, tmp_path):
    stored = ox.observe(truth, **ASKED, to=tmp_path / "obs.zarr")
    the_same(from_wide(to_wide(stored.load())), obs)


def test_targets_are_refused_or_replaced_when_the_new_one_is_complete(truth, tmp_path):
    target = tmp_path / "obs.zarr"
    ox.observe(truth, "sst", seed=1, to=target)
    with pytest.raises(InputError, match="exists already"):
        ox.observe(truth, "sst", seed=2, to=target)
    with pytest.raises(InputError, match="observes siconc"):
        ox.observe(truth, {"kind": "cells", "number": 1, "variable": "siconc"}, to=target, overwrite=True)
    assert ox.open(target).attrs["oceanx_seed"] == 1
    assert ox.observe(truth, "sst", seed=2, to=target, overwrite=True).attrs["oceanx_seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["obs.zarr"]


def test_nothing_observed_is_no_store(truth, tmp_path):
    dry = truth.where(truth["time"] < truth["time"][1])
    with pytest.raises(InputError, match="there is no observation to write"):
        ox.observe(dry, "sst", time="2004-02-22:", to=tmp_path / "obs.zarr")
    assert not list(tmp_path.iterdir())


def test_only_tables_that_go_together_make_a_store(obs, tmp_path):
    other = ox.observe(toy_observing.truth(8), "sst", seed=3)
    with pytest.raises(InputError, match="codes of variables or platforms differ"):
        tables.write([obs, other], tmp_path / "a.zarr")
    with pytest.raises(InputError, match="give tables in their order in time"):
        tables.write([obs, obs], tmp_path / "a.zarr")
    with pytest.raises(InputError, match="value: not there"):
        tables.write([obs.drop_vars("value")], tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())
