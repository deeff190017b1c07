"""How fast `bake` turns GLORYS-like daily files into a store, against the limit of its parts and against xarray alone.

The limit does on all cores what cannot be left out, with nothing around it, part by part: chunks of the files are
read, inflated and unpacked to float32; chunks of the store are encoded by Blosc; the encoded bytes are written. Each
part is timed by itself in the same rounds, and their sum is the limit.

Each bake runs in a process of its own, so that its peak of memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numcodecs
import numpy as np
import raw_glorys
import xarray as xr
from rounds import interleaved, middle, report

from oceanx.data.readers.glorys12 import parts
from oceanx.data.recipe import load_recipe

BAKE = """
import json, re, sys, time
import oceanx as ox
ox.bake
source, to, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ox.bake("glorys12", source, to + ".warm", time="2001-01-01", overwrite=True)  # imports, compiled code
start = time.perf_counter()
ox.bake("glorys12", source, to, overwrite=True, **options)
seconds = time.perf_counter() - start
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())  # of this program, not of what started it
print(json.dumps([seconds, 1024 * int(peak[1]) if peak else 0]))
"""
XARRAY = """
import json, re, sys, time, warnings
import xarray as xr
source, to, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
from zarr.codecs import BloscCodec
warnings.simplefilter("ignore")
codec = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4)
start = time.perf_counter()
ds = xr.open_mfdataset(source, combine="by_coords", chunks={"time": 1, "depth": -1, "latitude": -1, "longitude": -1})
for v in ds.variables.values():
    v.encoding = {}
ds = ds.astype("float32")
encoding = {n: {"compressors": codec, "chunks": (1, *v.shape[1:])} for n, v in ds.data_vars.items()}
ds.to_zarr(to, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
seconds = time.perf_counter() - start
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())  # of this program, not of what started it
print(json.dumps([seconds, 1024 * int(peak[1]) if peak else 0]))
"""


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--files", type=int, default=24)
    parse.add_argument("--long", type=int, default=60, help="files of the archive whose memory is measured")
    parse.add_argument("--grid", type=int, nargs=3, default=raw_glorys.GRID, metavar=("DEPTH", "LAT", "LON"))
    parse.add_argument("--rounds", type=int, default=5)
    given = parse.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = raw_glorys.write(root / "raw", given.files, tuple(given.grid))
        source = str(root / "raw" / "*.nc")
        jobs = [(part, name) for path in paths for part in parts(path, load_recipe("glorys12").wanted(), root)
                for name in part.fields]  # fmt: skip
        unpacked = sum(4 * int(np.prod(part.shape(name))) for part, name in jobs)
        arrays = [read(job) for job in jobs]
        encoded = [encode(array) for array in arrays]
        peaks: dict[str, list[float]] = {}

        def timed(code: str, name: str, **options: object) -> float:
            words = [sys.executable, "-c", code, source, str(root / name), json.dumps(options)]
            seconds, peak = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
            peaks.setdefault(name, []).append(peak)
            return float(seconds)

        with ThreadPoolExecutor(cores) as pool:
            cases = {
                "read, inflate, unpack": lambda: list(pool.map(read, jobs)),
                "Blosc lz4": lambda: list(pool.map(encode, arrays)),
                "write": lambda: list(pool.map(lambda n: put(root / "limit", n, encoded[n]), range(len(encoded)))),
                "ox.bake": lambda: timed(BAKE, "ox.zarr"),
                "ox.bake, packed": lambda: timed(BAKE, "packed.zarr", packed=True),
                "open_mfdataset → to_zarr": lambda: timed(XARRAY, "xarray.zarr"),
            }
            seconds = interleaved(cases, given.rounds)
        compare(root / "ox.zarr", root / "xarray.zarr")
        compare(root / "packed.zarr", root / "xarray.zarr")
        sizes = {name: sum(f.stat().st_size for f in (root / name).rglob("*") if f.is_file()) for name in peaks}
        for name in list(peaks):
            shutil.rmtree(root / name)
        raw_glorys.write(root / "raw", given.long, tuple(given.grid))
        timed(BAKE, "long.zarr")
    limit = sum(middle(seconds[name]) for name in ("read, inflate, unpack", "Blosc lz4", "write"))
    times = {name: middle(each) for name, each in seconds.items()}
    names = {"ox.bake": "ox.zarr", "ox.bake, packed": "packed.zarr", "open_mfdataset → to_zarr": "xarray.zarr"}
    rows = [
        {
            "what": name,
            "s": time,
            "MB/s float32": unpacked / time / 1e6,
            "time / limit": time / limit,
            "peak MB": max(peaks[names[name]]) / 1e6 if name in names else "",
            "store MB": sizes[names[name]] / 1e6 if name in names else "",
        }
        for name, time in {**times, "limit: the sum of the first three": limit}.items()
    ]
    about = {
        "files": given.files,
        "grid": given.grid,
        "cores": cores,
        "unpacked MB": unpacked / 1e6,
        "xarray / ox.bake": times["open_mfdataset → to_zarr"] / times["ox.bake"],
        f"peak MB with {given.long} files": peaks["long.zarr"][0] / 1e6,
    }
    print(about)
    report("bake", f"bake: {given.files} files of {'×'.join(map(str, given.grid))}", rows, seconds, about)


def read(job: tuple) -> np.ndarray:
    """One variable of one file, from its chunks."""
    part, name = job
    with part.open() as source:
        return part.read(source, name, [0])[0]


def encode(array: np.ndarray) -> list[bytes]:
    """An array as Blosc chunks of 8 levels."""
    codec = numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE)
    pieces = array if array.ndim == 3 else array[None]
    return [codec.encode(np.ascontiguousarray(pieces[at : at + 8])) for at in range(0, len(pieces), 8)]


def put(folder: Path, number: int, chunks: list[bytes]) -> None:
    """Chunks into a file."""
    folder.mkdir(exist_ok=True)
    with (folder / str(number)).open("wb") as file:
        for chunk in chunks:
            file.write(chunk)


def compare(ours: Path, theirs: Path) -> None:
    """Both stores hold the same values, to the bit."""
    import oceanx as ox

    a, b = ox.open(ours), xr.open_zarr(theirs, consolidated=False)
    for name in b.data_vars:
        np.testing.assert_array_equal(a[name].values, b[name].values)


if __name__ == "__main__":
    # Threads of the pool only: those of NumPy's and Blosc's own would come on top.
    numcodecs.blosc.use_threads = False
    main()
