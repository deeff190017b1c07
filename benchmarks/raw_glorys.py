"""GLORYS-like daily files for the benchmarks: 23 levels × 361 × 720, int16 packed as GLORYS12 is, zlib 1 and shuffle.

python benchmarks/raw_glorys.py FOLDER --days 8
"""

from __future__ import annotations

import argparse
from pathlib import Path

import netCDF4
import numpy as np

FILL = np.int16(-32767)
GRID = (23, 361, 720)
CHUNKS = (7, 361, 720)  # of levels, rows and columns
FIELDS = {  # units, scale_factor, add_offset, middle of the values, spread, least and greatest
    "thetao": ("degrees_C", 7.32444226741791e-4, 21.0, 12.0, 8.0, -1.9, 32.0),
    "so": ("1e-3", 1.52592547237873e-3, -1.52592547237873e-3, 35.0, 1.0, 31.0, 39.0),
    "uo": ("m s-1", 6.10370188951492e-4, 0.0, 0.0, 0.2, -1.5, 1.5),
    "vo": ("m s-1", 6.10370188951492e-4, 0.0, 0.0, 0.2, -1.5, 1.5),
    "zos": ("m", 3.05185094475746e-4, 0.0, 0.0, 0.5, -1.8, 1.8),
    "siconc": ("1", 3.05185094475746e-5, 0.5, 0.5, 0.1, 0.0, 1.0),
    "sithick": ("m", 6.10370188951492e-4, 19.5, 1.0, 0.5, 0.0, 5.0),
    "usi": ("m s-1", 6.10370188951492e-4, 0.0, 0.0, 0.1, -0.5, 0.5),
    "vsi": ("m s-1", 6.10370188951492e-4, 0.0, 0.0, 0.1, -0.5, 0.5),
}
VOLUME = ("thetao", "so", "uo", "vo")


def write(folder: Path, days: int, grid: tuple[int, int, int] = GRID, first: str = "2001-01-01") -> list[Path]:
    """The paths of so many daily files, written where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    depth = np.array(levels(grid[0]), "f4")
    latitude = np.linspace(-90, 90, grid[1], dtype="f4")
    longitude = np.linspace(-180, 180, grid[2], endpoint=False, dtype="f4")
    land = _smooth(rng, grid[1:], 40) > 0.45  # about a third of the map
    floor = np.clip((grid[0] * (1 + 0.4 * _smooth(rng, grid[1:], 30))).astype(int), 1, grid[0])
    dry = land | (np.arange(grid[0])[:, None, None] >= floor)
    start = np.datetime64(first, "D")
    paths = []
    for number in range(days):
        day = start + number
        path = folder / f"mercatorglorys12v1_gl12_mean_{str(day).replace('-', '')}_R20010110.nc"
        paths.append(path)
        rng = np.random.default_rng(number + 1)
        if not path.exists():
            fields = {name: _field(rng, name, grid, dry, number) for name in FIELDS}
            _write(path.with_suffix(".new"), day, fields, depth, latitude, longitude)
            path.with_suffix(".new").rename(path)
    return paths


def levels(count: int) -> list[float]:
    """Depths that grow as those of GLORYS12 do, 0.494 m first."""
    return [0.494 + 1.05 * k + 0.12 * k**2.6 for k in range(count)]


def _field(rng: np.random.Generator, name: str, grid: tuple[int, int, int], dry: np.ndarray, number: int) -> np.ndarray:
    """Packed numbers of one day: eddies that drift, weaker with depth, under a little noise; land is the fill value."""
    _, scale, offset, middle, spread, least, greatest = FIELDS[name]
    waves = np.roll(_smooth(np.random.default_rng(sum(map(ord, name))), grid[1:], 8), number, axis=1)
    noise = 0.02 * spread
    if name in VOLUME:
        decay = np.exp(-np.arange(grid[0]) / 8)[:, None, None]
        values = middle + spread * waves * decay + noise * rng.standard_normal(grid, np.float32)
    else:
        values, dry = middle + spread * waves + noise * rng.standard_normal(grid[1:], np.float32), dry[0]
    packed = np.rint((np.clip(values, least, greatest) - offset) / scale).astype("i2")
    packed[dry] = FILL
    return packed


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], waves: int) -> np.ndarray:
    """A random field of unit spread without scales finer than the map's length over `waves`."""
    ky, kx = np.meshgrid(np.fft.fftfreq(shape[0], 1 / shape[0]), np.fft.rfftfreq(shape[1], 1 / shape[1]), indexing="ij")
    spectrum = np.exp(-(ky**2 + kx**2) / waves**2) * (
        rng.standard_normal(ky.shape) + 1j * rng.standard_normal(ky.shape)
    )
    field = np.fft.irfft2(spectrum, shape)
    return field / field.std()


def _write(path: Path, day: np.datetime64, fields: dict[str, np.ndarray], *axes: np.ndarray) -> None:
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", 1)
        time = nc.createVariable("time", "f4", ("time",))
        time.setncatts({"units": "hours since 1950-01-01 00:00:00", "calendar": "gregorian", "standard_name": "time"})
        time[:] = (day - np.datetime64("1950-01-01")).astype(int) * 24 + 12
        for dim, values, unit in zip(("depth", "latitude", "longitude"), axes, ("m", "degrees_north", "degrees_east"),
                                     strict=True):  # fmt: skip
            nc.createDimension(dim, values.size)
            axis = nc.createVariable(dim, "f4", (dim,))
            axis.setncatts({"units": unit, "standard_name": dim})
            axis[:] = values
        for name, packed in fields.items():
            dims = ("time", "depth", "latitude", "longitude") if packed.ndim == 3 else ("time", "latitude", "longitude")
            chunks = (1, *(min(c, n) for c, n in zip(CHUNKS[-packed.ndim :], packed.shape, strict=True)))
            unit, scale, offset = FIELDS[name][:3]
            v = nc.createVariable(
                name, "i2", dims, zlib=True, complevel=1, shuffle=True, chunksizes=chunks, fill_value=FILL
            )
            v.setncatts({"units": unit, "scale_factor": scale, "add_offset": offset})
            v.set_auto_maskandscale(False)
            v[0] = packed


if __name__ == "__main__":
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("folder", type=Path)
    parse.add_argument("--days", type=int, default=8)
    given = parse.parse_args()
    made = write(given.folder, given.days)
    print(f"{len(made)} files, {sum(path.stat().st_size for path in made) / 1e6:.0f} MB")
