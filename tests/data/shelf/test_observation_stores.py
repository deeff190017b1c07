"""Several stores of observations opened together: one table, in order, nothing read that need not be."""

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_observed import changed, observed, remade, sea, shuffled

from oceanx.data.shelf import catalog
from oceanx.ocean.flags import decoded
from oceanx.ocean.observations import CODES, COLUMNS, COORDINATES, check, concatenate, rejections
from oceanx.ocean.observing.joining import joined
from oceanx.vocabulary.errors import InputError


def other(size, seed):
    """A table of other variables and platforms, in another order of words."""
    ds = observed(size, seed, names=("sst", "so"))
    words = ds.assign(platform=ds.platform.assign_attrs(flag_meanings="noaa buoy glider saildrone"))
    return remade(words, {n: words[n].values for n in (*COORDINATES, *COLUMNS)})


def stored(ds, path):
    ds.drop_encoding().chunk(obs=25).to_zarr(path, consolidated=False)
    return path


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=4), st.booleans())
def test_tables_join_as_they_concatenate_and_stay_lazy(sizes, lazy):
    parts = [(observed if k % 2 else other)(size, k) for k, size in enumerate(sizes)]
    given = [ds.chunk(obs=7) if lazy and ds.sizes["obs"] else ds for ds in parts]
    made = joined(given, [f"{k}.zarr" for k in range(len(parts))])
    assert bool(made.chunks) == any(bool(ds.chunks) for ds in given)
    check(made)
    whole = concatenate(parts)
    for name in (*COORDINATES, *COLUMNS):
        assert made[name].dtype == whole[name].dtype
        found, expected = (
            decoded(ds[name]) if name in ("variable", "platform", "qc") else ds[name] for ds in (made, whole)
        )
        np.testing.assert_array_equal(found, expected)


def test_stores_of_observations_are_opened_as_one_table(tmp_path):
    one, two = observed(60, 0), other(80, 1)
    told = {"title": "Floats", "oceanx_fingerprint": "a", "source_files": ["a.nc"]}
    paths = [stored(one.assign_attrs(told), tmp_path / "a.zarr")]
    told = {"title": "Swaths", "oceanx_fingerprint": "b", "source_files": ["b.nc"]}
    paths.append(stored(two.assign_attrs(told), tmp_path / "b.zarr"))
    ds = catalog.open(*paths)
    assert isinstance(ds.value.data, dask.array.Array)
    check(ds.load())
    xr.testing.assert_equal(ds, concatenate([one, two]))
    assert ds.attrs["title"] == "Floats + Swaths"
    assert ds.attrs["source_files"] == ["a.nc", "b.nc"]
    assert len(ds.attrs["oceanx_fingerprint"]) == 32
    assert not (ds.qc == CODES["repeated"]).any()


def test_what_is_in_two_stores_is_flagged_once(tmp_path):
    one = observed(60, 0)
    some = one.isel(obs=slice(10, 40))
    some = changed(some, slice(None), error_std=0.05)  # which is better
    some = changed(some, slice(0, 5), depth=1.5)  # which is another datum
    ds = catalog.open(stored(one, tmp_path / "a.zarr"), stored(some, tmp_path / "b.zarr")).load()
    check(ds)
    again = ds.qc.values == CODES["repeated"]
    assert again.sum() == 25 - sum(some.depth.values[:5] == one.depth.values[10:15])
    np.testing.assert_allclose(ds.error_std.values[again], 0.1)
    np.testing.assert_array_equal(np.unique(ds.time.values[again]), one.time.values[15:40])
    counted = sum(
        n for found in rejections(ds.attrs).values() for said, n in found.items() if said.endswith("repeated")
    )
    assert counted == again.sum() == 25
    assert ds.attrs["rejected_total"] == '{"repeated": 25}'


def test_what_does_not_belong_together_is_refused(tmp_path):
    one, two = observed(20), other(20, 1)
    grid = sea().assign(zos=(("latitude", "longitude"), np.zeros((21, 31))))
    grid.to_zarr(tmp_path / "grid.zarr", consolidated=False)
    path = stored(one, tmp_path / "a.zarr")
    for names in ((path, tmp_path / "grid.zarr"), (tmp_path / "grid.zarr", path)):
        with pytest.raises(InputError, match=r"a\.zarr: holds observations .*grid\.zarr fields on a grid; open them"):
            catalog.open(*names)
    with pytest.raises(InputError, match="forecast: is a column of b, not of a; leave it out"):
        joined([one, two.assign(forecast=two.value)], ["a", "b"])
    with pytest.raises(InputError, match="b: has no platform, qc; expected a table of observations"):
        joined([one, two.drop_vars(["platform", "qc"])], ["a", "b"])
    lead = one.assign(forecast=(("obs", "lead_time"), np.zeros((20, 2))), lead_time=[1, 2])
    with pytest.raises(InputError, match="lead_time: differs between a and b; open those of one lead_time"):
        joined([lead, lead.assign_coords(lead_time=[1, 3])], ["a", "b"])
    assert joined([lead, lead], ["a", "b"]).forecast.shape == (40, 2)


def test_a_store_that_is_not_sorted_is_refused():
    with pytest.raises(InputError, match=r"a: is not sorted by time; sort with ds\.sortby\('time'\)"):
        joined([shuffled(observed(30))[0], other(30, 1)], ["a", "b"])


def test_chunks_of_the_whole_take_what_follows_from_each_part(monkeypatch):
    monkeypatch.setattr("oceanx.ocean.observing.joining._AT_ONCE", 17)
    parts = [observed(50, 0), other(31, 1), observed(70, 2)]
    lead = [ds.assign(forecast=(("obs", "lead_time"), np.outer(ds.value, [1, 2])), lead_time=[1, 2]) for ds in parts]
    made = joined([ds.chunk(obs=11) for ds in lead], ["a", "b", "c"])
    assert max(made.value.chunks[0]) == 17
    whole = concatenate(lead)
    for name in ("value", "feature", "forecast"):
        np.testing.assert_array_equal(made[name], whole[name])
