"""NetCDF files, opened with netCDF4 itself: quick enough for thousands of daily files, and never half-trusted.

The library may be in one thread only: whatever touches it holds `LOCK`, and no longer than that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
from xarray.backends.netCDF4_ import NETCDF4_PYTHON_LOCK

from ...vocabulary.errors import InputError
from .classic import cut_off
from .layout import Column, make_part
from .part import Part, Wanted

if TYPE_CHECKING:
    from .hdf5 import Stored


class _OneThread:
    """A lock that a thread may take again, and that keeps out xarray too, which has locks of its own."""

    def __init__(self) -> None:
        self._ours, self._deep = threading.RLock(), 0

    def __enter__(self) -> None:
        self._ours.acquire()
        if not self._deep:
            NETCDF4_PYTHON_LOCK.acquire()
        self._deep += 1

    def __exit__(self, *_: object) -> None:
        self._deep -= 1
        if not self._deep:
            NETCDF4_PYTHON_LOCK.release()
        self._ours.release()


# xarray opens and writes files of its own in other threads: a client that downloads does, while we check what came.
LOCK = _OneThread()
_HDF5, _CLASSIC = b"\x89HDF", b"CDF"


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file; `InputError` if there is no file, or nothing in it."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; expected a file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not start:
        raise InputError(f"{path}: is empty (0 bytes); download it again")
    return start


class File(Mapping[str, Any]):
    """The variables of a NetCDF file by name, giving raw numbers; any number of threads may read them.

    The library opens the file when it is first needed, which for most HDF5 files is never: `stored` tells where their
    chunks lie, and `descriptor` reads them.
    """

    def __init__(self, path: Path, label: str) -> None:
        self.path, self._label = path, label
        self._dataset: netCDF4.Dataset | None = None
        self._descriptor: int | None = None
        self._hdf5 = first_bytes(path).startswith(_HDF5)

    def dataset(self) -> netCDF4.Dataset:
        """The file as the library sees it, for one who holds `LOCK`."""
        if self._dataset is None:
            try:
                self._dataset = netCDF4.Dataset(self.path)
            except (OSError, RuntimeError) as error:
                raise InputError(f"{self._label}: is damaged or truncated ({error}); download it again") from None
            self._dataset.set_auto_maskandscale(False)
        return self._dataset

    def __getitem__(self, name: str) -> _Variable:
        with LOCK:
            return _Variable(self.dataset().variables[name])

    def __iter__(self) -> Iterator[str]:
        with LOCK:
            return iter(list(self.dataset().variables))

    def __len__(self) -> int:
        with LOCK:
            return len(self.dataset().variables)

    def stored(self, name: str) -> Stored | None:
        """Where the chunks of a variable lie; None if they must be read through the library."""
        if not self._hdf5 or not hasattr(os, "pread"):
            return None
        from . import hdf5

        stat = os.stat(self.path)
        try:
            with LOCK:
                return hdf5.contents(str(self.path), (stat.st_mtime_ns, stat.st_size)).get(name)
        except (OSError, RuntimeError, ValueError, KeyError):
            return None  # the library says better what is wrong

    @property
    def descriptor(self) -> int:
        """An open descriptor of the file."""
        with LOCK:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            return self._descriptor

    def close(self) -> None:
        """Close what was opened."""
        with LOCK:
            if self._dataset is not None:
                self._dataset.close()
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._dataset = self._descriptor = None


class _Variable:
    """A variable that holds `LOCK` whenever the library is at work."""

    def __init__(self, variable: netCDF4.Variable) -> None:
        self._variable = variable

    def __getitem__(self, index: Any) -> Any:
        with LOCK:
            return self._variable[index]

    def __len__(self) -> int:
        with LOCK:
            return len(self._variable)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        with LOCK:
            found = getattr(self._variable, name)
        return _locked(found) if callable(found) else found


def _locked(function: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        with LOCK:
            return function(*arguments, **options)

    return call


@contextmanager
def reading(path: Path, label: str | None = None) -> Iterator[File]:
    """The variables of a NetCDF file that was looked into before."""
    file = File(path, label or str(path))
    try:
        yield file
    finally:
        file.close()


@contextmanager
def opened(path: Path, label: str | None = None) -> Iterator[File]:
    """The variables of a NetCDF file by name, giving raw numbers; `InputError` if it is none, or damaged."""
    start = first_bytes(path)
    if not start.startswith((_HDF5, _CLASSIC)):
        raise InputError(f"{label or path}: is not NetCDF: it begins with {start!r}; download it again")
    if start.startswith(_CLASSIC) and cut_off(path):
        raise InputError(f"{label or path}: is damaged or truncated (shorter than its header says); download it again")
    with reading(path, label) as file:
        with LOCK:
            file.dataset()
        yield file


def scan(
    path: Path,
    wanted: Mapping[str, Wanted],
    label: str | None = None,
    roles: Mapping[str, str] | None = None,
    **options: Any,
) -> Part:
    """The Part of one NetCDF file; `roles` names the variables of its axes where that is known already.

    Further options are those of `layout.make_part`.
    """
    name = label or str(path)
    with opened(path, name) as file, LOCK:
        try:
            columns = {n: _column(v) for n, v in file.dataset().variables.items()}
            part = make_part(name, columns, wanted, partial(reading, path, name), roles, **options)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{name}: is damaged or truncated ({error}); download it again") from None
    fields = {ours: replace(f, dtype=columns[f.name].array.dtype) for ours, f in part.fields.items()}
    return replace(
        part,
        fields={ours: _once(repr(f), f) for ours, f in fields.items()},
        axes={d: _once((values.dtype.str, values.tobytes()), values) for d, values in part.axes.items()},
        order={d: _once(o.tobytes(), o) if isinstance(o, np.ndarray) else o for d, o in part.order.items()},
    )


def _once(key: Any, value: Any) -> Any:
    """An equal thing that another file of the archive has brought, or this one: thousands of files are alike."""
    if len(_KEPT) > _MOST_KEPT:
        _KEPT.clear()
    return _KEPT.setdefault(key, value)


_KEPT: dict[Any, Any] = {}
_MOST_KEPT = 1000


def _column(v: netCDF4.Variable) -> Column:
    attrs = v.__dict__
    kind = getattr(v.dtype, "kind", "O")
    if "_FillValue" not in attrs and kind in "iuf":
        attrs["_FillValue"] = v.dtype.type(netCDF4.default_fillvals[f"{kind}{v.dtype.itemsize}"])
    return Column(v.dimensions, v.shape, attrs, v)
