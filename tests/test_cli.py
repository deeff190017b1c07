"""The command line: exit codes, one line for each wrong input, and nothing changed that was there before."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import netCDF4
import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr
import yaml

import oceanx as ox
from oceanx import cli
from oceanx.workflows.runs import tensors
from oceanx.workflows.train_config import TrainConfig, preset

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
CONFIG = {
    "task.prognostic.depth": list(toy_dataset.DEPTH),
    "task.forcing.surface": ["u10", "t2m"],
    "model.net.widths": [8, 16],
    "model.substeps": 1,
    "rollout": [1],
    "iterations": [3],
    "batch_size": [2],
    "train": ["2001-01-01", "2002-01-31"],
}


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Oceanx = Callable[..., Answer]


def in_a_process(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "oceanx", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def oceanx(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Oceanx:
    """A function that runs the command in this process."""

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["oceanx", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        return Answer(left.value.code or 0, out, err)  # type: ignore[arg-type]

    return run


def everything_below(folder: Path) -> dict[str, str]:
    """Every path below a folder, with a hash of what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        held = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
        found[str(path.relative_to(folder))] = held
    return found


def write_sst(path: Path, first: str, days: int = 3, *, units: str = "degree_C", name: str = "sst") -> None:
    """Some daily maps of sea surface temperature, in a plain CF file."""
    with netCDF4.Dataset(path, "w") as nc:
        for dim, values, unit in (
            ("time", np.arange(days), f"days since {first}"),
            ("lat", np.arange(30.0, 34.0), "degrees_north"),
            ("lon", np.arange(-20.0, -15.0), "degrees_east"),
        ):
            nc.createDimension(dim, len(values))
            axis = nc.createVariable(dim, "f8", (dim,))
            axis.units = unit
            axis[:] = values
        field = nc.createVariable(name, "f4", ("time", "lat", "lon"), zlib=True, fill_value=np.float32(-999))
        field.units = units
        field.standard_name = {"sst": "sea_surface_temperature"}.get(name, name)
        field[:] = 15 + np.random.default_rng(0).random((days, 4, 5))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good and bad things of every kind, made once: whatever is refused must leave it as it is."""
    root = tmp_path_factory.mktemp("shelf")
    ocean = toy_dataset.ocean(480, start="2001-01-01")
    stores = {
        "ocean": ocean,
        "moved": ocean.assign_coords(longitude=ocean.longitude + 1.0).isel(time=slice(100)),
        "twin": toy_dataset.ocean(480, start="2001-01-01", seed=1),
        "surface": ocean[["zos", "mlotst", "u10", "t2m"]],
        "early": ocean.sel(time=slice("2001-01-01", "2001-03-05")),
        "holes": ocean.isel(time=slice(0, 100, 2)),
    }
    for name, ds in stores.items():
        ds.drop_encoding().to_zarr(root / f"{name}.zarr", consolidated=False)
    config = preset("hybrid_small", **CONFIG)
    config.save(root / "small.yaml")
    (root / "broken.yaml").write_text("model: [unclosed")

    (root / "runs").mkdir()
    ox.train(config, ox.open(root / "ocean.zarr"), root / "runs" / "hybrid")
    for name in ("cut", "emptied", "other"):
        shutil.copytree(root / "runs" / "hybrid", root / "runs" / name)
    weights = root / "runs" / "cut" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (root / "runs" / "emptied" / "grid.nc").write_bytes(b"")
    wider = config.dump() | {"model": config.dump()["model"] | {"net": {"kind": "unet", "widths": [8, 24]}}}
    TrainConfig.parse(wider).save(root / "runs" / "other" / "config.yaml")

    fc = ox.forecast(
        ox.persistence(), ox.open(root / "ocean.zarr"), ["2001-03-01", "2001-03-03"], "3D", to=root / "fc.zarr"
    )
    fc.drop_encoding().drop_vars("valid_time").to_zarr(root / "unlabelled.zarr", consolidated=False)
    (fc.thetao.to_dataset().isel(init_time=[0]) * np.nan).assign_coords(fc.isel(init_time=[0]).coords).assign(
        thetao=lambda ds: ds.thetao.assign_attrs(fc.thetao.attrs)
    ).drop_encoding().to_zarr(root / "hollow.zarr", consolidated=False)
    ox.score({"persistence": fc}, ox.open(root / "ocean.zarr")).to_netcdf(root / "scores.nc")

    (root / "raw").mkdir()
    write_sst(root / "raw" / "sst_1.nc", "2001-01-01")
    write_sst(root / "raw" / "sst_2.nc", "2001-01-04")
    write_sst(root / "kilograms.nc", "2001-01-01", units="kg")
    whole = (root / "raw" / "sst_1.nc").read_bytes()
    (root / "cut.nc").write_bytes(whole[: len(whole) // 2])
    (root / "empty.nc").touch()
    (root / "figure.png").write_bytes(b"a figure")
    (root / "notes.txt").write_text("precious")
    return root


BAKE = "bake cf --to new.zarr --source "
TRAIN = "train small.yaml --to new --data "
AGAIN = "train small.yaml --to runs/hybrid --data ocean.zarr "
FORECAST = "forecast runs/hybrid --to new.zarr --lead 2D --data ocean.zarr --init "
PERSIST = "forecast persistence --to new.zarr --data ocean.zarr --init "
DAMPED = "forecast damped_persistence --to new.zarr --data ocean.zarr --init 2001-03-01 "
SCORE = "score fc.zarr --to new.nc --truth "
MAP = "plot map fc.zarr --to new.png --var thetao "

REFUSED = {
    # bake
    "missing file": (BAKE + "raw/no.nc", r"raw/no\.nc: no such file"),
    "nothing matches": (BAKE + "'raw/*.grib'", r"'raw/\*\.grib': no file matches; check the folder"),
    "empty file": (BAKE + "empty.nc", r"empty\.nc: is empty"),
    "truncated file": (BAKE + "cut.nc", r"cut\.nc: is damaged or truncated"),
    "not a data file": (BAKE + "notes.txt", r"notes\.txt: is not NetCDF"),
    "missing variable": (BAKE + "raw/sst_1.nc variables=[zos]", r"sst_1\.nc: holds none of zos; leave it out, or"),
    "wrong unit": (BAKE + "kilograms.nc", "sst: found units 'kg', expected 'degrees_C'"),
    "no such dates": (BAKE + "'raw/*.nc' --time 1990:1991", "time: nothing between 1990.* the files hold 2001-01-01"),
    "no dates at all": (BAKE + "'raw/*.nc' --time yesterday", "'yesterday': expected two dates, first:last"),
    "unknown recipe": ("bake glorys13 --source 'raw/*.nc' --to new.zarr", "did you mean 'glorys12'"),
    "unknown recipe key": (BAKE + "'raw/*.nc' variabels=[sst]", "unknown key 'variabels'; did you mean 'variables'"),
    "an option as a key": (BAKE + "'raw/*.nc' time=1990", "time=1990: write it as an option, --time"),
    "not key=value": (BAKE + "'raw/*.nc' sst", "'sst': overrides are written key=value"),
    "unclosed list": (BAKE + "'raw/*.nc' variables=[sst", r"variables=\[sst: the value is not YAML"),
    "store exists": ("bake cf --source 'raw/*.nc' --to ocean.zarr", r"ocean\.zarr: exists already; .*--overwrite"),
    "no folder for it": ("bake cf --source raw/sst_1.nc --to no/new.zarr", "its folder .*no does not exist; make it"),
    # train
    "unknown preset": ("train hybrid_smal --data ocean.zarr --to new", "did you mean 'hybrid_small'"),
    "no such config": ("train no.yaml --data ocean.zarr --to new", r"no\.yaml: no such file"),
    "broken config": ("train broken.yaml --data ocean.zarr --to new", r"broken\.yaml: not YAML"),
    "unknown config key": (TRAIN + "ocean.zarr model.substep=3", "unknown key 'substep'; did you mean 'substeps'"),
    "wrong config value": (TRAIN + "ocean.zarr learning_rate=fast", "learning_rate: .*found 'fast'"),
    "no such data": (TRAIN + "no.zarr", r"no\.zarr: no such store; bake it first"),
    "unknown dataset": (TRAIN + "glorys13", "unknown dataset 'glorys13'; did you mean 'glorys12'"),
    "data is no store": (TRAIN + "raw/sst_1.nc", r"sst_1\.nc: is not a Zarr store; .*oceanx bake"),
    "the same data twice": (TRAIN + "ocean.zarr --data ocean.zarr", r"is in both ocean\.zarr and ocean\.zarr"),
    "training date before": (TRAIN + "ocean.zarr train=[1999-01-01,2001-03-01]", "train: 1999-01-01 to .* not all in"),
    "training date after": (TRAIN + "ocean.zarr train=[2001,2002]", "train: 2001-01-01 to 2002-12-31 is not all in"),
    "untrainable dates": (TRAIN + "ocean.zarr train=[then,now]", "train: .*then"),
    "a variable too few": (TRAIN + "surface.zarr", "thetao: the Dataset lacks this variable, it has "),
    "a level too few": (TRAIN + "ocean.zarr task.prognostic.depth=[0.5,3000]", "no level near 3000 m; the Dataset has"),
    "training on forecasts": (TRAIN + "fc.zarr task.forcing={}", "no dimension `time`.* not a forecast"),
    "too large a batch": (TRAIN + "ocean.zarr batch_size=[500]", "batch_size: 500 is more than the 395 windows"),
    "no two days in a row": (TRAIN + "holes.zarr train=null", "time: no 2 consecutive times 1D apart"),
    "a model that is none": (TRAIN + "ocean.zarr model.moved=[so]", r"the task's prognostic lacks \['so'\]"),
    "run exists": (AGAIN, "runs/hybrid: exists already"),
    "resume another config": (AGAIN + "--resume seed=1", "was started with seed=0, now 1; go on with the same config"),
    "resume other data": (AGAIN.replace("ocean", "twin") + "--resume", "was started on data toy-0, now toy-1; go on"),
    "resume what is no run": ("train small.yaml --to raw --data ocean.zarr --resume", "raw: is not a run folder"),
    # forecast
    "no such run": ("forecast persistance" + FORECAST[20:] + "2001-03-01", "'persistance'; did you mean 'persistence'"),
    "no run folder": ("forecast raw" + FORECAST[20:] + "2001-03-01", "raw: is not a run folder; "),
    "truncated weights": ("forecast runs/cut" + FORECAST[20:] + "2001-03-01", r"weights\.safetensors: .*cut short"),
    "truncated grid": ("forecast runs/emptied" + FORECAST[20:] + "2001-03-01", r"runs/emptied/grid\.nc: is damaged"),
    "weights of another": ("forecast runs/other" + FORECAST[20:] + "2001-03-01", "expected .*another model or Task"),
    "another Task": (FORECAST.replace("ocean", "surface") + "2001-03-01", "thetao: the Dataset lacks this variable"),
    "another grid": (FORECAST.replace("ocean", "moved") + "2001-03-01", "longitude"),
    "date outside": (FORECAST + "2010-01-01", "init_time 2010-01-01.*not in the Dataset.* 2001-01-01 .* 2002-04-25"),
    "some dates outside": (FORECAST + "2002-04-20:2002-05-20:7D", "init_time 2002-04-27"),
    "no date": (FORECAST + "tomorrow", "init_time: 'tomorrow': .*expected dates such as"),
    "no last date": (FORECAST + "2001-03-01:", "init_time: .*first and a last date"),
    "no step": (FORECAST + "2001-03-01:2001-03-09:weekly", "init_time: .*weekly"),
    "four parts": (FORECAST + "2001-03-01:2001-03-09:1D:1D", "--init '.*': expected a date, or first:last:step"),
    "dates in reverse": (FORECAST + "2001-03-09:2001-03-01", "init_time: expected increasing start dates"),
    "no duration": (PERSIST + "2001-03-01 --lead soon", "lead 'soon': is no duration; expected such as '10D'"),
    "not a multiple": (PERSIST + "2001-03-01 --lead 36h", "lead '36h': expected a multiple of the model's step 1D"),
    "unknown forcing": (FORECAST + "2001-03-01 --forcing guessed", "forcing 'guessed': choose"),
    "unobserved forcing": (
        FORECAST + "2002-04-24 --forcing observed",
        "forcing 'observed': .* on 2002-04-26.*; choose",
    ),
    "no such atmosphere": (FORECAST + "2001-03-01 --forcing no.zarr", r"'no\.zarr': choose observed, persisted or cl"),
    "no atmosphere": (FORECAST + "2001-03-01 --forcing fc.zarr", r"forcing fc\.zarr: lacks \[.*\], which the model is"),
    "forecast exists": (PERSIST.replace("new", "fc") + "2001-03-01", r"fc\.zarr: exists already"),
    "forecast of forecasts": (PERSIST.replace("ocean", "fc") + "2001-03-01", "no dimension `time`.* not a forecast"),
    "learnt from nothing": (DAMPED, "damped_persistence: say which years it may learn from, --train"),
    "learnt from elsewhen": (DAMPED + "--train 1990:1995", "--train 1990:1995: .*2001-01-01"),
    "learnt too early": (DAMPED + "--train 1990:2001", "--train 1990:2001: .*2001-01-01"),
    "learnt from no year": (DAMPED + "--train then:now", "--train then:now: .*expected dates such as 1993"),
    "learnt in reverse": (DAMPED + "--train 2001-03:2001-01", "--train 2001-03:2001-01: .*write first:last"),
    # score
    "truth too short": (SCORE + "early.zarr", "truth: no 2001-03-06 .* it covers 2001-01-01 .* 2001-03-05"),
    "truth elsewhere": (SCORE + "moved.zarr", "longitude"),
    "truth a forecast": (SCORE + "fc.zarr", "truth: no dimension `time`"),
    "no such truth": (SCORE + "no.zarr", r"no\.zarr: no such store"),
    "no such forecast": ("score no.zarr --truth ocean.zarr --to new.nc", r"no\.zarr: no such forecast"),
    "not a forecast": ("score ocean.zarr --truth ocean.zarr --to new.nc", r"ocean\.zarr: no dimension 'init_time'"),
    "broken contract": ("score unlabelled.zarr --truth ocean.zarr --to new.nc", "no coordinate 'valid_time'; add it"),
    "one too often": (SCORE + "ocean.zarr fc.zarr ./fc.zarr fc.zarr", r"fc\.zarr: give each forecast once"),
    "unknown metric": (SCORE + "ocean.zarr --metrics rmsd", "unknown metric 'rmsd'; did you mean 'rmse'"),
    "unknown group": (SCORE + "ocean.zarr --by weekday", "unknown group to score by 'weekday'"),
    "no climatology": (SCORE + "ocean.zarr --metrics acc", "acc: .*climatology"),
    "scores exist": ("score fc.zarr --truth ocean.zarr --to scores.nc", r"scores\.nc: exists already"),
    # plot
    "unknown kind": ("plot pie fc.zarr --to new.png", "unknown kind of plot 'pie'; "),
    "nothing to plot": ("plot map no.zarr --to new.png", r"no\.zarr: no such file"),
    "not to be plotted": ("plot map notes.txt --to new.png --var sst", r"notes\.txt: cannot be read"),
    "which variable": ("plot map fc.zarr --to new.png", "--var: which variable"),
    "unknown variable": (MAP + "--var theta", "unknown variable 'theta'; did you mean 'thetao'"),
    "unknown dimension": (MAP + "--select level=1", "unknown dimension 'level'"),
    "unknown label": (MAP + "--select lead_time=99D", "--select lead_time=99D: no such label"),
    "a label that is none": (MAP + "--select init_time=then", "--select init_time=then: no such label"),
    "too much at once": (MAP, "thetao: a map has .*select"),
    "no such format": (MAP + "--to new.docx", r"new\.docx: expected a name that ends in \.png"),
    "figure exists": (MAP + "--to figure.png", r"figure\.png: exists already"),
    "curves of what is no score": ("plot skill fc.zarr --to new.png", "scores: .*score with it"),
    # the rest
    "unknown entry": ("catalog glorys13", "unknown catalog entry 'glorys13'; did you mean 'glorys12'"),
    "nothing to check": ("check dataset no.zarr", r"no\.zarr: no such store"),
    "check of no forecast": ("check forecast ocean.zarr", r"ocean\.zarr: no dimension 'init_time'"),
    "check of no values": (
        "check forecast hollow.zarr",
        r"hollow\.zarr: thetao: no value at all for init_time 2001-03-01",
    ),
    "check of no preset": ("check config hybrid", "unknown preset 'hybrid'; did you mean"),
    "check of a wrong key": ("check config hybrid_small rolout=[1]", "unknown key 'rolout'; did you mean 'rollout'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_gets_one_line_and_changes_nothing(
    case: str, shelf: Path, oceanx: Oceanx, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, expected = shlex.split(REFUSED[case][0]), REFUSED[case][1]
    monkeypatch.chdir(shelf)
    before = everything_below(shelf)
    code, out, err = oceanx(*words)
    assert code == 2, err
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert re.search(expected, err), err
    assert out == ""
    assert everything_below(shelf) == before


@pytest.mark.parametrize("case", ["missing file", "unknown config key", "date outside"])
def test_debug_shows_the_traceback(case: str, shelf: Path, oceanx: Oceanx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf)
    code, _, err = oceanx(*shlex.split(REFUSED[case][0]), "--debug")
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("case", ["truncated file", "training date before"])
def test_a_real_process_says_the_same(case: str, shelf: Path) -> None:
    words, expected = REFUSED[case]
    before = everything_below(shelf)
    done = in_a_process(*shlex.split(words), cwd=shelf)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert re.fullmatch(rf"error: .*{expected}.*\n", done.stderr), done.stderr
    assert everything_below(shelf) == before


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
