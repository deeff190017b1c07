"""Published systems' land masks, and the HDF5 files they and the fields lie in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from ...vocabulary.published import Layout
from .netcdf import first_bytes


@contextmanager
def hdf5(path: Path) -> Iterator[Mapping[str, Any]]:
    """The datasets of an HDF5 file by name, giving raw numbers."""
    import h5py  # takes a moment, and only these files need it

    start = first_bytes(path)
    if not start.startswith(b"\x89HDF"):
        raise InputError(f"{path}: is not HDF5: it begins with {start!r}; give the published system's own file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: is damaged or truncated ({error}); copy it again") from None
    with file:
        yield file


def mask_key(
    path: Path, layout: Layout, land: str, mask: Path | None, height: int, width: int
) -> tuple[Any, ...] | None:
    """What `wet_cells` takes; None where land is marked in the data themselves."""
    if land == "nan":
        if mask is not None:
            raise InputError(f"{path}: a mask is given, but land is NaN in the files; say land: zero, or no mask")
        return None
    if mask is None:
        raise InputError(
            f"{path}: land is 0 there, which water can be too; give mask: the system's land mask "
            "(land_mask.h5 or .npy, 1 for sea)"
        )
    stat = mask.stat() if mask.exists() else None
    key = (mask, stat and stat.st_mtime_ns, layout, height, width)
    wet_cells(*key)
    return key


@lru_cache(maxsize=4)
def wet_cells(mask: Path, changed: int | None, layout: Layout, height: int, width: int) -> dict[str, np.ndarray]:
    """Which cells are sea, for every ocean variable of a layout, in the file's order of rows and columns."""
    values = _read_mask(mask)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 2:
        values = values[None]
    # A mask of one row fewer covers all rows but the last, which at a pole is land or never used.
    if values.ndim != 3 or values.shape[1] not in (height, height - 1) or values.shape[2] != width:
        raise InputError(f"{mask}: has shape {values.shape}; expected (channel or level, {height}, {width})")
    wet = np.isfinite(values) if np.isnan(values).any() else values != 0
    if values.shape[1] == height - 1:
        wet = np.concatenate([wet, np.zeros_like(wet[:, :1])], axis=1)
    return {name: _of(name, wet, layout, mask) for name in layout.at_sea}


def _of(name: str, wet: np.ndarray, layout: Layout, mask: Path) -> np.ndarray:
    """A variable's cells: its own channels of a mask of channels, else by level, the surface by the top one."""
    needed = layout.slices[name].stop if layout.channel_mask else layout.levels(name)
    if len(wet) < needed:
        raise InputError(f"{mask}: has {len(wet)} maps; expected at least {needed} for {name}")
    found = wet[layout.slices[name] if layout.channel_mask else slice(needed)]
    return found if VARIABLES[name].volume else found[0]


def _read_mask(mask: Path) -> np.ndarray:
    first_bytes(mask)
    if mask.suffix == ".npy":
        try:
            return np.asarray(np.load(mask, allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            raise InputError(f"{mask}: is no .npy file ({error}); give the system's land mask") from None
    with hdf5(mask) as source:
        if "fields" not in source:
            raise InputError(f"{mask}: holds {', '.join(sorted(map(str, source)))}; expected 'fields'")
        return np.asarray(source["fields"][...])
