"""Staging, with clients of our own that have the real ones' signatures, fail at times, and are interrupted."""

from __future__ import annotations

import inspect
import json
import logging
import sys
import threading
import types
import zipfile
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import oceanx.data as data
from oceanx.data.formats.netcdf import LOCK
from oceanx.data.staging import stage
from oceanx.data.staging.tiles import Wish
from oceanx.vocabulary.errors import InputError

SECRET = {
    "COPERNICUSMARINE_SERVICE_USERNAME": "mariner",
    "COPERNICUSMARINE_SERVICE_PASSWORD": "kr4ken-deep",
    "CDSAPI_URL": "https://cds.climate.copernicus.eu/api",
    "CDSAPI_KEY": "0f0f-d34d-b33f",
}
DEPTH = np.array([0.494025, 47.373692], "f4")


class InvalidUsernameOrPassword(Exception):  # noqa: N818  # the toolbox's name
    """What the toolbox raises."""


def file(
    path: Path, times: np.ndarray, names: dict[str, bool], units: dict[str, str], steps: str | None = None
) -> None:
    """A small NetCDF file of variables with or without depth."""
    with LOCK, netCDF4.Dataset(path, "w") as nc:
        axes = {
            "time": times.astype("datetime64[h]").astype("i8"),
            "latitude": np.arange(3.0),
            "longitude": np.arange(4.0),
        }
        axes |= {"depth": DEPTH} if any(names.values()) else {}
        says = {
            "time": "hours since 1970-01-01",
            "depth": "m",
            "latitude": "degrees_north",
            "longitude": "degrees_east",
        }
        for name, values in axes.items():
            nc.createDimension(name, values.size)
            axis = nc.createVariable(name, values.dtype, (name,))
            axis.units = says[name]
            axis[:] = values
        for name, deep in names.items():
            dims = ("time", "depth", "latitude", "longitude") if deep else ("time", "latitude", "longitude")
            v = nc.createVariable(name, "f4", dims, fill_value=np.float32(9.97e36))
            v.units = units[name]
            if steps:
                v.GRIB_stepType = steps
            v[:] = 280.0 if units[name] == "K" else 0.5


class Service:
    """What all clients here share: calls are noted, and `trouble` decides what becomes of each."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        self.troubles: list[object] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.together: threading.Barrier | None = None

    def called(self, call: dict, path: Path) -> bool:
        """Note a call; raise, or leave half a file, if that is what comes next."""
        with self.lock:
            self.calls.append(call)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            trouble = self.troubles.pop(0) if self.troubles else None
        try:
            if self.together:
                self.together.wait(timeout=20)
            if isinstance(trouble, BaseException):
                path.write_bytes(b"\x89HDF half of a file")
                raise trouble
            if trouble is not None:
                path.write_bytes(trouble)
            return trouble is None
        finally:
            with self.lock:
                self.at_once -= 1


@pytest.fixture
def secrets(monkeypatch):
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def marine(monkeypatch, secrets):
    """A toolbox with the keyword arguments of copernicusmarine.subset 2.5.0."""
    service = Service()
    units = {"thetao": "degrees_C", "so": "1e-3", "uo": "m s-1", "vo": "m s-1", "zos": "m"}

    def subset(
        dataset_id=None, dataset_version=None, dataset_part=None, username=None, password=None, variables=None,
        minimum_longitude=None, maximum_longitude=None, minimum_latitude=None, maximum_latitude=None,
        minimum_depth=None, maximum_depth=None, vertical_axis="depth", start_datetime=None, end_datetime=None,
        minimum_x=None, maximum_x=None, minimum_y=None, maximum_y=None, coordinates_selection_method="inside",
        output_filename=None, file_format=None, service=None, request_file=None, output_directory=None,
        credentials_file=None, motu_api_request=None, overwrite=False, skip_existing=False, dry_run=False,
        disable_progress_bar=False, staging=False, netcdf_compression_level=0, netcdf3_compatible=False,
        chunk_size_limit=-1, raise_if_updating=False, platform_ids=None, polygons_file=None,
    ):  # fmt: skip
        call, path = dict(locals()), Path(output_directory) / output_filename
        if fake.called(call, path):
            day = np.datetime64(start_datetime[:10])
            file(path, np.array([day]), {name: name != "zos" for name in variables}, units)

    fake = service
    module = types.ModuleType("copernicusmarine")
    module.subset = subset
    monkeypatch.setitem(sys.modules, "copernicusmarine", module)
    return service


@pytest.fixture
def store(monkeypatch, secrets):
    """A Climate Data Store with cdsapi.Client 0.7.7's retrieve, which zips what is accumulated apart."""
    service = Service()
    short = {"10m_u_component_of_wind": "u10", "2m_temperature": "t2m", "surface_net_solar_radiation": "ssr"}
    units = {"u10": "m s**-1", "t2m": "K", "ssr": "J m**-2"}

    class Client:
        def __init__(self, url=None, key=None, quiet=False, debug=False, verify=None, timeout=60, progress=True):
            assert (url, key) == (SECRET["CDSAPI_URL"], SECRET["CDSAPI_KEY"])

        def retrieve(self, name, request, target=None):
            path = Path(target)
            if not service.called({"name": name, "request": request}, path):
                return
            days = [np.datetime64(f"{request['year'][0]}-{request['month'][0]}-{day}") for day in request["day"]]
            hours = np.array([day + np.timedelta64(int(h[:2]), "h") for day in days for h in request["time"]])
            names = [short[long] for long in request["variable"]]
            parts = {"instant": [n for n in names if n != "ssr"], "accum": [n for n in names if n == "ssr"]}
            members = {steps: held for steps, held in parts.items() if held}
            for steps, held in members.items():
                file(path.with_suffix(f".{steps}"), hours, dict.fromkeys(held, False), units, steps)
            if len(members) == 1:
                path.with_suffix(f".{steps}").rename(path)
                return
            with zipfile.ZipFile(path, "w") as archive:
                for steps in members:
                    archive.write(path.with_suffix(f".{steps}"), f"data_stream-oper_stepType-{steps}.nc")
                    path.with_suffix(f".{steps}").unlink()

    module = types.ModuleType("cdsapi")
    module.Client = Client
    monkeypatch.setitem(sys.modules, "cdsapi", module)
    return service


