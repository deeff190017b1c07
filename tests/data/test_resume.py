"""A bake that is killed and run again ends in the store of an undisturbed one, every byte of it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import oceanx.data as data
from oceanx.vocabulary.errors import InputError

SCRIPT = """
import os, sys, time
import oceanx.data as data
import oceanx.data.chunking as chunking
from oceanx.data import store

chunking._SMALL = 1  # one day a chunk
put = store._put
def slowly(*arguments):
    time.sleep(float(sys.argv[3]))
    put(*arguments)
store._put = slowly
data.bake("glorys12", sys.argv[1], sys.argv[2])
"""


@pytest.fixture
def days(glorys, tmp_path, monkeypatch):
    """Twelve raw days, in one-day chunks."""
    monkeypatch.setattr("oceanx.data.chunking._SMALL", 1)
    for day in np.arange("2020-01-01", "2020-01-13", dtype="datetime64[D]"):
        glorys(str(day))
    return str(tmp_path / "*.nc")


def content(store):
    """Every file of a store but the group's own attributes, which hold the date."""
    root = {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}
    group = json.loads(root.pop("zarr.json"))
    group["attributes"].pop("history")
    return root, group


def done(work):
    return len(list((work / "done").glob("*.npz")))


@pytest.mark.parametrize("after", [1, 11])
def test_sigkill_then_again_is_identical(days, tmp_path, after):
    undisturbed, killed = tmp_path / "a.zarr", tmp_path / "b.zarr"
    data.bake("glorys12", days, undisturbed)
    work = tmp_path / "b.zarr.partial"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, days, str(killed), "0.1"])
    try:
        limit = time.monotonic() + 60
        while done(work) < after and time.monotonic() < limit:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not killed.exists()
    kept = {p.name: p.stat().st_mtime_ns for p in (work / "done").glob("*.npz")}
    assert after <= len(kept) < 12
    (work / "store" / "thetao" / "c.5.0.0.0.0123abcd.partial").write_bytes(b"half a chunk")

    written = []
    data.bake("glorys12", days, killed, progress=lambda what, number, total: written.append(what))
    assert not work.exists()
    assert content(killed) == content(undisturbed)


def test_a_resumed_bake_does_not_write_what_is_done(days, tmp_path, monkeypatch):
    from oceanx.data import store

    real, count = store._put, []

    def failing(work, arrays, block, ds, there):
        if len(count) == 4:
            raise OSError(28, "No space left on device")
        count.append(block)
        real(work, arrays, block, ds, there)

    monkeypatch.setattr(store, "_put", failing)
    with pytest.raises(OSError, match="No space left"):
        data.bake("glorys12", days, tmp_path / "a.zarr")
    assert done(tmp_path / "a.zarr.partial") == 4
    again = []
    monkeypatch.setattr(store, "_put", lambda *arguments: (again.append(arguments[2]), real(*arguments))[1])
    data.bake("glorys12", days, tmp_path / "a.zarr")
    assert len(again) == 8
    assert not set(again) & set(count)


@pytest.mark.parametrize("change", ["recipe", "source", "resume=False"])
def test_something_else_starts_afresh(days, glorys, tmp_path, monkeypatch, change):
    from oceanx.data import store

    real, count = store._put, []
    monkeypatch.setattr(store, "_put", lambda *a: (count.append(1), real(*a))[1] if len(count) < 4 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.bake("glorys12", days, tmp_path / "a.zarr")
    if change == "source":
        path = glorys("2020-01-05", packing={"zos": (3e-4, 0.5, "m", 0.5)})
        os.utime(path, ns=(1, 1))
    again = []
    monkeypatch.setattr(store, "_put", lambda *a: (again.append(1), real(*a))[1])
    options = {"title": "Another"} if change == "recipe" else {"resume": False} if change == "resume=False" else {}
    ds = data.bake("glorys12", days, tmp_path / "a.zarr", **options)
    assert len(again) == 12
    assert not np.isnan(ds.zos.values[:, 1:]).any()


def test_a_second_writer_is_refused(days, tmp_path):
    pytest.importorskip("fcntl")
    work = tmp_path / "a.zarr.partial"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, days, str(tmp_path / "a.zarr"), "30"])
    try:
        limit = time.monotonic() + 60
        while not (work / "done").exists() and time.monotonic() < limit:
            time.sleep(0.01)
        with pytest.raises(InputError, match=r"a\.zarr\.partial: another process is writing it"):
            data.bake("glorys12", days, tmp_path / "a.zarr")
        assert (work / "manifest.json").is_file()
    finally:
        process.kill()
        process.wait()
