"""One store by several processes: in any order, killed and run again, two at a time; and never by one too many."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from two_ranks import together

import oceanx as ox
from oceanx.ocean import labels
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import forecasting
from oceanx.workflows.model import Model

STARTS = slice("2001-12-12", "2001-12-30", "3D")  # 7
TASK = Task(prognostic=Channels(volume=("thetao",), surface=("zos",), depth=toy_dataset.DEPTH))


def model(seconds: float = 0.0, log: Path | None = None) -> Model:
    """A Step that warms, takes its time, and notes that it was called."""

    def step(state: State, forcing: Forcing) -> State:
        time.sleep(seconds)
        if log:
            with log.open("a") as file:
                file.write("step\n")
        return state.map(lambda field: field * 1.01)

    return Model("warming", step, task=TASK)


def make(to: Path, options: dict[str, Any], seconds: float = 0.0, log: Path | None = None, at_once: int = 1) -> None:
    """Eight members in a process of its own: each forecast by itself, unless more fit `at_once`."""
    words = {"members": 2, "seed": 5, "to": to, **options}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(forecasting, "STATES_AT_ONCE", at_once)
        ox.forecast(model(seconds, log), toy_dataset.ocean(40), STARTS, "3D", **words)


def begin(*words: Any, **options: Any) -> Any:
    """The same in another process, begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oceanx.workflows.forecasting", "toy_dataset"])
    process = context.Process(target=make, args=words, kwargs=options)
    process.start()
    return process


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    """The same by one process, in memory."""
    return ox.forecast(model(), toy_dataset.ocean(40), STARTS, "3D", members=2, seed=5)


def done(work: Path) -> int:
    return len(list((work / "done").glob("*")))


def wait_for(work: Path, count: int, process: Any) -> None:
    """Wait until so many blocks are done, or the process is."""
    limit = time.monotonic() + 60
    while process.is_alive() and done(work) < count and time.monotonic() < limit:
        time.sleep(0.002)


