"""`oceanx assimilate` says what `ox.assimilate` says, with every option; what is wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from command_line import Oceanx
from toy_assimilation import scattered

import oceanx as ox

PERIOD = "2002-01-20:2002-01-22:1D"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year and a bit of two variables, observations in two stores, and a field of zeros."""
    root = tmp_path_factory.mktemp("assimilated")
    ds = toy_dataset.ocean(400, start="2001-01-01")[["thetao", "zos"]]
    ds.to_zarr(root / "ocean.zarr", consolidated=False)
    for seed in (0, 1):
        seen = scattered(ds, slice("2002-01-18", "2002-01-27"), 80, seed)
        seen.to_zarr(root / f"obs_{seed}.zarr", consolidated=False)
    xr.Dataset({"mdt": (0 * ds.zos[0]).drop_vars("time").assign_attrs(title="flat")}).to_netcdf(root / "mdt.nc")
    return root


def words(shelf: Path, to: str, *more: object) -> tuple[object, ...]:
    return ("assimilate", "persistence", "--obs", shelf / "obs_0.zarr", "--background", shelf / "ocean.zarr", "--time",
            PERIOD, "--to", shelf / to, *more)  # fmt: skip


def test_the_same_as_in_python(oceanx: Oceanx, shelf: Path) -> None:
    """Every option, and settings of the method, of quality and of representation."""
    code, _, _ = oceanx(
        "background-errors", "persistence", "--data", shelf / "ocean.zarr", "--time", "2001-01:2001-12", "--to",
        shelf / "errors.nc", "--count", 30, "--samples", 10,
    )  # fmt: skip
    assert code == 0
    code, out, err = oceanx(*words(
        shelf, "an.zarr", "--obs", shelf / "obs_1.zarr", "--method", "letkf", "--members", 6, "--start", "climatology",
        "--errors", shelf / "errors.nc", "--withhold", "ships", "--spread", "over the window", "--no-bounds", "--keep",
        "background,members", "--seed", 3, "--mean-topography", shelf / "mdt.nc", "inflation.rtps=0.4",
        "localisation.thetao.km=300", "quality.background=4", "representation.thetao=0.2",
    ))  # fmt: skip
    assert code == 0, err
    ds = ox.open(shelf / "ocean.zarr")
    expected = ox.assimilate(
        ox.persistence(), ox.open(shelf / "obs_0.zarr", shelf / "obs_1.zarr"), background=ds,
        time=slice("2002-01-20", "2002-01-22", "1D"), members=6, start="climatology", errors=shelf / "errors.nc",
        method={"kind": "letkf", "inflation": {"rtps": 0.4}, "localisation": {"thetao": {"km": 300}}},
        withhold="ships", spread="over the window", bounds=False, keep=["background", "members"], seed=3,
        quality={"background": 4}, representation={"thetao": 0.2},
        mean_topography=xr.open_dataset(shelf / "mdt.nc").mdt,
    )  # fmt: skip
    made = ox.open(shelf / "an.zarr")
    assert made.sizes["member"] == 6
    for name in expected.data_vars:
        np.testing.assert_array_equal(made[name].values, expected[name].values, err_msg=str(name))
    assert made.attrs == expected.attrs
    assert json.loads(made.attrs["oceanx_method"])["inflation"]["rtps"] == 0.4
    used, rejected = (int(made[f"observations_{what}"].sum()) for what in ("used", "rejected"))
    assert f"{shelf / 'an.zarr'}: 3 times; {used} observations used, {rejected} not" in out


def test_a_yaml_and_a_reference_that_learns(oceanx: Oceanx, shelf: Path) -> None:
    (shelf / "oi.yaml").write_text("kind: oi\nbackground: {kind: samples, length: 200}\n")
    more = (
        "--method",
        shelf / "oi.yaml",
        "background.length=300",
        "--errors",
        "2001-11:2001-12",
        "--train-data",
        shelf / "ocean.zarr",
        "--train",
        "2001:2001",
    )
    code, _, err = oceanx(
        *["damped_persistence" if word == "persistence" else word for word in words(shelf, "b.zarr", *more)]
    )
    assert code == 0, err
    config = json.loads(ox.open(shelf / "b.zarr").attrs["oceanx_method"])
    assert (config["kind"], config["background"]["length"]) == ("oi", 300)


def test_interrupted_and_resumed(oceanx: Oceanx, shelf: Path) -> None:
    more = ("--method", "oi", "--errors", "2001-11:2001-12")
    assert oceanx(*words(shelf, "c.zarr", *more))[0] == 0
    code, _, err = oceanx(*words(shelf, "c.zarr", *more))
    assert (code, "exists already" in err) == (2, True)
    assert oceanx(*words(shelf, "c.zarr", *more, "--resume"))[0] == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--method", "best"), "unknown method 'best'"),
        (("--method", "oi", "most=no"), "method: most"),
        (("--method", "oi", "background=strange"), "method: background"),
        (("--method", "oi", "quality.profiles=1"), "quality: profiles: unknown key"),
        (("--method", "oi", "members=3"), "write it as an option, --members"),
        (("--method", "oi", "--errors", "none.nc"), "errors: none.nc: no such file"),
        (("--method", "oi", "--basins", "none.nc"), "none.nc"),
        (("--method", ".", "inflation.rtps=1"), "a learned analysis has the settings it was trained with"),
        (("--method", "."), "is no run of a learned analysis"),
    ],
)
def test_what_is_wrong_is_one_line(oceanx: Oceanx, shelf: Path, more: tuple[str, ...], expected: str) -> None:
    code, _, err = oceanx(*words(shelf, "wrong.zarr", *more))
    assert code == 2
    assert expected in err
    assert len(err.strip().splitlines()) == 1
    assert not list(shelf.glob("wrong.zarr*"))


def test_a_span_without_dates(oceanx: Oceanx, shelf: Path) -> None:
    code, _, err = oceanx("assimilate", "persistence", "--obs", shelf / "obs_0.zarr", "--background",
                          shelf / "ocean.zarr", "--time", "2002", "--to", shelf / "wrong.zarr")  # fmt: skip
    assert (code, "expected first:last:window" in err) == (2, True)
