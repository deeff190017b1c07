"""Chunk reading: the bits are those that xarray loads, and what cannot be read so is left to it."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numcodecs import Blosc as BloscV2
from numcodecs import Zlib
from zarr.codecs import BloscCodec, BytesCodec, ZstdCodec

from oceanx.data.feeding.chunks import ChunkReader
from oceanx.data.feeding.unpacking import LAND_ZERO, NAN_ZERO, shores_of
from oceanx.vocabulary.errors import InputError

SHAPE = (7, 5, 9, 11)
DIMS = ("time", "depth", "latitude", "longitude")
PACKING = {"scale_factor": 0.0007324442267417908, "add_offset": 21.0, "_FillValue": -32767}


def values(dtype: str, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype == "int16":
        return np.where(rng.random(shape) < 0.2, -32767, rng.integers(-32766, 32767, shape)).astype(dtype)
    return np.where(rng.random(shape) < 0.2, np.nan, rng.standard_normal(shape)).astype(dtype)


def write(
    path: Path,
    data: np.ndarray,
    chunks: tuple[int, ...],
    *,
    shards: tuple[int, ...] | None = None,
    zarr_format: int = 3,
    attributes: dict | None = None,
    compressors=None,
    fill_value=None,
    **options,
) -> xr.DataArray:
    """A store of one variable `x` with its coordinates, opened."""
    dims = DIMS if data.ndim == 4 else (DIMS[0], *DIMS[2:])
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    size = data.dtype.itemsize
    blosc = BloscV2("lz4", 5, 1) if zarr_format == 2 else BloscCodec(cname="lz4", shuffle="shuffle", typesize=size)
    names = {} if zarr_format == 2 else {"dimension_names": dims}
    marked = {"_ARRAY_DIMENSIONS": dims} if zarr_format == 2 else {}
    if fill_value is None:
        fill_value = -32767 if data.dtype.kind == "i" else np.nan
    array = group.create_array(
        "x", shape=data.shape, dtype=data.dtype, chunks=chunks, shards=shards, fill_value=fill_value,
        compressors=blosc if compressors is None else compressors, attributes={**(attributes or {}), **marked},
        **names, **options,
    )  # fmt: skip
    array[...] = data
    return xr.open_zarr(path, chunks={}, consolidated=False).x


def same_bits(reader: ChunkReader | None, v: xr.DataArray) -> None:
    assert reader is not None
    found, expected = reader.read(range(len(v))), v.values.astype("float32")
    np.testing.assert_array_equal(found.reshape(expected.shape).view("u4"), expected.view("u4"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), dtype=st.sampled_from(["float32", "int16"]), kind=st.sampled_from(["plain", "shards", "v2"]))
def test_bits_are_xarrays_whatever_the_chunks(tmp_path: Path, data: st.DataObject, dtype: str, kind: str) -> None:
    chunks = tuple(data.draw(st.integers(least, size)) for least, size in zip((2, 2, 4, 5), SHAPE, strict=True))
    attributes = PACKING if dtype == "int16" else {}
    shards = tuple(c * data.draw(st.integers(1, 3)) for c in chunks) if kind == "shards" else None
    key = (
        {}
        if kind == "v2"
        else {"chunk_key_encoding": {"name": "default", "separator": data.draw(st.sampled_from("./"))}}
    )
    v = write(
        tmp_path / "s.zarr", values(dtype), chunks, shards=shards, zarr_format=2 if kind == "v2" else 3,
        attributes=attributes, **key,
    )  # fmt: skip
    same_bits(ChunkReader.of(v), v)
    levels = data.draw(st.lists(st.integers(0, SHAPE[1] - 1), min_size=1, max_size=4))
    west = data.draw(st.integers(0, SHAPE[3] - 1))
    box = v.isel(time=slice(data.draw(st.integers(0, 5)), None)).isel(
        depth=levels, latitude=slice(2, 8), longitude=slice(west, None)
    )
    same_bits(ChunkReader.of(box), box)


def test_packed_numbers_are_rounded_once(tmp_path: Path) -> None:
    """Every int16 there is, through numpy's float64."""
    raw = np.arange(-32768, 32768, dtype="int16").reshape(1, 1, 256, 256)
    v = write(tmp_path / "s.zarr", raw, (1, 1, 100, 256), attributes=PACKING)
    expected = np.float32(raw.astype("float64") * PACKING["scale_factor"] + PACKING["add_offset"])
    expected[raw == -32767] = np.nan
    np.testing.assert_array_equal(ChunkReader.of(v).read([0]), expected)
    assert v.astype("float32").dtype == np.float32
    same_bits(ChunkReader.of(v.astype("float32")), v.astype("float32"))


