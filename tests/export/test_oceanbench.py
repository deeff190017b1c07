"""OceanBench's challenger dataset: the layout to the letter, what is refused, and the package's own scores of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_forecast import NAMES, forecast, plain

from oceanx.export import export
from oceanx.export.oceanbench import GRIDS, challenger
from oceanx.ocean.derived import mixed_layer_depth
from oceanx.ocean.labels import label
from oceanx.vocabulary.constants import LEVELS_23
from oceanx.vocabulary.errors import InputError

SIX = [0.494025, 47.37369, 92.32607, 222.4752, 318.1274, 541.0889]
DIMS = ("first_day_datetime", "lead_day_index", "depth", "latitude", "longitude")
DAY = np.timedelta64(24, "h")


def globe(inits=2, leads=3, degrees=4.0, depth=LEVELS_23, **more):
    """Forecasts on a coarse grid of the globe, on the 23 levels of the published models."""
    like = plain(depth, np.arange(-90 + degrees / 2, 90, degrees), np.arange(-180 + degrees / 2, 180, degrees))
    return forecast(inits, leads, names=NAMES, like=like, start="2024-01-02", every="7D", **more)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    to = tmp_path_factory.mktemp("exported") / "bench"
    ds = globe()
    return ds, to, export("oceanbench", ds, to)


def test_the_layout_is_the_one_it_scores(exported):
    ds, to, files = exported
    assert files == [to / "challenger.zarr", to / "challenger.py"]
    assert zarr.open_group(to / "challenger.zarr", mode="r").metadata.zarr_format == 2
    assert (to / "challenger.zarr" / ".zmetadata").exists()
    namespace: dict = {}
    exec((to / "challenger.py").read_text(), namespace)
    found = namespace["challenger_dataset"]
    assert set(found.data_vars) == {"zos", "thetao", "so", "vo", "uo"}
    assert set(found.coords) == set(DIMS)
    for name, v in found.data_vars.items():
        assert v.dims == (DIMS if name != "zos" else (*DIMS[:2], *DIMS[3:]))
        assert v.dtype == np.float32
        assert v.attrs["standard_name"] == ds[name].attrs["standard_name"]
        assert v.attrs["units"] == ds[name].attrs["units"]
        assert dict(v.chunksizes)["lead_day_index"] == (1, 1, 1)
    assert {dim: found[dim].attrs for dim in DIMS[:2]} == {dim: {} for dim in DIMS[:2]}
    assert found["lead_day_index"].values.tolist() == [0, 1, 2]
    # The valid day of the first lead, not the day of the analysis.
    assert [str(d)[:16] for d in found["first_day_datetime"].values] == ["2024-01-03T00:00", "2024-01-10T00:00"]
    np.testing.assert_allclose(found["depth"], SIX, rtol=0)
    assert found["depth"].attrs["positive"] == "down"
    np.testing.assert_array_equal(found["latitude"], np.arange(-79.5, 90))
    np.testing.assert_array_equal(found["longitude"], np.arange(-179.5, 180))
    assert found.attrs["title"] == ds.attrs["title"]


@pytest.mark.parametrize(
    ("grid", "latitude", "longitude"),
    [
        ("one_degree", (-79.5, 89.5, 170), (-179.5, 179.5, 360)),
        ("quarter_degree", (-78, 89.75, 672), (-180, 179.75, 1440)),
        ("twelfth_degree", (-80, 90, 2041), (-180, 179 + 11 / 12, 4320)),
    ],
)
def test_the_grids_are_its_own(grid, latitude, longitude):
    found = challenger(globe(1, 1).chunk(), grid)  # laid out alone: nothing is computed
    for axis, (first, last, count) in (("latitude", latitude), ("longitude", longitude)):
        values = found[axis].values
        assert values.size == count
        np.testing.assert_allclose(values[[0, -1]], [first, last], atol=1e-9)
    assert found["thetao"].chunks


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 99))
def test_a_linear_ocean_stays_one(name, seed):
    """Linear in depth and latitude: bilinear onto the finer grid and linear between levels are both exact."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.1, 0.3), rng.uniform(-0.004, 0), rng.uniform(16, 20)
    a, b, c = (a, b, c) if name in ("thetao", "so") else (a / 100, b / 100, 0)
    ds = globe(1, 1).astype("f8")
    plane = c + a * abs(ds["latitude"]) * 0.1 + b * ds["depth"] * (1 if "depth" in ds[name].dims else 0)
    plane = plane if "depth" in ds[name].dims else plane.isel(depth=0)
    values = plane.broadcast_like(ds[name]).transpose(*ds[name].dims)
    ds = ds.assign({name: values.assign_attrs(ds[name].attrs)})
    found = challenger(ds)[name].isel(first_day_datetime=0, lead_day_index=0, longitude=100)
    away = found.where((abs(found["latitude"]) > 2) & (abs(found["latitude"]) < 88), drop=True)  # |φ| bends at 0
    expected = c + a * abs(away["latitude"]) * 0.1 + (b * away["depth"] if "depth" in away.dims else 0)
    np.testing.assert_allclose(away.transpose(*expected.dims), expected, rtol=1e-6, atol=1e-7)


