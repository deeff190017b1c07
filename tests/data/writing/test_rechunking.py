"""Rechunking: the same content under other chunks, in bounded memory, and after being killed."""

import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import oceanx.data as data
from oceanx.data.writing import rechunking, regions
from oceanx.data.writing.rechunking import rechunk
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def store(glorys, tmp_path):
    """A function that bakes twelve days and gives the store."""

    def baked(**options):
        for day in np.arange("2020-01-01", "2020-01-13", dtype="datetime64[D]"):
            if day != np.datetime64("2020-01-05"):
                glorys(str(day))
        data.bake("glorys12", str(tmp_path / "*.nc"), tmp_path / "maps.zarr", **options)
        return tmp_path / "maps.zarr"

    return baked


def large(path, shape=(60, 3, 90, 120), chunks=(1, 3, 90, 120), zarr_format=3):
    """A store of smooth float32 fields and packed integers, chunked for maps, written with xarray alone."""
    rng = np.random.default_rng(0)
    coords = {"time": np.arange(shape[0]).astype("M8[D]").astype("M8[ns]"), "depth": np.arange(shape[1]) + 0.5,
              "latitude": np.linspace(-80, 80, shape[2]), "longitude": np.linspace(-180, 179, shape[3])}  # fmt: skip
    dims = tuple(coords)
    ds = xr.Dataset(
        {"thetao": (dims, rng.normal(10, 5, shape).astype("f4"), {"units": "degree_Celsius"}),
         "so": (dims, rng.integers(-999, 999, shape).astype("i2"),
                {"scale_factor": 1e-3, "add_offset": 35.0, "_FillValue": -32767})},
        coords, {"oceanx_fingerprint": "0123", "title": "A store"},
    )  # fmt: skip
    ds["thetao"][:, :, 10:20, 30:50] = np.nan
    encoding = {name: {"chunks": chunks} for name in ("thetao", "so")}
    ds.to_zarr(path, zarr_format=zarr_format, consolidated=False, encoding=encoding)
    return path


def raw(path):
    """Every array of a store's root as zarr gives it, and the attributes."""
    group = zarr.open_group(path, mode="r")
    return {n: np.asarray(a[...]) for n, a in group.arrays()}, {n: dict(a.attrs) for n, a in group.arrays()}


def files(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def same_content(a, b):
    (values, attrs), (others, other_attrs) = raw(a), raw(b)
    assert values.keys() == others.keys()
    assert attrs == other_attrs
    for name, v in values.items():
        assert v.dtype == others[name].dtype
        np.testing.assert_array_equal(v, others[name])


@pytest.mark.parametrize("options", [{}, {"zarr_format": 2}, {"packed": True}, {"zarr_format": 2, "packed": True}])
def test_there_and_back(store, tmp_path, options):
    path = store(**options)
    series = rechunk(path, tmp_path / "series.zarr")
    assert series["thetao"].chunksizes["time"] == (12,)
    maps = rechunk(tmp_path / "series.zarr", tmp_path / "again.zarr", "training")
    for ds in (series, maps):
        xr.testing.assert_identical(ds.drop_attrs(deep=False).load(), data.open(path).drop_attrs(deep=False).load())
        assert ds.attrs["oceanx_fingerprint"] == data.open(path).attrs["oceanx_fingerprint"]
        assert ds.attrs["missing_times"] == ["2020-01-05"]
        assert "oceanx rechunk of" in ds.attrs["history"]
    for built in ("series.zarr", "again.zarr"):
        same_content(path, tmp_path / built)
        assert files(path / "provenance") == files(tmp_path / built / "provenance")
        assert not (tmp_path / f"{built}.partial").exists()
    before, after = (zarr.open_group(p, mode="r")["thetao"] for p in (path, tmp_path / "again.zarr"))
    assert (before.chunks, before.shards, before.compressors) == (after.chunks, after.shards, after.compressors)
    assert before.metadata.zarr_format == after.metadata.zarr_format == options.get("zarr_format", 3)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("memory", "passages"), [("64MB", 1), ("2MB", 2)])
