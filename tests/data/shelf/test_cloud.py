"""Stores at an address, served from this machine: nothing here needs a network."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from oceanx.data.shelf import catalog
from oceanx.data.shelf.cloud import zarr_store
from oceanx.data.shelf.entries import Entry
from oceanx.data.shelf.foreign import translated
from oceanx.vocabulary.errors import InputError

pytest.importorskip("obstore", reason="OBSTORE ABSENT: pip install 'oceanx[cloud]'")

DAYS = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]").astype("datetime64[ns]")
SCALE, OFFSET, FILL = 7.32444226741791e-4, 21.0, np.int16(-32767)


class Forbidding(http.server.SimpleHTTPRequestHandler):
    """A server that answers 403 for whatever is not there, as some object stores do."""

    def send_error(self, code, message=None, explain=None):
        super().send_error(403 if code == 404 else code, message, explain)

    def list_directory(self, path):
        self.send_error(403)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def address(tmp_path):
    handler = functools.partial(Forbidding, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def arco(path: Path) -> np.ndarray:
    """A packed Zarr v2 store with `elevation`, deepest first, and longitudes from 0; its raw numbers."""
    raw = np.random.default_rng(0).integers(-30000, 30000, (4, 3, 5, 8)).astype("i2")
    raw[0, 0, 0, 0] = FILL
    attrs = {"scale_factor": SCALE, "add_offset": OFFSET, "_FillValue": FILL, "units": "degrees_C"}
    ds = xr.Dataset(
        {"thetao": (("time", "elevation", "latitude", "longitude"), raw, attrs), "colour": ("time", np.arange(4.0))},
        {
            "time": DAYS,
            "elevation": ("elevation", np.float32([-10, -5, -0.5]), {"positive": "up"}),
            "latitude": np.arange(5.0),
            "longitude": np.arange(0, 360, 45.0),
        },
    )
    ds.to_zarr(path, zarr_format=2, consolidated=True, encoding={"thetao": {"chunks": (1, 1, 5, 4)}})
    return raw


def test_a_store_elsewhere_comes_in_our_words_and_axes(address, tmp_path):
    raw = arco(tmp_path / "arco.zarr")
    ds = catalog.open(f"{address}/arco.zarr")
    assert list(ds.data_vars) == ["thetao"]
    assert ds.depth.values.tolist() == [0.5, 5, 10]
    assert ds.depth.attrs["positive"] == "down"
    assert ds.longitude.values.tolist() == [-180, -135, -90, -45, 0, 45, 90, 135]
    assert dask.is_dask_collection(ds.thetao.data)
    expected = (raw.astype("f8") * SCALE + OFFSET).astype("f4")
    expected[raw == FILL] = np.nan
    np.testing.assert_array_equal(ds.thetao, np.roll(expected[:, ::-1], 4, axis=3))


def test_a_forbidden_chunk_is_an_absent_one(address, tmp_path):
    arco(tmp_path / "arco.zarr")
    whole = catalog.open(f"{address}/arco.zarr").thetao.load()
    (tmp_path / "arco.zarr/thetao/3.2.0.1").unlink()  # last day, top level, longitudes from 180
    holed = catalog.open(f"{address}/arco.zarr").thetao.load()
    assert np.isnan(holed[3, 0, :, :4]).all()
    assert whole[3, 0, :, :4].notnull().all()
    whole[3, 0, :, :4] = np.nan
    np.testing.assert_array_equal(holed, whole)


def test_where_there_is_no_store_or_no_network_it_says_so(address, monkeypatch):
    with pytest.raises(InputError, match=r"nothing\.zarr: no store that may be read; it may not exist, or want cred"):
        catalog.open(f"{address}/nothing.zarr")
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/x\.zarr: cannot be reached .*is there a network\?"):
        catalog.open("http://127.0.0.1:9/x.zarr")
    with pytest.raises(InputError, match=r"ftp://x/y: url 'ftp://x/y'; expected one that begins with gs://"):
        catalog.open("ftp://x/y")


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="no Zarr store there; check the address"):
        catalog.open(f"file://{tmp_path}")


def test_without_the_extra_it_says_which(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(InputError, match=r"needs the extra `cloud`: pip install 'oceanx\[cloud\]'"):
        zarr_store("gs://bucket/x.zarr")


@pytest.mark.parametrize(
    ("url", "variable"),
    [("gs://bucket/x.zarr", "GOOGLE_APPLICATION_CREDENTIALS"), ("s3://bucket/x.zarr", "AWS_WEB_IDENTITY_TOKEN_FILE")],
)
def test_credentials_that_cannot_be_read_are_named(monkeypatch, tmp_path, url, variable):
    monkeypatch.setenv(variable, str(tmp_path / "no.json"))
    with pytest.raises(InputError, match=rf"{variable}: .*no\.json cannot be read \(No such file"):
        zarr_store(url)
    monkeypatch.delenv(variable)
    assert zarr_store(url).read_only  # nobody asks for any


def test_credentials_that_are_nonsense_are_refused(monkeypatch, tmp_path):
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(InputError, match=r"gs://bucket/x\.zarr: cannot be reached .*check the address and the cred"):
        zarr_store("gs://bucket/x.zarr")


def test_an_entry_of_many_stores_is_one_dataset(tmp_path, monkeypatch):
    """A store a month, CF names as variable names, float64, as OceanBench serves 1° GLORYS."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    days = pd.date_range("1993-01-01", "1993-03-31")
    height = np.random.default_rng(0).normal(size=(days.size, 3, 4))
    place = {"latitude": np.arange(3.0), "longitude": np.arange(4.0)}
    for month in (1, 2, 3):
        mine = days.month == month
        ds = xr.Dataset(
            {"sea_surface_height_above_geoid": (("time", "latitude", "longitude"), height[mine], {"units": "m"})},
            {"time": days[mine], **place},
        )
        ds.to_zarr(tmp_path / f"1993{month:02d}.zarr", zarr_format=2, consolidated=True)
    entry = {
        "name": "monthly",
        "description": "",
        "url": f"file://{tmp_path}/%Y%m.zarr",
        "every": "MS",
        "period": ["1993-01-01", "1993-03-31"],
        "citation": "A. Mariner (1993)",
    }
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/monthly.yaml").write_text(yaml.safe_dump(entry))
    ds = catalog.open("monthly", catalog=tmp_path / "shelf")
    np.testing.assert_array_equal(ds.zos, height.astype("f4"))
    assert (ds.time.values == days.values).all()
    assert ds.attrs["oceanx_citation"] == "A. Mariner (1993)"


