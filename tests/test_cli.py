"""The command line: what each verb writes and says, and how a training that is stopped goes on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import toy_shelf
import xarray as xr
import yaml
from command_line import Oceanx
from toy_shelf import ENVIRONMENT, everything_below

import oceanx as ox
from oceanx.workflows.runs import tensors
from oceanx.workflows.train_config import TrainConfig


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, made once: no test may change it."""
    root = tmp_path_factory.mktemp("shelf")
    toy_shelf.fill(root)
    return root


def test_our_own_faults_leave_with_1(oceanx: Oceanx, monkeypatch: pytest.MonkeyPatch) -> None:
    from oceanx.data import checks

    def broken(*names: object) -> None:
        raise RuntimeError("a mistake\nof two lines")

    monkeypatch.setattr(checks, "check", broken, raising=False)
    code, _, err = oceanx("check", "dataset", "ocean.zarr")
    assert (code, err) == (1, "oceanx failed: RuntimeError: a mistake of two lines (--debug shows where)\n")


def test_an_unknown_option_leaves_with_2(oceanx: Oceanx) -> None:
    code, _, err = oceanx("catalog", "--bogus")
    assert code == 2
    assert "--bogus" in err
    assert "Traceback" not in err


def test_help_lists_the_commands(oceanx: Oceanx) -> None:
    code, out, _ = oceanx("--help")
    assert code == 0
    for verb in ("demo", "catalog", "bake", "train", "forecast", "score", "plot", "check", "doctor"):
        assert re.search(rf"\b{verb}\b", out), verb
    assert "2 the input is wrong" in " ".join(out.split())


def test_catalog_and_doctor(oceanx: Oceanx) -> None:
    code, out, _ = oceanx("catalog")
    assert code == 0
    assert {"glorys12", "oisst"} <= set(out.split())
    code, out, _ = oceanx("catalog", "glorys12")
    assert code == 0
    assert "GLORYS12" in out
    code, out, _ = oceanx("doctor")
    assert code == 0
    assert f"oceanx {ox.__version__}" in out
    assert f"xarray {xr.__version__}" in out


def test_checks_of_what_is_right(oceanx: Oceanx, shelf: Path) -> None:
    code, out, _ = oceanx("check", "dataset", shelf / "ocean.zarr")
    assert code == 0
    assert "480 time" in out
    assert "0 missing times" in out
    assert "error" not in out
    code, out, _ = oceanx("check", "forecast", shelf / "fc.zarr")
    assert code == 0
    assert "a labelled forecast" in out
    assert "2 init_time" in out
    code, out, _ = oceanx("check", "config", shelf / "small.yaml", "learning_rate=0.5", "model.net.widths=[4, 8]")
    assert code == 0
    resolved = TrainConfig.parse(yaml.safe_load(out))
    assert resolved.learning_rate == 0.5
    assert resolved.model.net.widths == (4, 8)
    assert resolved.clip == TrainConfig.model_fields["clip"].default


