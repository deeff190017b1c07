"""Stores follow CF, says the checker of IOOS.

It reads NetCDF, so a store is opened and written to a NetCDF file first. It uses the table of standard names that it
brings, so nothing here needs a network.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from raw_files import six_hourly

import oceanx.data as data
from oceanx.vocabulary.names import VARIABLES

CHECKER = Path(__file__).with_name("cf_checker.py")


def asked(files: list[Path], names: dict[str, str] | None = None) -> dict[str, Any]:
    """What the checker says of files and of standard names."""
    if importlib.util.find_spec("compliance_checker") is None:
        pytest.skip("COMPLIANCE CHECKER ABSENT: pip install 'oceanx[dev]'")
    question = json.dumps({"files": list(map(str, files)), "names": names or {}})
    done = subprocess.run([sys.executable, str(CHECKER), question], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def ocean(glorys, tmp_path):
    for day in ("2020-01-01", "2020-01-02"):
        glorys(day)
    return data.bake("glorys12", tmp_path / "merc*.nc", tmp_path / "ocean.zarr")


def test_stores_follow_cf(ocean, era5, tmp_path):
    """An ocean, an atmosphere with fluxes, both together; and one that does not, so that silence means something."""
    raw = [era5("instant.nc", ("u10", "t2m"), six_hourly("2020-01-01", 3))]
    raw += [era5("accum.nc", ("ssr", "tp"), six_hourly("2020-01-01", 3), "accum")]
    wrong = ocean.copy()
    wrong["thetao"] = wrong.thetao.assign_attrs(units="fathoms")
    wrong["zos"] = wrong.zos.assign_attrs(standard_name="height_of_the_sea")
    stores = {
        "ocean": ocean,
        "air": data.bake("era5_daily", raw, tmp_path / "air.zarr"),
        "both": data.open(tmp_path / "ocean.zarr", tmp_path / "air.zarr"),
        "wrong": wrong,
    }
    for name, ds in stores.items():
        ds.to_netcdf(tmp_path / f"{name}.nc")
    files = asked([tmp_path / f"{name}.nc" for name in stores])["files"]
    told = {Path(path).stem: said for path, said in files.items()}
    assert told["ocean"] == told["air"] == told["both"] == []
    assert "fathoms" in " ".join(told["wrong"])
    assert "height_of_the_sea" in " ".join(told["wrong"])


def test_every_standard_name_of_ours_is_cfs_with_a_unit_that_fits():
    ours = {row.standard_name: row.units for row in VARIABLES.values() if row.standard_name}
    assert asked([], ours)["names"] == []
    assert asked([], {"sea_water_salinity": "m", "saltiness": "1"})["names"] == [
        "sea_water_salinity: m against 1e-3",
        "saltiness: not in the table",
    ]


def test_the_axes_of_an_opened_store_have_no_fill_value(ocean, tmp_path):
    ocean.to_netcdf(tmp_path / "ocean.nc")
    with xr.open_dataset(tmp_path / "ocean.nc", decode_cf=False) as raw:
        assert not [name for name in ("time", "depth", "latitude", "longitude") if "_FillValue" in raw[name].attrs]
    ocean.to_zarr(tmp_path / "again.zarr", consolidated=False)
    xr.testing.assert_identical(data.open(tmp_path / "again.zarr"), ocean)
