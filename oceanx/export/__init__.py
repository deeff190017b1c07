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

EXPORTS = {  # name → the module of this room whose `write(ds, to, *, overwrite, progress, …)` does it
    "neuralom": "neuralom",
    "neuralogcm": "neuralom",  # the same files on a coarser grid
    "hybridom": "hybridom",
    "ocean_e2e": "ocean_e2e",
}

__all__ = ["EXPORTS", "export"]


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
        A labelled Dataset, such as `oceanx.open` gives; it is read in pieces.
    to
        Where to: each export says whether it is a folder or a file. What exists there is refused, unless `overwrite`.
    progress
        Called with (what, done, total).
    **options
        Those of the module's `write`.

    Raises
    ------
    InputError
        For an unknown name or option, a target that exists, or a Dataset that the system cannot take.

    Examples
    --------
    >>> export("neuralom", ox.open("glorys.zarr", "era5.zarr"), "data/train")  # doctest: +SKIP
    """
    name = name.replace("-", "_")
    if name not in EXPORTS:
        raise unknown("export", name, EXPORTS)
    write = import_module(f".{EXPORTS[name]}", __name__).write
    known = set(inspect.signature(write).parameters) - {"ds", "to", "overwrite", "progress"}
    for key in options:
        if key not in known:
            raise unknown(f"option of export {name}", key, known)
    written: list[Path] = write(ds, Path(to), overwrite=overwrite, progress=progress, **options)
    return written