def test_a_day_a_file_and_the_files_bake(marine, tmp_path):
    told = []
    paths = stage(
        "glorys12", tmp_path / "raw", "2020-01-01:2020-01-03", box=(0, 3, 0, 2), depth=(0, 50),
        progress=lambda what, done, total: told.append((what, done, total)),
    )  # fmt: skip
    assert [path.name for path in paths] == [f"glorys12_2020010{day}.nc" for day in (1, 2, 3)]
    assert all(path.is_file() for path in paths)
    call = min(marine.calls, key=lambda call: call["start_datetime"])
    assert call["dataset_id"] == "cmems_mod_glo_phy_my_0.083deg_P1D-m"
    assert call["variables"] == ["thetao", "so", "uo", "vo", "zos"]
    edges = ("minimum_longitude", "maximum_longitude", "minimum_latitude", "maximum_latitude")
    assert [call[edge] for edge in edges] == [0, 3, 0, 2]
    assert (call["minimum_depth"], call["maximum_depth"]) == (0, 50)
    assert call["start_datetime"] == "2020-01-01T00:00:00"
    assert call["end_datetime"] == "2020-01-01T23:59:59"
    assert told[-1] == ("staging", 3, 3)
    ds = data.bake("glorys12", str(tmp_path / "raw" / "*.nc"), tmp_path / "glorys.zarr")
    assert dict(ds.sizes) == {"time": 3, "depth": 2, "latitude": 3, "longitude": 4}


def test_what_is_complete_is_not_fetched_again(marine, tmp_path):
    stage("glorys12", tmp_path, "2020-01-01:2020-01-03")
    (tmp_path / "glorys12_20200102.nc").write_bytes(b"\x89HDF\r\n\x1a\n cut short")
    marine.calls.clear()
    stage("glorys12", tmp_path, "2020-01-01:2020-01-04")
    assert sorted(call["start_datetime"][:10] for call in marine.calls) == ["2020-01-02", "2020-01-04"]
    marine.calls.clear()
    stage("glorys12", tmp_path, "2020-01-02:2020-01-03")
    assert marine.calls == []
    stage("glorys12", tmp_path, "2020-01-02:2020-01-03", resume=False)
    assert len(marine.calls) == 2


def test_failures_are_tried_again(marine, tmp_path):
    marine.troubles = [TimeoutError("gateway"), None, b"<html>busy</html>", ConnectionError("reset")]
    paths = stage("glorys12", tmp_path, "2020-01-01:2020-01-02", workers=1, pause=0.0)
    assert len(marine.calls) == 5
    for path in paths:
        with netCDF4.Dataset(
            path
        ) as nc:  # not left to the garbage collector, which would close it beside other threads
            assert nc.variables.keys() >= {"thetao", "zos"}


