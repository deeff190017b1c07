"""How fast `bake` turns GLORYS-like daily files into a store, against the limit of its parts and against xarray alone.

The limit does what cannot be left out, with nothing around it: netCDF4 reads (and inflates) the packed numbers, numpy
unpacks them as bake does (float64 arithmetic, float32 result, NaN on land), Blosc (lz4) encodes chunks of the same
size, and the bytes are written.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import warnings
from pathlib import Path

import netCDF4
import numcodecs
import numpy as np
import xarray as xr
from rounds import interleaved, middle, report

import oceanx as ox
from oceanx.ocean.synthetic.files import FILL, day_number, write_glorys
from oceanx.vocabulary.constants import GLORYS_LEVELS

VOLUME, SURFACE = ("thetao", "so", "uo", "vo"), ("zos", "mlotst")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--files", type=int, default=24)
    parse.add_argument("--grid", type=int, nargs=3, default=(20, 180, 240), metavar=("DEPTH", "LAT", "LON"))
    parse.add_argument("--rounds", type=int, default=5)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        raw = root / "raw"
        raw.mkdir()
        write_files(raw, given.files, *given.grid)
        paths = sorted(raw.glob("*.nc"))
        chunk = ox.bake("glorys12", str(raw / "*.nc"), root / "first.zarr").chunksizes["time"][0]
        stored = read(paths)
        unpacked = 4 * len(paths) * int(np.prod(given.grid[1:])) * (len(VOLUME) * given.grid[0] + len(SURFACE))
        seconds = interleaved(
            {
                "limit: netCDF4 + unpack": lambda: read(paths),
                "limit: Blosc lz4 + write": lambda: encode(stored, root / "limit", chunk),
                "ox.bake": lambda: ox.bake("glorys12", str(raw / "*.nc"), root / "ox.zarr", overwrite=True),
                "open_mfdataset → to_zarr": lambda: with_xarray(paths, root / "xarray.zarr", chunk),
            },
            given.rounds,
        )
        compare(root / "ox.zarr", root / "xarray.zarr")
        packed = sum(path.stat().st_size for path in paths)
    limit = middle(seconds["limit: netCDF4 + unpack"]) + middle(seconds["limit: Blosc lz4 + write"])
    rows = [
        {
            "what": name,
            "files/s": len(paths) / time,
            "MB/s unpacked": unpacked / time / 1e6,
            "time / limit": time / limit,
        }
        for name, time in {**{name: middle(each) for name, each in seconds.items()}, "limit: both": limit}.items()
    ]
    about = {
        "files": len(paths),
        "grid": given.grid,
        "packed MB": packed / 1e6,
        "unpacked MB": unpacked / 1e6,
        "days a chunk": chunk,
    }
    report("bake", f"bake: {len(paths)} files of {'×'.join(map(str, given.grid))}", rows, seconds, about)


def write_files(folder: Path, files: int, levels: int, nlat: int, nlon: int) -> None:
    """Daily files as GLORYS12 is delivered; smooth fields with a little noise, a third of the map land."""
    rng = np.random.default_rng(0)
    latitude, longitude = 20 + np.arange(nlat) / 12, -60 + np.arange(nlon) / 12
    depth = np.array(GLORYS_LEVELS[:levels])
    land = np.add.outer(np.sin(np.arange(nlat) / 23), np.cos(np.arange(nlon) / 31)) > 0.6
    middle_of = {"thetao": 14.0, "so": 35.0, "uo": 0.0, "vo": 0.0, "zos": 0.0, "mlotst": 60.0}
    first = day_number("2001-01-01")
    for day in range(first, first + files):
        fields = {}
        for name, value in middle_of.items():
            shape = (levels, nlat, nlon) if name in VOLUME else (nlat, nlon)
            waves = np.sin(np.arange(nlat)[:, None] / 17 + day / 5) * np.cos(np.arange(nlon) / 13 - day / 7)
            field = value + 0.5 * waves + 0.01 * rng.standard_normal(shape)
            fields[name] = np.where(land, np.nan, field).astype("float32")
        write_glorys(folder, day, fields, latitude, longitude, depth)


def read(paths: list[Path]) -> dict[str, list[np.ndarray]]:
    """Every variable of every file, unpacked to float32."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*VOLUME, *SURFACE)}
    for path in paths:
        with netCDF4.Dataset(path) as nc:
            for name, days in found.items():
                variable = nc[name]
                variable.set_auto_maskandscale(False)
                raw = variable[:]
                values = (raw * np.float64(variable.scale_factor) + np.float64(variable.add_offset)).astype(np.float32)
                values[raw == FILL] = np.nan
                days.append(values)
    return found


def encode(stored: dict[str, list[np.ndarray]], to: Path, chunk: int) -> None:
    """Chunks of so many days, compressed as the store's are, each in a file."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    codec = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    for name, days in stored.items():
        for at in range(0, len(days), chunk):
            (to / f"{name}.{at}").write_bytes(codec.encode(np.concatenate(days[at : at + chunk])))


def with_xarray(paths: list[Path], to: Path, chunk: int) -> None:
    """What one would write without oceanx: the same chunks and codec, no checks, no mask, no fingerprint."""
    from zarr.codecs import BloscCodec

    codec = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        many = xr.open_mfdataset(
            paths, combine="nested", concat_dim="time", data_vars="minimal", coords="minimal", compat="override"
        )
        with many:
            ds = many.drop_encoding().chunk(time=chunk)
            encoding = {name: {"compressors": codec, "dtype": "float32"} for name in ds.data_vars}
            ds.to_zarr(to, mode="w", zarr_format=3, consolidated=False, encoding=encoding)


def compare(ours: Path, theirs: Path) -> None:
    """Stop if the two stores differ by more than float32 rounding: then the race was not run over one course."""
    a, b = xr.open_zarr(ours, consolidated=False), xr.open_zarr(theirs, consolidated=False)
    for name in (*VOLUME, *SURFACE):
        np.testing.assert_allclose(a[name].isel(time=0), b[name].isel(time=0), rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    main()