def era5_like(**more) -> xr.Dataset:
    """ARCO-ERA5 in small: long names, latitude descending, a padded axis, accumulated energy, several winds."""
    dims, shape = ("time", "latitude", "longitude"), (10, 3, 4)
    numbers = np.arange(120.0, dtype="f4").reshape(shape)
    wind = {"units": "m s**-1", "standard_name": "eastward_wind"}
    return xr.Dataset(
        {
            "100m_u_component_of_wind": (dims, -numbers, wind),
            "10m_u_component_of_wind": (dims, numbers, wind),
            "u_component_of_wind": ((dims[0], "level", *dims[1:]), numbers[:, None], wind),
            "2m_temperature": (dims, numbers, {"units": "K"}),
            "sea_surface_temperature": (dims, numbers + 273.15, {"units": "K"}),
            "surface_net_solar_radiation": (dims, numbers * 3600, {"units": "J m**-2"}),
            "total_precipitation": (dims, numbers * 3.6e-3, {"units": "m"}),
        },
        {
            "time": pd.date_range("2020-01-01", periods=10, freq="6h"),
            "latitude": [60.0, 30.0, 0.0],
            "longitude": [0.0, 90.0, 180.0, 270.0],
            "level": [500],
        },
        {"valid_time_start": "2020-01-01", "valid_time_stop": "2020-01-02", **more},
    )


