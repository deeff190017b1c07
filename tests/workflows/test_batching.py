"""Windows: what is in them, and which there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import toy_dataset
import xarray as xr
import xbatcher
from hypothesis import given
from hypothesis import strategies as st

from oceanx.ocean.climatology import at, climatology
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.batching import GlobalBatches, Windows, batches, unpack

TASK = Task(
    prognostic=Channels(volume=("thetao",), surface=("zos",), depth=(0.494, 92.326)),
    forcing=Channels(surface=("u10",)),
)


def test_window_holds_the_days_it_says(ocean: xr.Dataset) -> None:
    windows = Windows(ocean, TASK, steps=2)
    window = windows[7]
    expected = ocean.isel(time=slice(7, 10))
    wet = ocean.mask.isel(depth=[0, 2]).values == 1
    assert window["state"]["thetao"].shape == (3, 2, 10, 12)
    np.testing.assert_array_equal(
        window["state"]["thetao"].numpy(), np.where(wet, expected.thetao.isel(depth=[0, 2]).values, 0)
    )
    np.testing.assert_array_equal(window["forcing"]["u10"][:, 0].numpy(), expected.u10.values)
    np.testing.assert_array_equal(windows.window_times(7), expected.time.values)


def test_windows_equal_xbatchers(ocean: xr.Dataset) -> None:
    """Kept in memory or read through xbatcher's selectors, the numbers are those of `generator[i].load()`."""
    lazy, kept = Windows(ocean.chunk(time=7), TASK, steps=3), Windows(ocean, TASK, steps=3)
    kept.keep_in_memory()
    chosen = ocean[["zos"]]
    generator = xbatcher.BatchGenerator(
        chosen, input_dims={"time": 4, "latitude": 10, "longitude": 12}, input_overlap={"time": 3}
    )
    assert len(lazy) == len(kept) == len(generator)
    for index in (0, 361, len(kept) - 1):
        for name in ("thetao", "zos"):
            assert torch.equal(lazy[index]["state"][name], kept[index]["state"][name])
        reference = np.nan_to_num(generator[index].load().zos.transpose("time", ...).values)
        np.testing.assert_array_equal(kept[index]["state"]["zos"][:, 0].numpy(), reference)


def test_windows_cross_the_year_and_never_pair_a_day_with_itself(ocean: xr.Dataset) -> None:
    windows = Windows(ocean, TASK, steps=1)
    pairs = np.array([windows.window_times(i) for i in range(len(windows))])
    assert (np.diff(pairs, axis=1) == np.timedelta64(1, "D")).all()
    assert len(pairs) == ocean.sizes["time"] - 1
    assert any(str(first)[:10] == "2001-12-31" and str(last)[:10] == "2002-01-01" for first, last in pairs)


def test_windows_skip_missing_days_and_gaps() -> None:
    ds = toy_dataset.ocean(40)
    gone = str(ds.time.values[20])
    ds = ds.where(ds.time != ds.time[20]).assign_attrs(missing_times=[gone])
    ds = ds.assign_coords(mask=toy_dataset.ocean(2).mask).drop_isel(time=[30])
    windows = Windows(ds, TASK, steps=2)
    for i in range(len(windows)):
        times = windows.window_times(i)
        assert np.datetime64(gone) not in times
        assert (np.diff(times) == np.timedelta64(1, "D")).all()
    # 39 days in runs of 20, 9 and 9 with 2 steps each: 18 + 7 + 7.
    assert len(windows) == 32


def test_unlisted_nan_is_an_error() -> None:
    ds = toy_dataset.ocean(20)
    ds.thetao[5, 0, 5, 5] = np.nan
    with pytest.raises(InputError, match=r"thetao: 1 wet cells are NaN at 2001-12-0[56]"):
        list(batches(ds, TASK, shuffle=False))
    ds = toy_dataset.ocean(20)
    ds.u10[5, 6, 6] = np.nan
    for store in (ds, ds.chunk(time=4)):
        with pytest.raises(InputError, match=r"u10: 1 wet cells are NaN at 2001-12-0[56]"):
            list(batches(store, TASK, shuffle=False))
        with pytest.raises(InputError, match="u10: 1 wet cells are NaN"):
            Windows(store, TASK)[5]


