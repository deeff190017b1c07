"""GRIB files through cfgrib (the `grib` extra): one Part for each set of fields that share their coordinates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import xarray as xr

from ...vocabulary.errors import InputError
from .layout import Column, make_part
from .part import Part, Wanted


def scan(path: Path, wanted: Mapping[str, Wanted], label: str | None = None) -> list[Part]:
    """The Parts of one GRIB file."""
    found = []
    for number, ds in enumerate(_datasets(path, _state(path))):
        columns = {str(n): Column(tuple(map(str, v.dims)), v.shape, v.attrs, v) for n, v in ds.variables.items()}
        found.append(make_part(label or str(path), columns, wanted, partial(reading, path, number)))
    return found


@contextmanager
def reading(path: Path, number: int) -> Iterator[Mapping[str, Any]]:
    """The variables of the so-manieth set of fields of a file."""
    yield {str(name): v for name, v in _datasets(path, _state(path))[number].variables.items()}


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _datasets(path: Path, state: tuple[int, int]) -> list[xr.Dataset]:
    """The lazy Datasets of one file, indexed once a process; `state` tells a file from what replaces it."""
    with suppress(ImportError):
        # eccodes brings a PROJ of its own. If that of cartopy is loaded after it, the process dies when it ends.
        import pyproj  # noqa: F401
    try:
        import cfgrib
    except (ImportError, RuntimeError, OSError) as error:
        raise InputError(
            f"{path}: is GRIB, which needs cfgrib and eccodes: pip install 'oceanx[grib]' ({error})"
        ) from None
    # Accumulations of several forecasts come on one axis of valid times; no index file is left beside the source.
    options = {"indexpath": "", "time_dims": ["valid_time"]}
    logging.getLogger("cfgrib").setLevel(logging.CRITICAL)
    try:
        datasets: list[xr.Dataset] = cfgrib.open_datasets(str(path), backend_kwargs=options)
    except Exception as error:  # cfgrib raises what eccodes raises: anything at all
        raise InputError(f"{path}: is damaged or not the GRIB we know ({error}); download it again") from None
    if not datasets:
        raise InputError(f"{path}: holds no GRIB message; download it again")
    return datasets
