"""A small ocean with a continent, islands and a sloping floor, its forecast and its scores, all from closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

DEPTH = np.array([0.494025, 47.373692, 92.326073, 318.127411, 1062.439941])
MODELS = ("hybrid", "persistence", "damped_persistence", "climatology", "oracle")


def make_ocean(ny: int = 31, nx: int = 41) -> xr.Dataset:
    """Sixteen days of a basin: land to the west, two islands, a floor that slopes up to them."""
    latitude, longitude = np.linspace(20.5, 50.5, ny), np.linspace(-80.0, -40.0, nx)
    time = pd.date_range("2020-06-01", periods=16)
    y, x = np.meshgrid(latitude, longitude, indexing="ij")
    shore = -76.0 + 6.0 * np.sin((y - 20) / 12.0)
    offshore = np.minimum(x - shore, np.hypot(x + 55, 1.2 * (y - 33)) - 1.8)
    offshore = np.minimum(offshore, np.hypot(x + 62, y - 26) - 1.1)
    mask = (offshore[None] > np.linspace(0, 4.0, DEPTH.size)[:, None, None]).astype("int8")
    days = np.arange(time.size)[:, None, None, None]
    wave = np.sin(0.7 * x - 0.08 * days) * np.cos(0.5 * y)
    decay = np.exp(-DEPTH / 500.0)[None, :, None, None]
    thetao = (27 - 0.5 * (y - 20) + 1.4 * wave) * decay + 2
    uo, vo = 0.4 * wave * decay, 0.3 * np.cos(0.7 * x - 0.08 * days) * np.sin(0.5 * y) * decay
    so = 35 + 0.03 * (40 - y) + 0.1 * wave + 0 * decay
    dims = ("time", "depth", "latitude", "longitude")
    wet = mask[None] == 1
    volume = {"thetao": thetao, "so": so, "uo": uo, "vo": vo}
    ds = xr.Dataset(
        {n: (dims, np.where(wet, v, np.nan).astype("float32"), VARIABLES[n].attrs) for n, v in volume.items()},
        {"time": time, "depth": DEPTH, "latitude": latitude, "longitude": longitude},
    )
    zos = np.where(wet[:, 0], 0.4 * wave[:, 0], np.nan).astype("float32")
    ds["zos"] = (("time", "latitude", "longitude"), zos, VARIABLES["zos"].attrs)
    for name in ("depth", "latitude", "longitude", "time"):
        ds[name].attrs.update(DIMENSIONS[name])
    return ds.assign_coords(mask=(("depth", "latitude", "longitude"), mask))


def make_forecast(ocean: xr.Dataset) -> xr.Dataset:
    """Ten daily leads from two starts, wrong by an amount that grows with the lead."""
    starts, leads = ocean["time"].values[[0, 3]], pd.timedelta_range("1D", periods=10)
    y, x = ocean["latitude"], ocean["longitude"]
    pieces = []
    for start in starts:
        piece = ocean.sel(time=start + leads.values).drop_vars("time").rename(time="lead_time")
        growth = xr.DataArray(np.arange(1, 11) / 10.0, dims="lead_time")
        pieces.append(piece + growth * (0.6 * np.cos(0.4 * x + 0.3 * y) + 0.1))
    forecast = xr.concat(pieces, "init_time").assign_coords(init_time=starts, lead_time=leads.values)
    for name in forecast.data_vars:
        forecast[name].attrs = dict(ocean[name].attrs)
    forecast["lead_time"].encoding["dtype"] = "int64"
    return forecast.assign_coords(valid_time=forecast["init_time"] + forecast["lead_time"])


def make_scores() -> xr.Dataset:
    """RMSE of five models at leads 1 to 10: straight lines, so that tables can be computed by hand."""
    days = np.arange(1, 11)
    slope = {"hybrid": 0.06, "persistence": 0.1, "damped_persistence": 0.08, "climatology": 0.0, "oracle": 0.02}
    start = {"climatology": 0.8}
    rmse = np.stack([start.get(model, 0.0) + slope[model] * days for model in MODELS])
    deep = np.stack([rmse, 0.5 * rmse], axis=-1)
    return xr.Dataset(
        {
            "thetao_rmse": (("model", "lead_time", "depth"), deep, {"units": "degrees_C"}),
            "zos_rmse": (("model", "lead_time"), 0.1 * rmse, {"units": "m"}),
            "zos_acc": (("model", "lead_time"), 1 - rmse / 2, {"units": "1"}),
        },
        {"model": list(MODELS), "lead_time": days * np.timedelta64(1, "D"), "depth": DEPTH[[0, 2]]},
    )


def make_point(days: int = 200) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Temperature at one point with its climatology and a threshold one degree above: every category occurs."""
    time = pd.date_range("2011-01-01", periods=days)
    phase = 2 * np.pi * np.arange(days) / 365.25
    mean = 20 + 2 * np.cos(phase)
    warm = 5.5 * np.exp(-(((np.arange(days) - 80) / 14.0) ** 2)) + 0.5 * np.sin(np.arange(days) / 4.0)
    place = {"time": time, "latitude": -29.5, "longitude": 114.0}
    attrs = VARIABLES["sst"].attrs
    return tuple(  # type: ignore[return-value]
        xr.DataArray(values, place, ("time",), "sst", attrs) for values in (mean + warm, mean, mean + 1.0)
    )


@pytest.fixture
def ocean() -> xr.Dataset:
    return make_ocean()


@pytest.fixture
def forecast(ocean) -> xr.Dataset:
    return make_forecast(ocean)


@pytest.fixture
def scores() -> xr.Dataset:
    return make_scores()


@pytest.fixture
def point() -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    return make_point()


@pytest.fixture
def assert_tidy(monkeypatch):
    """A function that draws a figure and fails where a text is too small, cut off, or runs into another."""
    drawn: list[Text] = []
    draw = Text.draw

    def record(text: Text, renderer, *args, **kwargs) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", record)

    def check(figure) -> None:
        canvas = FigureCanvasAgg(figure)
        drawn.clear()
        canvas.draw()
        page, boxes = figure.bbox, [(text, text.get_window_extent(canvas.get_renderer())) for text in drawn]
        assert boxes
        for place, (one, a) in enumerate(boxes):
            assert one.get_fontsize() >= 10, f"{one.get_text()!r} is too small to read"
            assert page.x0 <= a.x0 < a.x1 <= page.x1, f"{one.get_text()!r} leaves the figure sideways"
            assert page.y0 <= a.y0 < a.y1 <= page.y1, f"{one.get_text()!r} leaves the figure above or below"
            for other, b in boxes[place + 1 :]:
                apart = min(a.x1, b.x1) - max(a.x0, b.x0) < 1 or min(a.y1, b.y1) - max(a.y0, b.y0) < 1
                assert apart, f"{one.get_text()!r} overlaps {other.get_text()!r}"

    return check
