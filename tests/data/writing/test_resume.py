"""A bake that is killed and run again ends in the store of an undisturbed one, every byte of it."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from multiprocessing import forkserver
from pathlib import Path

import killable
import numpy as np
import pytest
import xarray as xr

import oceanx.data as data
from oceanx.data.writing.making import Job
from oceanx.vocabulary.errors import InputError

DAYS = 12


@pytest.fixture(scope="module")
def fresh():
    """Starts a process of its own from a clean server that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killable"])
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), before)))
    forkserver.ensure_running()  # here, where the path is set
    os.environ["PYTHONPATH"] = before  # an empty path is no path

    def start(*arguments):
        process = context.Process(target=killable.run, args=arguments)
        process.start()
        return process

    return start


@pytest.fixture
def days(glorys, tmp_path, monkeypatch):
    """Twelve raw days, in one-day chunks."""
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 1)
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
    return len(list((work / "done").glob("*.json")))


def wait_for_blocks(process, work, count):
    """Wait until so many blocks are done, or the process is."""
    limit = time.monotonic() + 60
    while process.is_alive() and done(work) < count and time.monotonic() < limit:
        time.sleep(0.002)


def kill(process):
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("after", [1, 9])
def test_sigkill_then_again_is_identical(days, tmp_path, fresh, after):
    undisturbed, killed = tmp_path / "a.zarr", tmp_path / "b.zarr"
    data.bake("glorys12", days, undisturbed)
    work = tmp_path / "b.zarr.partial"
    process = fresh(days, killed, {}, 0.1)
    limit = time.monotonic() + 60
    while done(work) < after and time.monotonic() < limit:
        time.sleep(0.005)
    kill(process)
    assert not killed.exists()
    kept = {p.name: p.stat().st_mtime_ns for p in (work / "done").glob("*.json")}
    assert after <= len(kept) < DAYS
    (work / "store" / "thetao" / "c.5.0.0.0.0123abcd.partial").write_bytes(b"half a chunk")

    data.bake("glorys12", days, killed)
    assert not work.exists()
    assert content(killed) == content(undisturbed)


def test_killed_at_random_moments_it_always_ends_identical(days, tmp_path, fresh):
    first, whole, target = tmp_path / "first.zarr", tmp_path / "whole.zarr", tmp_path / "b.zarr"
    data.bake("glorys12", days, first, time="2020-01-01:2020-01-05")
    data.bake("glorys12", days, whole)
    shutil.copytree(first, target)
    data.bake("glorys12", days, target, append=True)
    ends = {"bake": content(whole), "append": content(target)}
    shutil.rmtree(target)

    moments, kills, stages = random.Random(7), 0, []
    for round_ in range(40):
        task = "append" if round_ % 3 == 2 else "bake"
        options = {"append": True} if task == "append" else {}
        if task == "append":
            shutil.copytree(first, target)
        for _ in range(3):
            process = fresh(days, target, options, 0.05)
            wait_for_blocks(process, tmp_path / "b.zarr.partial", moments.randint(0, DAYS))
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
            process.join()
            if process.exitcode != -signal.SIGKILL:
                break  # it was quicker
            kills += 1
            stages.append(done(tmp_path / "b.zarr.partial"))
            if task == "append":  # what stood there before is whole at every moment
                assert xr.open_zarr(target).sizes["time"] in (5, DAYS)
                assert content(target) in (content(first), ends["append"])
        if not (target.exists() and task == "bake"):
            try:
                data.bake("glorys12", days, target, **options)
            except InputError as error:
                if task == "bake" or "nothing to add" not in str(error):
                    raise  # else the last kill came when all was done
        assert content(target) == ends[task], (round_, task)
        shutil.rmtree(target)
        shutil.rmtree(tmp_path / "b.zarr.partial", ignore_errors=True)
        if kills >= 24:
            break
    assert kills >= 20
    assert len(set(stages)) > 3  # they came at different moments


