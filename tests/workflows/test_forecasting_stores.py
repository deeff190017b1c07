"""A forecast store while it is made: written behind the model's back, resumed, refused, and never half done."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
import zarr

import oceanx as ox
from oceanx.ocean import labels
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import forecast_store, forecasting
from oceanx.workflows.forecast_store import ForecastStore
from oceanx.workflows.model import Model

STARTS = slice("2001-12-12", "2001-12-24", "3D")  # 5
TASK = Task(prognostic=Channels(volume=("thetao",), surface=("zos",), depth=toy_dataset.DEPTH))


@pytest.fixture
def ds() -> xr.Dataset:
    return toy_dataset.ocean(40)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)


class Counting:
    """A Step that keeps what it is given and counts its calls; stopped at one of them."""

    def __init__(self, stop: int = 0, error: BaseException | None = None):
        self.stop, self.error, self.calls = stop, error or KeyboardInterrupt(), 0

    def __call__(self, state: State, forcing: Forcing) -> State:
        self.calls += 1
        if self.calls == self.stop:
            raise self.error
        return state


def noted(work: Path) -> set[str]:
    return {path.name for path in (work / "done").iterdir()}


class TestResuming:
    def test_of_members_and_start_dates_only_what_lacks_is_made(self, ds, tmp_path: Path, one_by_one: None) -> None:
        words = {"init_time": STARTS, "lead": "2D", "members": 3, "to": tmp_path / "fc.zarr"}
        step = Counting(stop=2 * 7 + 1)
        with pytest.raises(KeyboardInterrupt):
            ox.forecast(Model("m", step), ds, **words)
        work = tmp_path / "fc.zarr.partial"
        assert noted(work) == {f"0.1-{i}.{i + 1}" for i in range(5)} | {f"1.2-{i}.{i + 1}" for i in range(2)}
        again = Counting()
        fc = ox.forecast(Model("m", again), ds, resume=True, **words)
        assert again.calls == 2 * 8
        xr.testing.assert_identical(fc.load(), ox.forecast(Model("m", Counting()), ds, STARTS, "2D", members=3))
        complete = ox.forecast(Model("m", Counting(stop=1)), ds, resume=True, **words)
        xr.testing.assert_identical(complete.load(), fc)
        with pytest.raises(InputError, match=r"fc\.zarr: exists already"):
            ox.forecast(Model("m", again), ds, **words)
        with pytest.raises(InputError, match=r"fc\.zarr: exists already"):
            ox.forecast(Model("m", again), ds, resume=True, **{**words, "members": 2})

    def test_a_block_half_written_is_made_again(self, ds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lead by lead it goes to disk, but only the whole counts."""
        monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)
        monkeypatch.setattr("oceanx.workflows.forecast_store.CHUNK", 1)
        to, work = tmp_path / "fc.zarr", tmp_path / "fc.zarr.partial"
        with pytest.raises(KeyboardInterrupt):
            ox.forecast(Model("m", Counting(stop=5 + 4)), ds, STARTS, "5D", to=to)
        assert noted(work) == {"0.1-0.1"}
        there = xr.open_zarr(work / "store", consolidated=False).zos.isel(init_time=1)
        assert there.notnull().any(("latitude", "longitude")).values.tolist() == [True] * 3 + [False] * 2
        again = Counting()
        fc = ox.forecast(Model("m", again), ds, STARTS, "5D", to=to, resume=True)
        assert again.calls == 4 * 5
        xr.testing.assert_equal(fc.load(), ox.forecast(ox.persistence(), ds, STARTS, "5D"))

    def test_what_a_process_left_that_was_killed_after_the_last_rename(
        self, ds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Named, but not cleared away: taken for what it is, and cleared away."""
        to, work = tmp_path / "fc.zarr", tmp_path / "fc.zarr.partial"
        with monkeypatch.context() as patched:
            named = forecast_store.publish
            patched.setattr(forecast_store, "publish", lambda *words: (named(*words), 1 / 0))
            with pytest.raises(ZeroDivisionError):
                ox.forecast(ox.persistence(), ds, STARTS, "2D", to=to)
        assert work.exists()
        with pytest.raises(InputError, match="exists already"):
            ox.forecast(ox.persistence(), ds, STARTS, "2D", to=to)
        step = Counting()
        ox.forecast(ox.persistence(), ds, STARTS, "2D", to=to, resume=True)
        assert not step.calls
        assert [path.name for path in tmp_path.iterdir()] == ["fc.zarr"]


class TestTheDisk:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    def test_what_it_refuses_is_said_and_nothing_half_written_counts(
        self, ds, tmp_path: Path, one_by_one: None, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        written, put = [], ForecastStore.put

        def failing(self, block, name, leads, values):
            written.append(block)
            if block.starts.start == 2 and name == "zos":
                monkeypatch.setattr("zarr.storage.LocalStore.set", refusing)
            put(self, block, name, leads, values)

        async def refusing(self, key, value):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(ForecastStore, "put", failing)
        step = Counting()
        with pytest.raises(
            InputError, match=rf"fc\.zarr\.partial: cannot be written \({os.strerror(number)}\); .*resume"
        ):
            ox.forecast(Model("m", step), ds, STARTS, "2D", to=tmp_path / "fc.zarr")
        assert noted(tmp_path / "fc.zarr.partial") == {"0.1-0.1", "0.1-1.2"}
        assert step.calls < 10  # it was told before the end
        assert written[-1].starts.start == 2  # and nothing more was tried
        monkeypatch.undo()
        monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)
        again = Counting()
        fc = ox.forecast(Model("m", again), ds, STARTS, "2D", to=tmp_path / "fc.zarr", resume=True)
        assert again.calls == 3 * 2
        xr.testing.assert_equal(fc.load(), ox.forecast(ox.persistence(), ds, STARTS, "2D"))

    @pytest.mark.skipif(os.name != "posix", reason="POSIX limits")
    def test_a_limit_of_the_system(self, tmp_path: Path) -> None:
        """No file beyond 15 kB: a real refusal, in a process of its own, whose exit says whose fault it is."""
        code = (
            "import resource, sys, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "import toy_dataset, oceanx as ox\n"
            "ds = toy_dataset.ocean(40, nlat=40, nlon=40)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (15000, 15000))\n"
            "ox.forecast(ox.persistence(), ds, ds.time.values[5], '3D', to=sys.argv[1])\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "fc.zarr")], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 1
        said = done.stderr.strip().splitlines()[-1]
        assert "InputError" in said
        assert "fc.zarr.partial: cannot be written (File too large); mend that" in said
        assert not (tmp_path / "fc.zarr").exists()

    def test_a_model_that_fails_leaves_nothing_of_a_first_attempt(self, ds, tmp_path: Path) -> None:
        """And the next attempt needs no overwrite; what is complete is kept."""
        model = Model("m", lambda state, forcing: state.map(lambda x: x * torch.nan), task=TASK)
        with pytest.raises(InputError, match="no longer a number"):
            ox.forecast(model, ds, STARTS, "2D", to=tmp_path / "fc.zarr")
        assert not list(tmp_path.iterdir())


class TestWhatIsInTheWay:
    def test_foreign_folders_and_files(self, ds, tmp_path: Path) -> None:
        work = tmp_path / "fc.zarr.partial"
        work.mkdir()
        (work / "thesis.tex").write_text("years")
        for option in ({}, {"resume": True}, {"overwrite": True}, {"part": "1/2"}):
            with pytest.raises(
                InputError, match=r"fc\.zarr\.partial: is in the way and not an unfinished store of ours"
            ):
                ox.forecast(ox.persistence(), ds, STARTS, "2D", to=tmp_path / "fc.zarr", **option)
        assert (work / "thesis.tex").read_text() == "years"

    def test_what_a_bake_left(self, ds, tmp_path: Path) -> None:
        work = tmp_path / "fc.zarr.partial"
        (work / "store").mkdir(parents=True)
        (work / "manifest.json").write_text(json.dumps({"key": {"recipe": "x"}, "date": "2020"}))
        for option in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match=r"fc\.zarr\.partial: is in the way and no unfinished forecast"):
                ox.forecast(ox.persistence(), ds, STARTS, "2D", to=tmp_path / "fc.zarr", **option)
        assert (work / "store").exists()

    def test_what_was_cut_off_before_it_was_laid_out(self, ds, tmp_path: Path) -> None:
        (tmp_path / "fc.zarr.partial" / "store").mkdir(parents=True)
        fc = ox.forecast(ox.persistence(), ds, STARTS, "2D", to=tmp_path / "fc.zarr")
        assert fc.sizes["init_time"] == 5

    def test_an_interrupted_one_is_replaced_only_when_told(self, ds, tmp_path: Path, one_by_one: None) -> None:
        to = tmp_path / "fc.zarr"
        with pytest.raises(KeyboardInterrupt):
            ox.forecast(Model("m", Counting(stop=4)), ds, STARTS, "2D", to=to)
        with pytest.raises(InputError, match=r"an interrupted forecast; continue it with resume \(--resume\)"):
            ox.forecast(Model("m", Counting()), ds, STARTS, "2D", to=to)
        step = Counting()
        ox.forecast(Model("m", step), ds, STARTS, "2D", to=to, overwrite=True)
        assert step.calls == 10
        with pytest.raises(InputError, match=r"its folder .*nowhere does not exist"):
            ox.forecast(Model("m", step), ds, STARTS, "2D", to=tmp_path / "nowhere" / "fc.zarr")


class TestTheLayout:
    @pytest.mark.parametrize(("bytes_at_once", "chunk"), [(10**9, 2**21), (60_000, 2**21), (60_000, 2000), (1, 1)])
    def test_no_chunk_is_shared_by_two_writes(
        self, ds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_at_once: int, chunk: int
    ) -> None:
        """Every chunk is written once, whole: counted at the store itself."""
        monkeypatch.setattr(forecasting, "STATES_AT_ONCE", bytes_at_once)
        monkeypatch.setattr("oceanx.workflows.forecast_store.CHUNK", chunk)
        keys: list[str] = []
        set_ = zarr.storage.LocalStore.set

        def noting(self, key, value):
            keys.append(f"{self.root}/{key}")
            return set_(self, key, value)

        monkeypatch.setattr(zarr.storage.LocalStore, "set", noting)
        ox.forecast(ox.persistence(), ds, STARTS, "7D", members=3, to=tmp_path / "fc.zarr")
        for name, dims in {"thetao": 6, "zos": 5}.items():
            chunks = [key.partition(f"/{name}/c/")[2] for key in keys if f"/{name}/c/" in key]
            assert len(set(chunks)) == len(chunks) > 0
            assert {key.count("/") + 1 for key in chunks} == {dims}

    def test_chunks_of_a_store_without_members(self, tmp_path: Path) -> None:
        """Leads, then start dates, share a chunk of up to 2 MiB: here 12 leads of 43200 cells on 4 levels."""
        ds = toy_dataset.ocean(12, nlat=180, nlon=240)
        ox.forecast(ox.persistence(), ds, ds.time.values[[2, 4]], "5D", to=tmp_path / "fc.zarr")
        store = zarr.open_group(tmp_path / "fc.zarr", mode="r")
        assert store["thetao"].chunks == (1, 4, 3, 180, 240)  # 4 × 3 × 172 800 bytes
        assert store["zos"].chunks == (2, 5, 180, 240)  # 10 × 172 800 bytes
        assert store["zos"].metadata.zarr_format == 3
        assert store["zos"].dtype == "float32"

    def test_memory_is_bounded_whatever_the_lead(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of 60 leads, never more than a few are held at once, though the disk is slow."""
        ds = toy_dataset.ocean(6, nlat=400, nlon=500)[["thetao"]]
        held: list[weakref.ref[torch.Tensor]] = []
        most, put = [0], ForecastStore.put

        def step(state: State, forcing: Forcing) -> State:
            after = state.map(lambda field: field + 0.0)
            held.append(weakref.ref(after["thetao"]))
            most[0] = max(most[0], sum(field() is not None for field in held))
            return after

        def slow(self, *words):
            time.sleep(0.02)
            put(self, *words)

        monkeypatch.setattr(ForecastStore, "put", slow)
        ox.forecast(Model("m", step), ds, ds.time.values[1], "60D", to=tmp_path / "fc.zarr")
        assert len(held) == 60
        assert most[0] <= 5  # the one that is made, the one before it, one that waits and one that is written


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_interrupted_at_a_prompt_it_goes_on(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a real command: 130, nothing published, and --resume ends it."""
    ds = toy_dataset.ocean(60, start="2001-01-01", nlat=40, nlon=40)
    ds.drop_vars(["u10", "t2m"]).to_zarr(tmp_path / "ocean.zarr", consolidated=False)
    command = [
        *(sys.executable, "-m", "oceanx", "forecast", "persistence", "--data", str(tmp_path / "ocean.zarr")),
        *("--init", "2001-01-10:2001-02-20:1D", "--lead", "400D", "--to", str(tmp_path / "fc.zarr")),
    ]
    signalled = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **signalled)  # type: ignore[call-overload]
    work = tmp_path / "fc.zarr.partial"
    limit = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < limit and not (work.exists() and any(work.rglob("done/*"))):
        time.sleep(0.002)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert not (tmp_path / "fc.zarr").exists()
    there = len(noted(work))
    assert there >= 1
    step = Counting()
    words = {"init_time": slice("2001-01-10", "2001-02-20", "1D"), "lead": "400D", "to": tmp_path / "fc.zarr"}
    ox.forecast(Model("persistence", step), ox.open(tmp_path / "ocean.zarr"), resume=True, **words)
    assert step.calls == 400 * (5 - there)  # 42 start dates are five batches
    fc = labels.open_forecast(tmp_path / "fc.zarr", values=True)
    np.testing.assert_array_equal(
        fc.zos.isel(init_time=[0, -1], lead_time=-1), ds.zos.sel(time=["2001-01-10", "2001-02-20"])
    )
