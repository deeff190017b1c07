"""Zarr stores of providers: the ARCO stores of GLORYS12 and ERA5, WeatherBench2, and object stores that say 403."""

from __future__ import annotations

import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from raw_files import DEPTH, FILL, LATITUDE, LONGITUDE, PACKING, packed, six_hourly

import oceanx.data as data
from oceanx.data.readers import reader
from oceanx.vocabulary.errors import InputError

DAYS = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")


def array(group, name, values, dims, attrs, chunks=None, fill=None):
    """One array as Zarr v2 has it for xarray: its dimensions are an attribute."""
    made = group.create_array(
        name, shape=values.shape, dtype=values.dtype, chunks=chunks or values.shape, fill_value=fill,
        config={"write_empty_chunks": False},
    )  # fmt: skip
    made.attrs.update(attrs | {"_ARRAY_DIMENSIONS": list(dims)})
    made[...] = values


@pytest.fixture
def arco(tmp_path):
    """The ARCO layout of GLORYS12: v2, consolidated, packed, `elevation` negative, deepest first, chunks of a tile."""
    path = tmp_path / "timeChunked.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    hours = (DAYS - np.datetime64("1950-01-01")).astype("i8") * 24
    array(group, "time", hours, ["time"], {"units": "hours since 1950-01-01", "calendar": "gregorian"})
    up = {"units": "m", "axis": "Z", "positive": "up", "standard_name": "height", "long_name": "Elevation"}
    array(group, "elevation", -DEPTH[::-1], ["elevation"], up)
    array(group, "latitude", LATITUDE, ["latitude"], {"units": "degrees_north", "standard_name": "latitude"})
    array(group, "longitude", LONGITUDE, ["longitude"], {"units": "degrees_east", "standard_name": "longitude"})
    raw = {}
    for name, (scale, offset, unit, middle) in PACKING.items():
        values = np.concatenate([packed(name, int(day.astype(int)), scale, offset, middle) for day in DAYS])
        raw[name] = values
        deep = values.ndim == 4
        dims = ["time", *(["elevation"] if deep else []), "latitude", "longitude"]
        attrs = {"scale_factor": scale, "add_offset": offset, "units": unit, "_FillValue": int(FILL)}
        chunks = (1, 1, 2, 5) if deep else (1, 2, 5)
        array(group, name, values[:, ::-1] if deep else values, dims, attrs, chunks, FILL)
    zarr.consolidate_metadata(path, zarr_format=2)
    return path, raw


def decoded(raw, name):
    """float64 arithmetic, rounded once; NaN for the fill value."""
    scale, offset, *_ = PACKING[name]
    return np.where(raw == FILL, np.nan, raw * scale + offset).astype("f4")


@pytest.mark.parametrize("recipe", ["glorys12", "cf"])
def test_the_arco_layout_of_glorys12(arco, tmp_path, recipe):
    path, raw = arco
    ds = data.bake(recipe, path, tmp_path / "g.zarr")
    np.testing.assert_array_equal(ds.depth, DEPTH)
    assert ds.depth.attrs["positive"] == "down"
    np.testing.assert_array_equal(ds.time, DAYS.astype("datetime64[ns]"))
    for name in PACKING:
        np.testing.assert_array_equal(ds[name], decoded(raw[name], name))


def test_a_chunk_that_is_absent_is_missing(arco, tmp_path):
    path, raw = arco
    (path / "thetao" / "1.2.0.0").unlink()  # the second day, the top level, the southern half
    ds = data.bake("cf", path, tmp_path / "g.zarr")
    expected = decoded(raw["thetao"], "thetao")
    expected[1, 0, :2] = np.nan
    np.testing.assert_array_equal(ds.thetao, expected)


def test_a_damaged_chunk_is_named(arco, tmp_path):
    path, _ = arco
    (path / "so" / "1.2.0.0").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"timeChunked\.zarr: so cannot be read"):
        data.bake("glorys12", path, tmp_path / "g.zarr")


class Forbidding(SimpleHTTPRequestHandler):
    """An object store that answers 403 for what it does not have."""

    def send_error(self, code, message=None, explain=None):
        super().send_error(403 if code == 404 else code, message, explain)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(arco):
    pytest.importorskip("obstore")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Forbidding, directory=str(arco[0].parent)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_object_store_that_answers_403_for_a_missing_key(arco, served):
    path, raw = arco
    (path / "thetao" / "1.2.0.0").unlink()
    module = reader("glorys12")
    (part,) = module.parts(f"{served}/timeChunked.zarr", module.everything(), Path())
    with part.open() as source:
        found = part.read(source, "thetao", [0, 1, 2])
    expected = decoded(raw["thetao"], "thetao")
    expected[1, 0, :2] = np.nan
    np.testing.assert_array_equal(found, expected)


def test_an_address_without_a_store(served):
    with pytest.raises(InputError, match=r"nothing\.zarr: is an address, but no Zarr store"):
        reader("glorys12").parts(f"{served}/nothing.zarr", {}, Path())


def test_a_folder_that_is_no_store(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError, match="raw: is a folder, but no Zarr store"):
        data.bake("glorys12", tmp_path / "raw", tmp_path / "g.zarr")


