"""One line for each wrong input, exit code 2, and nothing changed that was there before."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy_dataset
import toy_shelf
from command_line import Oceanx
from toy_shelf import everything_below, write_sst

from oceanx.ocean.labels import open_forecast
from oceanx.workflows.train_config import TrainConfig


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good and bad things of every kind, made once: whatever is refused must leave it as it is."""
    root = tmp_path_factory.mktemp("shelf")
    toy_shelf.fill(root)
    ocean = toy_dataset.ocean(480, start="2001-01-01")
    stores = {
        "moved": ocean.assign_coords(longitude=ocean.longitude + 1.0).isel(time=slice(100)),
        "twin": toy_dataset.ocean(480, start="2001-01-01", seed=1),
        "surface": ocean[["zos", "mlotst", "u10", "t2m"]],
        "early": ocean.sel(time=slice("2001-01-01", "2001-03-05")),
        "holes": ocean.isel(time=slice(0, 100, 2)),
    }
    for name, ds in stores.items():
        ds.drop_encoding().to_zarr(root / f"{name}.zarr", consolidated=False)
    (root / "broken.yaml").write_text("model: [unclosed")

    for name in ("cut", "emptied", "other"):
        shutil.copytree(root / "runs" / "hybrid", root / "runs" / name)
    weights = root / "runs" / "cut" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (root / "runs" / "emptied" / "grid.nc").write_bytes(b"")
    config = TrainConfig.load(root / "small.yaml").dump()
    wider = config | {"model": config["model"] | {"net": {"kind": "unet", "widths": [8, 24]}}}
    TrainConfig.parse(wider).save(root / "runs" / "other" / "config.yaml")

    fc = open_forecast(root / "fc.zarr")
    fc.drop_encoding().drop_vars("valid_time").to_zarr(root / "unlabelled.zarr", consolidated=False)
    (fc.thetao.to_dataset().isel(init_time=[0]) * np.nan).assign_coords(fc.isel(init_time=[0]).coords).assign(
        thetao=lambda ds: ds.thetao.assign_attrs(fc.thetao.attrs)
    ).drop_encoding().to_zarr(root / "hollow.zarr", consolidated=False)

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


def in_a_process(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "oceanx", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=toy_shelf.ENVIRONMENT, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("case", ["truncated file", "training date before"])
def test_a_real_process_says_the_same(case: str, shelf: Path) -> None:
    words, expected = REFUSED[case]
    before = everything_below(shelf)
    done = in_a_process(*shlex.split(words), cwd=shelf)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert re.fullmatch(rf"error: .*{expected}.*\n", done.stderr), done.stderr
    assert everything_below(shelf) == before
