"""HybridOM: a year of daily fields in one HDF5 file, `data` (day, channel, row, column); and its WenHai forcing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from ...vocabulary.constants import LEVELS_23
from ...vocabulary.errors import InputError, unknown
from ...vocabulary.published import HYBRIDOM, LEVELS_12, WENHAI
from ..formats.part import Part, Wanted, everything, to_dataset
from ..formats.published import parts_of, told_by
from ..formats.published_masks import hdf5

_LEVELS = {23: LEVELS_23, 12: LEVELS_12}
_CONTENT = {"state": HYBRIDOM, "wenhai": WENHAI}


def read(path: Path | str, **options: Any) -> xr.Dataset:
    """The Dataset of one file, in memory; `options` as of `parts`."""
    return to_dataset(parts(Path(path), everything(), Path(), **options))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    *,
    content: Literal["state", "wenhai"] = "state",
    levels: int = 23,
    scaling: Mapping[str, tuple[float, float]] | None = None,
    year: int | None = None,
    first_day: str | None = None,
    absent_day: str | None = None,
    rows: str = HYBRIDOM.rows,
    resolution: float = 0.5,
    first_longitude: float = -180.0,
    dropped_row: str = "last",
    latitude: tuple[float, float] | None = None,
    longitude: tuple[float, float] | None = None,
    side: str | None = None,
    land: str = "nan",
    mask: str | None = None,
    quantity: Mapping[str, str] | None = None,
) -> list[Part]:
    """What one file holds. `scratch` is not needed. For other options see `neuralom.parts`.

    Parameters
    ----------
    content
        "state": ocean, ice and forcing, 100 channels; "wenhai": the eight surface fluxes scaled to 0…1.
    levels
        23, or 12 for a file that holds every second of them.
    scaling
        {variable: [value that 0 stands for, value that 1 stands for]} in oceanx's units, fluxes downwards: required
        for "wenhai", whose files do not say it.
    quantity
        {variable: "total" | "anomaly"}; in the published files `thetao`, `so` and `zos` are anomalies.
    """
    if content not in _CONTENT:
        raise unknown("content", content, _CONTENT)
    if levels not in _LEVELS:
        raise InputError(f"levels: {levels}; expected 23 or 12")
    layout = _CONTENT[content]
    layout = replace(layout, depth=_LEVELS[levels]) if layout.depth else layout
    return parts_of(path, layout, wanted, hdf5, told_by(path, locals()))
