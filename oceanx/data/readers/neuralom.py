"""NeuralOM and NeuralOGCM: a year of daily fields in one HDF5 file, `fields` (day, 97 channels, row, column)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary import published
from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS, VARIABLES
from ...vocabulary.published import NEURALOM
from ..formats.part import Part, Wanted, everything, to_dataset
from ..formats.published import parts_of, told_by
from ..formats.published_masks import hdf5


def read(path: Path | str, **options: Any) -> xr.Dataset:
    """The Dataset of one file, in memory; `options` as of `parts`."""
    return to_dataset(parts(Path(path), everything(), Path(), **options))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    *,
    year: int | None = None,
    first_day: str | None = None,
    absent_day: str | None = None,
    rows: str = NEURALOM.rows,
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
    """What one file holds. `scratch` is not needed.

    Parameters
    ----------
    year
        Of the file; None: the year in its name (2020.h5).
    first_day
        Date of the first row, for a file that is not a whole year.
    absent_day
        The day that a leap year of 365 days lacks: "02-29" or "12-31".
    rows
        "north_to_south" or "south_to_north".
    resolution, first_longitude
        Degrees; of the first column.
    dropped_row
        Which row, in the file's order, a file lacks that has one row fewer than from pole to pole: "first", "last".
    latitude, longitude
        First and last cell centre of a region: [south, north], [west, east].
    side
        "east" or "west": which side of the date line to take of a region that crosses it.
    land, mask
        "nan", or "zero" with the land mask file (`fields` with a channel for each of the state, or .npy; 1 is sea).
    quantity
        {variable: "total" | "anomaly"}; the published files hold totals.
    """
    return parts_of(path, NEURALOM, wanted, hdf5, told_by(path, locals()))


def statistics(mean: Path | str, std: Path | str) -> xr.Dataset:
    """`<name>_mean` and `<name>_std` by depth (or pressure) of published `.npy` statistics, shape (1, channels, 1, 1).

    Of 97 channels (the ocean and its forcing) or of 69 (the system's atmosphere, on pressure levels in hPa). The
    ocean's `so`, `thetao` and `zos` are statistics of departures from the day-of-year mean. Numbers are kept as they
    are: `oceanx.export.neuralom.statistics` writes the same files back.

    Raises
    ------
    InputError
        For a file that is no such array, or two files that do not belong together.
    """
    found = {kind: _numbers(Path(path)) for kind, path in (("mean", mean), ("std", std))}
    if found["mean"].shape != found["std"].shape:
        raise InputError(f"{std}: has {found['std'].size} channels, but {mean} {found['mean'].size}; give a pair")
    ocean = found["mean"].size == len(NEURALOM)
    return xr.Dataset(
        {
            f"{name}_{kind}": one
            for name, where in (NEURALOM.slices if ocean else published.atmosphere_slices()).items()
            for kind, values in found.items()
            for one in [_labelled(name, kind, values[where], ocean)]
        }
    )


def _numbers(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: is no .npy file ({error})") from None
    sizes = (len(NEURALOM), published.ATMOSPHERE_CHANNELS)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.size not in sizes:
        raise InputError(
            f"{path}: has shape {np.shape(values)}; expected (1, {sizes[0]}, 1, 1) or (1, {sizes[1]}, 1, 1)"
        )
    return values.ravel()


def _labelled(name: str, kind: str, values: np.ndarray, ocean: bool) -> xr.DataArray:
    row = VARIABLES.get(name)
    attrs = {"units": row.units} if row else {}
    if ocean and name in published.NEURALOM_ANOMALIES:
        attrs |= {published.QUANTITY: "anomaly"}
    if len(values) == 1:
        return xr.DataArray(values[0], attrs=attrs)
    if ocean:
        return xr.DataArray(values, {"depth": ("depth", np.array(NEURALOM.depth), DIMENSIONS["depth"])}, attrs=attrs)
    pressure = ("pressure", np.array(published.ATMOSPHERE_LEVELS), {"units": "hPa", "standard_name": "air_pressure"})
    return xr.DataArray(values, {"pressure": pressure}, attrs=attrs)
