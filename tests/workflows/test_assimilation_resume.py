"""Killed at any moment, a cycle goes on to the same bits: members, what a method carries, alarms and departures."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from toy_assimilation import Nudging, Wobbling, scattered
from toy_members import drifting

import oceanx as ox
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.assimilation.assimilate import assimilate
from oceanx.workflows.model import Model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

TRACED = tuple(
    os.path.join("oceanx", *path.split("/"))
    for path in (
        "workflows/assimilation/cycle.py",
        "workflows/assimilation/store.py",
        "workflows/assimilation/announcements.py",
        "workflows/growing_store.py",
        "data/writing/unfinished.py",
        "vocabulary/files.py",
    )
)
KILLS = 3
HEIGHTS = Model(
    "drifting", drifting, task=Task(prognostic=Channels(surface=("zos",)), forcing=Channels(surface=("u10",)))
)


class Moment:
    """Counts the lines of a cycle and of what writes it, and kills this process at one of them."""

    def __init__(self, at: int):
        self.at, self.count = at, 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Moment | None:
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def cycle(to: Path, **words: Any) -> xr.Dataset:
    ds = toy_dataset.ocean(20, start="2002-01-01")
    members = ds.isel(time=[3, 5, 8]).drop_vars("time").rename(time="member")
    seen = scattered(ds, slice("2002-01-01", "2002-01-15"), name="zos")
    usual = {
        "background": ds, "start": members, "time": slice("2002-01-02", "2002-01-10", "2D"), "method": Wobbling(),
        "keep": ["members", "background"], "seed": 3, "to": to, "resume": True,
    }  # fmt: skip
    return assimilate(HEIGHTS, seen, **(usual | words))


def killed(to: Path, at: int) -> None:
    """Assimilate, or go on; the end comes at a line. How many lines it took is written beside the store."""
    moment = Moment(at)
    sys.settrace(moment)
    cycle(to)
    sys.settrace(None)
    to.with_suffix(".lines").write_text(str(moment.count))


def in_a_process(to: Path, at: int) -> int | None:
    """The exit status; negative: the signal that ended it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oceanx.workflows.assimilation.assimilate"])
    process = context.Process(target=killed, args=(to, at))
    process.start()
    process.join(300)
    return process.exitcode


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Analyses that were never interrupted."""
    to = tmp_path_factory.mktemp("killed") / "whole.zarr"
    assert in_a_process(to, 0) == 0
    return to


def assert_same(ours: Path, whole: Path) -> None:
    """Every file of both stores, byte by byte."""
    names = [
        sorted(str(file.relative_to(store)) for file in store.rglob("*") if file.is_file()) for store in (ours, whole)
    ]
    assert names[0] == names[1]
    for name in names[0]:
        assert (ours / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(ours.parent.glob(f"{ours.name}.partial"))


def test_killed_again_and_again(whole: Path, tmp_path: Path) -> None:
    """At random lines: in a window, while a chunk, its departures or the restart are written."""
    lines, random = int(whole.with_suffix(".lines").read_text()), np.random.default_rng(0)
    ours = tmp_path / "ours.zarr"
    ends = [in_a_process(ours, int(at)) for at in random.integers(1, lines // 3, KILLS)]
    assert ends.count(-signal.SIGKILL) >= KILLS - 1
    assert in_a_process(ours, 0) == 0
    assert_same(ours, whole)


def test_killed_near_the_end(whole: Path, tmp_path: Path) -> None:
    """While departures are gathered and the store gets its name."""
    lines = int(whole.with_suffix(".lines").read_text())
    for number, before in enumerate((8, 25)):
        ours = tmp_path / f"{number}.zarr"
        assert in_a_process(ours, lines - before) == -signal.SIGKILL
        assert in_a_process(ours, 0) == 0
        assert_same(ours, whole)


def test_an_undisturbed_store_is_what_memory_holds(whole: Path) -> None:
    made = cycle(None, resume=False)  # type: ignore[arg-type]
    stored = ox.open(whole)
    for name in stored.data_vars:
        np.testing.assert_array_equal(stored[name].values, made[name].values, err_msg=str(name))
    assert stored.attrs == made.attrs


def interrupted(to: Path) -> Path:
    """What a cycle leaves that was stopped half-way."""

    def stop(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cycle(to, progress=stop)
    return to


def test_what_differs_is_named(tmp_path: Path) -> None:
    to = interrupted(tmp_path / "an.zarr")
    ds = toy_dataset.ocean(20, start="2002-01-01")
    with pytest.raises(InputError, match=r"something else \(other seed\)"):
        cycle(to, seed=4)
    with pytest.raises(InputError, match=r"something else \(other dates, variables or grid\)"):
        cycle(to, time=slice("2002-01-02", "2002-01-12", "2D"))
    other = scattered(ds, slice("2002-01-01", "2002-01-15"), seed=1, name="zos")
    with pytest.raises(InputError, match=r"something else \(other observations\)"):
        assimilate(HEIGHTS, other, background=ds, time=slice("2002-01-02", "2002-01-10", "2D"), method=Wobbling(),
                   keep=["members", "background"], seed=3, to=to, resume=True,
                   start=ds.isel(time=[3, 5, 8]).drop_vars("time").rename(time="member"))  # fmt: skip
    with pytest.raises(InputError, match="continue it with resume"):
        cycle(to, resume=False)
    again = cycle(to, resume=False, overwrite=True)
    assert again.sizes["time"] == 9


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    to = tmp_path / "an.zarr"

    def intrude(what: str, done: int, total: int) -> None:
        with pytest.raises(InputError, match="another process is writing it"):
            cycle(to)

    cycle(to, progress=intrude)


def test_what_stands_there_is_not_touched(tmp_path: Path) -> None:
    to = tmp_path / "an.zarr"
    cycle(to, method=Nudging(), start="background", keep=())
    with pytest.raises(InputError, match="exists already"):
        cycle(to, resume=False)
    with pytest.raises(InputError, match="exists already"):
        cycle(to)  # other analyses than these
    same = cycle(to, method=Nudging(), start="background", keep=())
    assert "zos_members" not in same
    manifest = {"recipe": "of another kind"}
    (tmp_path / "other.zarr.partial").mkdir()
    (tmp_path / "other.zarr.partial" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="no unfinished assimilation"):
        cycle(tmp_path / "other.zarr")


def test_nothing_is_left_of_what_never_began(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="members"):
        cycle(tmp_path / "an.zarr", method=Wobbling(members=4))
    assert not list(tmp_path.iterdir())
