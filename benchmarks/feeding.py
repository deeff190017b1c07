"""How fast `batches` feeds windows of a store that memory does not hold, against what its chunks can be decoded at.

One run, side by side: the limits (decoding the chunks of each window into memory that is there, by Blosc alone; copying
the bytes of a window), pairs of days, weeks and patches from float32 and from packed int16 stores, a plain xbatcher
generator, and the same numbers in HDF5, read as the published systems read theirs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
import xarray as xr
import xbatcher
import zarr
from numcodecs import blosc
from rounds import interleaved, middle, report
from zarr.codecs import BloscCodec

from oceanx.data.feeding.chunks import ChunkReader, _Bytes
from oceanx.data.shelf.catalog import open_store
from oceanx.data.writing.chunking import days_at_once, layout
from oceanx.ocean import grid
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES
from oceanx.workflows.batching import GlobalBatches, Windows, loader
from oceanx.workflows.order import PatchBatches
from oceanx.workflows.patches import Patches

VOLUME, SURFACE = ("thetao", "so", "uo", "vo"), ("zos", "siconc", "sithick", "usi", "vsi")
SCALES = {"thetao": (7.324442e-4, 21.0), "so": (1.5258789e-3, -1.5e-3)}  # as in GLORYS12
OTHER = (6.103702e-4, 0.0)
THREADS = 2
_HELD = 12  # days whose chunks the limits hold in memory: more than a processor's cache
_FLAT = 8  # days in HDF5, which is large


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--days", type=int, default=16)
    parse.add_argument("--grid", type=int, nargs=3, default=(23, 361, 720), metavar=("DEPTH", "LAT", "LON"))
    parse.add_argument("--patch", type=int, nargs=2, default=(120, 240), metavar=("ROWS", "COLUMNS"))
    parse.add_argument("--windows", type=int, default=6, help="windows taken in each case of a round")
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--folder", type=Path, help="where to write the stores for the time of the run")
    given = parse.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        plain, packed, flat = (Path(folder) / name for name in ("float32.zarr", "int16.zarr", "ocean.h5"))
        write(plain, packed, flat, given.days, *given.grid)
        cases, served = made(plain, packed, flat, given)
        seconds = interleaved(cases, given.rounds)
    rate = {name: served[name] / middle(each) for name, each in seconds.items()}
    limits = {name: next(limit for limit in LIMITS if _same_kind(limit, name)) for name in cases}
    rows = [
        {
            "what": name,
            "windows/s": rate[name],
            "GB/s": rate[name] * _bytes(name, given) / 1e9,
            "limit": limits[name],
            "share of limit": rate[name] / rate[limits[name]],
        }
        for name in cases
    ]
    about = {"days": given.days, "grid": given.grid, "patch": given.patch, "threads": THREADS, "windows": given.windows}
    report("feeding", f"feeding: windows of 97 channels {'×'.join(map(str, given.grid[1:]))}", rows, seconds, about)


LIMITS = ("memcpy", *(f"{kind}: decode limit" for kind in ("float32 pairs", "float32 weeks", "int16 pairs")))


def _same_kind(limit: str, name: str) -> bool:
    return limit.split(":")[0] == name.split(":")[0] or (limit == "memcpy" and "patches" in name)


def _bytes(name: str, given: argparse.Namespace) -> int:
    """Of one window, as float32."""
    depth, rows, columns = given.grid
    cells = given.patch[0] * given.patch[1] if "patches" in name else rows * columns
    return 4 * (7 if "weeks" in name else 2) * (len(VOLUME) * depth + len(SURFACE)) * cells


def made(
    plain: Path, packed: Path, flat: Path, given: argparse.Namespace
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """The cases of a round, and how many windows each of them takes."""
    cases: dict[str, Callable[[], object]] = {}
    count, few = given.windows, max(1, given.windows // 3)
    served: dict[str, int] = {}

    def case(name: str, windows: int, work: Callable[[], object]) -> None:
        cases[name], served[name] = work, windows

    source, target = (torch.ones(_bytes("pairs", given) // 4) for _ in range(2))
    case("memcpy", count, lambda: [target.copy_(source) for _ in range(count)])
    for kind, path in (("float32", plain), ("int16", packed)):
        ds = open_store(path)
        task = Task(prognostic=Channels(volume=VOLUME, surface=SURFACE, depth=tuple(ds.depth.values.tolist())))
        chunks = Chunks(ds)
        for what, steps, number in (("pairs", 1, count), ("weeks", 6, few))[: 1 if kind == "int16" else 2]:
            windows, following = (Windows(ds, task, steps) for _ in range(2))
            case(f"{kind} {what}: decode limit", number, partial(chunks.decode, number * (steps + 1)))
            case(f"{kind} {what}: read and decode limit", number, partial(chunks.read_and_decode, number * (steps + 1)))
            shuffled, in_order = (GlobalBatches(len(windows), 1, shuffle=shuffle) for shuffle in (True, False))
            # In decades of days shuffled windows have none in common, as they would have here.
            case(f"{kind} {what}: batches, shuffled", number, Fed(windows, shuffled, number, keep=0))
            case(f"{kind} {what}: batches, in order", number, Fed(following, in_order, number, keep=2**30))
            case(f"{kind} {what}: xbatcher", 1, Plain(ds[list(task.names)], steps))
            if kind == "float32":
                case(f"{kind} {what}: HDF5, as published systems read it", 1, Published(flat, steps))
        pieces = Patches(Windows(ds, task, 1), tuple(given.patch), 16)
        case(f"{kind} patches: batches", 16 * count, Fed(pieces, PatchBatches(len(pieces), 16, 16), count, keep=2**30))
    case("float32 patches: HDF5, as published systems read it", 2, Published(flat, 1, tuple(given.patch), 2))
    return cases, served


class Fed:
    """So many batches in a row, from the first to the last; another part of the order in every round."""

    def __init__(self, windows: Windows | Patches, order: GlobalBatches, count: int, keep: int):
        order.endless = True
        self.windows, self.order, self.count, self.keep = windows, iter(order), count, keep

    def __call__(self) -> None:
        whole = self.windows.windows if isinstance(self.windows, Patches) else self.windows
        whole._reading().limit = self.keep  # bytes of decoded days
        for _ in loader(self.windows, list(islice(self.order, self.count))):
            pass


class Chunks:
    """The chunks of some days, and what it costs at least to decode them: by Blosc alone, into the same buffers."""

    def __init__(self, ds: xr.Dataset):
        readers = [ChunkReader.of(ds[name]) for name in (*VOLUME, *SURFACE)]
        self.places = [
            [(r, r._where((day // r._chunk[0], z, 0, 0))) for r in readers for z in r._parts[0]]
            for day in range(min(ds.sizes["time"], _HELD))
        ]
        self.held = [[self._bytes(*place) for place in day] for day in self.places]
        self.memory = [np.empty(int(np.prod(r._chunk)), r.dtype) for r, _ in self.places[0]]
        self.pool, self.first = ThreadPoolExecutor(THREADS), 0

    @staticmethod
    def _bytes(reader: ChunkReader, where: tuple[int, ...]) -> bytes:
        with _Bytes(reader.files, where) as chunk:
            return bytes(chunk._source)

    def _wanted(self, days: int) -> list[tuple[int, int]]:
        """The next days, and the number of each chunk in them."""
        self.first += days
        some = [day % len(self.held) for day in range(self.first - days, self.first)]
        return [(day, number) for day in some for number in range(len(self.memory))]

    def decode(self, days: int) -> None:
        """Decode chunks that are in memory."""
        list(
            self.pool.map(lambda at: blosc.decompress(self.held[at[0]][at[1]], self.memory[at[1]]), self._wanted(days))
        )

    def read_and_decode(self, days: int) -> None:
        """Decode chunks from their files."""

        def one(at: tuple[int, int]) -> None:
            reader, where = self.places[at[0]][at[1]]
            with _Bytes(reader.files, where) as chunk:
                chunk.decode(self.memory[at[1]])

        list(self.pool.map(one, self._wanted(days)))


class Plain:
    """xbatcher's own generator, one window after another."""

    def __init__(self, ds: xr.Dataset, steps: int):
        sizes = {dim: steps + 1 if dim == "time" else size for dim, size in ds.sizes.items()}
        self.windows = xbatcher.BatchGenerator(ds, sizes, {"time": steps}, preload_batch=False)
        self.number = 0

    def __call__(self) -> None:
        window = self.windows[self.number % len(self.windows)].load()
        _ = {name: torch.tensor(v.fillna(0.0).values.astype(np.float32)) for name, v in window.data_vars.items()}
        self.number += 1


