"""Ocean-E2E's files there and back."""

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_files import coded, same_bits, stack, write_netcdf

import oceanx.data as data
from oceanx.export import export
from oceanx.vocabulary.errors import InputError

CONTENTS = {
    "mhw": ("mhw_{}.nc", ("sst", "zos", "u10", "v10", "t2m")),
    "forcing": ("025res_{}.nc", ("sst", "zos", "u10", "v10", "t2m")),
    "baseline": ("mhw_{}.nc", ("sst", "u10", "v10", "t2m")),
    "geostrophic": ("geo_{}.nc", ("ugos", "vgos")),
}


def overrides(**options):
    return {f"options.{key}": value for key, value in options.items()}


def read_netcdf(path, name):
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return file[name][...]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.sampled_from(sorted(CONTENTS)),
    rows=st.sampled_from(["north_to_south", "south_to_north"]),
    region=st.booleans(),
    repeated=st.booleans(),
    leap=st.sampled_from([None, "whole", "02-29", "12-31"]),
)
def test_file_to_store_to_file_is_bitwise_equal(tmp_path_factory, content, rows, region, repeated, leap):
    folder = tmp_path_factory.mktemp("there_and_back")
    name, order = CONTENTS[content]
    year, days = (2020, 366 if leap == "whole" else 365) if leap else (2019, 365)
    values = stack([(v, 0) for v in order], days, 3, 2)
    repeated = repeated and not region
    if repeated:
        values = np.concatenate([values, values[..., :1]], axis=-1)
    path = write_netcdf(folder / name.format(year), mhws_variables=values)
    told = {"rows": rows, "content": content, "repeated_column": repeated}
    if leap not in (None, "whole"):
        told["absent_day"] = leap
    where = {"latitude": [20, 40], "longitude": [-80, -70]} if region else {"resolution": 180, "latitude": [-60, 60]}
    ds = data.bake("ocean_e2e", path, folder / "s.zarr", **overrides(**told, **where))
    first = -80.0 if region else -180.0
    (file,) = export("ocean_e2e", ds, folder / "back", first_longitude=first, **told)
    assert file.name == name.format(year)
    assert same_bits(read_netcdf(file, "mhws_variables"), values)


def test_variables_of_their_own(tmp_path):
    apart = {n: coded(n, 0, 365, 3, 4) for n in ("ugos", "vgos")}
    path = write_netcdf(tmp_path / "SSH_low_processed_2019.nc", **apart)
    ds = data.bake("ocean_e2e", path, tmp_path / "s.zarr", **overrides(resolution=90))
    (file,) = export("ocean_e2e", ds, tmp_path / "back", content="altimetry")
    assert file.name == "SSH_low_processed_2019.nc"
    assert all(same_bits(read_netcdf(file, n), apart[n]) for n in apart)
    raw = coded("sst", 0, 365, 3, 4)
    path = write_netcdf(tmp_path / "CMEMS_2019_norm.nc", ssta_highres=raw)
    ds = data.bake("ocean_e2e", path, tmp_path / "t.zarr", **overrides(resolution=90, scaling={"sst": [0, 1]}))
    (file,) = export("ocean_e2e", ds, tmp_path / "back", content="anomaly", scaling={"sst": [0, 1]})
    assert file.name == "CMEMS_2019_norm.nc"
    assert same_bits(read_netcdf(file, "ssta_highres"), raw)


def test_the_file_has_coordinates(tmp_path):
    path = write_netcdf(tmp_path / "geo_2019.nc", mhws_variables=stack([("ugos", 0), ("vgos", 0)], 365, 2, 4))
    ds = data.bake("ocean_e2e", path, tmp_path / "s.zarr", **overrides(resolution=90, rows="north_to_south"))
    (file,) = export("ocean_e2e", ds, tmp_path / "back", content="geostrophic", rows="north_to_south", pad=True)
    with xr.open_dataset(file) as back:
        assert back.latitude.values.tolist() == [90, 0, -90]
        assert back.longitude.values.tolist() == [-180, -90, 0, 90]
        assert back.time.values[[0, -1]].tolist() == np.array(["2019-01-01", "2019-12-31"], "M8[ns]").tolist()
        assert back.mhws_variables.dims == ("time", "channel", "latitude", "longitude")
        assert back.mhws_variables.isel(latitude=-1).isnull().all()


def test_totals_need_a_climatology(tmp_path):
    values = stack([("sst", 0), ("u10", 0), ("v10", 0), ("t2m", 0)], 365, 3, 4)
    path = write_netcdf(tmp_path / "mhw_2019.nc", mhws_variables=values)
    ds = data.bake("ocean_e2e", path, tmp_path / "s.zarr", **overrides(resolution=90, quantity={"sst": "total"}))
    with pytest.raises(InputError, match="sst: Ocean-E2E files hold the anomaly, and the Dataset the other"):
        export("ocean_e2e", ds, tmp_path / "x", content="baseline")
    (file,) = export("ocean_e2e", ds, tmp_path / "back", content="baseline", climatology="2019:2019")
    back = read_netcdf(file, "mhws_variables")
    wet = np.isfinite(values[0, 0])
    assert abs(back[:, 0, wet].mean()) < 1e-4
    assert same_bits(back[:, 1:], values[:, 1:])
    with pytest.raises(InputError, match=r"climatology: away\.zarr: no such file"):
        export("ocean_e2e", ds, tmp_path / "y", content="baseline", climatology="away.zarr")