@pytest.mark.parametrize("attributes", [{"scale_factor": -0.5}, {"add_offset": 3.25}, {"_FillValue": -32767}, {}])
def test_packing_in_parts(tmp_path: Path, attributes: dict) -> None:
    v = write(tmp_path / "s.zarr", values("int16"), (2, 3, 9, 5), attributes=attributes, fill_value=0)
    same_bits(ChunkReader.of(v), v)


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "float16"])
def test_other_kinds_of_number(tmp_path: Path, dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype) / np.array(7).astype(dtype)
    v = write(tmp_path / "s.zarr", data.astype(dtype), (2, 3, 9, 5), fill_value=0)
    reader = ChunkReader.of(v)
    if reader is not None:
        same_bits(reader, v)
    assert (reader is None) == (dtype == "float16")


def test_surface_variable(tmp_path: Path) -> None:
    for number, shards in enumerate([None, (4, 10, 12)]):
        v = write(tmp_path / f"{number}.zarr", values("float32", (7, 9, 11)), (2, 5, 6), shards=shards)
        same_bits(ChunkReader.of(v), v)


def test_chunks_never_written_are_fill(tmp_path: Path) -> None:
    for number, shards in enumerate([None, (2, 6, 9, 11)]):
        v = write(tmp_path / f"{number}.zarr", values("int16"), (1, 3, 9, 11), shards=shards, attributes=PACKING)
        array = zarr.open_array(tmp_path / f"{number}.zarr" / "x")
        array[2:4] = -32767  # zarr drops chunks of nothing but fill
        same_bits(ChunkReader.of(v), v)
        assert np.isnan(ChunkReader.of(v).read([2, 3])).all()
    assert not [p for p in (tmp_path / "0.zarr" / "x" / "c" / "2").rglob("*") if p.is_file()]


def test_no_file_at_all(tmp_path: Path) -> None:
    v = write(tmp_path / "s.zarr", values("float32"), (1, 5, 9, 11))
    shutil.rmtree(tmp_path / "s.zarr" / "x" / "c" / "3")
    assert np.isnan(ChunkReader.of(v).read([3])).all()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(), dtype=st.sampled_from(["float32", "int16"]), chunk=st.sampled_from([(1, 5, 9, 11), (3, 2, 4, 6)])
)
def test_land_and_what_lacks(tmp_path: Path, data: st.DataObject, dtype: str, chunk: tuple[int, ...]) -> None:
    """Land 0 and NaN 0, as numpy says; wet cells without a number are counted, day by day."""
    store = tmp_path / f"{dtype}{chunk[0]}.zarr"
    v = write(store, values(dtype), chunk, attributes=PACKING if dtype == "int16" else {})
    seed, share = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    wet = np.random.default_rng(seed).random(SHAPE[1:]) < share
    reader, expected = ChunkReader.of(v), v.values.astype("float32")
    for land, finished in ((LAND_ZERO, np.where(wet, expected, 0)), (NAN_ZERO, np.nan_to_num(expected))):
        out = np.full((2, *SHAPE[1:]), 7, "float32")
        lacking = {1: 0, 4: 0}
        for job in chain(*reader.jobs({1: out[0], 4: out[1]}, shores_of(wet), land)):
            for time, count in job().items():
                lacking[time] += count
        np.testing.assert_array_equal(out, finished[[1, 4]])
        assert lacking == {time: int((np.isnan(expected[time]) & wet).sum()) for time in (1, 4)}
        again = np.full((2, *SHAPE[1:]), 7, "float32")
        assert not any(
            any(job().values()) for job in chain(*reader.jobs({1: again[0], 4: again[1]}, shores_of(wet), land, {1, 4}))
        )
        np.testing.assert_array_equal(again, out)


def test_infinity_where_only_nan_becomes_zero(tmp_path: Path) -> None:
    data = np.array([np.inf, -np.inf, np.nan, 3], "float32").reshape(1, 1, 2, 2)
    v = write(tmp_path / "s.zarr", data, (1, 1, 2, 2))
    out = np.empty((1, 2, 2), "float32")
    for job in chain(*ChunkReader.of(v).jobs({0: out}, shores_of(np.zeros((1, 2, 2))), NAN_ZERO)):
        job()
    np.testing.assert_array_equal(out, np.nan_to_num(data[0]))


