"""Forecasts of a region: the model steps all, the box is kept, and is where it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr

import oceanx as ox
from oceanx.ocean import grid, labels
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES
from oceanx.workflows.model import Model

TASK = Task(prognostic=Channels(surface=("zos",)))


def mixed(state: State, forcing: Forcing) -> State:
    """A Step in which every cell feels the whole grid, so that a cut made too early would be seen."""
    return state.map(lambda field: field + field.mean(dim=(-1, -2), keepdim=True))


MODEL = Model("mixed", mixed, task=TASK)


def globe() -> xr.Dataset:
    """Three days of the sea level at 10 degrees, all round, with land in the east of Asia."""
    latitude, longitude = np.arange(-85.0, 90, 10), np.arange(-175.0, 180, 10)
    zos = np.random.default_rng(0).standard_normal((3, 18, 36)).astype("float32")
    mask = np.ones((18, 36), dtype="int8")
    mask[9:12, 28:31] = 0  # 5 to 25 N, 105 to 125 E
    ds = xr.Dataset(
        {"zos": (("time", "latitude", "longitude"), np.where(mask, zos, np.nan), VARIABLES["zos"].attrs)},
        coords={
            "time": ("time", pd.date_range("2001-01-01", periods=3), DIMENSIONS["time"]),
            "latitude": ("latitude", latitude, DIMENSIONS["latitude"]),
            "longitude": ("longitude", longitude, DIMENSIONS["longitude"]),
            "mask": (("latitude", "longitude"), mask, VARIABLES["mask"].attrs),
        },
    )
    return grid.complete(ds)


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return globe()


def box(south: float, north: float, west: float, east: float) -> dict[str, float]:
    sides = {"minimum_latitude": south, "maximum_latitude": north}
    return sides | {"minimum_longitude": west, "maximum_longitude": east}


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("region", "rows", "columns"),
    [
        ("gulf_stream", [35, 45], [-75, -65, -55, -45]),
        (box(-20, 20, -30, 30), [-15, -5, 5, 15], [-25, -15, -5, 5, 15, 25]),
        (box(-90, 90, -180, 180), np.arange(-85, 90, 10), np.arange(-175, 180, 10)),
        (box(0, 10, 164, -160), [5], [165, 175, 185, 195]),  # across the date line: on beyond 180
        (box(0, 10, 170, 180), [5], [175]),
    ],
)
def test_the_box_of_the_whole_forecast(ds, tmp_path: Path, region, rows, columns, stored: bool) -> None:
    whole = ox.forecast(MODEL, ds, ds.time.values[:2], "3D")
    to = tmp_path / "fc.zarr" if stored else None
    fc = ox.forecast(MODEL, ds, ds.time.values[:2], "3D", region=region, to=to).load()
    labels.check(fc)
    np.testing.assert_array_equal(fc.latitude, rows)
    np.testing.assert_array_equal(fc.longitude, columns)
    there = whole.sel(latitude=rows, longitude=[(x + 180) % 360 - 180 for x in columns])
    np.testing.assert_array_equal(fc.zos, there.zos)
    for name in ("mask", "cell_area"):
        np.testing.assert_array_equal(fc[name], there[name])
    assert fc.longitude.attrs["standard_name"] == "longitude"
    (said,) = json.loads(fc.attrs["oceanx_region"]).values()
    assert said["minimum_latitude"] == (30 if region == "gulf_stream" else region["minimum_latitude"])
    assert "oceanx_region" not in whole.attrs


def test_a_region_of_a_region_across_the_date_line() -> None:
    """A grid that itself goes on beyond 180 is cut as it is."""
    ds = globe()
    east, west = ds.isel(longitude=slice(30, None)), ds.isel(longitude=slice(0, 6))
    pacific = xr.concat([east, west.assign_coords(longitude=west.longitude + 360)], "longitude", data_vars="all")
    fc = ox.forecast(MODEL, pacific, ds.time.values[0], "1D", region=box(-40, 40, 150, -160))
    np.testing.assert_array_equal(fc.longitude, [155, 165, 175, 185, 195])
    labels.check(fc)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("gulf_steam", "unknown region 'gulf_steam'; did you mean 'gulf_stream'"),
        (box(0, 1, 0, 1), "region 'box': no cell of this grid lies in it"),
        (box(5, 25, 104, 126), "region 'box': has no sea, all its 9 cells are land"),
        ({"minimum_latitude": 0}, "region 'box': maximum_latitude"),
        (box(-90, 90, 20, -20), "region 'box': crosses the date line and is wider than 300°; take a narrower one"),
    ],
)
def test_regions_that_are_none(ds, region, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        ox.forecast(MODEL, ds, ds.time.values[0], "1D", region=region, to=tmp_path / "fc.zarr")
    assert not list(tmp_path.iterdir())


def test_levels_and_members_are_kept_within_the_box(tmp_path: Path) -> None:
    ds = toy_dataset.ocean(20)
    words = {"init_time": ds.time.values[[12, 14]], "lead": "2D", "members": 2}
    inside = box(31, 33, -18, -16)
    whole, part = (ox.forecast(ox.persistence(), ds, region=region, **words) for region in (None, inside))
    near = {"latitude": slice(31, 33), "longitude": slice(-18, -16)}
    for name in whole.data_vars:
        xr.testing.assert_equal(part[name], whole[name].sel(near))
    np.testing.assert_array_equal(part.thickness, whole.thickness)
