"""Forecasts as the files of others: stores under other names, CF NetCDF by start date, a table of one place."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from toy_forecast import forecast, plain

from oceanx.export import FORECASTS, export
from oceanx.ocean.labels import label
from oceanx.ocean.views import back
from oceanx.vocabulary.errors import InputError

HERE = Path(__file__).parent
CHECKER = HERE.parent / "data" / "cf_checker.py"


# Stores


@pytest.mark.parametrize("name", ["weatherbench", "climpred"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_store_there_and_back(tmp_path, name, chunked):
    ds = forecast(members=2)
    said = []
    given = ds.chunk(init_time=2, lead_time=3) if chunked else ds
    (store,) = export(name, given, tmp_path / "theirs.zarr", progress=lambda *words: said.append(words))
    assert zarr.open_group(store, mode="r").metadata.zarr_format == 2
    there = xr.open_zarr(store, consolidated=True)
    xr.testing.assert_identical(back(there).load(), ds)
    assert there["thetao"].variable.chunksizes["latitude"] == (3,)
    assert max(there["thetao"].chunks[0]) == 1
    assert [words[1:] for words in said] == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(InputError, match=r"theirs\.zarr: exists already"):
        export(name, ds, tmp_path / "theirs.zarr")
    export(name, ds.isel(init_time=[0]), tmp_path / "theirs.zarr", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["theirs.zarr"]


def test_what_is_large_is_written_in_parts(tmp_path, monkeypatch):
    """No more is held at a time than a block; and the store is the same."""
    ds = forecast(2, 5, members=2)
    (whole,) = export("climpred", ds, tmp_path / "whole.zarr")
    monkeypatch.setattr("oceanx.export.stores.BLOCK", 2 * ds.nbytes // 10 + 1)  # two of the ten maps
    said = []
    (parts,) = export("climpred", ds, tmp_path / "parts.zarr", progress=lambda *words: said.append(words[1:]))
    assert said == [(done, 6) for done in range(1, 7)]
    xr.testing.assert_identical(xr.open_zarr(parts).load(), xr.open_zarr(whole).load())


def test_weatherbenchs_times_decode_without_being_told(tmp_path):
    (store,) = export("weatherbench", forecast(step="6h"), tmp_path / "theirs.zarr")
    found = xr.open_zarr(store, consolidated=True)
    assert found["prediction_timedelta"].dtype == np.dtype("timedelta64[ns]")
    assert found["zos"].dims == ("time", "prediction_timedelta", "latitude", "longitude")


def test_climpred_itself_scores_the_store(tmp_path):
    """Its own HindcastEnsemble, its own alignment of verification dates and its own RMSE."""
    python = os.environ.get("OCEANX_CLIMPRED")
    if not python:
        pytest.skip("CLIMPRED ABSENT: set OCEANX_CLIMPRED to a python that has climpred installed")
    ds = forecast(4, 5, members=3)
    (store,) = export("climpred", ds, tmp_path / "theirs.zarr")
    axes = {"time": pd.date_range("2019-12-25", periods=25), "latitude": ds["latitude"], "longitude": ds["longitude"]}
    values = np.random.default_rng(9).normal(size=(25, 3, 4)).astype("f4")
    truth = xr.Dataset({"zos": (tuple(axes), values, ds["zos"].attrs)}, coords=axes)
    truth.to_netcdf(tmp_path / "truth.nc")
    names = Path(importlib.util.find_spec("compliance_checker").origin).parent / "data/cf-standard-name-table.xml"
    done = subprocess.run(
        [python, str(HERE / "climpred_package.py"), str(store), str(tmp_path / "truth.nc"), str(names)],
        capture_output=True, text=True, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    error = ds["zos"].mean("member") - truth["zos"].sel(time=ds["valid_time"])
    expected = np.sqrt((error**2).mean(("init_time", "latitude", "longitude")))
    np.testing.assert_allclose(said["rmse"], expected, rtol=1e-5)
    assert (said["lead"], said["units"]) == ([1, 2, 3, 4, 5], "days")


# NetCDF


@pytest.mark.parametrize("members", [None, 2])
def test_a_file_for_each_start_date(tmp_path, members):
    ds = forecast(members=members)
    files = export("netcdf", ds, tmp_path / "files")
    assert [f.name for f in files] == ["forecast_20191230.nc", "forecast_20200101.nc", "forecast_20200103.nc"]
    opened = [xr.open_dataset(f) for f in files]
    whole = xr.concat([back(one) for one in opened], "init_time", data_vars="all", join="exact")
    whole.attrs.pop("history")
    xr.testing.assert_identical(label(whole).load(), ds)
    with netCDF4.Dataset(files[1]) as raw:  # as a reader sees it that knows nothing of us
        assert raw["time"].dimensions == ("time",)
        assert raw["time"].standard_name == "time"
        assert not raw.dimensions["time"].isunlimited()
        dates = netCDF4.num2date(raw["time"][:], raw["time"].units, raw["time"].calendar)
        assert [str(d)[:10] for d in dates] == ["2020-01-02", "2020-01-03", "2020-01-04", "2020-01-05"]
        start = raw["forecast_reference_time"]
        assert start.dimensions == ()
        assert str(netCDF4.num2date(start[...], start.units))[:10] == "2020-01-01"
        assert raw["forecast_period"].dimensions == ("time",)
        assert raw["forecast_period"][:].tolist() == [24, 48, 72, 96]
        assert raw["forecast_period"].units == "hours"
        assert "forecast_reference_time" in raw["thetao"].coordinates
        assert "forecast_period" in raw["thetao"].coordinates
        assert raw["zos"].cell_measures == "area: cell_area"
        assert "_FillValue" not in raw["latitude"].ncattrs()
        if members:
            assert raw["realization"].standard_name == "realization"


def test_the_files_follow_cf(tmp_path):
    if importlib.util.find_spec("compliance_checker") is None:
        pytest.skip("COMPLIANCE CHECKER ABSENT: pip install 'oceanx[dev]'")
    plainly = export("netcdf", forecast(1), tmp_path / "plain")
    members = export("netcdf", forecast(1, members=2), tmp_path / "members")
    hours = export("netcdf", forecast(1, step="90min"), tmp_path / "minutes")
    with xr.open_dataset(plainly[0]) as good:
        bad = good.load().assign(zos=good["zos"].assign_attrs(units="fathoms", standard_name="height_of_the_sea"))
    bad.to_netcdf(tmp_path / "bad.nc")
    question = json.dumps({"files": [str(f) for f in (*plainly, *members, *hours, tmp_path / "bad.nc")], "names": {}})
    done = subprocess.run([sys.executable, str(CHECKER), question], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    said = list(json.loads(done.stdout.splitlines()[-1])["files"].values())
    assert said[:3] == [[], [], []]
    assert "height_of_the_sea" in " ".join(said[3])


def test_names_of_files(tmp_path):
    six_hourly = forecast(every="6h", start="2019-12-30T06:00")
    files = export("netcdf", six_hourly, tmp_path, file="fc_{start}.nc", compression=0)
    assert [f.name for f in files] == ["fc_20191230T06.nc", "fc_20191230T12.nc", "fc_20191230T18.nc"]
    for options, message in (
        ({"file": "all.nc"}, "file: 'all.nc'; expected a name with {start}"),
        ({"file": "../{start}.nc"}, "expected a name"),
        ({"compression": 11}, "compression: 11; expected 0 to 9"),
    ):
        with pytest.raises(InputError, match=message):
            export("netcdf", six_hourly, tmp_path / "other", **options)
    with pytest.raises(InputError, match="several start dates within an hour"):
        export("netcdf", forecast(every="30min"), tmp_path / "other")
    with pytest.raises(InputError, match=r"fc_20191230T06\.nc: exists already"):
        export("netcdf", six_hourly, tmp_path, file="fc_{start}.nc")


# A table


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_every_number_of_a_place_comes_back(tmp_path, members, kind):
    ds = label(forecast(members=members).astype(kind))
    (file,) = export("csv", ds, tmp_path / "point.csv", lat=41.3, lon=341.8)
    table = pd.read_csv(file, comment="#", parse_dates=["init_time", "valid_time"])
    axes = ["init_time", "lead_time", *(["member"] if members else []), "depth"]
    assert list(table.columns) == [*axes[:2], "valid_time", *axes[2:], "thetao", "zos"]
    column = ds.isel(latitude=1, longitude=2)
    assert len(table) == 3 * 4 * 2 * (members or 1)
    for row in table.itertuples():
        at = {"init_time": row.init_time, "lead_time": pd.Timedelta(row.lead_time, "D")}
        at |= {"member": row.member} if members else {}
        assert row.valid_time == row.init_time + at["lead_time"]
        assert np.dtype(kind).type(row.thetao) == column["thetao"].sel(at | {"depth": row.depth}).values
        assert np.dtype(kind).type(row.zos) == column["zos"].sel(at).values
    said = [line for line in file.read_text().splitlines() if line.startswith("#")]
    assert "# cell centre: latitude 41, longitude -18" in said
    assert "# thetao: degrees_C, Potential temperature" in said
    assert "# lead_time: days" in said


def test_a_table_of_surface_variables_has_no_depth_and_the_sea_floor_is_empty(tmp_path):
    ds = forecast(names=("zos",))
    (file,) = export("csv", ds, tmp_path / "surface.csv", lat=41, lon=-18)
    table = pd.read_csv(file, comment="#", parse_dates=["init_time", "valid_time"])
    assert list(table.columns) == ["init_time", "lead_time", "valid_time", "zos"]
    (file,) = export("csv", forecast(1, 1), tmp_path / "floor.csv", lat=42, lon=-17)
    table = pd.read_csv(file, comment="#")
    assert table["thetao"].isna().tolist() == [False, True]
    assert table["zos"].notna().all()


def test_what_is_no_place_is_refused(tmp_path):
    ds = forecast()
    for where, message in (
        ({"lat": 40, "lon": -20}, "40, -20 is on land; the nearest wet cell is at 40, -19"),
        ({"lat": 70, "lon": -20}, "latitude 70: outside the grid"),
        ({"lat": 40}, "csv: of which place"),
    ):
        with pytest.raises(InputError, match=message):
            export("csv", ds, tmp_path / "point.csv", **where)
    with pytest.raises(InputError, match="is a folder; expected the name of a file"):
        export("csv", ds, tmp_path, lat=41, lon=-18)
    assert list(tmp_path.iterdir()) == []


# All of them


@pytest.mark.parametrize("name", FORECASTS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda ds: ds.drop_vars("valid_time"), "no coordinate 'valid_time'; add it with"),
        (lambda ds: ds.assign_coords(lead_time=[1, 2, 3, 4]), "lead_time: found int64, expected timedelta64"),
        (lambda ds: ds.assign_coords(longitude=ds["longitude"] + 360), "longitude: found 340 to 343"),
        (lambda ds: ds.isel(latitude=slice(None, None, -1)), "latitude: expected ascending"),
        (lambda ds: ds.isel(init_time=0), "no dimension 'init_time'"),
    ],
)
def test_what_is_no_forecast_is_refused_with_the_remedy(tmp_path, name, wrong, message):
    options = {"lat": 41, "lon": -18} if name == "csv" else {}
    with pytest.raises(InputError, match=message):
        export(name, wrong(forecast()), tmp_path / "there", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_or_export(tmp_path):
    with pytest.raises(InputError, match="unknown export 'netcfd'; did you mean 'netcdf'"):
        export("netcfd", forecast(), tmp_path / "there")
    with pytest.raises(InputError, match="unknown option of export csv 'latitude'"):
        export("csv", forecast(), tmp_path / "there", latitude=41)


@pytest.mark.parametrize("name", ["netcdf", "csv", "climpred"])
def test_an_export_that_fails_leaves_nothing_of_its_name(tmp_path, name, monkeypatch):
    """Interrupted after the first start date: what was there stays, and nothing half-written has its name."""
    options = {"lat": 41, "lon": -18} if name == "csv" else {}
    ds = forecast(like=plain())
    to = tmp_path / "there"

    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(name, ds, to, progress=stop, **options)
    left = [p.name for p in tmp_path.rglob("*")]
    assert not any("partial" in p for p in left)
    assert left == (["there", "forecast_20191230.nc"] if name == "netcdf" else [])