def test_little_memory_takes_two_passages(tmp_path, monkeypatch, zarr_format, memory, passages):
    monkeypatch.setattr("oceanx.data.writing.chunking._LARGE", 200_000)
    path = large(tmp_path / "maps.zarr", zarr_format=zarr_format)
    moves = rechunking._moves(path, zarr.open_group(path, mode="r"), "timeseries", int(memory[:-2]) * 10**6)
    assert {1 if m.route.reading is None else 2 for m in moves} == {passages}
    ds = rechunk(path, tmp_path / "series.zarr", memory=memory)
    same_content(path, tmp_path / "series.zarr")
    assert max(ds["thetao"].chunksizes["time"]) == 60
    assert max(ds["thetao"].chunksizes["latitude"]) < 90
    rechunk(tmp_path / "series.zarr", tmp_path / "again.zarr", "training", memory=memory)
    same_content(path, tmp_path / "again.zarr")


def test_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("oceanx.data.writing.chunking._LARGE", 2**17)
    path = large(tmp_path / "maps.zarr", shape=(80, 2, 90, 120), chunks=(1, 1, 90, 120))
    memory = 3 * 10**6  # of 10 MB in all, 7 MB in one variable
    for purpose, source, to in (
        ("timeseries", path, "series.zarr"),
        ("training", tmp_path / "series.zarr", "maps2.zarr"),
    ):
        tracemalloc.start()
        rechunk(source, tmp_path / to, purpose, memory=memory)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < memory
    same_content(path, tmp_path / "maps2.zarr")


def test_too_little_memory_says_how_much(tmp_path):
    path = large(tmp_path / "maps.zarr", shape=(4, 3, 90, 120))
    with pytest.raises(InputError, match=r"maps\.zarr: so has, or is to have, chunks of .* MB; give memory=\d+"):
        rechunk(path, tmp_path / "series.zarr", memory=10_000)
    assert not (tmp_path / "series.zarr.partial").exists()


SCRIPT = """
import sys, time
from pathlib import Path
from oceanx.data.writing import chunking, rechunking
chunking._LARGE = 200_000
for name in ("_cut", "_put"):
    def slowly(*arguments, real=getattr(rechunking, name)):
        time.sleep(0.05)
        real(*arguments)
    setattr(rechunking, name, slowly)
rechunking.rechunk(sys.argv[1], sys.argv[2], memory="700KB")
"""


def counted(function, total):
    """The function, counting its calls."""

    def call(*arguments):
        total["calls"] = total.get("calls", 0) + 1
        function(*arguments)

    return call


def test_sigkill_then_again_is_identical(tmp_path, monkeypatch):
    monkeypatch.setattr("oceanx.data.writing.chunking._LARGE", 200_000)
    path = large(tmp_path / "maps.zarr", shape=(40, 2, 45, 60), chunks=(1, 2, 45, 60))
    rechunk(path, tmp_path / "a.zarr", memory="700KB")
    total: dict[str, int] = {}
    killed, work = tmp_path / "b.zarr", tmp_path / "b.zarr.partial"
    for stop in (1, 5):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), str(killed)])
        limit = time.monotonic() + 60
        try:
            while len(list((work / "done").glob("*"))) < stop and time.monotonic() < limit and process.poll() is None:
                time.sleep(0.002)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert not killed.exists()
        assert len(list((work / "done").glob("*"))) >= stop
    kept = {p.name for p in (work / "done").glob("*")}
    for name in ("_cut", "_put"):
        monkeypatch.setattr(rechunking, name, counted(getattr(rechunking, name), total))
    seen = []
    rechunk(path, killed, memory="700KB", progress=lambda what, done, of: seen.append((done, of)))
    assert seen[0][0] == 0
    assert seen[-1] == (seen[-1][1], seen[-1][1])
    assert total["calls"] == seen[-1][1] - len(kept)
    assert not work.exists()
    (a, b) = ({k: v for k, v in files(p).items() if k != "zarr.json"} for p in (tmp_path / "a.zarr", killed))
    assert a == b