def test_a_finer_forecast_gives_means_and_its_own_grid_is_left_alone():
    fine = globe(1, 1, degrees=0.5, depth=SIX)
    found = challenger(
        fine.drop_vars(["so", "uo", "vo"]).assign({n: fine[n] for n in ("so", "uo", "vo")}), "one_degree"
    )
    here = found["thetao"].isel(first_day_datetime=0, lead_day_index=0, depth=0).sel(latitude=10.5, longitude=20.5)
    cells = fine["thetao"].isel(init_time=0, lead_time=0, depth=0).sel(latitude=slice(10, 11), longitude=slice(20, 21))
    assert cells.shape == (2, 2)
    weights = np.diff(np.sin(np.deg2rad([10.0, 10.5, 11.0])))[:, None] * np.ones((1, 2))
    assert float(here) == pytest.approx(float(np.average(cells, weights=weights)), rel=1e-6)

    like = plain(SIX, np.arange(-79.5, 90), np.arange(-179.5, 180))
    own = forecast(1, 2, names=NAMES, like=like)
    same = challenger(own)
    np.testing.assert_array_equal(same["thetao"].values, own["thetao"].values)


def test_a_region_gives_its_part_of_the_grid():
    like = plain(LEVELS_23, np.arange(26.125, 56, 0.25), np.arange(-19.125, 5, 0.25))
    found = challenger(forecast(1, 1, names=NAMES, like=like))
    assert GRIDS["quarter_degree"][2] == 0.25
    np.testing.assert_allclose(found["latitude"].values[[0, -1]], [26.0, 56.0])
    np.testing.assert_allclose(found["longitude"].values[[0, -1]], [-19.25, 5.0])


def test_below_the_deepest_wet_level_nothing_is_made_up():
    ds = globe(1, 1)
    shallow = ds["depth"] <= 50  # sea floor below 50 m: 47.37 m lies between 40.34 m and 55.76 m
    found = challenger(ds.assign({n: ds[n].where(shallow) for n in ("thetao", "so", "uo", "vo")}))
    counts = found["thetao"].notnull().sum(("first_day_datetime", "lead_day_index", "latitude", "longitude"))
    assert (counts.values > 0).tolist() == [True] + [False] * 5


# What the package would score without a word


