"""Feeding from a store on disk: our reader, xbatcher's own loading and memory give the same bits, in the same order."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
import xbatcher
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec

from oceanx import seam
from oceanx.data.shelf.catalog import merge, open_store
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import batching, run_setup, training, windows
from oceanx.workflows.batching import GlobalBatches, Windows, batches, loader, unpack
from oceanx.workflows.days import Place
from oceanx.workflows.order import PatchBatches
from oceanx.workflows.patches import Patches, wet_share
from oceanx.workflows.prefetch import Buffers, ahead
from oceanx.workflows.runs import tensors
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import learning_rate, train

TASK = Task(
    prognostic=Channels(volume=("thetao", "uo"), surface=("zos",), depth=(0.494, 92.326)),
    forcing=Channels(surface=("u10",)),
)
BLOSC = BloscCodec(cname="lz4")
PACKED = {"dtype": "int16", "scale_factor": 0.002, "add_offset": 10.0, "_FillValue": -32767}


def stored(ds: xr.Dataset, path: Path, *, kind: str = "float32", compressors=BLOSC) -> xr.Dataset:
    encoding: dict = {}
    for name, v in ds.data_vars.items():
        shape = (2, *(2 for d in v.dims if d == "depth"), 10, 7)
        encoding[name] = {"compressors": compressors, "chunks": shape} | (PACKED if kind == "packed" else {})
        if kind == "shards":
            encoding[name] |= {"shards": (4, *(4 for d in v.dims if d == "depth"), 10, 14)}
    ds.drop_encoding().to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)
    return open_store(path)


@pytest.fixture(params=["float32", "shards", "packed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> xr.Dataset:
    return stored(toy_dataset.ocean(20), tmp_path / "ocean.zarr", kind=request.param)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no Dataset were small enough to be read at once."""
    monkeypatch.setattr(batching, "small", lambda nbytes: False)


def readers(made: Windows) -> set[tuple[str, str]]:
    return set(made._reading().sources)


def same(a: windows.Window, b: windows.Window) -> None:
    assert {kind: list(fields) for kind, fields in a.items()} == {kind: list(fields) for kind, fields in b.items()}
    for kind, fields in a.items():
        for name in fields:
            assert a[kind][name].dtype == b[kind][name].dtype
            assert torch.equal(a[kind][name], b[kind][name]), name


def plain(ds: xr.Dataset, task: Task, steps: int, index: int) -> windows.Window:
    """A window as xbatcher alone loads it, through the seam."""
    mask = seam.wet_mask(seam.grid_of(ds, task.prognostic))
    window: windows.Window = {}
    for kind, channels in (("state", task.prognostic), ("forcing", task.forcing)):
        chosen = seam.select(ds, channels)
        sizes = {dim: steps + 1 if dim == "time" else size for dim, size in chosen.sizes.items()}
        generator = xbatcher.BatchGenerator(chosen, input_dims=sizes, input_overlap={"time": steps})
        fields = seam.to_fields(generator[index].load(), channels)
        filled = seam.fill_land(fields, mask, "")
        window[kind] = filled if kind == "state" else {n: torch.nan_to_num(f.float()) for n, f in fields.items()}
    return window


def test_bits_are_xbatchers(store: xr.Dataset) -> None:
    made = Windows(store, TASK, steps=2)
    assert len(readers(made)) == 4
    for index in (0, 7, 6, 17):
        same(made[index], plain(store, TASK, 2, index))


def test_batches_equal_those_in_memory(store: xr.Dataset, large: None) -> None:
    kept = Windows(store, TASK, steps=2)
    kept.keep_in_memory()
    expected = list(loader(kept, GlobalBatches(len(kept), 3, seed=4)))
    found = list(batches(store, TASK, steps=2, batch_size=3, seed=4))
    assert len(found) == len(expected) == 6
    for a, b in zip(found, expected, strict=True):
        same(a, b)


def test_a_selection_of_a_merged_dataset(tmp_path: Path) -> None:
    """Two stores on one grid, days cut off, a level left out: still read directly."""
    ds = toy_dataset.ocean(20)
    ocean = stored(ds[["thetao", "uo", "zos"]], tmp_path / "ocean.zarr")
    surface = ds[["u10"]].isel(time=slice(2, None)).drop_vars(["depth", "thickness", "mask"], errors="ignore")
    air = stored(surface, tmp_path / "air.zarr", kind="packed")
    both = merge([ocean, air], ["ocean", "air"]).isel(time=slice(3, 15))
    made = Windows(both, TASK, steps=1)
    assert len(readers(made)) == 4
    for index in (0, 10):
        same(made[index], plain(both, TASK, 1, index))


