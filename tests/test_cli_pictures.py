"""Pictures and reports at a prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from command_line import Oceanx
from PIL import Image

import oceanx as ox


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ocean, a forecast of it, its scores by depth, and the heatwaves of one box of it."""
    root = tmp_path_factory.mktemp("pictures")
    ds = toy_dataset.ocean(60, start="2001-01-01")
    ds.to_zarr(root / "ocean.zarr", consolidated=False)
    fc = ox.forecast(ox.persistence(), ds, ["2001-01-10", "2001-01-20"], "4D")
    fc.to_zarr(root / "fc.zarr", consolidated=False)
    ox.score({"one": fc, "two": fc}, ds, metrics=["rmse", "bias"]).to_netcdf(root / "scores.nc")
    heat(ds).to_zarr(root / "events.zarr", consolidated=False)
    return root


def heat(ds: xr.Dataset) -> xr.Dataset:
    """What a detection of one event would give: ten days in one cell, three degrees above."""
    mean = ds.thetao.isel(depth=0, drop=True) * 0 + 15
    event = xr.zeros_like(mean, dtype="int32")
    event[20:30, 3, 4] = 1
    values = mean + 3.5 * event
    names = {"temperature": values, "climatology": mean, "threshold": mean + 1}
    fields = {name: v.assign_attrs(units="degrees_C", long_name=name.capitalize()) for name, v in names.items()}
    found = xr.Dataset({"event": event, "category": (3 * event).astype("int8"), **fields})
    return found.drop_vars([c for c in found.coords if c not in found.dims])


@pytest.fixture
def draw(shelf: Path, tmp_path: Path, oceanx: Oceanx, monkeypatch: pytest.MonkeyPatch):
    """A function that draws with these words and gives the exit code and what was said, and the target's path."""
    monkeypatch.chdir(shelf)

    def run(words: str, to: str = "figure.png") -> tuple[int, str, Path]:
        code, out, err = oceanx("plot", *words.split(), "--to", tmp_path / to)
        return code, out + err, tmp_path / to

    return run


FORECAST = "fc.zarr --var thetao --select init_time=2001-01-10 "
DRAWN = {
    "map": FORECAST + "--select lead_time=2D --select depth=45",
    "triptych": FORECAST + "--select lead_time=2D --select depth=45 --truth ocean.zarr",
    "section": FORECAST + "--select lead_time=2D --select longitude=-17",
    "hovmoller": "ocean.zarr --var thetao --select depth=0.5 --select latitude=33 --time 2001-01-05:2001-01-25",
    "profile": FORECAST + "--select latitude=0 --select longitude=-17",
    "skill": "scores.nc --var thetao,zos --select depth=0.5,45 --metric bias",
    "heatwave": "events.zarr",
}


@pytest.mark.parametrize("kind", DRAWN)
def test_figures_of_one_file_are_drawn(draw, kind: str) -> None:
    code, said, to = draw(f"{kind} {DRAWN[kind]}")
    assert code == 0, said
    with Image.open(to) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


def test_salinity_and_temperature_of_a_day_are_drawn(draw, shelf: Path, tmp_path: Path) -> None:
    ds = xr.open_zarr(shelf / "ocean.zarr", consolidated=False)
    salty = (ds.thetao * 0 + 35).assign_attrs(units="1e-3", standard_name="sea_water_salinity")
    ds[["thetao"]].assign(so=salty).drop_encoding().to_zarr(tmp_path / "salty.zarr", consolidated=False)
    code, said, to = draw(f"ts_diagram {tmp_path / 'salty.zarr'} --select time=2001-01-10")
    assert code == 0, said
    assert to.stat().st_size > 5000