def era5_store(path, dims=("time", "latitude", "longitude"), zarr_format=2, **attrs):
    """A store with long names, in the layout of ARCO-ERA5 (padded) or WeatherBench2."""
    times = six_hourly("2020-01-01", 3)
    values = np.arange(12 * 4 * 5, dtype="f4").reshape(12, 4, 5)
    shape = {"time": 12, "latitude": 4, "longitude": 5, "level": 2}
    order = [("time", "latitude", "longitude").index(d) for d in dims]
    fields = {
        "10m_u_component_of_wind": (values / 10 - 10, "m s**-1"),
        "2m_temperature": (values / 10 + 270, "K"),
        "mean_sea_level_pressure": (values + 1e5, "Pa"),
        "sea_surface_temperature": (values / 100 + 280, "K"),
        "surface_net_solar_radiation": (values * 3600, "J m**-2"),
    }
    fields = {name: (v.astype("f4"), unit) for name, (v, unit) in fields.items()}
    found = {name: (dims, v.transpose(order), {"units": unit}) for name, (v, unit) in fields.items()}
    found["temperature"] = (("time", "level", *dims[1:]), np.zeros([shape[d] for d in ("time", "level", *dims[1:])]),
                            {"units": "K"})  # fmt: skip
    xr.Dataset(
        found,
        {"time": times, "level": [500, 850], "latitude": [41.5, 41.0, 40.5, 40.0],
         "longitude": [350.0, 350.5, 351.0, 351.5, 352.0]},
        attrs,
    ).to_zarr(path, zarr_format=zarr_format, consolidated=zarr_format == 2)  # fmt: skip
    return {name: v[:, ::-1] for name, (v, _) in fields.items()}


LONG = {"u10": "10m_u_component_of_wind", "t2m": "2m_temperature", "msl": "mean_sea_level_pressure"}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_arco_era5_is_read_between_its_own_valid_times(tmp_path, zarr_format):
    """The axis is padded with times that hold nothing; the attributes name the first and the last whole day."""
    path = tmp_path / "full_37-1h-0p25deg-chunk-1.zarr-v3"
    values = era5_store(path, zarr_format=zarr_format, valid_time_start="2020-01-01", valid_time_stop="2020-01-02")
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    assert ds.sizes["time"] == 8
    assert ds.time.values[-1] == np.datetime64("2020-01-02T18")
    for name, long in LONG.items():
        np.testing.assert_array_equal(ds[name], values[long][:8])
    np.testing.assert_array_equal(ds.sst, (values["sea_surface_temperature"][:8].astype("f8") - 273.15).astype("f4"))
    np.testing.assert_array_equal(ds.ssr, values["surface_net_solar_radiation"][:8] / np.float32(3600))
    assert ds.longitude.values.tolist() == [-10.0, -9.5, -9.0, -8.5, -8.0]


def test_arco_era5_that_holds_nothing_is_refused(tmp_path):
    era5_store(tmp_path / "x.zarr", valid_time_start="1940-01-01", valid_time_stop="1940-01-02")
    with pytest.raises(InputError, match="holds nothing between its own valid_time_start 1940-01-01"):
        data.bake("era5", tmp_path / "x.zarr", tmp_path / "e.zarr")


def test_weatherbench2_with_longitude_before_latitude(tmp_path):
    values = era5_store(tmp_path / "wb2.zarr", ("time", "longitude", "latitude"))
    ds = data.bake("era5_daily", tmp_path / "wb2.zarr", tmp_path / "e.zarr", variables=["t2m", "u10"])
    assert ds.t2m.dims == ("time", "latitude", "longitude")
    expected = values["2m_temperature"].reshape(3, 4, 4, 5).mean(axis=1, dtype="f8")
    np.testing.assert_array_equal(ds.t2m, expected.astype("f4"))


def test_an_atmosphere_is_not_read_as_an_ocean(tmp_path):
    """`temperature` on pressure levels is a name of ours for the ocean's."""
    era5_store(tmp_path / "x.zarr")
    assert set(reader("era5").read(tmp_path / "x.zarr")) == {"u10", "t2m", "msl", "sst", "ssr"}


def test_parts_travel_to_other_processes(arco, glorys, era5, tmp_path):
    era5_store(tmp_path / "wb2.zarr")
    times = six_hourly("2020-01-01", 1)
    new, old = tmp_path / "wb2.zarr", era5("x.nc", ("t2m", "u10"), times)
    for name, path in (("glorys12", arco[0]), ("cf", arco[0]), ("glorys12", glorys()), ("era5", new), ("era5", old)):
        module = reader(name)
        names = ("t2m",) if name == "era5" else ("thetao", "zos")
        wanted = {n: w for n, w in module.everything().items() if n in names}
        (part,) = module.parts(path, wanted, tmp_path)
        there = pickle.loads(pickle.dumps(part))
        assert there.fields.keys() == part.fields.keys() != set()
        with part.open() as here, there.open() as remote:
            for field in part.fields:
                np.testing.assert_array_equal(part.read(here, field, [0]), there.read(remote, field, [0]))