def test_selected_but_not_changed(tmp_path: Path) -> None:
    """A variable that was computed with is never read from its store, however it was done."""
    v = write(tmp_path / "s.zarr", values("float32"), (1, 2, 9, 11), shards=(1, 6, 9, 11))
    v = v.assign_coords(time=np.arange(7), depth=np.arange(5.0))
    later = v.assign_coords(time=v.time + 1)  # other labels, the same numbers
    for selected in (v.sel(time=slice(2, 4)), v.isel(depth=[3, 0], time=[5, 5, 1]), v.chunk(time=3), later):
        same_bits(ChunkReader.of(selected), selected)
    changed = v.copy(deep=True)
    changed[3] = 0.0
    dry = xr.concat([v.isel(latitude=slice(0, 4)), v.isel(latitude=slice(4, 8))], "time")
    for computed in (
        v + 1, v.where(v > 0), v.fillna(0), v.shift(time=1), v.roll(time=1), v.clip(0, 1), v.cumsum("time"), changed,
        dry, v.copy(data=v.data.map_blocks(lambda block: 2 * block)), v.reindex(time=[0, 9]), v.astype("float16"),
        v.compute(), v.persist(), v.isel(depth=0), v.transpose("depth", ...), v.isel(longitude=[3, 1]),
    ):  # fmt: skip
        assert ChunkReader.of(computed) is None


def test_without_dask(tmp_path: Path) -> None:
    write(tmp_path / "s.zarr", values("int16"), (1, 2, 9, 11), attributes=PACKING)
    v = xr.open_dataset(tmp_path / "s.zarr", engine="zarr", chunks=None, consolidated=False).x
    box = v.isel(time=slice(1, 5), depth=[4, 2])
    reader = ChunkReader.of(box)
    same_bits(reader, box)
    assert ChunkReader.of(v + 1) is None


def test_other_stores_are_left_to_xarray(tmp_path: Path) -> None:
    data = values("float32")
    assert ChunkReader.of(write(tmp_path / "a", data, (1, 5, 9, 11), compressors=ZstdCodec())) is None
    assert ChunkReader.of(write(tmp_path / "b", data, (1, 5, 9, 11), zarr_format=2, compressors=Zlib())) is None
    assert ChunkReader.of(write(tmp_path / "c", data.astype(">f4"), (1, 5, 9, 11), zarr_format=2)) is None
    assert ChunkReader.of(write(tmp_path / "d", data, (1, 5, 9, 11), serializer=BytesCodec(endian="big"))) is None
    memory = zarr.storage.MemoryStore()
    xr.Dataset({"x": (DIMS, data)}).chunk(time=1).to_zarr(memory, zarr_format=3, consolidated=False)
    assert ChunkReader.of(xr.open_zarr(memory, consolidated=False).x) is None


@pytest.mark.parametrize("shards", [None, (1, 6, 9, 11)])
@pytest.mark.parametrize("harm", ["cut", "empty", "flipped"])
def test_damage_is_named(tmp_path: Path, shards: tuple[int, ...] | None, harm: str) -> None:
    v = write(tmp_path / "s.zarr", values("float32"), (1, 2, 9, 11), shards=shards)
    file = next(p for p in sorted((tmp_path / "s.zarr" / "x" / "c" / "2").rglob("*")) if p.is_file())
    held = bytearray(file.read_bytes())
    if harm == "flipped":
        held[-10 if shards else 13] ^= 255
    file.write_bytes({"cut": held[: len(held) // 2], "empty": b"", "flipped": bytes(held)}[harm])
    with pytest.raises(InputError, match=f"{file}: .*bake it again"):
        ChunkReader.of(v).read([2])


def test_last_levels_may_be_decoded_beyond_their_day(tmp_path: Path) -> None:
    """The first jobs write behind their day, the others put that right: in whatever order the threads take them."""
    v = write(tmp_path / "s.zarr", values("float32"), (1, 2, 9, 11), shards=(1, 6, 9, 11))
    for chosen, beyond in (
        (v, 99),
        (v.isel(depth=slice(0, 4)), 0),
        (v.isel(depth=[0, 1, 2]), 99),
        (v.isel(depth=[1]), 0),
    ):
        reader, day = ChunkReader.of(chosen), chosen[0].size
        assert reader.beyond == beyond
        memory = np.full(3 * day + beyond, 7, "float32")
        wanted = {time: memory[number * day : (number + 1) * day + beyond] for number, time in enumerate((5, 2, 3))}
        first, then = reader.jobs(wanted, np.array([0, 0, day]), LAND_ZERO)
        assert len(first) == (3 if beyond else 0)
        for job in (*first, *reversed(then)):
            job()
        np.testing.assert_array_equal(memory[: 3 * day].reshape(3, *chosen.shape[1:]), chosen.values[[5, 2, 3]])