@pytest.mark.parametrize("order", [(2, 3, 1), None])
def test_parts_in_processes_of_their_own_make_the_whole(whole: xr.Dataset, tmp_path: Path, order) -> None:
    """In any order, or all at once; bit by bit."""
    to = tmp_path / "fc.zarr"
    if order:
        for number in order:
            assert not to.exists()
            process = begin(to, {"part": f"{number}/3"})
            process.join(60)
            assert process.exitcode == 0
    else:
        processes = [begin(to, {"part": f"{number}/3"}, 0.01) for number in (1, 2, 3)]
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
    xr.testing.assert_identical(labels.open_forecast(to, values=True).load(), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["fc.zarr"]


def test_what_a_part_says(whole: xr.Dataset, tmp_path: Path) -> None:
    """Until all is there, which forecasts are complete; the last part returns the whole, and a task run again too."""
    to, ds = tmp_path / "fc.zarr", toy_dataset.ocean(40)
    words = {"init_time": STARTS, "lead": "3D", "members": 2, "seed": 5, "to": to}
    said = ox.forecast(model(), ds, part="2/2", **words)
    assert list(said.data_vars) == ["complete"]
    assert said.complete.dims == ("member", "init_time")
    assert said.complete.sel(member=1).all()
    assert not said.complete.sel(member=0).any()
    xr.testing.assert_identical(ox.forecast(model(), ds, part="1/2", **words).load(), whole)
    never = Model("warming", lambda state, forcing: 1 / 0, task=TASK)  # type: ignore[arg-type]
    for part in ("1/2", "2/2", "7/9"):  # whoever comes late
        xr.testing.assert_identical(ox.forecast(never, ds, part=part, **words).load(), whole)
    single = {"init_time": STARTS, "lead": "3D", "to": tmp_path / "one.zarr"}
    said = ox.forecast(model(), ds, part="1/3", **single)
    assert said.complete.dims == ("init_time",)
    assert said.complete.values.tolist() == [True] * 3 + [False] * 4


def test_a_killed_part_resumes(whole: xr.Dataset, tmp_path: Path) -> None:
    """Of what it had finished nothing is made again; what it was at is."""
    to, work, log = tmp_path / "fc.zarr", tmp_path / "fc.zarr.partial", tmp_path / "log"
    process = begin(to, {"part": "1/2"}, 0.05)
    wait_for(work, 3, process)
    process.kill()
    process.join()
    kept = {path.name for path in (work / "done").iterdir()}
    assert 3 <= len(kept) < 7
    assert not to.exists()
    for number in (2, 1):
        process = begin(to, {"part": f"{number}/2"}, 0.0, log)
        process.join(60)
        assert process.exitcode == 0
    assert len(log.read_text().split()) == 3 * (14 - len(kept))
    xr.testing.assert_identical(labels.open_forecast(to).load(), whole)


def test_killed_at_random_moments_it_ends_identical(whole: xr.Dataset, tmp_path: Path) -> None:
    to, work, moments, stages = tmp_path / "fc.zarr", tmp_path / "fc.zarr.partial", random.Random(3), set()
    for _ in range(6):
        process = begin(to, {"resume": True}, 0.01)
        wait_for(work, done(work) + moments.randint(0, 3), process)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.join()
        stages.add(done(work))
    make(to, {"resume": True})
    assert len(stages) > 2
    xr.testing.assert_identical(labels.open_forecast(to).load(), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["fc.zarr"]


RANK = """
    import os, sys, time
    import oceanx as ox
    from oceanx.workflows import forecasting
    from test_forecasting_parts import STARTS, model
    import toy_dataset
    forecasting.STATES_AT_ONCE = 1
    slow = 0.0 if int(os.environ["RANK"]) else 0.02
    fc = ox.forecast(model(slow), toy_dataset.ocean(40), STARTS, "3D", members=2, seed=5, to=sys.argv[1])
    print(sorted(fc.data_vars), fc.sizes["init_time"], float(fc.zos.load().sum()))
"""


def test_two_ranks_share_the_work_and_each_returns_the_whole(whole: xr.Dataset, tmp_path: Path) -> None:
    to = tmp_path / "fc.zarr"
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + "\n".join(
        line.strip() for line in RANK.strip().splitlines()
    )
    first, second = together(code, to)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout == f"['thetao', 'zos'] 7 {float(whole.zos.sum())}\n"
    xr.testing.assert_identical(labels.open_forecast(to).load(), whole)


def test_ranks_within_a_part_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from oceanx.workflows.forecast_units import share

    monkeypatch.setenv("WORLD_SIZE", "4")
    seen = set()
    for number in range(1, 4):
        for rank in range(4):
            monkeypatch.setenv("RANK", str(rank))
            whose = share(f"{number}/3")
            assert whose.of == 12
            assert not whose.waits  # for other parts, which may be days away
            seen.add(whose.number)
    assert seen == set(range(1, 13))
    assert share(None).waits


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    to, work = tmp_path / "fc.zarr", tmp_path / "fc.zarr.partial"
    process = begin(to, {}, 0.5)
    try:
        limit = time.monotonic() + 60
        while not (work / "manifest.json").exists() and time.monotonic() < limit:
            time.sleep(0.01)
        for options in ({}, {"resume": True}, {"overwrite": True}, {"part": "1/2"}):
            with pytest.raises(InputError, match=r"fc\.zarr\.partial: another process is writing it; wait for"):
                make(to, options)
        assert (work / "manifest.json").exists()
        assert process.is_alive()
    finally:
        process.kill()
        process.join()
    process = begin(to, {"part": "1/2", "resume": True}, 0.5)  # it is dead: another takes it up
    try:
        wait_for(work, 1, process)
        for options in ({"resume": True}, {"part": "1/2"}):  # its own double, and one who wants it alone
            with pytest.raises(InputError, match=r"fc\.zarr\.partial: another process is writing it; wait for"):
                make(to, options)
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("part", ["0/3", "4/3", "x", "3", "-1/3", "1/0"])
def test_a_part_that_is_none(tmp_path: Path, part: str) -> None:
    with pytest.raises(InputError, match=r"part: .*expected such as 3/16"):
        make(tmp_path / "fc.zarr", {"part": part})
    assert not list(tmp_path.iterdir())


def test_parts_need_one_store_and_cannot_replace_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="part 1/2: processes share the work on one store; say which, to="):
        ox.forecast(model(), toy_dataset.ocean(40), STARTS, "3D", part="1/2")
    with pytest.raises(InputError, match="overwrite: is done by one process at once"):
        make(tmp_path / "fc.zarr", {"part": "1/2", "overwrite": True})
    assert not list(tmp_path.iterdir())


def test_parts_of_other_forecasts_do_not_mix(tmp_path: Path) -> None:
    to = tmp_path / "fc.zarr"
    make(to, {"part": "1/2"})
    with pytest.raises(InputError, match="an interrupted forecast of something else"):
        make(to, {"part": "2/2", "seed": 6})
    make(to, {"part": "2/2"})
    with pytest.raises(InputError, match=r"fc\.zarr: exists already"):
        make(to, {"part": "2/2", "seed": 6})


def test_published_while_another_stands_at_the_door(
    whole: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that finds the store complete a moment after it looked makes nothing, and leaves nothing."""
    from oceanx.workflows import forecast_writing

    to, ds = tmp_path / "fc.zarr", toy_dataset.ocean(40)
    make(to, {})
    look = forecast_writing.finished
    looks: list[int] = []

    def too_early(*words: Any, **options: Any) -> Any:
        looks.append(1)
        return look(*words) if len(looks) > 1 else None

    monkeypatch.setattr(forecast_writing, "finished", too_early)
    never = Model("warming", lambda state, forcing: 1 / 0, task=TASK)  # type: ignore[arg-type]
    fc = ox.forecast(never, ds, STARTS, "3D", members=2, seed=5, to=to, part="1/2")
    xr.testing.assert_identical(fc.load(), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["fc.zarr"]


def test_the_layout_is_that_of_whoever_began(whole: xr.Dataset, tmp_path: Path) -> None:
    """One process takes up what three had begun, with the blocks that they had."""
    to = tmp_path / "fc.zarr"
    make(to, {"part": "2/3"}, at_once=10**9)
    begun = json.loads((tmp_path / "fc.zarr.partial" / "manifest.json").read_text())
    assert begun["layout"] == [1, 4]
    make(to, {"resume": True}, at_once=10**9)
    xr.testing.assert_identical(labels.open_forecast(to).load(), whole)
    assert os.listdir(tmp_path) == ["fc.zarr"]
    np.testing.assert_array_equal(labels.open_forecast(to).member, [0, 1])
