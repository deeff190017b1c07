"""Ocean-E2E: a year of daily surface fields in one NetCDF file, channels in `mhws_variables` or one variable each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from ...vocabulary.errors import InputError, unknown
from ...vocabulary.published import OCEAN_E2E, Layout
from ..formats import netcdf
from ..formats.part import Part, Wanted, everything, to_dataset
from ..formats.published import parts_of, told_by


def read(path: Path | str, **options: Any) -> xr.Dataset:
    """The Dataset of one file, in memory; `options` as of `parts`."""
    return to_dataset(parts(Path(path), everything(), Path(), **options))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    *,
    content: str | None = None,
    scaling: Mapping[str, tuple[float, float]] | None = None,
    year: int | None = None,
    first_day: str | None = None,
    absent_day: str | None = None,
    rows: str = "south_to_north",
    resolution: float = 0.5,
    first_longitude: float = -180.0,
    dropped_row: str = "last",
    repeated_column: bool = False,
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
        Which of the system's files it is (`oceanx.vocabulary.published.OCEAN_E2E`); None: told from its variables
        and the number of channels.
    scaling
        {variable: [value that 0 stands for, value that 1 stands for]}: required for `ssta_highres`, which is
        normalised and does not say how; [0, 1] says that it is not.
    repeated_column
        True if the last column is the first one again, 360 degrees on.
    quantity
        {variable: "total" | "anomaly"}; in the published files `sst` is an anomaly.
    """
    if content is not None and content not in OCEAN_E2E:
        raise unknown("content", content, OCEAN_E2E)
    layout = OCEAN_E2E[content] if content else _recognised(path)
    return parts_of(path, layout, wanted, netcdf.opened, told_by(path, locals()))


def _recognised(path: Path) -> Layout:
    """The layout whose variables and number of channels a file has."""
    with netcdf.opened(path) as source:
        for layout in OCEAN_E2E.values():
            if not set(layout.keys) <= set(source):
                continue
            shape = source[layout.keys[0]].shape
            if not layout.stacked or (len(shape) == 4 and shape[1] == len(layout)):
                return layout
        found = ", ".join(f"{name} {v.shape}" for name, v in source.items()) or "nothing"
    keys = dict.fromkeys(key for layout in OCEAN_E2E.values() for key in layout.keys)
    counts = sorted({len(layout) for layout in OCEAN_E2E.values() if layout.stacked})
    raise InputError(
        f"{path}: holds {found}; expected {', '.join(keys)} (mhws_variables with {', '.join(map(str, counts))} "
        "channels in its second dimension)"
    )
