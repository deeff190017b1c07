"""Direct reading of HDF5 chunks: what netCDF4 reads, to the bit, whatever the filters, chunks, packing and order."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.data.formats import hdf5, keeping, netcdf
from oceanx.data.formats.packing import Packing, decode
from oceanx.data.formats.part import Wanted
from oceanx.vocabulary.errors import InputError

WANTED = {"thetao": Wanted(("thetao",))}
SHAPE = (3, 4, 5, 6)  # time, depth, latitude, longitude
KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", ">i2", ">i4", ">f4"]


def write(path, raw, *, latitude=None, longitude=None, attrs=None, fill=None, unwritten=False, dims=None, **storage):
    """A NetCDF4 file of one variable (time, depth, latitude, longitude), raw numbers as given."""
    names = ("time", "depth", "latitude", "longitude")
    values = (np.arange(raw.shape[0]) * 24.0, np.arange(raw.shape[1]) + 0.5,
              np.arange(raw.shape[2]) * 1.0 if latitude is None else latitude,
              np.arange(raw.shape[3]) * 1.0 if longitude is None else longitude)  # fmt: skip
    units = ("hours since 2000-01-01", "m", "degrees_north", "degrees_east")
    with netCDF4.Dataset(path, "w") as nc:
        for name, axis, unit in zip(names, values, units, strict=True):
            nc.createDimension(name, axis.size)
            nc.createVariable(name, "f8", (name,))[:] = axis
            nc[name].units = unit
        v = nc.createVariable("thetao", raw.dtype, dims or names, fill_value=fill,
                              endian="big" if raw.dtype.byteorder == ">" else "native", **storage)  # fmt: skip
        v.setncatts({"units": "degrees_C", **(attrs or {})})
        v.set_auto_maskandscale(False)
        if not unwritten:
            order = [names.index(d) for d in dims or names]
            v[:] = raw.transpose(order)
        else:
            v[0] = raw[0]
    return path


def plainly(path, part, rows, dtype=np.float32):
    """The same through netCDF4's own reading."""
    with netCDF4.Dataset(path) as nc:
        v = nc["thetao"]
        v.set_auto_maskandscale(False)
        raw = v[:]
        dims = [d for d in ("time", "depth", "latitude", "longitude") if d in v.dimensions]
        raw = raw.transpose([v.dimensions.index(d) for d in dims])
        values = decode(raw, part.fields["thetao"].packing, dtype)[list(rows)]
    for axis, dim in enumerate(dims[1:]):
        values = values[(slice(None),) * (axis + 1) + (part.order[dim],)]
    return values


def directly(part, rows, dtype=np.float32, packed=False):
    """Our reading, which must not have asked the library for a number."""
    with part.open() as source:
        values = part.read_packed(source, "thetao", rows) if packed else part.read(source, "thetao", rows, dtype)
        assert source._dataset is None
    return values


def same_bits(ours, theirs):
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


def numbers(data, dtype, shape=SHAPE):
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        raw = rng.choice([np.nan, -0.0, 0.0, np.inf, 1.5, -3.25, 1e30], shape)
        return np.where(rng.random(shape) < 0.7, rng.normal(0, 20, shape), raw).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_values_are_the_librarys_to_the_bit(tmp_path_factory, data):
    dtype = np.dtype(data.draw(st.sampled_from(KINDS)))
    raw = numbers(data, dtype)
    storage = {}
    if data.draw(st.booleans()):
        storage["chunksizes"] = tuple(data.draw(st.integers(1, n)) for n in SHAPE)
        storage |= {"zlib": data.draw(st.booleans()), "shuffle": data.draw(st.booleans()),
                    "fletcher32": data.draw(st.booleans())}  # fmt: skip
    attrs, fill = {}, None
    scale = data.draw(st.sampled_from([None, np.float64(7.32444226741791e-4), np.float32(0.01), np.float64(-2.0)]))
    offset = data.draw(st.sampled_from([None, np.float64(21.0), np.float32(-3.7)]))
    attrs |= {} if scale is None else {"scale_factor": scale}
    attrs |= {} if offset is None else {"add_offset": offset}
    if data.draw(st.booleans()):
        fill = raw.ravel()[0]
    if data.draw(st.booleans()):
        attrs["missing_value"] = raw.ravel()[data.draw(st.integers(0, 9))]
    limits = data.draw(st.sampled_from([(), ("valid_min",), ("valid_max",), ("valid_range",)]))
    for limit in limits:
        low, high = sorted(raw.ravel()[:2].astype("f8").tolist())
        if np.isfinite([low, high]).all():
            kind = raw.dtype.newbyteorder("=")
            attrs[limit] = np.array([low, high], kind) if limit == "valid_range" else kind.type(low)
    if dtype.kind == "i" and data.draw(st.booleans()):
        attrs["_Unsigned"] = "true"
    latitude = np.arange(5.0)[:: data.draw(st.sampled_from([1, -1]))]
    longitude = np.arange(6.0) * 60 - data.draw(st.sampled_from([0, 180]))  # 0 … 300 has to be turned
    folder = tmp_path_factory.mktemp("hdf5")
    path = write(folder / "x.nc", raw, latitude=latitude, longitude=longitude, attrs=attrs, fill=fill,
                 unwritten=data.draw(st.booleans()), **storage)  # fmt: skip
    part = netcdf.scan(path, WANTED)
    rows = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))
    out = np.dtype(data.draw(st.sampled_from(["f4", "f8"])))
    same_bits(directly(part, rows, out), plainly(path, part, rows, out))
    law = part.packing("thetao")
    if law is not None:
        packed = directly(part, rows, packed=True)
        assert packed.dtype == np.dtype(law.dtype)
        work = np.dtype(law.arithmetic).type
        again = (packed * work(law.scale) + work(law.offset)).astype(out)
        again[packed == law.fill] = np.nan
        np.testing.assert_array_equal(again, plainly(path, part, rows, out))