class Published:
    """`fields[time, channel, lat, lon]`: by a list of channels, numbers made of NaN, days joined, then a tensor."""

    def __init__(self, path: Path, steps: int, patch: tuple[int, int] | None = None, count: int = 1):
        self.path, self.days, self.patch, self.number, self.count = path, steps + 1, patch, 0, count

    def __call__(self) -> None:
        for _ in range(self.count):
            with h5py.File(self.path) as file:
                fields = file["fields"]
                channels = list(range(fields.shape[1]))
                first = self.number % (len(fields) - self.days + 1)
                box = (
                    (slice(None),)
                    if self.patch is None
                    else (slice(50, 50 + self.patch[0]), slice(90, 90 + self.patch[1]))
                )
                days = [np.nan_to_num(fields[(first + day, channels, *box)])[None] for day in range(self.days)]
            _ = torch.from_numpy(np.concatenate(days))
            self.number += 1


def write(plain: Path, packed: Path, flat: Path, days: int, levels: int, nlat: int, nlon: int) -> None:
    """The same numbers as float32 and int16 stores with bake's chunks and codec, and in one HDF5 array."""
    rng = np.random.default_rng(0)
    rows, columns = np.arange(nlat)[:, None], np.arange(nlon)
    land = np.sin(rows / 40) * np.cos(columns / 57) + 0.3 < 0
    stores = {}
    for path, dtype in ((plain, "float32"), (packed, "int16")):
        empty(path, days, levels, nlat, nlon, ~land)
        group = zarr.open_group(path, mode="r+")
        shapes = {name: (*((levels,) if name in VOLUME else ()), nlat, nlon) for name in (*VOLUME, *SURFACE)}
        length = days_at_once(shapes, days, "training", np.dtype(dtype).itemsize)
        for name, shape in shapes.items():
            stores[path, name] = create(group, name, dtype, (days, *shape), length)
    with h5py.File(flat, "w") as file:
        fields = file.create_dataset(
            "fields", (min(days, _FLAT), len(VOLUME) * levels + len(SURFACE), nlat, nlon), "f4"
        )
        for day in range(days):
            channel = 0
            for name in (*VOLUME, *SURFACE):
                shape = (levels, nlat, nlon) if name in VOLUME else (nlat, nlon)
                scale, offset = SCALES.get(name, OTHER)
                smooth = 3 * np.sin((rows + day) / 30) * np.cos(columns / 50)
                raw = np.rint((smooth + 0.05 * rng.standard_normal(shape)) / scale).clip(-32000, 32000).astype("int16")
                raw[..., land] = -32767
                values = np.where(raw == -32767, np.nan, raw * scale + offset).astype("float32")
                stores[packed, name][day], stores[plain, name][day] = raw, values
                size = levels if name in VOLUME else 1
                if day < _FLAT:
                    fields[day, channel : channel + size] = values
                channel += size


