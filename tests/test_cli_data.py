"""The verbs of data at a prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from command_line import Oceanx

import oceanx as ox


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a year of daily files of sea surface temperature in it, which is where commands run."""
    rng = np.random.default_rng(0)
    times = np.arange("2001-01-01", "2001-02-10", dtype="datetime64[D]").astype("datetime64[ns]")
    sst = (12 + rng.standard_normal((times.size, 4, 5))).astype("f4")
    sst[:, 0, 0] = np.nan
    ds = xr.Dataset(
        {"sst": (("time", "lat", "lon"), sst, {"units": "degC"})},
        {"time": times, "lat": np.arange(4.0), "lon": np.arange(5.0)},
    )
    (tmp_path / "raw").mkdir()
    for at in range(0, times.size, 10):
        ds.isel(time=slice(at, at + 10)).to_netcdf(tmp_path / "raw" / f"sst_{at:02d}.nc")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plan_writes_nothing(raw: Path, oceanx: Oceanx) -> None:
    code, out, err = oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "sst.zarr", "--plan")
    assert code == 0, err
    assert "4 files → 40 time × 4 latitude × 5 longitude, 2001-01-01 to 2001-02-09" in out
    assert "tasks" in out
    assert sorted(p.name for p in raw.iterdir()) == ["raw"]


def test_append_and_parts_make_the_whole(raw: Path, oceanx: Oceanx) -> None:
    assert oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "whole.zarr")[0] == 0
    assert oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "a.zarr", "--time", "2001-01-01:2001-01-20")[0] == 0
    code, out, err = oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "a.zarr", "--append")
    assert (code, "40 time" in out) == (0, True), err
    code, out, _ = oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "b.zarr", "--part", "2/2")
    assert code == 0
    if not (raw / "b.zarr").exists():
        assert "part 2/2 is done; the store is complete when all parts are" in out
    assert oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "b.zarr", "--part", "1/2")[0] == 0
    prints = {ox.open(raw / f"{name}.zarr").attrs["oceanx_fingerprint"] for name in ("whole", "a", "b")}
    assert len(prints) == 1


def test_rechunk_there_and_back(raw: Path, oceanx: Oceanx) -> None:
    oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "maps.zarr")
    code, out, err = oceanx("rechunk", "maps.zarr", "--for", "timeseries", "--to", "series.zarr")
    assert (code, "40 time" in out) == (0, True), err
    a, b = ox.open("maps.zarr"), ox.open("series.zarr")
    np.testing.assert_array_equal(a.sst, b.sst)
    assert a.attrs["oceanx_fingerprint"] == b.attrs["oceanx_fingerprint"]
    code, _, err = oceanx("rechunk", "maps.zarr", "--for", "fun", "--to", "x.zarr")
    assert code == 2
    assert "timeseries" in err


def test_check_dataset_says_what_is_lacking(raw: Path, oceanx: Oceanx) -> None:
    toy_dataset.ocean(30, "2001-01-01").to_zarr("toy.zarr", zarr_format=3, consolidated=False)
    code, out, err = oceanx("check", "dataset", "toy.zarr")
    assert code in (0, 2), err
    assert len(out.splitlines()) > 1
    xr.Dataset({"sst": ("x", [1.0])}).to_zarr("bad.zarr", zarr_format=3, consolidated=False)
    code, out, err = oceanx("check", "dataset", "bad.zarr")
    assert code == 2
    assert "latitude" in out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [("stage moon --to x --time 2020-01-01", "unknown service 'moon'|unknown .*moon"),
     ("stage glorys12 --to x --time 2020-01-01 --box 1,2", "--box '1,2': expected 4 numbers"),
     ("export moon whole.zarr --to x", "moon"),
     ("bake cf --source raw/*.nc --to s.zarr --part 5/4", "part: '5/4'; expected such as 3/16"),
     ("bake cf --source raw/*.nc --to no.zarr --append", "no.zarr: no such store to add to"),
     ("bake cf --source raw/*.nc --to s.zarr part=1/2", "part=1/2: write it as an option, --part")],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(raw: Path, oceanx: Oceanx, words: str, said: str) -> None:
    import re

    oceanx("bake", "cf", "--source", "raw/*.nc", "--to", "whole.zarr")
    code, _, err = oceanx(*words.split())
    assert code == 2
    assert re.search(said, err), err
    assert err.count("\n") == 1
