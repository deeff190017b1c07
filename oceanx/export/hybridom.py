"""HybridOM: `GLORYS_05_<year>.h5` with `data`, its WenHai forcing, and its mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from ..vocabulary.constants import LEVELS_23
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.files import replacing
from ..vocabulary.progress import Progress
from ..vocabulary.published import HYBRIDOM, LEVELS_12, WENHAI
from . import season, yearly
from .way import Asked, prepared, way

_LEVELS = {23: LEVELS_23, 12: LEVELS_12}
_CONTENT = {"state": HYBRIDOM, "wenhai": WENHAI}


def write(
    ds: xr.Dataset,
    to: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    content: Literal["state", "wenhai"] = "state",
    levels: int = 23,
    scaling: Mapping[str, tuple[float, float]] | None = None,
    file: str | None = None,
    rows: str = HYBRIDOM.rows,
    first_longitude: float = -180.0,
    dropped_row: str = "none",
    pad: bool = False,
    land: str = "nan",
    absent_day: str | None = None,
    partial: bool = False,
    quantity: Mapping[str, str] | None = None,
    climatology: xr.Dataset | str | None = None,
    land_mask: str | None = None,
) -> list[Path]:
    """The files written in the folder `to`, one a year. For other options see `neuralom.write`.

    Parameters
    ----------
    content
        "state": uo, vo, zos, thetao, so, siconc, sithick, usi, vsi, u10, v10, t2m; "wenhai": the eight fluxes.
    levels
        23 or 12 (every second).
    scaling
        {variable: [value that becomes 0, value that becomes 1]}, required for "wenhai".
    file
        What a year's file is called, with {year} in it; None: the published name, GLORYS_05_{year}.h5.
    quantity
        {variable: "total" | "anomaly"} other than the published files' anomalies of thetao, so and zos.
    climatology
        Years ("1993:2017"), a store or a Dataset: taken away to make the anomalies of totals.
    land_mask
        Name of a `.npy` file (level, row, column), 1 for sea, to write the mask of the Dataset to.
    """
    if content not in _CONTENT:
        raise unknown("content", content, _CONTENT)
    if levels not in _LEVELS:
        raise InputError(f"levels: {levels}; expected 23 or 12")
    layout = _CONTENT[content]
    layout = replace(layout, depth=_LEVELS[levels] if layout.depth else (), file=yearly.named(file or layout.file))
    asked = Asked.of(locals())
    at, how = yearly.years(ds, asked), way(ds, layout, asked)
    if land_mask and how.wet is None:
        raise InputError("land_mask: the Dataset has no `mask` to write; bake one, or leave land_mask out")
    extra = [land_mask] if land_mask else []
    paths = yearly.targets(to, [*(layout.file.format(year=y) for y in at), *extra], overwrite)
    cycle = season.chosen(ds, climatology, layout.anomalies, progress)
    fields = prepared(ds, layout, asked, cycle)
    files = dict(zip(at, paths, strict=False))
    yearly.write(fields, how, at, files, yearly.hdf5, overwrite=overwrite, progress=progress)
    if land_mask:
        with replacing(to / land_mask, overwrite=overwrite) as path, path.open("wb") as out:
            np.save(out, np.asarray(how.wet, np.float32))
    return paths