def empty(path: Path, days: int, levels: int, nlat: int, nlon: int, wet: np.ndarray) -> None:
    """A store of coordinates alone."""
    coords = {
        "time": ("time", pd.date_range("2001-01-01", periods=days), DIMENSIONS["time"]),
        "depth": ("depth", 10.0 + 20.0 * np.arange(levels), DIMENSIONS["depth"]),
        "latitude": ("latitude", np.linspace(-90, 90, nlat), DIMENSIONS["latitude"]),
        "longitude": ("longitude", -180 + 360 / nlon * np.arange(nlon), DIMENSIONS["longitude"]),
        "mask": (("depth", "latitude", "longitude"), np.repeat(wet[None], levels, 0).astype("int8")),
    }
    grid.complete(xr.Dataset(coords=coords)).to_zarr(path, zarr_format=3, consolidated=False)


def create(group: zarr.Group, name: str, dtype: str, shape: tuple[int, ...], length: int) -> zarr.Array:
    """An array as `bake` makes it, with so many days a chunk."""
    cut = layout(shape[1:], length, "training", item=np.dtype(dtype).itemsize)
    scale, offset = SCALES.get(name, OTHER)
    attributes = dict(VARIABLES[name].attrs) | {"coordinates": "mask cell_area"}
    if dtype == "int16":
        attributes |= {"scale_factor": scale, "add_offset": offset, "_FillValue": -32767}
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=cut.chunks,
        shards=cut.shards,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=np.dtype(dtype).itemsize),
        fill_value=-32767 if dtype == "int16" else np.nan,
        dimension_names=("time", *(("depth",) if name in VOLUME else ()), "latitude", "longitude"),
        attributes=attributes,
    )


if __name__ == "__main__":
    main()
