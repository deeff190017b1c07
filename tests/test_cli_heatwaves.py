"""Marine heatwaves at a prompt: what is written is what Python gives; wrong input is one line and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import Oceanx, exit_code
from test_docs import DOCS, quoted_commands

import oceanx as ox
from oceanx.cli import heatwaves as prompt
from oceanx.heatwaves.product import write_threshold
from oceanx.ocean import grid
from oceanx.ocean.labels import forecast_labels, label
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

TIME = pd.date_range("2001-01-01", "2004-03-31")
STARTS = pd.date_range("2004-01-20", periods=25)


def ocean() -> xr.Dataset:
    """Three years and a winter of surface temperature on 3 × 4 cells, one of them land."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((len(TIME), 3, 4))
    for t in range(1, len(x)):
        x[t] = 0.92 * x[t - 1] + 0.4 * x[t]
    x[:, 0, 0] = np.nan
    ds = xr.Dataset(
        {"sst": (("time", "latitude", "longitude"), (15 + x).astype("float32"), VARIABLES["sst"].attrs)},
        coords={
            "time": ("time", TIME, DIMENSIONS["time"]),
            "latitude": ("latitude", [-44.0, -43.0, -42.0], DIMENSIONS["latitude"]),
            "longitude": ("longitude", [148.0, 149.0, 150.0, 151.0], DIMENSIONS["longitude"]),
        },
    )
    return grid.complete(ds)


