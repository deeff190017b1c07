"""Small files in the layouts of published systems; every number tells its variable, level, row, column and day."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np

DEPTHS = [
    0.494025, 2.645669, 5.078224, 7.92956, 11.405, 15.81007, 21.59882, 29.444731, 40.344051, 55.76429, 77.853851,
    92.326073, 109.729301, 130.666, 155.850693, 186.125595, 222.475204, 266.040314, 318.127411, 380.213013, 453.937714,
    541.088928, 643.566772,
]  # fmt: skip
VOLUME = ("so", "uo", "vo", "thetao")
AIR = ("u10", "v10", "t2m", "msl")
RANGES = {  # what each variable lies between
    "so": (34, 37), "uo": (-2, -1), "vo": (1, 2), "thetao": (4, 30), "zos": (-1, 0), "u10": (3, 9), "v10": (-9, -3),
    "t2m": (250, 310), "msl": (98000, 104000), "siconc": (0, 1), "sithick": (1, 4), "usi": (-1, 0), "vsi": (0, 1),
    "sst": (-3, 3), "ugos": (-2, 0), "vgos": (0, 2),
}  # fmt: skip


def neuralom_order(levels: int = 23) -> list[tuple[str, int]]:
    """(variable, level) of every channel."""
    state = [(name, k) for name in ("so", "uo", "vo", "thetao") for k in range(levels)]
    return [*state, ("zos", 0), ("u10", 0), ("v10", 0), ("t2m", 0), ("msl", 0)]


def hybridom_order(levels: int = 23) -> list[tuple[str, int]]:
    """(variable, level) of every channel."""
    currents = [(name, k) for name in ("uo", "vo") for k in range(levels)]
    tracers = [(name, k) for name in ("thetao", "so") for k in range(levels)]
    surface = [(name, 0) for name in ("siconc", "sithick", "usi", "vsi", "u10", "v10", "t2m")]
    return [*currents, ("zos", 0), *tracers, *surface]


def coded(name: str, level: int, days: int, rows: int, columns: int) -> np.ndarray:
    """Values (day, row, column) of one channel, as its file has them; each occurs once in a variable."""
    low, high = RANGES[name]
    count = days * rows * columns
    where = np.arange(count).reshape(days, rows, columns)
    return (low + (high - low) * (level + where / count) / 23).astype("f4")


def dry_cells(level: int, rows: int, columns: int) -> np.ndarray:
    """Land (row, column): a corner, and with depth more of the first row."""
    dry = np.zeros((rows, columns), bool)
    dry[0, : 1 + level // 8] = True
    return dry


def stack(order: list[tuple[str, int]], days: int, rows: int, columns: int, land: float = np.nan) -> np.ndarray:
    """(day, channel, row, column); the sea's variables are `land` where it is dry."""
    values = np.stack([coded(name, level, days, rows, columns) for name, level in order], axis=1)
    for channel, (name, level) in enumerate(order):
        if name not in AIR:
            values[:, channel, dry_cells(level, rows, columns)] = land
    return values


def sea_mask(order: list[tuple[str, int]], rows: int, columns: int) -> np.ndarray:
    """(channel, row, column), 1 for sea."""
    return np.stack([1.0 - (dry_cells(level, rows, columns) & (name not in AIR)) for name, level in order])


def write_hdf5(path: Path, key: str, values: np.ndarray) -> Path:
    """An HDF5 file with one dataset."""
    with h5py.File(path, "w") as file:
        file[key] = values
    return path


def read_hdf5(path: Path, key: str) -> np.ndarray:
    """One dataset of an HDF5 file."""
    with h5py.File(path) as file:
        return file[key][...]


def write_netcdf(path: Path, **variables: np.ndarray) -> Path:
    """A NetCDF file with variables of nameless dimensions."""
    with netCDF4.Dataset(path, "w") as file:
        for name, values in variables.items():
            dims = [f"d{n}" for n in range(values.ndim)]
            for dim, size in zip(dims, values.shape, strict=True):
                if dim in file.dimensions:
                    continue
                file.createDimension(dim, size)
            file.createVariable(name, "f4", dims)[:] = values
    return path


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal float32 bit for bit, whatever NaN."""
    return a.dtype == b.dtype == np.float32 and a.shape == b.shape and bool((a.view("u4") == b.view("u4")).all())