def test_killed_after_the_last_rename(days, tmp_path, monkeypatch):
    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("oceanx.data.writing.store.remove", killed)
    with pytest.raises(KeyboardInterrupt):
        data.bake("glorys12", days, tmp_path / "a.zarr")
    monkeypatch.undo()
    assert (tmp_path / "a.zarr.partial").exists()
    assert data.bake("glorys12", days, tmp_path / "a.zarr").sizes["time"] == DAYS
    assert not (tmp_path / "a.zarr.partial").exists()
    with pytest.raises(InputError, match="exists already"):
        data.bake("glorys12", days, tmp_path / "a.zarr")


def test_a_full_disk_is_said_and_nothing_is_lost(days, tmp_path, monkeypatch):
    from oceanx.data.writing.encode import Target

    real, count, put = Job.make, [], Target.put

    def failing(self, start, values):
        if self.folder.name == "vo" and start == 4:
            raise OSError(28, "No space left on device")
        put(self, start, values)

    monkeypatch.setattr(Target, "put", failing)
    monkeypatch.setattr(Job, "make", lambda self, block: (real(self, block), count.append(block))[0])
    with pytest.raises(InputError, match=r"a\.zarr\.partial: the disk is full; free some space and run the same"):
        data.bake("glorys12", days, tmp_path / "a.zarr", workers=1)
    assert DAYS > done(tmp_path / "a.zarr.partial") == len(count) >= 4
    monkeypatch.undo()
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 1)
    again = []
    monkeypatch.setattr(Job, "make", lambda self, block: (again.append(block), real(self, block))[1])
    data.bake("glorys12", days, tmp_path / "a.zarr")
    assert len(again) == DAYS - len(count)
    assert not set(again) & set(count)


@pytest.mark.parametrize("change", ["recipe", "resume=False"])
def test_something_else_starts_afresh(days, tmp_path, monkeypatch, change):
    real, count = Job.make, []
    monkeypatch.setattr(Job, "make", lambda s, b: (count.append(1), real(s, b))[1] if len(count) < 4 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.bake("glorys12", days, tmp_path / "a.zarr", workers=1)
    again = []
    monkeypatch.setattr(Job, "make", lambda s, b: (again.append(1), real(s, b))[1])
    options = {"title": "Another"} if change == "recipe" else {"resume": False}
    data.bake("glorys12", days, tmp_path / "a.zarr", **options)
    assert len(again) == DAYS


def test_only_what_comes_from_a_changed_file_is_made_again(days, glorys, tmp_path, monkeypatch):
    real, count = Job.make, []
    monkeypatch.setattr(Job, "make", lambda s, b: (count.append(1), real(s, b))[1] if len(count) < 8 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.bake("glorys12", days, tmp_path / "a.zarr", workers=1)
    path = glorys("2020-01-05", packing={"zos": (3e-4, 0.5, "m", 0.5)})
    os.utime(path, ns=(1, 1))
    again = []
    monkeypatch.setattr(Job, "make", lambda s, b: (again.append(b.start), real(s, b))[1])
    ds = data.bake("glorys12", days, tmp_path / "a.zarr", workers=1)
    assert again == [4, 8, 9, 10, 11]
    assert float(ds.zos[4].min()) >= -0.5


def test_a_wrong_file_in_the_middle_keeps_what_is_done(days, glorys, tmp_path):
    bad = glorys("2020-01-09", empty=("thetao",))
    with pytest.raises(InputError, match=r"20200109_R20200101\.nc: thetao has no value anywhere"):
        data.bake("glorys12", days, tmp_path / "a.zarr", workers=1)
    assert 8 <= done(tmp_path / "a.zarr.partial") < DAYS
    glorys("2020-01-09", name=bad.name)
    ds = data.bake("glorys12", days, tmp_path / "a.zarr")
    assert not np.isnan(ds.zos.values[:, 1:]).any()


def test_a_second_writer_is_refused(days, tmp_path, fresh):
    pytest.importorskip("fcntl")
    work = tmp_path / "a.zarr.partial"
    process = fresh(days, tmp_path / "a.zarr", {}, 30)
    try:
        limit = time.monotonic() + 60
        while not (work / "done").exists() and time.monotonic() < limit:
            time.sleep(0.01)
        with pytest.raises(InputError, match=r"a\.zarr\.partial: another process is writing it"):
            data.bake("glorys12", days, tmp_path / "a.zarr")
        assert (work / "manifest.json").is_file()
    finally:
        process.kill()
        process.join()