def test_a_raw_file_is_drawn_under_its_own_names(draw, tmp_path: Path) -> None:
    sst = np.arange(20.0).reshape(1, 4, 5)
    day = {"time": [np.datetime64("2020-01-02", "ns")], "lat": [4.0, 3.0, 2.0, 1.0], "lon": np.arange(5.0)}
    xr.Dataset({"sst": (("time", "lat", "lon"), sst, {"units": "degC"})}, day).to_netcdf(tmp_path / "raw.nc")
    code, said, to = draw(f"map {tmp_path / 'raw.nc'} --var sst")
    assert code == 0, said
    assert to.stat().st_size > 5000


def test_an_animation_is_a_gif_of_all_leads(draw) -> None:
    code, said, to = draw("animation fc.zarr --var zos --select init_time=2001-01-10", "film.gif")
    assert code == 0, said
    with Image.open(to) as image:
        assert image.format == "GIF"
    code, said, _ = draw("animation fc.zarr --var zos --select init_time=2001-01-10")
    assert code == 2
    assert "expected a name that ends in .gif, .mp4" in said


def test_a_heatwave_is_drawn_where_and_when_it_is_asked_for(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    from oceanx.plot import events

    seen = {}
    drawn = events.heatwave
    monkeypatch.setattr(events, "heatwave", lambda ds, **options: seen.update(options) or drawn(ds, **options))
    place = "--select latitude=31.6 --select longitude=-18.1"
    code, said, _ = draw(f"heatwave events.zarr {place} --time 2001-01-15:2001-02-10 --title Warm")
    assert code == 0, said
    assert (seen["latitude"], seen["longitude"], seen["title"]) == (31.6, -18.1, "Warm")
    assert (seen["time"].start, seen["time"].stop) == ("2001-01-15", "2001-02-10")


REFUSED = {
    "an option it would not heed": ("map fc.zarr --var zos --truth ocean.zarr", "--truth: map takes none; it is for"),
    "a variable it does not take": ("heatwave events.zarr --var event", "--var: heatwave takes none"),
    "no truth": (f"triptych {FORECAST} --select lead_time=2D --select depth=45", "--truth: a triptych compares"),
    "several leads at once": (f"triptych {FORECAST} --truth ocean.zarr --select depth=45", "choose one start and one"),
    "no such day": ("hovmoller ocean.zarr --var zos --time 1990:1991", "--time 1990:1991: no day of it is there"),
    "no such dimension": ("skill scores.nc --time 2001:2001", "no dimension time"),
    "no salinity": ("ts_diagram fc.zarr", "needs so; found"),
    "no heatwaves": ("heatwave ocean.zarr", "no temperature, climatology, threshold, event"),
    "a place on land": ("heatwave events.zarr --select latitude=30 --select longitude=-20", "is it land?"),
    "a place that is none": ("heatwave events.zarr --select latitude=south", "expected a number of degrees"),
    "no probabilities": ("reliability scores.nc", "ends in '_reliability'"),
    "no spectra": ("spectrum scores.nc", "ends in '_spectrum'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line(draw, case: str) -> None:
    words, expected = REFUSED[case]
    code, said, to = draw(words)
    assert (code, said.count("\n")) == (2, 1), said
    assert expected in said
    assert not to.exists()


def test_the_triptych_is_of_the_truth_at_the_valid_time(draw, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from oceanx.plot import maps

    seen = {}
    monkeypatch.setattr(maps, "triptych", lambda truth, **o: seen.update(truth=truth, **o) or maps.map(truth))
    assert draw(f"triptych {FORECAST} --select lead_time=2D --select depth=45 --truth ocean.zarr")[0] == 0
    ocean = xr.open_zarr(shelf / "ocean.zarr", consolidated=False)
    expected = ocean.thetao.sel(time="2001-01-12").sel(depth=45, method="nearest").squeeze()
    np.testing.assert_array_equal(seen["truth"].values, expected.values)
    assert seen["forecast"].name == "thetao"


def test_a_report_of_no_run_is_refused(shelf: Path, oceanx: Oceanx) -> None:
    code, _, err = oceanx("report", shelf, "--to", shelf / "report.html")
    assert code == 2
    assert "is not a run folder" in err
