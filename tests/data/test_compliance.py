"""Stores follow CF, says the checker of IOOS.

It reads NetCDF, so a store is opened and written to a NetCDF file first. It uses the table of standard names that it
brings, so nothing here needs a network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from raw_files import six_hourly

import oceanx.data as data
from oceanx.vocabulary.names import VARIABLES

suite = pytest.importorskip("compliance_checker.suite", reason="COMPLIANCE CHECKER ABSENT: pip install 'oceanx[dev]'")
NEWEST = "cf:1.11"
MEDIUM = 2  # its weights: 3 high, 2 medium, 1 low


def complaints(path: Path) -> list[str]:
    """What the checker has to say of a NetCDF file, of medium or high priority."""
    suite.CheckSuite.load_all_available_checkers()
    assert NEWEST in suite.CheckSuite.checkers
    checker = suite.CheckSuite()
    with checker.load_dataset(str(path)) as nc:
        groups, errors = checker.run_all(nc, [NEWEST])[NEWEST]
    assert not errors
    assert len(groups) > 10  # it did look
    return [said for group in groups if group.weight >= MEDIUM for said in failed(group)]


def failed(result: Any) -> list[str]:
    whole = result.value is True or (isinstance(result.value, tuple) and result.value[0] == result.value[1])
    below = [said for child in result.children or [] for said in failed(child)]
    return below or ([] if whole else [f"{result.name}: {said}" for said in result.msgs or ["failed"]])


@pytest.fixture
def no_network(monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("the checker asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def ocean(glorys, tmp_path):
    for day in ("2020-01-01", "2020-01-02"):
        glorys(day)
    return data.bake("glorys12", tmp_path / "merc*.nc", tmp_path / "ocean.zarr")


def test_an_ocean_store_follows_cf(ocean, tmp_path, no_network):
    ocean.to_netcdf(tmp_path / "ocean.nc")
    assert complaints(tmp_path / "ocean.nc") == []


def test_an_atmosphere_store_follows_cf(era5, tmp_path, no_network):
    files = [era5("instant.nc", ("u10", "t2m"), six_hourly("2020-01-01", 3))]
    files += [era5("accum.nc", ("ssr", "tp"), six_hourly("2020-01-01", 3), "accum")]
    data.bake("era5_daily", files, tmp_path / "air.zarr").to_netcdf(tmp_path / "air.nc")
    assert complaints(tmp_path / "air.nc") == []


def test_ocean_and_atmosphere_together_follow_cf(ocean, era5, tmp_path, no_network):
    data.bake("era5_daily", era5("u.nc", ("u10",), six_hourly("2020-01-01", 3)), tmp_path / "air.zarr")
    data.open(tmp_path / "ocean.zarr", tmp_path / "air.zarr").to_netcdf(tmp_path / "both.nc")
    assert complaints(tmp_path / "both.nc") == []


def test_what_breaks_cf_is_found(ocean, tmp_path, no_network):
    """So that an empty list of complaints means something."""
    wrong = ocean.copy()
    wrong.thetao.attrs["units"] = "fathoms"
    wrong.zos.attrs["standard_name"] = "height_of_the_sea"
    wrong.to_netcdf(tmp_path / "wrong.nc")
    said = " ".join(complaints(tmp_path / "wrong.nc"))
    assert "fathoms" in said
    assert "height_of_the_sea" in said


def test_every_standard_name_of_ours_is_cfs_with_a_unit_that_fits():
    from cf_units import Unit
    from compliance_checker.cf.util import StandardNameTable

    table = StandardNameTable()
    for variable in VARIABLES.values():
        if variable.standard_name:
            theirs = table[variable.standard_name].canonical_units
            assert not theirs or Unit(variable.units).is_convertible(Unit(theirs)), variable.name


def test_the_axes_of_an_opened_store_have_no_fill_value(ocean, tmp_path):
    ocean.to_netcdf(tmp_path / "ocean.nc")
    with xr.open_dataset(tmp_path / "ocean.nc", decode_cf=False) as raw:
        assert not [name for name in ("time", "depth", "latitude", "longitude") if "_FillValue" in raw[name].attrs]
    ocean.to_zarr(tmp_path / "again.zarr", consolidated=False)
    xr.testing.assert_identical(data.open(tmp_path / "again.zarr"), ocean)
