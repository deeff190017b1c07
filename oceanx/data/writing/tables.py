"""The writer of observation tables: one store along `obs` of tables that follow one another in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from ...ocean.flags import meanings
from ...ocean.observations import COORDINATES, FEATURE, check, column_attrs
from ...vocabulary.errors import InputError
from ...vocabulary.files import replacing
from .encode import Layout, Target, small_array
from .metadata import plain
from .points import CHUNK
from .store import consolidate

_TIME = {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}


def write(tables: Iterable[xr.Dataset], target: Path | str, *, overwrite: bool = False, done: str = "wrote") -> int:
    """Write the store of tables with the same codes and columns, each after the one before; how many rows it has.

    No more than a chunk and a table are held in memory. The store has its name only when it is complete.

    Parameters
    ----------
    done
        What was done, for the attribute `history`.

    Raises
    ------
    InputError
        If the target exists, a table is none or is not of the same kind, or there is no row.
    """
    with replacing(target, overwrite=overwrite) as path:
        store: _Store | None = None
        for ds in tables:
            check(ds)
            store = store or _Store(path, ds)
            store.add(ds)
        if store is None or not store.finish(done):
            raise InputError(f"{target}: there is no observation to write")
        return store.rows


class _Store:
    """A store in the making: rows wait until there is a chunk of them."""

    def __init__(self, path: Path, first: xr.Dataset) -> None:
        self.path, self.first = path, first
        self.names = [str(n) for n, v in first.variables.items() if v.dims[:1] == ("obs",)]
        self.words = {name: list(meanings(first[name].attrs).values()) for name in ("variable", "platform")}
        self.waiting: list[dict[str, np.ndarray]] = []
        self.rows, self.codes = 0, {0}
        self.held = 0
        self.hashes = {name: hashlib.sha256(name.encode()) for name in self.names}
        self.arrays: dict[str, Any] = {}
        self.last = np.datetime64("NaT")

    def add(self, ds: xr.Dataset) -> None:
        """Take a table."""
        if not ds.sizes["obs"]:
            return
        if self.words != {name: list(meanings(ds[name].attrs).values()) for name in self.words}:
            raise InputError("observations: codes of variables or platforms differ between tables; concatenate them")
        times = ds["time"].values
        if times[0] < self.last:
            raise InputError(f"observations: {times[0]} comes after {self.last}; give tables in their order in time")
        self.last = times[-1]
        self.codes.update(np.unique(ds["qc"].values).tolist())
        self.waiting.append({name: _stored(ds[name].values) for name in self.names})
        self.held += ds.sizes["obs"]
        if self.held >= CHUNK:
            self._put(self.held // CHUNK * CHUNK)

    def finish(self, done: str) -> int:
        """Write what is left, and what the store says of itself; how many rows it has."""
        if self.held:
            self._put(self.held)
        if not self.rows:
            return 0
        kind = str(self.first.attrs.get(FEATURE, "point"))
        self.arrays["qc"].attrs.update(plain(column_attrs([], [], self.codes, kind)["qc"]))
        digest = hashlib.sha256(json.dumps([self.words["variable"], self.words["platform"]]).encode())
        for name in sorted(self.hashes):
            digest.update(self.hashes[name].digest())
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {
            "history": f"{now}: oceanx {version('oceanx')} {done}",
            "oceanx_version": version("oceanx"),
            "oceanx_fingerprint": digest.hexdigest()[:32],
        }
        group = zarr.open_group(self.path, mode="r+")
        for label, c in self.first.coords.items():
            if "obs" not in c.dims:
                small_array(group, str(label), c.values, [str(d) for d in c.dims], plain(c.attrs))
        group.attrs.put(plain(self.first.attrs) | said)
        consolidate(self.path)
        return self.rows

    def _put(self, count: int) -> None:
        """Write so many of the rows that wait."""
        columns = {name: np.concatenate([part[name] for part in self.waiting]) for name in self.names}
        if not self.arrays:
            self._create({name: column[:count] for name, column in columns.items()})
        for name, column in columns.items():
            some = np.ascontiguousarray(column[:count])
            v = self.arrays[name]
            v.resize((self.rows + count, *v.shape[1:]))
            v[self.rows :] = some
            self.hashes[name].update(some.tobytes())
        self.rows, self.held = self.rows + count, self.held - count
        self.waiting = [{name: column[count:] for name, column in columns.items()}]

    def _create(self, columns: Mapping[str, np.ndarray]) -> None:
        group = zarr.open_group(self.path, mode="w", zarr_format=3)
        for name, column in columns.items():
            told = dict(self.first[name].attrs)
            told |= _TIME if name == "time" else {}
            told |= {"coordinates": " ".join(COORDINATES)} if name not in COORDINATES else {}
            fill: Any = np.nan if column.dtype.kind == "f" else 0
            layout = Layout((len(column) if len(column) < CHUNK else CHUNK, *column.shape[1:]))
            dims = [str(d) for d in self.first[name].dims]
            Target(self.path / name, (0, *column.shape[1:]), column.dtype.str, fill, layout).create(
                group, dims, plain(told)
            )
            self.arrays[name] = group[name]


def _stored(values: np.ndarray) -> np.ndarray:
    return values.astype("datetime64[ns]").astype("<i8") if values.dtype.kind == "M" else values
