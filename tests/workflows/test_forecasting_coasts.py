"""A model on another coast than its own: told, refused where it is another ocean, and no cold water from nowhere."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

import oceanx as ox
from oceanx import seam
from oceanx.ocean import grid
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.model import Model

TASK = Task(prognostic=Channels(volume=("thetao",), surface=("zos",), depth=toy_dataset.DEPTH))


def stirred(mask: np.ndarray):
    """A Step that knows one coast: every wet cell becomes the mean of the wet cells around it, land stays 0."""
    wet = torch.from_numpy(mask.astype("float32"))
    near = torch.ones(1, 1, 3, 3)

    def around(x: torch.Tensor) -> torch.Tensor:
        return conv2d(x.flatten(0, 1)[:, None], near, padding=1).view_as(x)

    def step(state: State, forcing: Forcing) -> State:
        def one(x: torch.Tensor) -> torch.Tensor:
            sea = wet if x.shape[1] == len(wet) else wet[:1]
            return torch.where(sea > 0, around(x * sea) / around(sea.expand_as(x)).clamp(min=1), 0.0)

        return state.map(one)

    return step


def trained_on(mask: np.ndarray, ds: xr.Dataset) -> Model:
    """A Model of stirring with this mask in its grid."""
    there = ds.coords.to_dataset().drop_vars("time").assign_coords(mask=(("depth", "latitude", "longitude"), mask))
    return Model("stirred", stirred(mask), task=TASK, grid=seam.grid_of(there, TASK.prognostic))


def with_mask(ds: xr.Dataset, mask: np.ndarray) -> xr.Dataset:
    """Warm water wherever a mask is wet, and nothing elsewhere."""
    rng = np.random.default_rng(3)
    thetao = 15 + rng.random(ds.thetao.shape).astype("float32")
    zos = 1 + rng.random(ds.zos.shape).astype("float32")
    ds = ds[["thetao", "zos"]].copy()
    ds["thetao"] = ds.thetao.copy(data=np.where(mask, thetao, np.nan))
    ds["zos"] = ds.zos.copy(data=np.where(mask[0], zos, np.nan))
    return ds.assign_coords(mask=ds.mask.copy(data=mask))


cells = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(0, 11)), max_size=8)


@settings(max_examples=20, deadline=None)
@given(opened=cells, closed=cells)
def test_no_water_is_colder_than_any_that_was_there(opened: list[tuple], closed: list[tuple]) -> None:
    """Stirring makes no new extremes: a colder forecast would have drunk from land, on whichever coast."""
    plain = toy_dataset.ocean(3)
    here = plain.mask.values.copy()
    here[:, 0] = 0
    there = here.copy()
    for cell in opened:
        there[cell] = 0
    for cell in closed:
        there[cell] = 1 - here[cell] if here[cell] == 0 else there[cell]
    ds = with_mask(plain, here)
    fc = ox.forecast(trained_on(there, ds), ds, ds.time.values[0], "4D")
    first = ds.isel(time=0)
    for name in ("thetao", "zos"):
        assert float(fc[name].min()) >= float(first[name].min()) - 1e-4
        assert float(fc[name].max()) <= float(first[name].max()) + 1e-4
        np.testing.assert_array_equal(np.isfinite(fc[name].values[0, 0]), np.isfinite(first[name].values))
    new = (here == 1) & (there == 0)
    for lead in range(4):  # what the model never knew as sea stays what the analysis says
        np.testing.assert_array_equal(fc.thetao.values[0, lead][new], first.thetao.values[new])
    assert ("oceanx_mask_disagreement" in fc.attrs) == bool((here != there).any())


def leaking(state: State, forcing: Forcing) -> State:
    """A Step that does not know land from water, as a network's may not: it has learnt with zeros there."""
    return state.map(lambda x: conv2d(x.flatten(0, 1)[:, None], torch.full((1, 1, 3, 3), 1 / 9), padding=1).view_as(x))


@pytest.mark.parametrize("leaks", [False, True])
def test_what_it_knows_is_forecast_as_on_its_own_coast(leaks: bool) -> None:
    """Bit by bit: cells opened in the data change nothing of what the model does elsewhere."""
    plain = toy_dataset.ocean(3)
    own = plain.mask.values.copy()
    other = own.copy()
    other[0, 1, 0], other[:2, 2, 1] = 1, 1
    model = trained_on(own, plain)
    model = replace(model, step=leaking) if leaks else model
    wide = with_mask(plain, other)
    narrow = wide.where(plain.mask == 1).assign_coords(mask=plain.mask)
    narrow["zos"] = wide.zos.where(plain.mask.isel(depth=0, drop=True) == 1)
    days = "1D" if leaks else "3D"  # what leaks fills its own land, too, after the first
    a, b = (ox.forecast(model, ds, plain.time.values[0], days) for ds in (wide, narrow))
    np.testing.assert_array_equal(a.thetao.where(plain.mask == 1), b.thetao)


