"""Exports of forecasts at the prompt: what is written, what is printed, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from toy_forecast import NAMES, forecast, plain

from oceanx.ocean.views import back
from oceanx.vocabulary.constants import LEVELS_23


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Commands run in a folder with `fc.zarr`."""
    forecast(2, 12).to_zarr(tmp_path / "fc.zarr", consolidated=False)
    monkeypatch.chdir(tmp_path)


def test_each_of_them_writes_what_it_says(oceanx):
    code, out, err = oceanx("export", "csv", "fc.zarr", "lat=41", "lon=-18", "--to", "point.csv")
    assert (code, out) == (0, "point.csv\n"), err
    assert len(pd.read_csv("point.csv", comment="#")) == 2 * 12 * 2
    code, out, err = oceanx("export", "netcdf", "fc.zarr", "--to", "files", "compression=4")
    assert (code, out.split()) == (0, ["files/forecast_20191230.nc", "files/forecast_20200101.nc"]), err
    for name in ("weatherbench", "climpred"):
        code, out, err = oceanx("export", name, "fc.zarr", "--to", f"{name}.zarr")
        assert (code, out) == (0, f"{name}.zarr\n"), err
        np.testing.assert_array_equal(
            back(xr.open_zarr(f"{name}.zarr"))["zos"], xr.open_zarr("fc.zarr", consolidated=False)["zos"]
        )


def test_oceanbench(oceanx, tmp_path):
    like = plain(LEVELS_23, np.arange(30.5, 40), np.arange(-40.5, -30))
    forecast(1, 12, names=NAMES, like=like).to_zarr(tmp_path / "deep.zarr", consolidated=False)
    code, _, err = oceanx("export", "oceanbench", "deep.zarr", "--to", "bench")
    assert (code, err.count("\n")) == (2, 1)
    assert "found 12 lead days, 10 are scored; say days=10" in err
    code, out, err = oceanx("export", "oceanbench", "deep.zarr", "days=10", "grid=one_degree", "--to", "bench")
    assert (code, out.split()) == (0, ["bench/challenger.zarr", "bench/challenger.py"]), err
    assert xr.open_zarr("bench/challenger.zarr").sizes["lead_day_index"] == 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("csv fc.zarr lat=40 lon=-20 --to p.csv", "40, -20 is on land; the nearest wet cell is at 40, -19"),
        ("csv fc.zarr --to p.csv", "csv: of which place"),
        ("csv fc.zarr fc.zarr lat=41 lon=-18 --to p.csv", "export csv: found 2 stores; expected one forecast"),
        ("csv lat=41 lon=-18 --to p.csv", "export csv: found 0 stores; expected one forecast"),
        ("netcdf nothing.zarr --to files", "nothing.zarr: no such forecast"),
        ("netcdf fc.zarr --to files compresion=1", "unknown option of export netcdf 'compresion'; did you mean"),
        ("oceanbench fc.zarr --to bench days=10", "the forecast lacks so, vo, uo"),
        ("netcfd fc.zarr --to files", "unknown export 'netcfd'; did you mean 'netcdf'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(oceanx, words, said):
    code, _, err = oceanx("export", *words.split())
    assert (code, err.count("\n")) == (2, 1), err
    assert said in err
    assert sorted(p.name for p in Path().iterdir()) == ["fc.zarr"]