def test_no_window_is_an_error() -> None:
    with pytest.raises(InputError, match="no 31 consecutive times"):
        Windows(toy_dataset.ocean(30), TASK, steps=30)


def test_climatology_is_laid_beside_by_date(ocean: xr.Dataset) -> None:
    fitted = climatology(ocean[["thetao", "zos", "u10"]])
    task = TASK.model_copy(update={"anomalies": True})
    batch = next(iter(batches(ocean, task, steps=1, batch_size=3, shuffle=False, climatology=fitted)))
    expected = at(fitted, ocean.time.values[:4])
    for row in range(3):
        np.testing.assert_allclose(
            batch["forcing"]["zos_climatology"][row, :, 0].numpy(),
            np.nan_to_num(expected.zos.isel(time=slice(row, row + 2)).values),
            rtol=1e-5,
        )


def test_worker_processes_read_the_same(ocean: xr.Dataset, tmp_path) -> None:
    ocean.drop_encoding().to_zarr(tmp_path / "ocean.zarr", consolidated=False)
    stored = xr.open_zarr(tmp_path / "ocean.zarr", consolidated=False).isel(time=slice(0, 12))
    alone = list(batches(stored, TASK, batch_size=2))
    helped = list(batches(stored, TASK, batch_size=2, workers=1))
    assert len(alone) == len(helped) == 5
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a["state"]["thetao"], b["state"]["thetao"])


def test_unpack_gives_a_rollout(ocean: xr.Dataset) -> None:
    state, forcings, targets = unpack(next(iter(batches(ocean, TASK, steps=2, shuffle=False))))
    assert len(forcings) == len(targets) == 2
    assert torch.equal(forcings[0].next["u10"], forcings[1].now["u10"])
    assert state["thetao"].shape == targets[1]["thetao"].shape == (1, 2, 10, 12)


@given(
    length=st.integers(8, 60),
    ranks=st.sampled_from([1, 2, 4]),
    per_rank=st.integers(1, 2),
    start=st.integers(0, 30),
    seed=st.integers(0, 5),
)
def test_ranks_share_the_same_global_batches(length: int, ranks: int, per_rank: int, start: int, seed: int) -> None:
    """Whatever the number of ranks and wherever one starts, iteration k is the same global batch."""
    size = ranks * per_rank

    def taken(rank: int, count: int, start: int, iterations: int) -> list[list[int]]:
        order = GlobalBatches(length, size, seed=seed, rank=rank, ranks=count, start=start, endless=True)
        return [batch for batch, _ in zip(order, range(iterations), strict=False)]

    alone = taken(0, 1, 0, start + 3)[start:]
    shared = [taken(rank, ranks, start, 3) for rank in range(ranks)]
    assert [[i for rank in range(ranks) for i in shared[rank][k]] for k in range(3)] == alone
    epoch = list(GlobalBatches(length, size, seed=seed))
    flat = [i for batch in epoch for i in batch]
    assert len(set(flat)) == len(flat) == length // size * size


def test_unequal_shares_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be shared by 2"):
        GlobalBatches(10, 3, ranks=2)
    with pytest.raises(InputError, match="more than the 10 windows"):
        GlobalBatches(10, 11)


def test_six_hourly_steps() -> None:
    """A window's times are a Task step apart, whatever that is."""
    ds = toy_dataset.ocean(12)
    ds = ds.assign_coords(time=pd.date_range("2001-01-01", periods=12, freq="6h"))
    task = Task(prognostic=TASK.prognostic, step="6h")
    assert len(Windows(ds, task, steps=1)) == 11
    with pytest.raises(InputError, match="1D apart"):
        Windows(ds, TASK, steps=1)
