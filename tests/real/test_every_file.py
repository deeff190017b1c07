"""Every real file: under which recipe it bakes and what comes out, or why it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import oceanx.data as data
from oceanx.vocabulary.errors import InputError

pytestmark = pytest.mark.real

FOLDERS = ("glorys", "era5", "mhw", "obs", "clim", "static", "models")
GRID = "the grid is curvilinear"
TERRAIN = "the levels of .* follow the terrain"
COARSE = {"options": {"grid": {"resolution": 2.0, "placed": "nodes"}}}
TEXT = "is not NetCDF but text, a table or a series"
TOPO = {"axes": {"latitude": "topo_lat", "longitude": "topo_lon"}}
SHORT = {"sst": {"names": ["oisst_short"], "units": "degrees_C"}}

# (file, recipe, overrides, sizes of the store or words of the refusal)
TABLE: list[tuple[str, str, dict[str, Any], dict[str, int] | str]] = [
    ("glorys/GLORYS_NA_20120101.nc", "glorys12", {}, {"time": 1, "depth": 5, "latitude": 12, "longitude": 18}),
    ("glorys/GLORYS_NA_20121231.nc", "glorys12", {}, {"time": 1, "depth": 5, "latitude": 12, "longitude": 18}),
    ("glorys/GLORYS_coarse_test_data.nc", "glorys12", {}, {"time": 1, "depth": 6, "latitude": 37, "longitude": 39}),
    ("glorys/GLORYS_global_grid.nc", "glorys12", {}, "no time found"),
    ("glorys/glo12_cur_northsea_webform_20250101-02.nc", "glorys12", {"variables": ["uo", "vo"]},
     {"time": 2, "depth": 2, "latitude": 61, "longitude": 132}),
    ("glorys/glo12_hourly_currents_20260208.nc", "glo12_hourly", {},
     {"time": 1, "depth": 1, "latitude": 73, "longitude": 73}),
    ("glorys/glorys12_biscay_channel_20151116-18.nc", "glorys12", {},
     {"time": 3, "depth": 1, "latitude": 125, "longitude": 211}),
    ("glorys/glorys12_gulfstream_19930101-02.nc", "glorys12", {},
     {"time": 2, "depth": 1, "latitude": 64, "longitude": 64}),
    *((f"glorys/virtualship_argo_float_{v}.nc", "cf", {}, {"time": 5, "depth": 50, "latitude": 1, "longitude": 1})
      for v in ("s", "t", "uv")),
    ("era5/ERA5_regional_test_data.nc", "era5", {}, {"time": 2, "latitude": 161, "longitude": 321}),
    ("era5/cds_forecast_period_20260208.nc", "era5", {}, {"time": 26, "latitude": 16, "longitude": 16}),
    ("era5/cds_new_valdivia/data_stream-oper_stepType-accum.nc", "era5", {},
     {"time": 600, "latitude": 5, "longitude": 5}),
    ("era5/cds_new_valdivia/data_stream-oper_stepType-instant.nc", "era5", {},
     {"time": 600, "latitude": 5, "longitude": 5}),
    ("era5/cds_new_valdivia/flujos_valdivia_era5.nc", "era5", {}, {"time": 600, "latitude": 5, "longitude": 5}),
    ("era5/coast_wind_1.nc", "era5", {}, {"time": 30, "latitude": 61, "longitude": 73}),
    ("era5/era5-2mt-2019-03-uk.grib", "era5_daily", {}, {"time": 31, "latitude": 33, "longitude": 49}),
    ("era5/era5-single-level-scalar-time.grib", "era5", {}, {"time": 1, "latitude": 121, "longitude": 201}),
    ("era5/era5_expver_victoria_202010-202109.nc", "era5_monthly", {},
     {"time": 12, "latitude": 21, "longitude": 37}),
    ("mhw/oisst_tasman16_19820101-20101231.nc", "oisst", {}, {"time": 10592, "latitude": 16, "longitude": 16}),
    ("mhw/oisst_short.nc", "oisst", {"variables": SHORT}, {"time": 14975, "latitude": 2, "longitude": 2}),
    ("mhw/xmhw/oisst_2003_2004.nc", "oisst", {}, {"time": 731, "latitude": 8, "longitude": 4}),
    ("mhw/xmhw/land.nc", "oisst", {}, "sst has no value anywhere"),
    ("mhw/xmhw/test_clim_oisst.nc", "oisst", {}, "no latitude found"),
    ("mhw/xmhw/test_clim_oisst_nosmooth.nc", "oisst", {}, "no latitude found"),
    *((f"mhw/{name}.csv", "oisst", {}, TEXT) for name in (
        "heatwaveR_sst_NW_Atl", "refrun_sst_NW_Atl_clim366_clim1983-2012", "refrun_sst_NW_Atl_events_clim1983-2012",
        "refrun_sst_WA_clim366_clim1982-2011", "refrun_sst_WA_events_clim1982-2011", "schlegel2019/clim_py",
        "schlegel2019/clim_py_random", "schlegel2019/mhwBlock", "schlegel2019/mhws_py",
        "schlegel2019/mhws_py_joinAG_5", "schlegel2019/mhws_py_joinAG_no", "schlegel2019/mhws_py_minD_3",
        "schlegel2019/mhws_py_pctile_95", "schlegel2019/mhws_py_random", "schlegel2019/mhws_py_spw_no",
        "schlegel2019/sst_WA", "schlegel2019/sst_WA_miss_random")),
    ("obs/dt_blacksea_allsat_phy_l4_20160707.nc", "duacs", {}, {"time": 1, "latitude": 56, "longitude": 120}),
    ("obs/dt_med_allsat_phy_l4_20050401-20050531.nc", "duacs", {}, {"time": 61, "latitude": 128, "longitude": 344}),
    ("obs/dt_med_allsat_phy_l4_20160515.nc", "duacs", {}, {"time": 1, "latitude": 128, "longitude": 344}),
    ("obs/blacksea_sst_l4_20160707.nc", "sst_l4", {}, {"time": 1, "latitude": 240, "longitude": 384}),
    ("obs/globcurrent_agulhas_20020101-20020630.nc", "globcurrent", {},
     {"time": 181, "depth": 1, "latitude": 41, "longitude": 81}),
    ("obs/oisst_erddap_20230827.nc", "oisst", {}, {"time": 1, "latitude": 212, "longitude": 212}),
    ("obs/Anticyclonic_20160515.nc", "cf", {}, "latitude and longitude share the dimension obs: points"),
    ("obs/Cyclonic_20160515.nc", "cf", {}, "latitude and longitude share the dimension obs: points"),
    ("obs/argo_5900865_prof.nc", "argo", {}, {"obs": 11334}),
    ("obs/argo_13857_prof.nc", "argo", {}, {"obs": 14148}),
    ("obs/class4_20200101_GIOPS_TEST_profile_obs000-049.nc", "class4", {}, {"obs": 7244, "lead_time": 10}),
    ("obs/insitu_drifter_2300691.nc", "drifter", {}, {"obs": 3063}),
    ("obs/barents_drifters_2022.nc", "drifter", {}, "holds positions only, no variable of ours"),
    *((f"clim/woa18_decav_t{month:02d}_04.nc", "woa", {}, {"time": 1, "depth": 1, "latitude": 11, "longitude": 11})
      for month in range(1, 13)),
    ("static/etopo60.cdf", "relief", {}, {"latitude": 180, "longitude": 360}),
    ("static/srtm15_coarsened.nc", "relief", {}, {"latitude": 216, "longitude": 432}),
    ("static/etopo5_coarsened_and_shifted.nc", "relief", {"options": TOPO}, {"latitude": 108, "longitude": 216}),
    ("static/basin_mask.nc", "basins", {}, {"depth": 33, "latitude": 180, "longitude": 360}),
    ("static/globe_combined_mask_compressed.npz", "relief", {}, "is not NetCDF but NumPy arrays"),
    ("models/Arctic20_1to5Feb_2016.nc", "cf", {}, GRID),
    ("models/Arctic20_1to5Feb_2016.nc", "curvilinear", COARSE,
     {"time": 5, "depth": 17, "latitude": 91, "longitude": 180}),
    ("models/Nordic_subset_day1.nc", "cf", {}, GRID),
    ("models/Nordic_subset_day1.nc", "curvilinear", COARSE, TERRAIN),
    ("models/Nordic_subset_day2.nc", "cf", {}, GRID),
    ("models/Nordic_subset_day2.nc", "curvilinear", COARSE, TERRAIN),
    ("models/croco_his.nc", "cf", {}, GRID),
    ("models/croco_his.nc", "curvilinear", COARSE, TERRAIN),
    ("models/croco_grd.nc", "cf", {}, "no latitude found"),
    ("models/croco_grd.nc", "curvilinear", COARSE, "no time found"),
    ("models/nemo_1m_20150101-20150201_grid-T.nc", "cf", {}, GRID),
    ("models/nemo_1m_20150101-20150201_grid-T.nc", "curvilinear", COARSE, "calendar '360_day' has days, such as"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "recipe", "overrides", "outcome"), TABLE, ids=[f"{r[0]}-{r[1]}" for r in TABLE])
def test_every_file_bakes_or_is_refused_with_its_reason(real, tmp_path, file, recipe, overrides, outcome):
    path = real(file)
    if isinstance(outcome, str):
        with pytest.raises(InputError, match=outcome) as caught:
            data.bake(recipe, path, tmp_path / "s.zarr", **overrides)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())
        return
    ds = data.bake(recipe, path, tmp_path / "s.zarr", **overrides)
    assert {dim: size for dim, size in ds.sizes.items() if dim != "bnds"} == outcome
    assert ds.data_vars
    assert any(bool(v.notnull().any()) for v in ds.data_vars.values())
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]
    xr.testing.assert_identical(data.open(tmp_path / "s.zarr"), ds)


def test_no_file_is_left_out(real):
    root = real("README.md").parent
    there = {str(f.relative_to(root)) for folder in FOLDERS for f in (root / folder).rglob("*") if f.is_file()}
    assert there == {row[0] for row in TABLE}


def test_every_recipe_is_in_the_table():
    """But for those of arrays that nobody published, of files that nobody may pass on, of other grids, and swaths."""
    elsewhere = {"neuralom", "neuralogcm", "hybridom", "ocean_e2e", "oneforecast", "glorys12_static"}
    elsewhere |= {"altimeter", "sst_swath"}
    shipped = {file.stem for file in (Path(__file__).parents[2] / "recipes").glob("*.yaml")}
    left = shipped - elsewhere - {row[1] for row in TABLE}
    assert {name for name in left if not name.endswith("deg")} == set()
