"""Stores of fields that do not change: sea floor, basins, the grid files of a model. Small, and written at once."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ...ocean import grid
from ...vocabulary.errors import InputError
from ...vocabulary.files import replacing
from ...vocabulary.names import VARIABLES
from .. import agreement, steps
from ..formats.part import Part
from ..readers import reader, static
from .metadata import origin

if TYPE_CHECKING:
    from ..recipe import Recipe

_CODES = ("basin", "deptho_lev")  # whole numbers
_COORDINATES = ("mask", "cell_area")


def write(
    recipe: Recipe,
    paths: Sequence[Path],
    target: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the CF Zarr store of fields without time that a recipe makes of its files.

    Where there is a `relief`, `deptho` is its depth below the geoid, and `mask` is where there is any.

    Raises
    ------
    InputError
        Naming the file that is unreadable or on another grid, or the variable that none holds.
    """
    ds = made(recipe, paths, progress)
    codes: dict[str, Any] = {n: {"dtype": "int16", "_FillValue": np.int16(-1)} for n in _CODES if n in ds}
    floats = {str(n): {"_FillValue": np.float32(np.nan)} for n, v in ds.data_vars.items() if n not in codes}
    with replacing(target, overwrite=overwrite) as path:
        ds.to_zarr(path, zarr_format=recipe.zarr_format, encoding=floats | codes, consolidated=recipe.zarr_format == 2)


def made(recipe: Recipe, paths: Sequence[Path], progress: Progress | None = None) -> xr.Dataset:
    """The Dataset of such a store, in memory."""
    module, wanted = reader(recipe.reader), recipe.wanted()
    parts: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="oceanx-") as scratch:
        for number, path in enumerate(paths):
            if progress:
                progress("reading", number, len(paths))
            held = [part for part in module.parts(path, wanted, Path(scratch), **recipe.options) if part.fields]
            if not held:
                raise InputError(f"{path}: holds none of {', '.join(wanted)}; leave it out, or choose another recipe")
            parts += held
        agreement.refuse_absent(recipe, parts)
        agreement.refuse_differing(parts)
        _refuse_twice(parts)
        ds = static.dataset(parts)
    ds = steps.convert_units(steps.apply(ds, recipe.steps))
    ds = _with_sea(ds.transpose(*(d for d in ("depth", "latitude", "longitude") if d in ds.dims)))
    if "cell_area" not in ds and ds.sizes["latitude"] * ds.sizes["longitude"] > 1:
        ds["cell_area"] = grid.area(ds["latitude"], ds["longitude"])
    ds = ds.set_coords([name for name in _COORDINATES if name in ds])
    return ds.assign_attrs(_attrs(recipe, paths, parts, ds))


def _refuse_twice(parts: Sequence[Part]) -> None:
    home: dict[str, str] = {}
    for part in parts:
        for name in part.fields:
            if name in home:
                raise InputError(f"{part.label}: {name} is also in {home[name]}; give each field once")
            home[name] = part.label


def _with_sea(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with the depth of the sea floor, and the wet cells, as far as its fields tell."""
    if "relief" in ds and "deptho" not in ds:
        sea = ds["relief"] < 0
        ds["deptho"] = (-ds["relief"]).where(sea).assign_attrs(VARIABLES["deptho"].attrs)
    wet = next((ds[name].notnull() for name in ("deptho", "basin") if name in ds), None)
    if "mask" not in ds and wet is not None:
        ds["mask"] = wet.astype(np.int8).assign_attrs(VARIABLES["mask"].attrs)
    return ds


def _attrs(recipe: Recipe, paths: Sequence[Path], parts: Sequence[Part], ds: xr.Dataset) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name in sorted(map(str, ds.variables)):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(ds[name].values).tobytes())
    history = f"{np.datetime64('now')}Z: oceanx {version('oceanx')} bake of {len(paths)} files without time"
    files = [part.label.rsplit("/", 1)[-1] for part in parts]
    return origin(recipe, history, files) | {"oceanx_fingerprint": digest.hexdigest()[:32]}
