"""How fast `score` goes through stores of forecasts and truth, against reading them and doing nothing.

Both stores lie on the disk as `ox.forecast` and `ox.bake` leave them, and are read by the same xarray and zarr. The
limit reads every chunk that scoring needs once, a few start dates at a time. Fields are smooth with noise, rounded as
packed files are, so that they compress as real ones do.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from rounds import interleaved, middle, report
from zarr.codecs import BloscCodec

from oceanx.ocean import grid, labels
from oceanx.ocean.climatology import climatology
from oceanx.scores import score
from oceanx.scores.reading import BATCH_BYTES
from oceanx.vocabulary.names import VARIABLES

FIRST = "2020-01-01"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--starts", type=int, default=13, help="52 is a year of weekly forecasts")
    parse.add_argument("--leads", type=int, default=10)
    parse.add_argument("--levels", type=int, default=23)
    parse.add_argument("--degrees", type=float, default=1.0)
    parse.add_argument("--rounds", type=int, default=3)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        usual = write(root, given.starts, given.leads, given.levels, given.degrees)
        fc = labels.open_forecast(root / "fc.zarr")
        truth = xr.open_zarr(root / "truth.zarr", consolidated=False)
        quiet = {"metrics": ["rmse", "bias"], "references": False}
        anomalies = {"metrics": ["rmse", "bias", "acc"], "climatology": usual}
        cases = {
            "read forecast and truth": lambda: read(fc, truth),
            "rmse, bias": lambda: score(fc, truth, **quiet),
            "rmse, bias; persistence beside": lambda: score(fc, truth, metrics=["rmse", "bias"]),
            "rmse, bias, acc": lambda: score(fc, truth, references=False, **anomalies),
            "rmse, bias, acc; persistence and climatology beside": lambda: score(fc, truth, **anomalies),
            "rmse, bias in 13 regions": lambda: score(fc, truth, **quiet, by=["region"]),
        }
        spent: dict[str, list[float]] = {name: [] for name in cases}
        seconds = interleaved({name: measured(work, spent[name]) for name, work in cases.items()}, given.rounds)
        dates = np.unique(fc["valid_time"].values).size
        bytes_read = fc["thetao"].nbytes + dates * truth["thetao"][0].nbytes
    limit = middle(seconds["read forecast and truth"])
    work = {name: middle(each[1:]) for name, each in spent.items()}
    rows = [
        {
            "what": name,
            "s": middle(each),
            "MB/s float32": bytes_read / middle(each) / 1e6,
            "reading / time": limit / middle(each),
            "CPU s": work[name],
            "reading / CPU": work["read forecast and truth"] / work[name],
        }
        for name, each in seconds.items()
    ]
    about = {
        "forecast": dict(fc["thetao"].sizes),
        "MB of float32": bytes_read / 1e6,
        "cores": len(os.sched_getaffinity(0)),
    }
    title = f"score: {given.starts} starts × {given.leads} leads × {given.levels} levels at {given.degrees:g}°"
    report("scoring", title, rows, seconds, about)


def measured(work: Callable[[], object], spent: list[float]) -> Callable[[], None]:
    """The work, noting the processor's seconds: on a busy machine they tell more than the clock's."""

    def noted() -> None:
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)

    return noted


def read(fc: xr.Dataset, truth: xr.Dataset) -> None:
    """Every chunk that scoring needs, once."""
    step = max(1, BATCH_BYTES // fc["thetao"][0].nbytes)
    held: set[np.datetime64] = set()
    for first in range(0, fc.sizes["init_time"], step):
        part = fc["thetao"].isel(init_time=slice(first, first + step))
        np.asarray(part.data)
        new = sorted(set(part["valid_time"].values.ravel()) - held)
        np.asarray(truth["thetao"].sel(time=new).data)
        held |= set(new)


def write(root: Path, starts: int, leads: int, levels: int, degrees: float) -> xr.Dataset:
    """The two stores, and a climatology."""
    rng = np.random.default_rng(0)
    lat = np.arange(-90 + degrees / 2, 90, degrees)
    lon = np.arange(-180 + degrees / 2, 180, degrees)
    depth = np.linspace(0.5, 640, levels)
    init = pd.date_range(FIRST, periods=starts, freq="7D")
    days = pd.date_range(FIRST, init[-1] + pd.Timedelta(leads, "D"))
    warm = 28 * np.cos(np.deg2rad(lat))[:, None] + 2 * np.sin(np.deg2rad(3 * lon))
    usual = (np.exp(-depth / 300)[:, None, None] * warm).astype("f4")
    wet = (
        rng.random((1, len(lat) // 6 + 1, len(lon) // 6 + 1)).repeat(6, 1).repeat(6, 2)[:, : len(lat), : len(lon)] > 0.3
    )
    wet = np.broadcast_to(wet, usual.shape)

    def field(*shape: int) -> np.ndarray:
        noise = rng.normal(scale=0.5, size=(*shape, *usual.shape)).astype("f4")
        return np.where(wet, np.round((usual + noise) / 7.3e-4) * np.float32(7.3e-4), np.nan).astype("f4")

    coords = {"depth": depth, "latitude": lat, "longitude": lon}
    space = ("depth", "latitude", "longitude")
    attrs = VARIABLES["thetao"].attrs
    empty = xr.Dataset(coords={**coords, "mask": (space, wet.astype("i1"))})
    blosc = {"thetao": {"chunks": (1, *usual.shape), "compressors": BloscCodec(cname="lz4", typesize=4)}}
    for i, day in enumerate(days):
        ds = grid.complete(empty.assign_coords(time=[day]).assign(thetao=(("time", *space), field(1), attrs)))
        how = {"encoding": blosc, "mode": "w"} if i == 0 else {"append_dim": "time"}
        ds.to_zarr(root / "truth.zarr", zarr_format=3, consolidated=False, **how)
    for i, start in enumerate(init):
        ds = labels.forecast_labels([start], pd.timedelta_range("1D", periods=leads), empty)
        ds["thetao"] = (("init_time", "lead_time", *space), field(1, leads), attrs)
        how = (
            {"encoding": {"thetao": {"chunks": (1, 1, *usual.shape)}}, "mode": "w"}
            if i == 0
            else {"append_dim": "init_time"}
        )
        labels.label(ds).to_zarr(root / "fc.zarr", zarr_format=3, consolidated=False, **how)
    year = pd.date_range("2001-01-01", "2001-12-31", freq="10D").append(pd.DatetimeIndex(["2001-12-31"]))
    season = np.cos(2 * np.pi * year.day_of_year.values / 365)[:, None, None, None].astype("f4")
    past = xr.Dataset(
        {"thetao": (("time", *space), np.where(wet, usual + season, np.nan), attrs)}, {**coords, "time": year}
    )
    return climatology(past, harmonics=3)


if __name__ == "__main__":
    main()