def test_what_was_computed_is_not_read_from_the_store(store: xr.Dataset) -> None:
    warmer = store.assign(thetao=store.thetao + 1, zos=store.zos.shift(time=1).fillna(0.0))
    made = Windows(warmer, TASK, steps=1)
    assert readers(made) == {("state", "uo"), ("forcing", "u10")}
    same(made[5], plain(warmer, TASK, 1, 5))
    wet = made.mask.bool()
    assert torch.allclose(made[5]["state"]["thetao"][:, wet], Windows(store, TASK)[5]["state"]["thetao"][:, wet] + 1)


def test_other_codecs_are_left_to_xbatcher(tmp_path: Path) -> None:
    ds = stored(toy_dataset.ocean(12), tmp_path / "o.zarr", compressors=None)
    made = Windows(ds, TASK)
    assert not readers(made)
    same(made[3], plain(ds, TASK, 1, 3))


def test_nan_in_a_wet_cell_is_an_error(tmp_path: Path, large: None) -> None:
    for name, cell in (("thetao", (5, 0, 5, 5)), ("u10", (5, 6, 6))):
        ds = toy_dataset.ocean(20)
        ds[name][cell] = np.nan
        store = stored(ds, tmp_path / f"{name}.zarr")
        with pytest.raises(InputError, match=rf"{name}: 1 wet cells are NaN at 2001-12-05 to 2001-12-06"):
            Windows(store, TASK)[4]
        fed = iter(batches(store, TASK, shuffle=False))
        assert len([next(fed) for _ in range(4)]) == 4  # the good ones come first
        with pytest.raises(InputError, match=f"{name}: 1 wet cells are NaN at 2001-12-05"):
            next(fed)