@pytest.mark.parametrize(
    "dims", [("time", "latitude", "depth", "longitude"), ("depth", "time", "latitude", "longitude")]
)
def test_other_orders_of_dimensions(tmp_path, dims):
    raw = np.arange(np.prod(SHAPE), dtype="i2").reshape(SHAPE)
    path = write(tmp_path / "x.nc", raw, dims=dims, zlib=True, chunksizes=(2, 2, 3, 4), latitude=np.arange(5.0)[::-1])
    part = netcdf.scan(path, WANTED)
    same_bits(directly(part, [2, 0]), raw[[2, 0], :, ::-1].astype("f4"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, unique=True))
def test_runs_lead_where_the_order_does(order):
    order = np.array(order)
    result = np.full(order.size, -1)
    for run in hdf5.runs(order):
        assert run.first < run.stop
        for k, position in enumerate(range(run.first, run.stop)):
            result[run.to + k * run.step] = position
    np.testing.assert_array_equal(result, order)


def test_a_box_reads_only_the_chunks_it_touches(tmp_path, monkeypatch):
    raw = np.random.default_rng(0).integers(-9, 9, SHAPE).astype("i2")
    path = write(tmp_path / "x.nc", raw, zlib=True, chunksizes=(1, 1, 5, 2))
    part = netcdf.scan(path, WANTED)
    levels, columns = np.array([2, 0]), np.array([2, 3])
    axes = {"depth": part.axes["depth"][levels], "longitude": part.axes["longitude"][columns]}
    cut = replace(part, axes=part.axes | axes, order=part.order | {"depth": levels, "longitude": columns})
    count = []
    real = os.pread
    monkeypatch.setattr(hdf5.os, "pread", lambda *a: (count.append(a), real(*a))[1])
    same_bits(directly(cut, [1]), raw[1:2, levels][..., columns].astype("f4"))
    assert len(count) == 2


def test_a_chunk_of_many_times_is_inflated_once(tmp_path, monkeypatch):
    raw = np.random.default_rng(0).integers(-9, 9, SHAPE).astype("i2")
    part = netcdf.scan(write(tmp_path / "x.nc", raw, zlib=True, chunksizes=(3, 4, 5, 3)), WANTED)
    count = []
    real = os.pread
    monkeypatch.setattr(hdf5.os, "pread", lambda *a: (count.append(a), real(*a))[1])
    for row in range(3):
        same_bits(directly(part, [row]), raw[[row]].astype("f4"))
    assert len(count) == 2  # chunks
    same_bits(directly(part, [0, 1, 2]), raw.astype("f4"))
    assert len(count) == 4  # all of a chunk is wanted: nothing is kept for later


def test_no_more_is_kept_than_allowed():
    kept, made = keeping.Kept(100), []

    def chunk(key, size=40):
        return kept.get(key, lambda: (made.append(key), (np.full(size, key, np.uint8), None))[1])[0]

    for key in (1, 2, 1, 3, 1, 2):  # 3 drives out 2, which was used longest ago
        assert (chunk(key) == key).all()
    assert made == [1, 2, 3, 2]
    assert (chunk(9, 101) == 9).all()  # too large to be kept, and drives out nothing
    chunk(1)
    chunk(2)
    assert made == [1, 2, 3, 2, 9]