def test_the_disagreement_is_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = toy_dataset.ocean(3)
    here = plain.mask.values
    there = here.copy()
    there[0, 4, 4:6], there[1, 4, 4], there[2, 3, 3] = 0, 0, 0
    there[0, 0, 5] = 1
    wet, learnt = int(here.sum()), int(there.sum())
    with caplog.at_level(logging.WARNING, "oceanx"):
        fc = ox.forecast(trained_on(there, plain), plain, plain.time.values[0], "1D", to=tmp_path / "fc.zarr")
    said = fc.attrs["oceanx_mask_disagreement"]
    assert said == (
        f"4 of {wet} wet cells were land in training, 1 of {learnt} the reverse "
        "(2 and 1 at 0.494 m, 1 and 0 at 47.37 m, 1 and 0 at 92.33 m)"
    )
    assert [record.message for record in caplog.records] == [f"mask: {said}"]
    again = ox.forecast(trained_on(here, plain), plain, plain.time.values[0], "1D")
    assert "oceanx_mask_disagreement" not in again.attrs


@pytest.mark.parametrize("wider", ["data", "training"])
def test_another_ocean_is_refused(wider: str) -> None:
    plain = toy_dataset.ocean(3)
    half = plain.mask.values.copy()
    half[:, :7] = 0
    here, there = (plain.mask.values, half) if wider == "data" else (half, plain.mask.values)
    with pytest.raises(InputError, match=r"mask: \d+ of \d+ wet cells were land in training, .*bring the data to"):
        ox.forecast(trained_on(there, plain), with_mask(plain, here), plain.time.values[0], "1D")


def test_a_climatology_has_no_zero_degrees_where_it_knows_nothing(ocean: xr.Dataset) -> None:
    """Of a cell that was land in the training years the climatology is nothing, which is not 0 degrees."""
    train, now = ocean.sel(time="2001"), ocean.sel(time=slice("2002-01-01", None))
    cell = {"latitude": 5, "longitude": 8}
    closed = train.assign_coords(mask=train.mask.where(~_at(train.mask, cell), 0).astype("int8"))
    for name in ("thetao", "uo", "vo", "zos", "mlotst"):
        closed[name] = train[name].where(~_at(train[name], cell))
    model = ox.climatology(closed)
    fc = ox.forecast(model, now, "2002-01-20", "3D")
    start = now.sel(time="2002-01-20").isel(cell)
    for name in ("thetao", "zos", "mlotst"):
        for lead in range(3):
            np.testing.assert_array_equal(fc[name].isel(init_time=0, lead_time=lead, **cell), start[name])
    # Damped persistence, which multiplies what it does not know, the same.
    fc = ox.forecast(ox.damped_persistence(closed, lead="3D"), now, "2002-01-20", "3D")
    np.testing.assert_array_equal(fc.thetao.isel(init_time=0, lead_time=2, **cell), start.thetao)


def _at(field: xr.DataArray, cell: dict[str, int]) -> xr.DataArray:
    where = xr.zeros_like(field.isel(time=0, drop=True) if "time" in field.dims else field, dtype=bool)
    where[cell] = True
    return where


def test_a_trained_model_on_another_coast(small, ocean: xr.Dataset, tmp_path: Path) -> None:
    """From its run folder, with its network: what is new keeps its analysis, and the rest is as on the old coast."""
    run = ox.train(small, ocean, tmp_path / "run")
    model = ox.load(run)
    words = {"init_time": "2002-04-10", "lead": "3D", "forcing": "observed"}
    old = ox.forecast(model, ocean, **words)
    assert "oceanx_mask_disagreement" not in old.attrs
    names = ["thetao", "uo", "vo", "zos", "mlotst"]
    opened = ocean.copy()
    for name in names:  # the coast of column 0 and 1 retreats
        opened[name] = ocean[name].fillna(ocean[name].mean(("latitude", "longitude")))
    opened = grid.complete(opened.drop_vars(["mask"]))
    fc = ox.forecast(model, opened, **words)
    assert "were land in training" in fc.attrs["oceanx_mask_disagreement"]
    for name in old.data_vars:
        there = old[name].notnull()
        np.testing.assert_array_equal(fc[name].where(there), old[name])
        new = fc[name].where(~there).isel(init_time=0)
        xr.testing.assert_equal(new.isel(lead_time=-1, drop=True), new.isel(lead_time=0, drop=True))
        assert fc[name].notnull().all()
