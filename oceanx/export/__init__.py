"""Labelled Datasets → the files of other systems. xarray, never torch.

`export(name, ds, to, **options)` writes what the system `name` of `EXPORTS` reads, under the folder or file `to`.
"""

from __future__ import annotations

import inspect
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..vocabulary.errors import unknown

if TYPE_CHECKING:
    import xarray as xr

    from ..vocabulary.progress import Progress

EXPORTS = {  # name → the function of this room, `(ds, to, *, overwrite, progress, …)`, that does it
    "neuralom": "neuralom.write",
    "neuralogcm": "neuralom.write",  # the same files on a coarser grid
    "hybridom": "hybridom.write",
    "ocean_e2e": "ocean_e2e.write",
    "oceanbench": "oceanbench.write",
    "weatherbench": "renamed.weatherbench",
    "climpred": "renamed.climpred",
    "netcdf": "netcdf.write",
    "csv": "point.write",
}
FORECASTS = ("oceanbench", "weatherbench", "climpred", "netcdf", "csv")  # those that take a forecast, not a store

__all__ = ["EXPORTS", "FORECASTS", "export"]


def export(
    name: str,
    ds: xr.Dataset,
    to: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> list[Path]:
    """The files written at `to` for the system `name`.

    Parameters
    ----------
    name
        One of `EXPORTS`; `ocean-e2e` is as good as `ocean_e2e`.
    ds
        A labelled Dataset, such as `oceanx.open` gives, or for those of `FORECASTS` a labelled forecast; it is read in
        pieces.
    to
        Where to: each export says whether it is a folder or a file. What exists there is refused, unless `overwrite`.
    progress
        Called with (what, done, total).
    **options
        Those of the export's own function.

    Raises
    ------
    InputError
        For an unknown name or option, a target that exists, or a Dataset that the system cannot take.

    Examples
    --------
    >>> export("neuralom", ox.open("glorys.zarr", "era5.zarr"), "data/train")  # doctest: +SKIP
    >>> export("csv", ox.open("forecast.zarr"), "point.csv", lat=35, lon=-60)  # doctest: +SKIP
    """
    name = name.replace("-", "_")
    if name not in EXPORTS:
        raise unknown("export", name, EXPORTS)
    module, _, function = EXPORTS[name].partition(".")
    write = getattr(import_module(f".{module}", __name__), function)
    known = set(inspect.signature(write).parameters) - {"ds", "to", "overwrite", "progress"}
    for key in options:
        if key not in known:
            raise unknown(f"option of export {name}", key, known)
    written: list[Path] = write(ds, Path(to), overwrite=overwrite, progress=progress, **options)
    return written
