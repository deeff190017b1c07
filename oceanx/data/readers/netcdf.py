"""NetCDF files, opened with netCDF4 itself: quick enough for thousands of daily files, and never half-trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import netCDF4

from ...vocabulary.errors import InputError
from .classic import cut_off
from .layout import Column, make_part
from .part import Part, Wanted

_MAGIC = (b"\x89HDF", b"CDF")


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


@contextmanager
def opened(path: Path, label: str | None = None) -> Iterator[Mapping[str, Any]]:
    """The variables of a NetCDF file by name, giving raw numbers."""
    start = first_bytes(path)
    if not start.startswith(_MAGIC):
        raise InputError(f"{label or path}: is not NetCDF: it begins with {start!r}; download it again")
    if start.startswith(b"CDF") and cut_off(path):
        raise InputError(f"{label or path}: is damaged or truncated (shorter than its header says); download it again")
    try:
        dataset = netCDF4.Dataset(path)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{label or path}: is damaged or truncated ({error}); download it again") from None
    try:
        dataset.set_auto_maskandscale(False)
        yield dataset.variables
    finally:
        dataset.close()


def scan(
    path: Path, wanted: Mapping[str, Wanted], label: str | None = None, roles: Mapping[str, str] | None = None
) -> Part:
    """The Part of one NetCDF file; `roles` names the variables of its axes where that is known already."""
    name = label or str(path)
    with opened(path, name) as variables:
        try:
            columns = {n: _column(v) for n, v in variables.items()}
            return make_part(name, columns, wanted, lambda: opened(path, name), roles)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{name}: is damaged or truncated ({error}); download it again") from None


def _column(v: netCDF4.Variable) -> Column:
    attrs = v.__dict__
    kind = getattr(v.dtype, "kind", "O")
    if "_FillValue" not in attrs and kind in "iuf":
        attrs["_FillValue"] = v.dtype.type(netCDF4.default_fillvals[f"{kind}{v.dtype.itemsize}"])
    return Column(v.dimensions, v.shape, attrs, v)