def test_an_interruption_loses_only_what_was_on_its_way(marine, tmp_path):
    marine.troubles = [None, None, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        stage("glorys12", tmp_path, "2020-01-01:2020-01-05", workers=1, pause=0.0)
    assert sorted(path.name for path in tmp_path.glob("*.nc")) == ["glorys12_20200101.nc", "glorys12_20200102.nc"]
    marine.calls.clear()
    stage("glorys12", tmp_path, "2020-01-01:2020-01-05", pause=0.0)
    assert sorted(call["start_datetime"][8:10] for call in marine.calls) == ["03", "04", "05"]


def test_a_user_who_stops_it_waits_for_no_pause(marine, tmp_path):
    def stop(what, done, total):
        raise KeyboardInterrupt

    marine.troubles = [None, OSError("busy")]
    with pytest.raises(KeyboardInterrupt):
        stage("glorys12", tmp_path, "2020-01-01:2020-01-05", workers=1, pause=3600.0, progress=stop)
    assert len(marine.calls) <= 2


def test_a_service_that_goes_on_failing_ends_it_and_keeps_the_secret(marine, tmp_path):
    marine.troubles = [None] + [OSError("no answer for mariner with kr4ken-deep")] * 5
    with pytest.raises(InputError, match=r"glorys12_20200102\.nc: failed 5 times \(OSError: no answer for … with …\)"):
        stage("glorys12", tmp_path, "2020-01-01:2020-01-09", workers=1, pause=0.0)
    assert len(marine.calls) == 6
    assert [path.name for path in tmp_path.glob("*.nc")] == ["glorys12_20200101.nc"]


def test_what_no_second_attempt_mends_is_not_tried_twice(marine, store, tmp_path):
    marine.troubles = [InvalidUsernameOrPassword("wrong")]
    with pytest.raises(InputError, match=r"refused by the service \(InvalidUsernameOrPassword: wrong\)"):
        stage("glorys12", tmp_path / "a", "2020-01-01", workers=1)
    forbidden = OSError("terms not accepted")
    forbidden.response = types.SimpleNamespace(status_code=403)
    store.troubles = [forbidden]
    with pytest.raises(InputError, match=r"era5_202001\.nc: refused by the service .*terms not accepted"):
        stage("era5", tmp_path / "b", "2020-01-01", workers=1, variables=["t2m"])
    assert len(marine.calls) == len(store.calls) == 1


def test_no_more_at_once_than_asked_for(marine, tmp_path):
    marine.together = threading.Barrier(3)
    stage("glorys12", tmp_path, "2020-01-01:2020-01-09", workers=3)
    assert marine.most_at_once == 3


def test_secrets_are_never_written_or_said(marine, store, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    stage("glorys12", tmp_path / "a", "2020-01-01")
    stage("era5", tmp_path / "b", "2020-01-01", variables=["t2m"])
    assert marine.calls[0]["username"] == "mariner"
    assert marine.calls[0]["credentials_file"] is None
    said = caplog.text + "".join(capfd.readouterr())
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in ("mariner", "kr4ken-deep", "0f0f-d34d-b33f"):
        assert secret not in said
        assert secret.encode() not in written


@pytest.mark.parametrize(
    ("name", "variables"),
    [("glorys12", "COPERNICUSMARINE_SERVICE_USERNAME and COPERNICUSMARINE_SERVICE_PASSWORD"),
     ("era5", "CDSAPI_URL and CDSAPI_KEY")],
)  # fmt: skip
def test_without_credentials_or_client_it_says_what_to_do(name, variables, tmp_path, monkeypatch, request):
    for secret in SECRET:
        monkeypatch.delenv(secret, raising=False)
    with pytest.raises(InputError, match=f"credentials: set {variables} in the environment"):
        stage(name, tmp_path, "2020-01-01")
    for secret, value in SECRET.items():
        monkeypatch.setenv(secret, value)
    for module in ("copernicusmarine", "cdsapi"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"is not installed; pip install 'oceanx\[(cmems|cds)\]'"):
        stage(name, tmp_path, "2020-01-01")


def test_era5_comes_by_the_month_with_the_hour_that_ends_the_last_day(store, tmp_path):
    names = ["u10", "t2m", "ssr"]
    paths = stage("era5", tmp_path / "raw", "2020-01-30:2020-01-31", box=(0, 3, 0, 2), variables=names)
    assert [path.name for path in paths] == ["era5_202001.nc", "era5_202002.nc"]
    assert all(zipfile.is_zipfile(path) for path in paths)
    request = min((call["request"] for call in store.calls), key=lambda request: request["month"])
    assert request["day"] == ["30", "31"]
    assert request["area"] == [2, 0, 0, 3]  # north, west, south, east
    assert request["time"] == [f"{hour:02d}:00" for hour in range(24)]
    assert request["variable"][0] == "10m_u_component_of_wind"
    assert (request["data_format"], request["download_format"]) == ("netcdf", "unarchived")
    assert {call["name"] for call in store.calls} == {"reanalysis-era5-single-levels"}
    ds = data.bake("era5_daily", str(tmp_path / "raw" / "*.nc"), tmp_path / "era5.zarr")
    assert ds.time.dt.day.values.tolist() == [30, 31]
    np.testing.assert_allclose(ds.ssr, 0.5 / 3600, rtol=1e-6)


def test_era5_without_accumulations_stops_at_the_last_day(store, tmp_path):
    assert len(stage("era5", tmp_path, "2020-01-30:2020-01-31", variables=["t2m"])) == 1
    store.calls.clear()
    stage("era5", tmp_path, "2020-01:2020-02", variables=["t2m"])
    assert sorted(call["request"]["month"][0] for call in store.calls) == ["01", "02"]  # January is whole only now


def test_a_file_that_lacks_a_variable_is_not_taken(marine, tmp_path):
    file(tmp_path / "right.nc", np.array([np.datetime64("2020-01-01")]), {"zos": False}, {"zos": "m"})
    marine.troubles = [(tmp_path / "right.nc").read_bytes()] * 5
    with pytest.raises(InputError, match=r"failed 5 times \(InputError: glorys12_20200101\.nc: lacks thetao for 2020"):
        stage("glorys12", tmp_path / "raw", "2020-01-01", variables=["zos", "thetao"], pause=0.0)


def test_one_folder_is_for_one_wish(marine, tmp_path):
    stage("glorys12", tmp_path, "2020-01-01", box=(0, 3, 0, 2))
    with pytest.raises(InputError, match=r"was begun with box \[0.0, 3.0, 0.0, 2.0\], now None; choose another folder"):
        stage("glorys12", tmp_path, "2020-01-01")
    assert json.loads((tmp_path / ".staging/wish.json").read_text())["service"] == "glorys12"


def test_a_second_process_is_refused(marine, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / ".staging").mkdir()
    with (tmp_path / ".staging/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is writing it"):
            stage("glorys12", tmp_path, "2020-01-01")


@pytest.mark.parametrize(
    ("words", "said"),
    [({"name": "glorys21"}, "unknown service to stage from 'glorys21'; did you mean 'glorys12'"),
     ({"time": "2020-01-01:"}, "expected the first and the last day"),
     ({"box": (10, -10, 0, 5)}, "stage the two sides of the date line apart"),
     ({"box": (0, 10, 5, 0)}, "south below north"), ({"box": (0, 10)}, "2 numbers; expected west,east,south,north"),
     ({"depth": (700, 0)}, "depth: 700:0; expected metres"), ({"workers": 0}, "workers: 0; expected at least 1"),
     ({"variables": ["u10"]}, "variable 'u10' is none of GLORYS12; choose from thetao, so")],
)  # fmt: skip
def test_wrong_wishes(marine, tmp_path, words, said):
    with pytest.raises(InputError, match=said):
        stage(**{"name": "glorys12", "to": tmp_path, "time": "2020-01-01"} | words)
    assert marine.calls == []


def test_days_of_a_wish_are_all_there():
    days = Wish(np.datetime64("2020-02-28"), np.datetime64("2020-03-01")).days
    assert days.astype(str).tolist() == ["2020-02-28", "2020-02-29", "2020-03-01"]


def test_the_real_toolbox_has_the_arguments_that_are_used(marine, tmp_path):
    stage("glorys12", tmp_path, "2020-01-01", box=(0, 3, 0, 2), depth=(0, 50))
    used = {name for name, value in marine.calls[0].items() if value not in (None, False, 0, -1)}
    sys.modules.pop("copernicusmarine")
    real = pytest.importorskip("copernicusmarine", reason="COPERNICUSMARINE ABSENT: pip install 'oceanx[cmems]'")
    assert used <= set(inspect.signature(real.subset).parameters)


def test_the_real_client_has_the_arguments_that_are_used():
    real = pytest.importorskip("cdsapi", reason="CDSAPI ABSENT: pip install 'oceanx[cds]'")
    assert {"url", "key", "quiet", "progress"} <= set(inspect.signature(real.Client.__init__).parameters)
    assert list(inspect.signature(real.Client.retrieve).parameters)[1:4] == ["name", "request", "target"]