def celsius_as_anomaly(ds):
    return ds.assign(thetao=((ds["thetao"] - 15) / 2).assign_attrs(ds["thetao"].attrs))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda ds: ds.isel(depth=slice(1, None)), "levels from 2.64567 to 643.567 m; it scores from 0.494"),
        (lambda ds: ds.isel(depth=slice(0, 20)), "levels from 0.494025 to .* nothing is extrapolated"),
        (lambda ds: ds.assign_coords(depth=-ds["depth"]).isel(depth=slice(None, None, -1)), "depth: found -643.567"),
        (lambda ds: ds.isel(depth=slice(None, None, -1)), "depth: expected ascending"),
        (lambda ds: ds.isel(lead_time=[1, 0, 2]), "lead_time: expected increasing"),
        (lambda ds: ds.isel(lead_time=[0, 2]), "leads are 2 days .* apart, expected one day"),
        (lambda ds: label(ds.assign_coords(lead_time=ds["lead_time"] / 4)), "leads are 0 days 06:00:00 apart"),
        (lambda ds: label(ds.assign_coords(lead_time=ds["lead_time"] - DAY)), "lead_time 0 is the analysis"),
        (lambda ds: ds.isel(lead_time=[1, 2]), "first day .* is 2024-01-04 00:00:00; expected .* at most one"),
        (lambda ds: label(ds.assign_coords(init_time=ds["init_time"] + DAY // 2)), "is 2024-01-03 12:00:00; expected"),
        (lambda ds: label(ds.expand_dims(member=[0, 1])), "takes no ensembles; choose a member"),
        (lambda ds: ds.drop_vars("vo"), "the forecast lacks vo"),
        (lambda ds: ds.assign(so=ds["so"].isel(depth=0, drop=True)), "so has no depth"),
        (lambda ds: ds.assign(thetao=ds["thetao"].assign_attrs(units="K")), "thetao: found units='K'"),
        (lambda ds: ds.assign(zos=ds["zos"].assign_attrs(oceanx_quantity="anomaly",
                                                         long_name="Sea surface height anomaly")), "zos is an anomaly"),
        (lambda ds: ds.assign(so=ds["so"] - 35.0).assign(so=lambda d: d["so"].assign_attrs(ds["so"].attrs)),
         r"so of 2024-01-03 reaches from -\d.* expected 0 to 50: totals"),
        (celsius_as_anomaly, "thetao of 2024-01-03 is .* on average at the surface; expected 5 to 30"),
        (lambda ds: ds.assign(uo=ds["uo"] * 100).assign(uo=lambda d: d["uo"].assign_attrs(ds["uo"].attrs)),
         "uo of 2024-01-03 reaches from .* m s-1; expected -5 to 5"),
        (lambda ds: ds.assign(zos=ds["zos"].where(ds["init_time"] < ds["init_time"][1])),
         "zos of 2024-01-10 has no value on the grid"),
        (lambda ds: ds.drop_vars("valid_time"), "no coordinate 'valid_time'"),
        (lambda ds: ds.assign_coords(longitude=ds["longitude"] + 180), r"expected \[-180, 180\)"),
        (lambda ds: ds.isel(latitude=slice(None, None, -1)), "latitude: expected ascending"),
        (lambda ds: ds.assign_coords(lead_time=[1, 2, 3]), "lead_time: found int64"),
    ],
)  # fmt: skip
def test_what_would_be_scored_wrongly_is_refused(tmp_path, wrong, message):
    with pytest.raises(InputError, match=f"oceanbench: .*{message}"):
        export("oceanbench", wrong(globe()), tmp_path / "bench")
    assert not (tmp_path / "bench" / "challenger.zarr").exists()


def test_more_days_than_are_scored(tmp_path):
    ds = globe(1, 12)
    with pytest.raises(InputError, match="found 12 lead days, 10 are scored; say days=10"):
        challenger(ds)
    assert challenger(ds, days=7).sizes["lead_day_index"] == 7
    with pytest.raises(InputError, match="days=11; expected 1 to 10"):
        challenger(ds, days=11)
    with pytest.raises(InputError, match="unknown grid of OceanBench 'half_degree'"):
        challenger(globe(1, 1), "half_degree")
    like = plain(LEVELS_23, np.array([10.1, 10.2, 10.3]), np.array([20.1, 20.2, 20.3, 20.4]))
    small = forecast(1, 1, names=NAMES, like=like)
    with pytest.raises(InputError, match="less than two rows"):
        challenger(small, "one_degree")


# The package itself


def wheel(*scripts: Path):
    """What OceanBench says, in the interpreter that OCEANX_OCEANBENCH names."""
    python = os.environ.get("OCEANX_OCEANBENCH")
    if not python:
        pytest.skip("OCEANBENCH ABSENT: set OCEANX_OCEANBENCH to a python that has oceanbench 0.6.1 installed")
    done = subprocess.run(
        [python, str(Path(__file__).with_name("oceanbench_wheel.py")), *map(str, scripts)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def weighted_rms(error: xr.DataArray) -> np.ndarray:
    """By lead day: the root over space, then the mean over start dates, as the benchmark takes them."""
    weights = np.cos(np.deg2rad(error["latitude"]))
    mean = (error**2).weighted(weights).mean(("latitude", "longitude"))
    return np.sqrt(mean).mean("first_day_datetime").values


def test_the_package_scores_it_as_it_should(exported, tmp_path):
    ds, to, (_, script) = exported
    itself = wheel(script, script)
    assert itself["resolution"] == "one_degree"
    assert len(itself["scores"]) == 28
    assert all(max(row) == 0 for row in itself["scores"].values())
    # Another forecast of the same days; and one that is half a degree warmer.
    other = globe(seed=5)
    (store, script_other) = export("oceanbench", other, tmp_path / "other")
    warm = ds.assign(thetao=(ds["thetao"] + 0.5).assign_attrs(ds["thetao"].attrs))
    _, script_warm = export("oceanbench", warm, tmp_path / "warm")
    told = wheel(script, script_other)["scores"]
    a, b = (xr.open_zarr(path, consolidated=True).load() for path in (to / "challenger.zarr", store))
    labels = {"so": "Salinity (PSU) [sea_water_salinity]", "uo": "Zonal current (m/s) [eastward_sea_water_velocity]"}
    for name, said in labels.items():
        for k, depth in enumerate(("surface", "50m", "100m", "200m", "300m", "500m")):
            *rows, missing = told[f"{said}{{{depth}}}"]
            np.testing.assert_allclose(rows, weighted_rms((a[name] - b[name]).isel(depth=k).astype("f8")), rtol=1e-5)
            assert missing == 0
    layers = [layer_depth(x) for x in (a, b)]
    (mixed,) = (row for said, row in told.items() if said.startswith("Mixed layer depth"))
    np.testing.assert_allclose(mixed[:-1], weighted_rms(layers[0] - layers[1]), rtol=1e-3)
    warmer = wheel(script_warm, script)["scores"]
    for said, row in warmer.items():
        if said.startswith("Temperature"):
            np.testing.assert_allclose(row[:-1], 0.5, rtol=1e-5)


def layer_depth(ds: xr.Dataset) -> xr.DataArray:
    """Our mixed layer by its method."""
    ours = ds.rename(first_day_datetime="init_time", lead_day_index="lead_time")
    layer = mixed_layer_depth(ours, method="oceanbench").astype("f8")
    return layer.rename(init_time="first_day_datetime", lead_time="lead_day_index")


def test_an_export_that_exists_is_refused_and_replaced_only_when_complete(tmp_path):
    ds = globe(1, 1)
    export("oceanbench", ds, tmp_path / "bench")
    with pytest.raises(InputError, match=r"challenger\.zarr: exists already"):
        export("oceanbench", ds, tmp_path / "bench")
    with pytest.raises(InputError, match="so of"):
        export("oceanbench", ds.assign(so=-ds["so"].assign_attrs(ds["so"].attrs)), tmp_path / "bench", overwrite=True)
    kept = xr.open_zarr(tmp_path / "bench" / "challenger.zarr", consolidated=True)
    assert float(kept["so"].min()) > 0
    assert sorted(p.name for p in (tmp_path / "bench").iterdir()) == ["challenger.py", "challenger.zarr"]
    said = []
    export("oceanbench", globe(2, 1), tmp_path / "bench", overwrite=True, progress=lambda *words: said.append(words))
    assert [words[1:] for words in said] == [(1, 2), (2, 2)]
    assert pd.Timestamp(xr.open_zarr(tmp_path / "bench" / "challenger.zarr")["first_day_datetime"].values[1]).day == 10
