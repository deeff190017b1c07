from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oceanx.data.writing.chunking import days_at_once, layout

MIB = 2**20
SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 2100), st.integers(1, 4400)) | st.tuples(
    st.integers(1, 2100), st.integers(1, 4400)
)


@given(SHAPES, st.integers(1, 20000), st.sampled_from(["training", "timeseries"]))
def test_chunks_fit_in_memory_and_tile_their_shards(shape, times, purpose):
    days = days_at_once({"x": shape}, times, purpose)
    cut = layout(shape, days, purpose)
    assert 1 <= days <= times
    assert len(cut.chunks) == len(shape) + 1
    assert 4 * prod(cut.chunks) <= 8 * MIB
    assert cut.chunks[0] in (1, days)
    if cut.shards:
        assert all(outer % inner == 0 for outer, inner in zip(cut.shards, cut.chunks, strict=True))
        assert all(outer >= size for outer, size in zip(cut.shards[1:], shape, strict=True))


@pytest.mark.parametrize("shape", [(6, 72, 96), (16, 16), (23, 120, 240), (721, 1440)])
def test_training_chunks_hold_whole_maps_of_one_to_eight_megabytes(shape):
    days = days_at_once({"x": shape}, 10**6, "training")
    cut = layout(shape, days, "training")
    assert cut.chunks == (days, *shape)
    assert cut.shards is None
    assert MIB <= 4 * prod(cut.chunks) <= 8 * MIB


def test_a_large_map_is_cut_into_levels_in_one_shard_a_day():
    cut = layout((50, 2041, 4320), days_at_once({"x": (50, 2041, 4320)}, 365, "training"), "training")
    assert cut.chunks[:2] == (1, 1)
    assert cut.shards is not None
    assert cut.shards[0] == 1


def test_time_series_chunks_are_long():
    cut = layout((721, 1440), days_at_once({"x": (721, 1440)}, 40, "timeseries"), "timeseries")
    assert cut.chunks[0] == 40