def test_large_contiguous_data(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_AT_ONCE", 40)  # bytes: three lines and a bit
    raw = np.random.default_rng(0).integers(-9999, 9999, SHAPE).astype("i2")
    path = write(tmp_path / "x.nc", raw, contiguous=True)
    hdf5.contents.cache_clear()
    part = netcdf.scan(path, WANTED)
    same_bits(directly(part, [2, 1]), raw[[2, 1]].astype("f4"))
    hdf5.contents.cache_clear()


@pytest.mark.parametrize("storage", [{"compression": "zstd"}, {"compression": "szip"}, {"least_significant_digit": 1}])
def test_other_filters_are_read_by_the_library(tmp_path, storage):
    raw = np.random.default_rng(0).normal(0, 1, SHAPE).astype("f4")
    try:
        path = write(tmp_path / "x.nc", raw, **storage)
    except (RuntimeError, ValueError) as error:
        pytest.skip(f"this netCDF4 cannot write it: {error}")
    part = netcdf.scan(path, WANTED)
    with part.open() as source:
        same_bits(part.read(source, "thetao", [0, 2]), plainly(path, part, [0, 2]))


def test_an_enumeration_and_a_user_block_are_left_to_the_library(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file["x"] = np.zeros((2, 2))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("flag", (2, 2), h5py.enum_dtype({"a": 0}, "i1"))
        file["plain"] = np.zeros((2, 2))
    assert hdf5.contents(str(tmp_path / "a.h5"), (0, 0)) == {}
    assert set(hdf5.contents(str(tmp_path / "b.h5"), (0, 0))) == {"plain"}


def test_many_threads_read_one_part(tmp_path):
    raw = np.random.default_rng(0).integers(-9999, 9999, (3, 4, 60, 70)).astype("i2")
    fast = netcdf.scan(write(tmp_path / "x.nc", raw, zlib=True, chunksizes=(1, 2, 30, 70)), WANTED)
    other = write(tmp_path / "y.nc", raw, zlib=True, attrs={"valid_min": np.int16(0)})

    def one(number):
        part = (fast, netcdf.scan(other, WANTED))[number % 2]
        with part.open() as source:
            if number % 3 == 0:
                source.stored = lambda name: None  # through the library
            return part.read(source, "thetao", [number % 3])

    expected = [raw.astype("f4"), np.where(raw < 0, np.nan, raw).astype("f4")]
    with ThreadPoolExecutor(8) as pool:
        for number, values in enumerate(pool.map(one, range(96))):
            np.testing.assert_array_equal(values, expected[number % 2][number % 3][None])
    with fast.open() as source, ThreadPoolExecutor(8) as pool:  # one handle for all
        for number, values in enumerate(pool.map(lambda n: fast.read(source, "thetao", [n % 3]), range(96))):
            np.testing.assert_array_equal(values, raw[[number % 3]].astype("f4"))


def test_a_part_goes_to_another_process(tmp_path):
    raw = np.random.default_rng(0).integers(-9999, 9999, SHAPE).astype("i2")
    part = netcdf.scan(write(tmp_path / "x.nc", raw, zlib=True), WANTED)
    there = pickle.loads(pickle.dumps(part))
    same_bits(directly(there, [1]), directly(part, [1]))


def test_a_wrong_checksum_is_refused(tmp_path):
    raw = np.random.default_rng(0).integers(-9999, 9999, SHAPE).astype("i2")
    path = write(tmp_path / "x.nc", raw, fletcher32=True, chunksizes=SHAPE)
    part = netcdf.scan(path, WANTED)
    content = bytearray(path.read_bytes())
    at = content.find(raw.tobytes())
    content[at + 11] ^= 1
    path.write_bytes(content)
    with part.open() as source, pytest.raises(InputError, match=r"x\.nc: thetao cannot be read"):
        part.read(source, "thetao", [0])


def test_a_file_replaced_since_it_was_scanned_is_read_as_it_is_now(tmp_path):
    raw = np.random.default_rng(0).integers(-9999, 9999, SHAPE).astype("i2")
    path = write(tmp_path / "x.nc", raw, zlib=True)
    part = netcdf.scan(path, WANTED)
    directly(part, [0])
    write(tmp_path / "y.nc", raw[::-1].copy(), zlib=True, complevel=9)
    os.replace(tmp_path / "y.nc", path)
    os.utime(path, ns=(1, 1))
    same_bits(directly(part, [0]), raw[2:].astype("f4"))


@pytest.mark.parametrize(
    ("attrs", "kind", "law"),
    [({"scale_factor": np.float64(0.5), "add_offset": np.float64(2.0)}, "i2", Packing("int16", 0.5, 2.0, -7)),
     ({"scale_factor": np.float32(0.5)}, "i2", Packing("int16", 0.5, 0.0, -7, "float32")),
     ({}, "i4", Packing("int32", 1.0, 0.0, -7)),
     ({"_Unsigned": "true"}, "i1", Packing("uint8", 1.0, 0.0, 249)),
     ({"scale_factor": np.int16(2)}, "i2", None),
     ({"scale_factor": np.float32(2), "add_offset": np.float64(1)}, "i2", None),
     ({"scale_factor": np.float64(0.5)}, "f4", None)],
)  # fmt: skip
def test_packing_of_a_variable(tmp_path, attrs, kind, law):
    raw = np.zeros(SHAPE, kind)
    part = netcdf.scan(write(tmp_path / "x.nc", raw, attrs=attrs, fill=raw.dtype.type(-7)), WANTED)
    assert part.packing("thetao") == law


def test_packed_numbers_have_one_marker(tmp_path):
    raw = np.zeros(SHAPE, "i2")
    raw[0, 0, 0] = [-7, -8, 101, 100, -3, 5]
    attrs = {"missing_value": np.int16(-8), "valid_max": np.int16(100), "valid_min": np.int16(-2)}
    part = netcdf.scan(write(tmp_path / "x.nc", raw, fill=np.int16(-7), attrs=attrs), WANTED)
    assert directly(part, [0], packed=True)[0, 0, 0].tolist() == [-7, -7, -7, 100, -7, 5]
