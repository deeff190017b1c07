"""GRIB files through cfgrib (the `grib` extra): one Part for each set of fields that share their coordinates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from ...vocabulary.errors import InputError
from .layout import Column, make_part
from .part import Part, Wanted


def scan(path: Path, wanted: Mapping[str, Wanted]) -> list[Part]:
    """The Parts of one GRIB file."""
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
        datasets = cfgrib.open_datasets(str(path), backend_kwargs=options)
    except Exception as error:  # cfgrib raises what eccodes raises: anything at all
        raise InputError(f"{path}: is damaged or not the GRIB we know ({error}); download it again") from None
    if not datasets:
        raise InputError(f"{path}: holds no GRIB message; download it again")
    return [_part(path, ds, wanted) for ds in datasets]


def _part(path: Path, ds: xr.Dataset, wanted: Mapping[str, Wanted]) -> Part:
    columns = {str(n): Column(tuple(map(str, v.dims)), v.shape, v.attrs, v) for n, v in ds.variables.items()}

    @contextmanager
    def opened() -> Iterator[Mapping[str, Any]]:
        yield {str(name): v for name, v in ds.variables.items()}

    return make_part(str(path), columns, wanted, opened)