def test_bake_train_forecast_score_plot(
    oceanx: Oceanx, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each verb leaves with 0, and what it writes is what the verbs in Python give."""
    monkeypatch.chdir(tmp_path)
    assert oceanx("bake", "cf", "--source", shelf / "raw" / "*.nc", "--to", "sst.zarr").code == 0
    with netCDF4.Dataset(shelf / "raw" / "sst_2.nc") as nc:
        np.testing.assert_array_equal(ox.open("sst.zarr").sst.values[3:], nc["sst"][:].data)
    some = oceanx(
        "bake", "cf", "--source", shelf / "raw" / "sst_1.nc", "--source", shelf / "raw" / "sst_2.nc",
        "--to", "sst.zarr", "--time", "2001-01-02:2001-01-05", "--overwrite",
    )  # fmt: skip
    assert some.code == 0
    assert some.out.startswith("sst.zarr: 4 time")
    assert list(pd.DatetimeIndex(ox.open("sst.zarr").time.values).day) == [2, 3, 4, 5]

    data = ("--data", shelf / "ocean.zarr")
    trained = oceanx("train", shelf / "small.yaml", *data, "--to", "hybrid")
    assert trained.code == 0
    assert "hybrid, ['thetao'" in trained.out
    ours, theirs = tensors(Path("hybrid/weights.safetensors")), tensors(shelf / "runs/hybrid/weights.safetensors")
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)

    dates = ("--init", "2002-04-05:2002-04-15:5D", "--lead", "3D")
    assert oceanx("forecast", "hybrid", *data, *dates, "--to", "fc.zarr", "--forcing", "observed").code == 0
    for reference in ("persistence", "damped_persistence", "climatology"):
        learnt = () if reference == "persistence" else ("--train", "2001-01:2002-01")
        assert oceanx("forecast", reference, *data, *dates, *learnt, "--to", f"{reference}.zarr").code == 0
    names = ["fc.zarr", "persistence.zarr", "damped_persistence.zarr", "climatology.zarr"]
    said = oceanx(
        "score", *names, "--truth", shelf / "ocean.zarr", "--climatology", shelf / "ocean.zarr",
        "--train", "2001-01:2002-01", "--metrics", "rmse,acc", "--to", "scores.nc",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "thetao_rmse" in said.out

    ds = ox.open(shelf / "ocean.zarr")
    learnt = ds.sel(time=slice("2001-01", "2002-01"))
    when = slice("2002-04-05", "2002-04-15", "5D")
    models = {
        "hybrid": (ox.load("hybrid"), "observed"),
        "persistence": (ox.persistence(), "persisted"),
        "damped_persistence": (ox.damped_persistence(learnt, lead="3D"), "persisted"),
        "climatology": (ox.climatology(learnt), "persisted"),
    }
    forecasts = {name: ox.forecast(model, ds, when, "3D", forcing=how) for name, (model, how) in models.items()}  # type: ignore[arg-type]
    expected = ox.score(forecasts, ds, climatology=ox.climatology(learnt), metrics=["rmse", "acc"])
    with xr.open_dataset("scores.nc") as found:
        assert list(found.model.values) == list(models)
        for name in expected.data_vars:
            np.testing.assert_allclose(found[name].values, expected[name].values, rtol=1e-5, atol=1e-6, err_msg=name)

    for kind, file, options in (
        ("skill", "scores.nc", ("--var", "thetao")),
        ("map", "fc.zarr", ("--var", "thetao", "--select", "lead_time=2D", "--select", "depth=45",
                            "--select", "init_time=2002-04-10")),
    ):  # fmt: skip
        for suffix, begins in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
            assert oceanx("plot", kind, file, "--to", f"{kind}.{suffix}", *options).code == 0
            assert Path(f"{kind}.{suffix}").read_bytes().startswith(begins)
    assert not list(tmp_path.glob("*.partial"))


def test_two_forecasts_of_one_name_are_both_scored(oceanx: Oceanx, shelf: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copytree(shelf / "fc.zarr", tmp_path / folder / "fc.zarr")
    paths = [tmp_path / "a" / "fc.zarr", tmp_path / "b" / "fc.zarr", shelf / "fc.zarr"]
    assert oceanx("score", *paths, "--truth", shelf / "ocean.zarr", "--to", tmp_path / "scores.nc").code == 0
    with xr.open_dataset(tmp_path / "scores.nc") as scores:
        assert scores.sizes["model"] == 3
        assert scores.model.values[0] == "persistence"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)])
def test_interrupted_training_goes_on(
    sent: int, code: int, oceanx: Oceanx, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the midst, a run goes on with --resume and ends as one that was never stopped."""
    words = ["train", shelf / "small.yaml", "--data", shelf / "ocean.zarr", "--to", "run"]
    words += ["checkpoint_every=2", "iterations=[60]"]
    command = [sys.executable, "-m", "oceanx", *map(str, words)]
    started = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # Tests that a shell runs in the background ignore SIGINT, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    checkpoint, patience = tmp_path / "run" / "checkpoint.safetensors", time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < patience:
        time.sleep(0.01)
    started.send_signal(sent)
    _, err = started.communicate(timeout=60)
    assert started.returncode == code, err
    if sent == signal.SIGINT:
        assert err == "interrupted; run the same command again (with --resume where it has one) to go on\n"
    done = int(tensors(checkpoint)["iteration"])
    assert 0 < done < 60
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    monkeypatch.chdir(tmp_path)
    again = oceanx(*words)
    assert again.code == 2
    assert "run: exists already" in again.err
    assert oceanx(*words, "--resume").code == 0
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 61
    assert oceanx(*words, "--to", "whole").code == 0
    ours, theirs = (tensors(tmp_path / run / "weights.safetensors") for run in ("run", "whole"))
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


def test_resuming_what_is_finished_changes_nothing(oceanx: Oceanx, shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "runs" / "hybrid", tmp_path / "run")
    before = everything_below(tmp_path)
    code, out, _ = oceanx(
        "train", shelf / "small.yaml", "--data", shelf / "ocean.zarr", "--to", tmp_path / "run", "--resume"
    )
    assert code == 0
    assert "3 iterations" in out
    assert everything_below(tmp_path) == before


def test_the_former_run_stays_until_the_new_one_is_trained(oceanx: Oceanx, shelf: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(shelf / "runs" / "hybrid", run)
    former = everything_below(run)
    words = ("train", shelf / "small.yaml", "--data", shelf / "ocean.zarr", "--to", run, "--overwrite")
    assert oceanx(*words, "batch_size=[500]").code == 2
    assert everything_below(run) == former
    diverged = oceanx(*words, "learning_rate=1e30", "warmup=0", "iterations=[50]")
    assert diverged.code == 2, diverged.err
    assert "no longer a number" in diverged.err
    assert everything_below(tmp_path / "run.former") == former
    assert oceanx(*words, "seed=3").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert everything_below(run)["weights.safetensors"] != former["weights.safetensors"]


def torchrun(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Two processes that train together."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "oceanx"]
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT, timeout=120, cwd=cwd
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("batch_size=[3]", "batch_size: 3 windows cannot be shared by 2 processes equally"),
        ("seeed=1", "unknown key 'seeed'; did you mean 'seed'"),
    ],
)
def test_several_processes_say_it_once_and_all_leave(change: str, expected: str, shelf: Path) -> None:
    """Rank 0 refuses in one line; the other process leaves quietly, and neither waits for the other."""
    before = everything_below(shelf)
    done = torchrun("train", "small.yaml", "--data", "ocean.zarr", "--to", "new", change, cwd=shelf)
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(ours) == 1, done.stderr
    assert expected in ours[0]
    assert set(re.findall(r"exitcode\s*: (-?\d+)", done.stderr)) <= {"2", "-15"}, done.stderr
    assert "oceanx/cli/" not in done.stderr
    assert everything_below(shelf) == before