def test_another_purpose_starts_afresh_and_a_second_writer_is_refused(tmp_path, monkeypatch):
    path = large(tmp_path / "maps.zarr", shape=(10, 2, 45, 60), chunks=(1, 2, 45, 60))
    real = rechunking._put
    monkeypatch.setattr(rechunking, "_put", lambda *a: real(*a) if a[0].name == "so" else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rechunk(path, tmp_path / "b.zarr")
    work = tmp_path / "b.zarr.partial"
    assert list((work / "done").glob("so-*"))
    monkeypatch.setattr(rechunking, "_put", real)
    fcntl = pytest.importorskip("fcntl")
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(InputError, match=r"b\.zarr\.partial: another process is writing it"):
            rechunk(path, tmp_path / "b.zarr")
    ds = rechunk(path, tmp_path / "b.zarr", "training")
    assert ds["thetao"].encoding["chunks"][1:] == (2, 45, 60)
    same_content(path, tmp_path / "b.zarr")


def test_what_exists_is_kept_unless_told_otherwise(tmp_path):
    path = large(tmp_path / "maps.zarr", shape=(10, 2, 9, 12), chunks=(1, 2, 9, 12))
    before = raw(path)[0]
    with pytest.raises(InputError, match=r"maps\.zarr: exists already"):
        rechunk(path, path)
    rechunk(path, path, overwrite=True)  # in its own place
    assert zarr.open_group(path, mode="r")["thetao"].chunks[0] == 10
    for name, values in raw(path)[0].items():
        np.testing.assert_array_equal(values, before[name])


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no\.zarr: no such store"):
        rechunk(tmp_path / "no.zarr", tmp_path / "x.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is no Zarr store"):
        rechunk(tmp_path / "empty", tmp_path / "x.zarr")
    xr.Dataset({"n": ("x", [1.0])}).to_zarr(tmp_path / "flat.zarr", consolidated=False)
    with pytest.raises(InputError, match="no variable in time, latitude and longitude"):
        rechunk(tmp_path / "flat.zarr", tmp_path / "x.zarr")


small = st.integers(1, 9)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(small, small, small), st.tuples(small, small, small), st.tuples(small, small, small), st.integers(1, 900)
)
def test_a_route_moves_every_cell_once_within_memory(shape, source, target, most):
    route = regions.route(shape, source, target, 1, most)
    if route is None:
        assert np.prod(np.minimum(shape, target)) > most
        return
    for size, unit in ((route.writing, target), (route.reading or source, source)):
        assert all(s % u == 0 or s >= n for s, u, n in zip(size, unit, shape, strict=True))
    assert np.prod(route.writing) <= most
    assert route.reading is None or np.prod(route.reading) <= most
    array = np.arange(np.prod(shape)).reshape(shape)
    result = np.full(shape, -1)
    if route.reading is None:
        for box in regions.boxes(shape, route.writing):
            result[box] = array[box]
    else:
        held = {}
        for number, box in enumerate(regions.boxes(shape, route.reading)):
            for other, common in regions.pieces(box, shape, route.writing):
                held[other, number] = array[box][regions.inside(common, box)]
        for number, box in enumerate(regions.boxes(shape, route.writing)):
            for other, common in regions.pieces(box, shape, route.reading):
                assert (result[common] == -1).all()
                result[common] = held.pop((number, other))
        assert not held
    np.testing.assert_array_equal(result, array)


def test_readings_are_counted_as_they_happen():
    """Boxes of 6 over chunks of 4 along 12 cells: the middle chunk is met by both."""
    route = regions.route((12,), (4,), (6,), 1, 6)
    assert route.readings == pytest.approx(4 / 3)
    assert route.reading is None
