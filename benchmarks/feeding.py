"""How fast `batches` feeds windows, from memory and from the store, against memcpy, the store's decoding, and xbatcher.

Limits, measured in the same rounds: copying the bytes of the same windows (memcpy), and decoding every chunk of the
store once (zarr), in windows' worth of bytes a second.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
import xbatcher
import zarr
from rounds import interleaved, middle, report
from zarr.codecs import BloscCodec

from oceanx.data.catalog import open_store
from oceanx.data.chunking import days_at_once
from oceanx.ocean import grid
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES
from oceanx.workflows.batching import GlobalBatches, Windows, loader

VOLUME, SURFACE = ("thetao", "uo", "vo"), ("zos",)
STEPS, BATCH = 2, 4


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--days", type=int, default=240)
    parse.add_argument("--grid", type=int, nargs=3, default=(4, 72, 96), metavar=("DEPTH", "LAT", "LON"))
    parse.add_argument("--rounds", type=int, default=5)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "ocean.zarr"
        write_store(store, given.days, *given.grid)
        ds = open_store(store)
        task = Task(prognostic=Channels(volume=VOLUME, surface=SURFACE, depth=tuple(ds.depth.values.tolist())))
        kept, lazy = Windows(ds, task, STEPS), Windows(ds, task, STEPS)
        kept.keep_in_memory()
        count = len(kept) // BATCH * BATCH
        window = 4 * (STEPS + 1) * (len(VOLUME) * given.grid[0] + len(SURFACE)) * given.grid[1] * given.grid[2]
        source, target = torch.zeros(BATCH * window // 4), torch.ones(BATCH * window // 4)
        loaded = ds[list(task.names)].compute()
        cases: dict[str, Callable[[], object]] = {
            "memcpy": lambda: [target.copy_(source) for _ in range(count // BATCH)],
            "decode every chunk once": lambda: decode(store),
            "batches, in memory": lambda: drain(loader(kept, GlobalBatches(len(kept), BATCH))),
            "batches, from the store, in order": lambda: drain(
                loader(lazy, GlobalBatches(len(lazy), BATCH, shuffle=False))
            ),
            "batches, from the store, shuffled": lambda: drain(loader(lazy, GlobalBatches(len(lazy), BATCH))),
            "xbatcher, in memory": lambda: plain(loaded, count),
            "xbatcher, from the store": lambda: plain(ds[list(task.names)], count),
        }
        seconds = interleaved(cases, given.rounds)
        days = zarr.open_array(store / "thetao").chunks[0]
    decoded = given.days / (STEPS + 1)  # windows that share no day
    served = {name: decoded if name.startswith("decode") else count for name in cases}
    rate = {name: served[name] / middle(each) for name, each in seconds.items()}
    limits = {name: "memcpy" if "memory" in name or name == "memcpy" else "decode every chunk once" for name in cases}
    rows = [
        {
            "what": name,
            "windows/s": rate[name],
            "MB/s": rate[name] * window / 1e6,
            "limit": limits[name],
            "limit / this": rate[limits[name]] / rate[name],
        }
        for name in cases
    ]
    about = {
        "days": given.days,
        "grid": given.grid,
        "window MB": window / 1e6,
        "steps": STEPS,
        "batch": BATCH,
        "days a chunk": days,
    }
    report("feeding", f"feeding: windows of {STEPS + 1} days of {'×'.join(map(str, given.grid))}", rows, seconds, about)


def write_store(path: Path, days: int, levels: int, nlat: int, nlon: int) -> None:
    """A store with bake's chunks and codec."""
    rng = np.random.default_rng(0)
    latitude, longitude = 20 + 0.5 * np.arange(nlat), -70 + 0.5 * np.arange(nlon)
    waves = np.sin(np.arange(nlat)[:, None] / 9) * np.cos(np.arange(nlon) / 7)
    fields = {}
    for name in (*VOLUME, *SURFACE):
        shape = (days, levels, nlat, nlon) if name in VOLUME else (days, nlat, nlon)
        dims = ("time", *(("depth",) if name in VOLUME else ()), "latitude", "longitude")
        values = (waves + 0.01 * rng.standard_normal(shape)).astype("float32")
        fields[name] = (dims, values, VARIABLES[name].attrs)
    coords = {
        "time": ("time", pd.date_range("2001-01-01", periods=days), DIMENSIONS["time"]),
        "depth": ("depth", 10.0 + 20.0 * np.arange(levels), DIMENSIONS["depth"]),
        "latitude": ("latitude", latitude, DIMENSIONS["latitude"]),
        "longitude": ("longitude", longitude, DIMENSIONS["longitude"]),
    }
    ds = grid.complete(xr.Dataset(fields, coords))
    shapes = {str(name): v.shape[1:] for name, v in ds.data_vars.items()}
    chunk = days_at_once(shapes, days, "training")
    codec = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4)
    encoding = {name: {"compressors": codec, "chunks": (chunk, *shape)} for name, shape in shapes.items()}
    ds.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)


def decode(store: Path) -> None:
    """Every chunk of every variable, once."""
    for name in (*VOLUME, *SURFACE):
        _ = zarr.open_array(store / name, mode="r")[...]


def drain(batches: Iterable[object]) -> None:
    """Take every batch."""
    for _ in batches:
        pass


def plain(ds: xr.Dataset, count: int) -> None:
    """xbatcher's own generator, its windows stacked by numpy into batches."""
    sizes = {dim: STEPS + 1 if dim == "time" else size for dim, size in ds.sizes.items()}
    windows = xbatcher.BatchGenerator(ds, input_dims=sizes, input_overlap={"time": STEPS}, preload_batch=False)
    for at in range(0, count, BATCH):
        some = [windows[i] for i in range(at, at + BATCH)]
        _ = {name: torch.from_numpy(np.stack([one[name].values for one in some])) for name in ds.data_vars}


if __name__ == "__main__":
    main()