def forecast(ds: xr.Dataset, name: str, noise: float) -> xr.Dataset:
    """What happened, with errors."""
    fc = forecast_labels(STARTS, pd.timedelta_range("1D", periods=8), ds, attrs={"oceanx_model": name})
    there = ds["sst"].sel(time=fc["valid_time"]).drop_vars("time")
    error = np.random.default_rng(1).normal(0, noise, there.shape)
    fc["sst"] = (there + error).astype("float32").assign_attrs(VARIABLES["sst"].attrs)
    return label(fc)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ocean.zarr`, `good.zarr`, `poor.zarr` and `thr.zarr`, a threshold of 2001 to 2003."""
    folder, ds = tmp_path_factory.mktemp("shelf"), ocean()
    ds.chunk(time=100).to_zarr(folder / "ocean.zarr", consolidated=False)
    for name, noise in (("good", 0.2), ("poor", 1.0)):
        forecast(ds, name, noise).chunk(init_time=10).to_zarr(folder / f"{name}.zarr", consolidated=False)
    write_threshold(ox.heatwaves.threshold(ds, (2001, 2003)), folder / "thr.zarr")
    return folder


@pytest.fixture
def stores(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> xr.Dataset:
    """The stores of the shelf in the working directory, and the Dataset of the first."""
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return ocean()


def test_a_threshold_is_that_of_python(stores: xr.Dataset, oceanx: Oceanx) -> None:
    words = ("--baseline", "2001:2003", "--percentile", 85, "--half-width", 7, "--smooth", 11)
    answer = oceanx("heatwaves", "threshold", "ocean.zarr", *words, "--to", "made.zarr")
    assert answer.code == 0, answer.err
    assert "made.zarr: " in answer.out
    found = xr.open_zarr("made.zarr", consolidated=False)
    expected = ox.heatwaves.threshold(stores["sst"], (2001, 2003), 85, 7, 11)
    for name in ("climatology", "threshold"):
        np.testing.assert_array_equal(found[name], expected[name].transpose(*found[name].dims))
    assert found.attrs["oceanx_baseline"] == "2001/2003"
    assert found.attrs["oceanx_percentile"] == 85


@pytest.mark.parametrize(("words", "levels"), [((), 0), (("--depth", "90"), 1), (("--depth", "all"), slice(None))])
def test_a_threshold_is_of_the_surface_a_level_or_all(
    stores: xr.Dataset, oceanx: Oceanx, words: tuple[str, ...], levels: int | slice
) -> None:
    depth = xr.DataArray([0.5, 100.0], dims="depth", attrs=DIMENSIONS["depth"])
    thetao = (stores["sst"] - 3 * (depth > 1)).assign_coords(depth=depth).transpose("time", "depth", ...)
    deep = xr.Dataset({"thetao": thetao.astype("float32").assign_attrs(VARIABLES["thetao"].attrs)})
    deep.to_zarr("deep.zarr", consolidated=False)
    answer = oceanx("heatwaves", "threshold", "deep.zarr", "--baseline", "2001:2003", *words, "--to", "made.zarr")
    assert answer.code == 0, answer.err
    found = xr.open_zarr("made.zarr", consolidated=False)
    expected = ox.heatwaves.threshold(deep["thetao"].isel(depth=levels), (2001, 2003))
    np.testing.assert_array_equal(found["depth"], expected["depth"])
    np.testing.assert_array_equal(found["threshold"], expected["threshold"].transpose(*found["threshold"].dims))
    assert ("at 100 m" in answer.out) == (levels == 1)


@pytest.mark.parametrize("cells", [None, 1])
def test_events_are_those_of_python(stores: xr.Dataset, oceanx: Oceanx, cells: int | None) -> None:
    if cells:  # whole series of one row at a time: written one after the other
        stores.chunk(time=-1, latitude=cells).to_zarr("ocean.zarr", mode="w", consolidated=False)
    words = ("--threshold", "thr.zarr", "--to", "events.zarr", "--table", "events.csv")
    answer = oceanx("heatwaves", "detect", "ocean.zarr", *words)
    assert answer.code == 0, answer.err
    found = xr.open_zarr("events.zarr", consolidated=False)
    limits = ox.heatwaves.threshold(stores["sst"], (2001, 2003))
    expected = ox.heatwaves.detect(stores["sst"], limits)
    assert set(found.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name].transpose(*found[name].dims), rtol=1e-6, err_msg=name)
        assert found[name].attrs["long_name"] == expected[name].attrs["long_name"]
    table = pd.read_csv("events.csv", parse_dates=["date_start", "date_peak", "date_end"])
    rows = ox.heatwaves.events(expected)
    assert len(table) == len(rows) > 20
    assert f"{len(rows)} events" in answer.out
    np.testing.assert_array_equal(table["date_peak"], rows["date_peak"])
    np.testing.assert_allclose(table["intensity_max"], rows["intensity_max"], rtol=1e-6)
    assert table["category"].tolist() == rows["category"].astype(str).tolist()


def test_skill_is_that_of_python(stores: xr.Dataset, oceanx: Oceanx) -> None:
    words = ("--truth", "ocean.zarr", "--threshold", "thr.zarr", "--confidence", 0.9, "--to", "skill.nc")
    answer = oceanx("heatwaves", "skill", "good.zarr", "poor.zarr", *words)
    assert answer.code == 0, answer.err
    found = xr.open_dataset("skill.nc", decode_timedelta=True)
    limits = ox.heatwaves.threshold(stores["sst"], (2001, 2003))
    fcs = {name: forecast(stores, name, noise) for name, noise in (("good", 0.2), ("poor", 1.0))}
    expected = ox.heatwaves.skill(fcs, stores, limits, confidence=0.9)
    xr.testing.assert_allclose(found, expected)
    assert found["model"].values.tolist() == ["good", "poor", "anomaly_persistence", "climatology"]
    assert "hit_rate" in answer.out
    rows = [line.split() for line in answer.out.splitlines() if line.strip().startswith("8 ")]
    hit_rate = expected["hit_rate"].sel(category="Moderate").isel(lead_time=-1)
    assert [float(word) for word in rows[0][1:]] == pytest.approx(hit_rate.values.tolist(), abs=5e-3)


def test_skill_of_exceedance_and_regions(stores: xr.Dataset, oceanx: Oceanx) -> None:
    words = ("--truth", "ocean.zarr", "--threshold", "thr.zarr")
    assert oceanx("heatwaves", "skill", "good.zarr", *words, "--of", "exceedance", "--to", "days.nc").code == 0
    days = xr.open_dataset("days.nc", decode_timedelta=True)
    assert days.attrs["oceanx_of"] == "exceedance"
    assert "detected" not in days
    answer = oceanx("heatwaves", "skill", "good.zarr", *words, "--regions", "global,tasman_sea", "--to", "there.nc")
    assert answer.code == 0, answer.err
    assert {"global", "tasman_sea"} <= set(answer.out.splitlines())
    there = xr.open_dataset("there.nc", decode_timedelta=True)
    assert there["hits"].dims == ("model", "region", "lead_time", "category")
    np.testing.assert_allclose(there["hits"].sel(region="global"), there["hits"].sel(region="tasman_sea"))
    answer = oceanx("heatwaves", "skill", "good.zarr", *words, "--regions", "nowhere", "--to", "nowhere.nc")
    assert answer.code == 2
    assert "nowhere" in answer.err


def test_a_baseline_that_has_the_forecast_years_is_warned_of(stores: xr.Dataset, oceanx: Oceanx) -> None:
    stores.sel(time=slice("2001", "2003")).assign_coords(time=pd.date_range("2002-01-01", periods=1095)).to_zarr(
        "later.zarr", consolidated=False
    )
    words = ("heatwaves", "threshold", "later.zarr", "--to", "made.zarr", "--baseline")
    assert oceanx(*words, "2002:2004").code == 2  # ends a day short
    assert oceanx(*words, "2002:2003").code == 0
    stores.assign_coords(time=TIME - pd.Timedelta("365D")).to_zarr("earlier.zarr", consolidated=False)
    early = forecast(stores, "early", 0.2)
    early = label(early.assign_coords(init_time=early["init_time"] - np.timedelta64(365, "D")).drop_vars("valid_time"))
    early.to_zarr("early.zarr", consolidated=False)
    words = ("--truth", "earlier.zarr", "--threshold", "made.zarr", "--to", "skill.nc")
    with pytest.warns(UserWarning, match="has 2003 in it"):
        answer = oceanx("heatwaves", "skill", "early.zarr", *words)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("threshold ocean.zarr --baseline 2001 --to x.zarr", "expected two years"),
        ("threshold ocean.zarr --baseline 1982:2011 --to x.zarr", "baseline 1982 to 2011"),
        ("threshold ocean.zarr --baseline 2001:2003 --to thr.zarr", "thr.zarr: exists already"),
        ("threshold ocean.zarr --baseline 2001:2003 --smooth 4 --to x.zarr", "an odd number of days"),
        ("threshold absent.zarr --baseline 2001:2003 --to x.zarr", "absent.zarr"),
        ("detect ocean.zarr --threshold absent.zarr --to x.zarr", "absent.zarr: no such threshold"),
        ("detect ocean.zarr --threshold ocean.zarr --to x.zarr", "expected `climatology`"),
        ("detect ocean.zarr --threshold other.zarr --to x.zarr", "latitude: grids differ"),
        ("detect ocean.zarr --threshold thr.zarr --to good.zarr", "good.zarr: exists already"),
        ("detect ocean.zarr --threshold thr.zarr --to x.zarr --table good.zarr", "good.zarr: exists already"),
        ("detect ocean.zarr --threshold thr.zarr --to x.zarr --side below", "percentile 90"),
        ("skill good.zarr --truth ocean.zarr --threshold thr.zarr --to thr.zarr", "thr.zarr: exists already"),
        ("skill ocean.zarr --truth ocean.zarr --threshold thr.zarr --to x.nc", "init_time"),
        ("skill absent.zarr --truth ocean.zarr --threshold thr.zarr --to x.nc", "no such forecast"),
        ("skill good.zarr --truth ocean.zarr --threshold thr.zarr --history 3D --to x.nc", "at least 7"),
        ("skill good.zarr --truth short.zarr --threshold thr.zarr --to x.nc", "analysis: no 2004-01-06"),
        ("skill good.zarr --truth ocean.zarr --threshold other.zarr --to x.nc", "latitude: grids differ"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(
    stores: xr.Dataset, oceanx: Oceanx, words: str, message: str
) -> None:
    stores.sel(time=slice("2004-01-10", None)).to_zarr("short.zarr", consolidated=False)
    xr.open_zarr("thr.zarr", consolidated=False).isel(latitude=[0]).to_zarr("other.zarr", consolidated=False)
    before = sorted(map(str, Path().rglob("*")))
    answer = oceanx("heatwaves", *words.split())
    assert answer.code == 2, answer
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert sorted(map(str, Path().rglob("*"))) == before


def test_overwrite_replaces(stores: xr.Dataset, oceanx: Oceanx) -> None:
    words = ("--baseline", "2001:2002", "--to", "thr.zarr", "--overwrite")
    answer = oceanx("heatwaves", "threshold", "ocean.zarr", *words)
    assert answer.code == 0, answer.err
    assert xr.open_zarr("thr.zarr", consolidated=False).attrs["oceanx_baseline"] == "2001/2002"


def test_a_large_store_of_maps_is_sent_to_rechunk(
    stores: xr.Dataset, oceanx: Oceanx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt, "IN_MEMORY", 1000)
    answer = oceanx("heatwaves", "threshold", "ocean.zarr", "--baseline", "2001:2003", "--to", "made.zarr")
    assert answer.code == 2
    assert "oceanx rechunk ocean.zarr --for timeseries --to series.zarr" in answer.err
    ox.rechunk("ocean.zarr", "series.zarr", "timeseries")
    assert oceanx("heatwaves", "threshold", "series.zarr", "--baseline", "2001:2003", "--to", "made.zarr").code == 0


@pytest.mark.real
def test_the_tutorial_on_heatwaves_runs(
    real: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After the other tutorial, on the real file, with hardly any training and one winter of starts."""
    data = real("mhw/oisst_tasman16_19820101-20101231.nc").parents[1]
    monkeypatch.chdir(tmp_path)
    first, second = (quoted_commands(DOCS / f"tutorials/{name}.md") for name in ("sst_tasman", "heatwaves_tasman"))
    needed = [words for words in first if words[0] in ("bake", "train", "forecast") and "$SHARED/sst" not in str(words)]
    for words in [*needed, *second]:
        words = [
            word.replace("$SHARED", str(data)).replace("2004-01-01:2010-12-21", "2010-01-20:2010-02-20")
            for word in words
        ]
        words = [word.replace("2010-01-20:2010-02-20:7D", "2009-10-01:2010-02-20:7D") for word in words]
        words += ["iterations=[3, 2]", "batch_size=[4, 2]"] if words[0] == "train" else []
        assert exit_code(*words) == 0, (words, capfd.readouterr().err)
    out = capfd.readouterr().out
    assert "thr.zarr: 366 dayofyear × 16 latitude × 16 longitude; percentile 90 of 1982 to 2003" in out
    assert "events.csv: 14122 events" in out
    strongest = pd.read_csv("events.csv").sort_values("intensity_max").iloc[-1]
    assert strongest["date_start"] == "2010-02-07"
    assert strongest["date_end"] == "2010-03-10"
    for made in ("strongest.png", "heatwave_skill.png", "reliability.png"):
        assert Path(made).stat().st_size > 20_000
