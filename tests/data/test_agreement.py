"""Files that differ in grid or time: refused by name, or cut to what they have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import DEPTH, LATITUDE, LONGITUDE

import oceanx.data as data
from oceanx.data.agreement import common_grid, common_times, refuse_differing
from oceanx.data.formats.part import to_dataset
from oceanx.data.readers import reader
from oceanx.vocabulary.errors import InputError


def parts(*paths):
    module = reader("glorys12")
    return [part for path in paths for part in module.parts(Path(path), module.everything(), Path())]


def file(path, name, times, latitude=LATITUDE, longitude=LONGITUDE, depth=DEPTH):
    """One variable whose values tell time, level, row and column of the whole grid apart."""
    t, z, y, x = np.meshgrid(times.astype("datetime64[D]").astype(int), depth, latitude, longitude, indexing="ij")
    values = (t % 1000) / 100 + z / 1e4 + y / 1e3 + x / 1e5
    xr.Dataset(
        {name: (("time", "depth", "latitude", "longitude"), values.astype("f4"), {"units": "m s-1"})},
        {"time": times.astype("datetime64[ns]"), "depth": depth.astype("f4"), "latitude": latitude,
         "longitude": longitude},
    ).to_netcdf(path)  # fmt: skip
    return path


DAYS = np.arange("2020-01-01", "2020-01-07", dtype="datetime64[D]")


def test_one_column_more_is_refused_and_the_remedy_named(tmp_path):
    a = file(tmp_path / "uo.nc", "uo", DAYS)
    b = file(tmp_path / "vo.nc", "vo", DAYS, longitude=LONGITUDE[:-1])
    with pytest.raises(InputError, match=r"vo\.nc: longitude has 4 values, but 5 in .*uo\.nc; .*grids=common"):
        refuse_differing(parts(a, b))


def test_the_common_grid_is_what_all_hold(tmp_path):
    """One file lacks the last column and the deepest level, one the first row, one is stored from north to south."""
    a = file(tmp_path / "uo.nc", "uo", DAYS, longitude=LONGITUDE[:-1], depth=DEPTH[:2])
    b = file(tmp_path / "vo.nc", "vo", DAYS, latitude=LATITUDE[:0:-1])
    cut = common_grid(parts(a, b))
    refuse_differing(cut)
    whole = {}
    for path, name in ((a, "uo"), (b, "vo")):
        with xr.open_dataset(path) as ds:
            whole[name] = ds[name].load()
    ds = to_dataset(cut)
    np.testing.assert_array_equal(ds.latitude, LATITUDE[1:])
    np.testing.assert_array_equal(ds.longitude, LONGITUDE[:-1])
    np.testing.assert_array_equal(ds.depth, DEPTH[:2])
    for name, values in whole.items():
        np.testing.assert_array_equal(ds[name], values.sel(latitude=LATITUDE[1:], longitude=LONGITUDE[:-1],
                                                           depth=DEPTH[:2]))  # fmt: skip
    assert any("uo.nc: 1 of 4 values of latitude left out" in note for note in cut[0].notes)
    assert any("vo.nc: 1 of 3 values of depth left out" in note for note in cut[1].notes)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=2, max_size=4))
def test_the_common_grid_is_the_intersection(tmp_path_factory, edges):
    folder = tmp_path_factory.mktemp("common")
    latitude, longitude = np.arange(40.0, 46.0, 0.5), np.arange(-10.0, -4.0, 0.5)
    boxes = [(latitude[s : 12 - n], longitude[w : 12 - e]) for s, n, w, e in edges]
    files = [file(folder / f"{k}.nc", "uo", DAYS[k : k + 1], lat, lon, DEPTH[:1]) for k, (lat, lon) in enumerate(boxes)]
    cut = common_grid(parts(*files))
    for part in cut:
        for number, dim in enumerate(("latitude", "longitude")):
            expected = boxes[0][number]
            for box in boxes[1:]:
                expected = np.intersect1d(expected, box[number])
            np.testing.assert_array_equal(part.axes[dim], expected)
    ds = to_dataset(cut)
    for k, path in enumerate(files):
        with xr.open_dataset(path) as whole:
            chosen = whole.uo.sel(latitude=ds.latitude, longitude=ds.longitude)
            np.testing.assert_array_equal(ds.uo[k], chosen[0])


def test_parts_on_one_grid_come_back_as_they_are(glorys):
    found = parts(glorys("2020-01-01"), glorys("2020-01-02"))
    assert [(p.label, p.notes) for p in common_grid(found)] == [(p.label, ()) for p in found]


@pytest.mark.parametrize(
    ("other", "dim"),
    [({"latitude": LATITUDE + 0.01}, "latitude"),  # another grid
     ({"latitude": LATITUDE + 10}, "latitude"),  # elsewhere
     ({"longitude": LONGITUDE[[0, 1, 3, 4]]}, "longitude"),  # a hole inside
     ({"longitude": np.sort(np.append(LONGITUDE, -9.25)).astype("f4")}, "longitude"),  # one more inside
     ({"depth": DEPTH * 2}, "depth")],
)  # fmt: skip
def test_grids_that_differ_inside_have_nothing_common(tmp_path, other, dim):
    a, b = file(tmp_path / "a.nc", "uo", DAYS[:1]), file(tmp_path / "b.nc", "uo", DAYS[1:2], **other)
    with pytest.raises(InputError, match=rf"b\.nc: {dim} .* differ by more than whole values at their edges"):
        common_grid(parts(a, b))


def test_the_common_times_are_those_of_every_variable(tmp_path):
    a = file(tmp_path / "uo.nc", "uo", DAYS[:4])
    b = file(tmp_path / "vo1.nc", "vo", DAYS[1:2])
    c = file(tmp_path / "vo2.nc", "vo", DAYS[3:])
    cut = common_times(parts(a, b, c))
    assert [part.times.astype("datetime64[D]").tolist() for part in cut] == [
        DAYS[[1, 3]].tolist(), DAYS[[1]].tolist(), DAYS[[3]].tolist()
    ]  # fmt: skip
    with xr.open_dataset(a) as whole, cut[0].open() as source:
        np.testing.assert_array_equal(cut[0].read(source, "uo", [0, 1]), whole.uo.isel(time=[1, 3]))
    assert "uo.nc: 2 of 4 times left out" in cut[0].notes[-1]


def test_a_file_without_a_common_time_is_left_out(tmp_path):
    files = [file(tmp_path / "uo1.nc", "uo", DAYS[:2]), file(tmp_path / "uo2.nc", "uo", DAYS[2:4]),
             file(tmp_path / "vo.nc", "vo", DAYS[2:4])]  # fmt: skip
    assert [Path(part.label).name for part in common_times(parts(*files))] == ["uo2.nc", "vo.nc"]


def test_variables_of_different_years_have_no_common_time(tmp_path):
    a = file(tmp_path / "uo.nc", "uo", DAYS)
    b = file(tmp_path / "vo.nc", "vo", DAYS + 366)
    with pytest.raises(InputError, match=r"vo\.nc: vo \(2021-01-01 to 2021-01-06\) has no time in common"):
        common_times(parts(a, b))


def test_another_calendar_is_refused(glorys):
    found = parts(glorys("2020-01-01"), glorys("2020-01-02", calendar="noleap"))
    with pytest.raises(InputError, match=r"20200102_R20200101\.nc: calendar is noleap, but standard in"):
        refuse_differing(found)


def test_bake_takes_the_common_part_where_the_recipe_says_so(tmp_path):
    a = file(tmp_path / "uo.nc", "uo", DAYS[:4])
    b = file(tmp_path / "vo.nc", "vo", DAYS[2:], longitude=LONGITUDE[:-1])
    with pytest.raises(InputError, match="grids=common"):
        data.bake("cf", [a, b], tmp_path / "s.zarr")
    with pytest.raises(InputError, match=r"no variable (uo|vo) for 2020-01-0\d, which other files have"):
        data.bake("cf", [a, b], tmp_path / "s.zarr", grids="common")
    ds = data.bake("cf", [a, b], tmp_path / "s.zarr", grids="common", times="common")
    assert dict(ds.sizes) == {"time": 2, "depth": 3, "latitude": 4, "longitude": 4}
    for path, name in ((a, "uo"), (b, "vo")):
        with xr.open_dataset(path) as whole:
            np.testing.assert_array_equal(ds[name], whole[name].sel(time=ds.time, longitude=ds.longitude))
    assert "1 of 5 values of longitude left out" in ds.attrs["comment"]
    assert "2 of 4 times left out" in ds.attrs["comment"]
