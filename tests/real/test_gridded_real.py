"""Altimetry, L4 temperature, currents, climatologies and relief: an independent read with netCDF4, to the bit."""

from __future__ import annotations

import pickle
import warnings

import netCDF4
import numpy as np
import pytest

import oceanx.data as data
from oceanx.data.formats.part import Wanted
from oceanx.data.readers import reader

pytestmark = pytest.mark.real


def independent(path, name, dtype="f8"):
    """What netCDF4 makes of a variable, NaN where it masks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, about casting packed attributes
        with netCDF4.Dataset(path) as nc:
            return np.ma.filled(np.ma.asarray(nc[name][...]).astype(dtype), np.nan)


def same(ours, theirs):
    """Equal bit for bit where finite, NaN in the same places."""
    theirs = theirs.astype("f4")
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    finite = np.isfinite(theirs)
    np.testing.assert_array_equal(ours.values[finite].view("u4"), theirs[finite].view("u4"))


@pytest.mark.parametrize(
    ("file", "day", "names"),
    [("dt_blacksea_allsat_phy_l4_20160707.nc", "2016-07-07", ("adt", "sla", "ugos", "vgos", "ugosa", "vgosa")),
     ("dt_med_allsat_phy_l4_20050401-20050531.nc", "2005-04-01", ("adt",)),
     ("dt_med_allsat_phy_l4_20160515.nc", "2016-05-15", ("adt", "sla"))],
)  # fmt: skip
def test_duacs(real, tmp_path, file, day, names):
    path = real(f"obs/{file}")
    ds = data.bake("duacs", path, tmp_path / "d.zarr")
    assert {n.replace("adt", "zos") for n in names} == set(ds.data_vars)
    assert ds.time.values[0] == np.datetime64(day)
    for name in names:
        same(ds[name.replace("adt", "zos")], independent(path, name))
    same(ds.latitude.astype("f4"), independent(path, "latitude"))


def test_l4_temperature(real, tmp_path):
    path = real("obs/blacksea_sst_l4_20160707.nc")
    ds = data.bake("sst_l4", path, tmp_path / "d.zarr")
    same(ds.sst, independent(path, "analysed_sst") - 273.15)
    same(ds.sst_error, independent(path, "analysis_error"))
    assert 15 < float(ds.sst.mean()) < 30


def test_globcurrent(real, tmp_path):
    path = real("obs/globcurrent_agulhas_20020101-20020630.nc")
    ds = data.bake("globcurrent", path, tmp_path / "d.zarr")
    same(ds.uo[:, 0], independent(path, "eastward_eulerian_current_velocity"))
    same(ds.vo[:, 0], independent(path, "northward_eulerian_current_velocity"))


@pytest.mark.parametrize(("file", "samples"), [("glo12_hourly_currents_20260208.nc", 24),
                                               ("virtualship_argo_float_uv.nc", 4)])  # fmt: skip
def test_hourly_fields_become_daily_means(real, tmp_path, file, samples):
    """The last step is the first of the next day, and belongs to no whole day."""
    path = real(f"glorys/{file}")
    raw = independent(path, "uo")
    assert len(raw) == samples + 1
    ds = data.bake("glo12_hourly", path, tmp_path / "d.zarr")
    same(ds.uo, raw[:samples].mean(axis=0, keepdims=True))
    assert ds.uo.attrs["cell_methods"] == "time: mean"


def test_parts_of_grib_travel_to_other_processes(real, tmp_path):
    pytest.importorskip("eccodes")
    module = reader("era5")
    (part,) = module.parts(real("era5/era5-2mt-2019-03-uk.grib"), {"t2m": Wanted(("t2m",))}, tmp_path)
    there = pickle.loads(pickle.dumps(part))
    with part.open() as here, there.open() as remote:
        np.testing.assert_array_equal(part.read(here, "t2m", [0, 743]), there.read(remote, "t2m", [0, 743]))


def test_world_ocean_atlas(real, tmp_path):
    files = [real(f"clim/woa18_decav_t{month:02d}_04.nc") for month in range(1, 13)]
    ds = data.bake("woa", files, tmp_path / "w.zarr")
    np.testing.assert_array_equal(ds.time.dt.month, np.arange(1, 13))
    same(ds.t_insitu, np.concatenate([independent(file, "t_an") for file in files]))


@pytest.mark.parametrize(
    ("file", "name", "options"),
    [("etopo60.cdf", "ROSE", {}), ("srtm15_coarsened.nc", "z", {}),
     ("etopo5_coarsened_and_shifted.nc", "topo", {"axes": {"latitude": "topo_lat", "longitude": "topo_lon"}})],
)  # fmt: skip
def test_relief(real, tmp_path, file, name, options):
    path = real(f"static/{file}")
    ds = data.bake("relief", path, tmp_path / "r.zarr", options=options)
    heights = independent(path, name)
    if file == "etopo60.cdf":  # 20.5 to 379.5
        heights = np.roll(heights, -160, axis=1)
    same(ds.relief, heights)
    assert (np.diff(ds.longitude) > 0).all()
    assert 0.65 < float((ds["mask"] * ds.cell_area).sum() / ds.cell_area.sum()) < 0.75  # the sea's part of the Earth


def test_basins(real, tmp_path):
    path = real("static/basin_mask.nc")
    ds = data.bake("basins", path, tmp_path / "b.zarr")
    same(ds.basin, np.roll(independent(path, "basin"), 180, axis=2))
    names = ds.basin.attrs["flag_meanings"].split()
    assert len(names) == len(ds.basin.attrs["flag_values"]) == 58
    at = ds.basin.sel(latitude=40.5, longitude=-40.5, depth=0)
    assert names[int(at) - 1] == "Atlantic_Ocean"