def test_days_are_kept_within_bounds(store: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that follow each other decode each day twice at most; what is kept never exceeds the limit."""
    made = Windows(store, TASK, steps=3)
    days = made._reading()
    decoded: list[int] = []
    for source in days.sources.values():
        jobs = source.reader.jobs
        monkeypatch.setattr(
            source.reader, "jobs", lambda wanted, *rest, jobs=jobs: decoded.extend(wanted) or jobs(wanted, *rest)
        )
    a_day = 4 * 10 * 12 * 6
    expected = [plain(store, TASK, 3, i) for i in range(len(made))]
    for days.limit, most in ((8 * a_day, 2 * 20 * 4), (a_day, 17 * 16), (0, 17 * 16)):
        decoded.clear()
        days._kept.clear()
        for index, window in enumerate(expected):
            same(made[index], window)
            assert days.nbytes <= days.limit
        assert len(decoded) <= most


def test_batches_that_are_kept_stay(store: xr.Dataset, large: None) -> None:
    """Memory is used again only when nobody holds it, not even a view."""
    views = [batch["state"]["thetao"][0, 1] for batch in batches(store, TASK, shuffle=False)]
    for index, view in enumerate(views):
        assert torch.equal(view, plain(store, TASK, 1, index)["state"]["thetao"][1])


def test_buffers_come_back() -> None:
    buffers = Buffers()
    first, memory = buffers.take((3, 4), beyond=5)
    assert first.shape == (3, 4)
    assert len(memory) == 17
    address, view = first.data_ptr(), first[1:]
    del first, memory
    assert buffers.take((3, 4), beyond=5)[0].data_ptr() != address
    del view
    assert buffers.take((3, 4), beyond=5)[0].data_ptr() == address


def test_ahead_keeps_the_order_and_raises_in_its_turn() -> None:
    made = threading.Semaphore(0)

    def numbers():
        for number in range(7):
            made.release()
            yield number
        raise InputError("the eighth")

    coming = ahead(numbers(), 2)
    taken = [next(coming)]
    assert all(made.acquire(timeout=10) for _ in range(3))  # two more were begun while the first was in use
    taken += [next(coming) for _ in range(6)]
    assert taken == list(range(7))
    with pytest.raises(InputError, match="the eighth"):
        next(coming)


def test_ahead_leaves_no_thread_behind() -> None:
    coming = ahead(iter(range(100)))
    next(coming)
    coming.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("oceanx-ahead")]


def test_the_samplers_order_and_resume(store: xr.Dataset) -> None:
    made = Windows(store, TASK)
    wanted = GlobalBatches(len(made), 2, seed=3, start=11, endless=True)
    fed = iter(loader(made, wanted))
    for _, indices in zip(range(12), wanted, strict=False):
        same(next(fed), made.__getitems__(indices))


def test_patches_are_cut_from_windows(store: xr.Dataset, large: None) -> None:
    expected = {i: plain(store, TASK, 1, i) for i in range(19)}
    known = Patches(Windows(store, TASK), (4, 5), 3, seed=1)
    order = iter(PatchBatches(len(known), 4, 3, seed=1))
    for batch, indices in zip(
        batches(store, TASK, batch_size=4, patch=(4, 5), patches_per_window=3, seed=1), order, strict=True
    ):
        for row, index in enumerate(indices):
            place = known.place(index)
            assert (batch["at"]["latitude"][row], batch["at"]["longitude"][row]) == (place.row, place.column)
            rows, columns = slice(place.row, place.row + 4), slice(place.column, place.column + 5)
            for kind in ("state", "forcing"):
                for name, field in batch[kind].items():
                    whole = expected[index % len(known) // 3][kind][name]
                    assert torch.equal(field[row], whole[..., rows, columns])
            assert known.windows.mask[0, rows, columns].mean() >= 0.1
    with pytest.raises(InputError, match="batch of patches"):
        unpack(batch)


def test_patches_are_the_same_from_memory_store_and_xbatcher(store: xr.Dataset) -> None:
    lazy, kept, slow = (Windows(ds, TASK) for ds in (store, store, store.map(lambda v: v + 0, keep_attrs=True)))
    kept.keep_in_memory()
    assert not readers(slow)
    for windows_ in (lazy, kept, slow):
        windows_.periodic = True
    places = [Place(2, 9, 5, 6), Place(0, 0, 5, 6), Place(5, 6, 5, 6)]
    a, b, c = (made.cut([3, 3, 11], places) for made in (lazy, kept, slow))
    same(a, b)
    same(a, c)
    wrapped = np.roll(plain(store, TASK, 1, 3)["state"]["zos"].numpy(), -9, axis=-1)[..., 2:7, :6]
    np.testing.assert_array_equal(a["state"]["zos"][0].numpy(), wrapped)


def test_patches_share_decoded_days(store: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many patches, a day is decoded once while its windows' turn lasts."""
    pieces = Patches(Windows(store, TASK), (4, 5), 8)
    days = pieces.windows._reading()
    decoded: list[int] = []
    jobs = days.sources["state", "zos"].reader.jobs
    monkeypatch.setattr(
        days.sources["state", "zos"].reader, "jobs", lambda wanted, *rest: decoded.extend(wanted) or jobs(wanted, *rest)
    )
    days.limit = days.limit and 8 * 4 * 10 * 12 * 6  # 4 windows of 2 days
    list(loader(pieces, PatchBatches(len(pieces), 8, 8)))
    assert len(decoded) <= 2 * 19


@given(length=st.integers(3, 30), per_window=st.integers(1, 5), size=st.integers(1, 6), seed=st.integers(0, 9))
def test_every_patch_comes_once_an_epoch(length: int, per_window: int, size: int, seed: int) -> None:
    total = length * per_window
    if size > total:
        return
    order = PatchBatches(total, size, per_window, seed=seed)
    order.endless = True
    taken = [index for batch, _ in zip(order, range(2 * len(order)), strict=False) for index in batch]
    used = total // size * size
    assert len(set(taken)) == 2 * used
    assert all(index // total == (number >= used) for number, index in enumerate(taken))


@given(rows=st.integers(1, 5), columns=st.integers(1, 7), periodic=st.booleans(), seed=st.integers(0, 20))
def test_share_of_water(rows: int, columns: int, periodic: bool, seed: int) -> None:
    mask = (np.random.default_rng(seed).random((5, 7)) < 0.6).astype("float32")
    found = wet_share(mask, (rows, columns), periodic)
    wide = np.concatenate([mask, mask], axis=1) if periodic else mask
    assert found.shape == (6 - rows, 7 if periodic else 8 - columns)
    for row, column in np.ndindex(found.shape):
        np.testing.assert_allclose(found[row, column], wide[row : row + rows, column : column + columns].mean())


def test_impossible_patches_are_refused(store: xr.Dataset) -> None:
    with pytest.raises(InputError, match=r"patch: 11 × 5 cells; expected at most 10 × 12"):
        batches(store, TASK, patch=(11, 5))
    with pytest.raises(InputError, match="no place of 10 × 12 cells has a share of 1 water"):
        batches(store, TASK, patch=(10, 12), wet=1.0)
    with pytest.raises(InputError, match="patches_per_window"):
        batches(store, TASK, patch=(4, 4), patches_per_window=0)


def test_training_is_the_same_however_it_is_fed(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted and gone on with, fed by our reader or by xbatcher, a run ends with the same bits."""
    names = [*small.task.names]
    ds = stored(toy_dataset.ocean(16, "2001-01-01")[names], tmp_path / "ocean.zarr")
    config = TrainConfig.parse(small.dump() | {"train": None, "harmonics": 0})
    for module in (training, run_setup):
        monkeypatch.setattr(module, "small", lambda nbytes: False)

    def stopping(*args: object) -> float:
        if args[1] == 3:
            raise KeyboardInterrupt
        return learning_rate(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(training, "learning_rate", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(config, ds, tmp_path / "ours")
    ours = train(config, ds, tmp_path / "ours", resume=True)
    monkeypatch.setattr(windows.ChunkReader, "of", classmethod(lambda cls, v: None))
    theirs = train(config, ds, tmp_path / "theirs")
    a, b = (tensors(run / "weights.safetensors") for run in (ours, theirs))
    assert all(torch.equal(a[name], b[name]) for name in b)