def test_an_atmosphere_of_long_names_is_sliced_turned_and_made_rates():
    ds = translated(era5_like(), "arco", accumulated=3600)
    assert set(ds.data_vars) == {"u10", "t2m", "sst", "ssr", "tp"}
    assert ds.sizes["time"] == 8  # the padded rest says nothing
    assert ds.latitude.values.tolist() == [0, 30, 60]
    assert ds.longitude.values.tolist() == [-180, -90, 0, 90]
    numbers = np.roll(np.arange(96.0, dtype="f4").reshape(8, 3, 4)[:, ::-1], 2, axis=2)
    np.testing.assert_array_equal(ds.u10, numbers)
    np.testing.assert_allclose(ds.sst, numbers, atol=2e-5)  # float32 kelvin know no more
    np.testing.assert_allclose(ds.ssr, numbers, rtol=1e-6)
    np.testing.assert_allclose(ds.tp, numbers * 1e-6, rtol=1e-6)
    assert ds.ssr.attrs["units"] == "W m-2"
    assert ds.ssr.attrs["cell_methods"] == "time: mean"
    assert all(v.dtype == np.float32 for v in ds.data_vars.values())


def test_accumulations_over_nobody_says_how_long_are_left_out_and_said():
    ds = translated(era5_like(), "arco")
    assert set(ds.data_vars) == {"u10", "t2m", "sst"}
    assert ds.attrs["comment"] == "left out, for want of a known unit: ssr (in J m**-2), tp (in m)"


def test_opening_a_vast_archive_takes_no_time(tmp_path):
    """120 years of hours, 40 variables: the graph is made only of what oceanx knows and the archive holds."""
    import time

    import zarr

    hours = np.arange(120 * 8766)
    group = zarr.open_group(tmp_path / "vast.zarr", mode="w", zarr_format=2)
    group.attrs.update({"valid_time_start": "1940-01-01", "valid_time_stop": "2019-12-31"})

    def axis(name, values, **attrs):
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=values.shape, fill_value=None)
        array[...] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": [name], **attrs})

    axis("time", hours, units="hours since 1900-01-01", calendar="proleptic_gregorian")
    axis("latitude", np.linspace(90, -90, 721))
    axis("longitude", np.arange(0, 360, 0.25))
    for name in ("2m_temperature", "mean_sea_level_pressure", *(f"field_{i}" for i in range(38))):
        shape, units = (hours.size, 721, 1440), {"2m_temperature": "K"}.get(name, "Pa")
        array = group.create_array(name, shape=shape, dtype="f4", chunks=(1, 721, 1440), fill_value=np.nan)
        array.attrs.update({"_ARRAY_DIMENSIONS": ["time", "latitude", "longitude"], "units": units})
    zarr.consolidate_metadata(tmp_path / "vast.zarr", zarr_format=2)
    begun = time.perf_counter()
    ds = catalog.open(f"file://{tmp_path}/vast.zarr")
    assert time.perf_counter() - begun < 30  # seconds; task by task it takes minutes
    assert set(ds.data_vars) == {"t2m", "msl"}
    assert str(ds.time.values[0])[:13] == "1940-01-01T00"
    assert ds.t2m.isel(time=7).load().isnull().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda ds: ds.rename(latitude="there"), "no latitude among"),
     (lambda ds: ds[["100m_u_component_of_wind"]], "no variable that oceanx knows"),
     (lambda ds: ds.assign_coords(longitude=[0.0, 90.0, 180.0, 360.0]), "longitude is not in order"),
     (lambda ds: ds.isel(latitude=[0, 2, 1]), "latitude is not in order"),
     (lambda ds: ds[["total_precipitation"]], r"no variable in units of ours; left out tp \(in m\)")],
)  # fmt: skip
def test_what_is_no_regular_grid_of_ours_is_refused(change, said):
    with pytest.raises(InputError, match=f"somewhere: {said}"):
        translated(change(era5_like()), "somewhere")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"path": "x.zarr"}, "give either path"), ({"url": None}, "give either path"),
     ({"url": "gs://b/%Y.zarr"}, "every, period and date fields"), ({"every": "MS"}, "every, period and date fields")],
)  # fmt: skip
def test_an_entry_names_one_place(changes, said):
    with pytest.raises(InputError, match=said):
        Entry.parse({"name": "x", "description": "", "url": "gs://b/x.zarr"} | changes)
