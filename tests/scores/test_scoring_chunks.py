"""Parts add up to the whole, however forecast and truth are cut, and nothing is read twice."""

from __future__ import annotations

import itertools

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_scores import CLIM, TRUTH, forecast, score

from oceanx.scores import METRICS, combine, finish, sums
from oceanx.scores.aggregate import aggregate
from oceanx.vocabulary.errors import InputError

EVERYTHING = {"metrics": list(METRICS), "climatology": CLIM, "threshold": {"thetao": 10.2, "zos": 0.03}}


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 60))
def test_chunks_do_not_change_a_bit(init, lead, depth, cells, days):
    models = {"a": forecast(seed=1), "b": forecast(seed=2, members=3)}
    whole = sums(models, TRUTH, **EVERYTHING)
    cut = {m: f.chunk(init_time=init, lead_time=lead, depth=depth, longitude=cells) for m, f in models.items()}
    xr.testing.assert_identical(sums(cut, TRUTH.chunk(time=days, depth=depth), **EVERYTHING), whole)


def test_batches_do_not_change_a_bit(monkeypatch):
    fc = forecast(members=2)
    whole = score(fc, TRUTH, metrics=["rmse", "spread"])
    monkeypatch.setattr("oceanx.scores.reading.BATCH_BYTES", 1)
    xr.testing.assert_identical(score(fc, TRUTH, metrics=["rmse", "spread"]), whole)


def test_parts_add_up_to_the_whole_to_the_bit():
    models = {"a": forecast(seed=1), "b": forecast(seed=2)}
    everywhere = {"": np.ones((4, 5), dtype=bool)}

    def sums(part):
        chosen = {m: f.isel(init_time=part) for m, f in models.items()}
        return aggregate(chosen, TRUTH, ["squared_error", "error"], ["thetao", "zos"], everywhere)

    whole = sums(slice(None))
    xr.testing.assert_identical(combine([sums(slice(2, 4)), sums(slice(0, 1)), sums(slice(1, 2))]), whole)
    with pytest.raises(InputError, match="more than one part"):
        combine([whole, sums(slice(0, 1))])


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(1, 3)), st.permutations(range(4)))
def test_every_metric_adds_up_wherever_the_starts_are_split(cuts, order):
    """Of an ensemble, a forecast without members and the references; sums that lay in a file too."""
    models = {"a": forecast(seed=1, members=3), "b": forecast(seed=2)}
    edges = [0, *sorted(cuts), 4]

    def summed(part):
        return sums({m: f.isel(init_time=part) for m, f in models.items()}, TRUTH, regions=["global"], **EVERYTHING)

    parts = [summed(slice(a, b)) for a, b in itertools.pairwise(edges)]
    parts = [parts[i] for i in order if i < len(parts)]
    whole = summed(slice(None))
    xr.testing.assert_identical(combine(parts), whole)


def test_sums_survive_a_file(tmp_path):
    whole = sums(forecast(members=2), TRUTH, **EVERYTHING)
    for i in range(2):
        whole.isel(init_time=slice(2 * i, 2 * i + 2)).to_netcdf(tmp_path / f"{i}.nc")
    parts = [xr.load_dataset(tmp_path / f"{i}.nc", decode_timedelta=True) for i in range(2)]
    table = finish(whole, by=["season", "depth_band"])
    xr.testing.assert_equal(finish(combine(parts), by=["season", "depth_band"]), table)
    assert {f"thetao_{metric}" for metric in METRICS} <= set(table.data_vars)
    with pytest.raises(InputError, match="finish: these are not the sums of scores"):
        finish(finish(whole))
    with pytest.raises(InputError, match="combine: the parts are not of the same scores"):
        combine([whole.isel(init_time=[0]), whole.isel(init_time=[1], lead_time=[0])])
    with pytest.raises(InputError, match="combine: nothing to combine"):
        combine([])


def test_a_store_is_read_once():
    fc = forecast()
    read = []

    def load(block, block_info=None):
        read.append(block_info[0]["chunk-location"])
        return block

    values = dask.array.from_array(fc["thetao"].values, chunks=(1, 2, 3, 4, 5))
    counted = fc.assign(thetao=fc["thetao"].copy(data=values.map_blocks(load, dtype=values.dtype, meta=values._meta)))
    score({"a": counted}, TRUTH, metrics=["rmse", "acc", "bias"], climatology=CLIM, by=["region", "season"])
    assert sorted(read) == [(i, j, 0, 0, 0) for i in range(4) for j in range(2)]


def test_progress_reaches_the_end():
    said = []
    score({"a": forecast(), "b": forecast()}, TRUTH, progress=lambda *step: said.append(step))
    assert said[-1] == ("score of zos", 8, 8)
