"""NeuralOM and NeuralOGCM: `<year>.h5` with `fields`, land mask, statistics and climatology, as these systems read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..ocean import climatology as seasons
from ..ocean.statistics import statistics as computed
from ..vocabulary import published
from ..vocabulary.errors import InputError
from ..vocabulary.files import refuse_existing, replacing
from ..vocabulary.names import VARIABLES
from ..vocabulary.progress import Progress
from ..vocabulary.published import NEURALOM, NEURALOM_ANOMALIES, QUANTITY
from . import season, yearly
from .way import Asked, Way, prepared, way

MEAN, STD, CLIMATE, MASK = "mean_s_t_ssh.npy", "std_s_t_ssh.npy", "climate_mean_s_t_ssh.npy", "land_mask.h5"
_HELD = 256 * 2**20  # bytes of a climatology that is simply read
_COMMON_YEAR = 2019  # the climatology has the days of a year without 29 February


def write(
    ds: xr.Dataset,
    to: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    rows: str = NEURALOM.rows,
    first_longitude: float = -180.0,
    dropped_row: str = "none",
    pad: bool = False,
    land: str = "nan",
    absent_day: str | None = None,
    partial: bool = False,
    quantity: Mapping[str, str] | None = None,
    climatology: xr.Dataset | str | None = None,
    statistics: xr.Dataset | Sequence[str] | str | None = None,
    land_mask: bool = True,
) -> list[Path]:
    """The files written in the folder `to`: one a year, the land mask, and statistics and climatology if asked for.

    Parameters
    ----------
    ds
        so, uo, vo, thetao (on the 23 levels, among others), zos, u10, v10, t2m, msl; days.
    rows, first_longitude
        How the files' rows and columns lie.
    dropped_row
        "first" or "last": leave that row of the Dataset out, in the file's order.
    pad
        True: rows from pole to pole; those that the Dataset lacks are land.
    land
        "nan" or "zero".
    absent_day
        "02-29" or "12-31": write leap years with 365 days, without that one.
    partial
        True: write years that are not whole, and missing days as NaN.
    quantity
        {variable: "total" | "anomaly"} other than the totals of the published files.
    climatology
        Years ("1993:2017"), a store or a Dataset: written as the daily climatology of so, thetao and zos (zero for
        the others, which the system uses as they are), and used where a total must be made of an anomaly.
    statistics
        Years to compute mean and spread over; a pair of `.npy` files to pass on unchanged; or a Dataset of
        `<name>_mean` and `<name>_std`. Those of so, thetao and zos are of anomalies, so years need `climatology`.
    land_mask
        True: write the mask of the Dataset, where it has one.
    """
    asked = Asked.of(locals())
    at, how = yearly.years(ds, asked), way(ds, NEURALOM, asked)
    mask = land_mask and how.wet is not None
    names = {
        MASK: mask, CLIMATE: climatology is not None, MEAN: statistics is not None, STD: statistics is not None
    }  # fmt: skip
    extra = [name for name, there in names.items() if there]
    files = dict(
        zip(at, yearly.targets(to, [*(NEURALOM.file.format(year=y) for y in at), *extra], overwrite), strict=False)
    )
    cycle = season.chosen(ds, climatology, NEURALOM_ANOMALIES, progress)
    fields = prepared(ds, NEURALOM, asked, cycle)
    numbers = None if statistics is None else _statistics(fields, statistics, cycle, progress)
    yearly.write(fields, how, at, files, yearly.hdf5, overwrite=overwrite, progress=progress)
    if mask:
        _write_mask(to / MASK, how, overwrite)
    if cycle is not None:
        _write_climatology(to / CLIMATE, cycle, fields, how, overwrite, progress)
    if numbers is not None:
        _write_statistics(to, numbers, overwrite)
    return [*files.values(), *(to / name for name in extra)]


def statistics(ds: xr.Dataset, to: Path | str, *, overwrite: bool = False) -> list[Path]:
    """The two files, mean and spread, written in the folder `to` from a Dataset of `<name>_mean` and `<name>_std`.

    The inverse of `oceanx.data.readers.neuralom.statistics`, to the bit: 97 channels (`mean_s_t_ssh.npy`), or 69
    (`mean_atmos.npy`) if the Dataset has pressure levels.
    """
    return _write_statistics(Path(to), _numbers(ds), overwrite)


def _numbers(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """The `.npy` arrays by file name."""
    atmosphere = "pressure" in ds.dims
    slices = published.atmosphere_slices() if atmosphere else NEURALOM.slices
    found = {}
    for kind in ("mean", "std"):
        values = np.empty(max(where.stop for where in slices.values()))
        for name, where in slices.items():
            key, size = f"{name}_{kind}", where.stop - where.start
            if key not in ds.data_vars:
                raise InputError(f"statistics: no {key}; found {', '.join(map(str, ds.data_vars)) or 'nothing'}")
            one = np.atleast_1d(ds[key].values)
            if one.size != size:
                raise InputError(f"statistics: {key} has {one.size} values; expected {size}")
            values[where] = one
        found[f"{kind}_{'atmos' if atmosphere else 's_t_ssh'}.npy"] = values.reshape(1, -1, 1, 1)
    return found


def _statistics(
    ds: xr.Dataset, given: Any, cycle: xr.Dataset | None, progress: Progress | None
) -> dict[str, np.ndarray] | dict[str, Path]:
    """What goes into the files of statistics: numbers, or files that are passed on."""
    if isinstance(given, xr.Dataset):
        return _numbers(given)
    if isinstance(given, list | tuple):
        if len(given) != 2 or not all(Path(one).is_file() for one in given):
            raise InputError(f"statistics: {list(given)}; expected the two files of mean and spread")
        return dict(zip((MEAN, STD), map(Path, given), strict=True))
    dates = season.span(str(given))
    if dates is None:
        raise InputError(f"statistics: {given!r}; expected years (1993:2017) or the two files of mean and spread")
    ds = ds.sel(time=dates)
    departing = [n for n in NEURALOM_ANOMALIES if ds[n].attrs.get(QUANTITY) != "anomaly"]
    if departing and cycle is None:
        raise InputError(f"statistics: those of {', '.join(departing)} are of anomalies; give climatology={given} too")
    plain = [name for name in NEURALOM.order if name not in departing]
    parts = [computed(ds, names=plain, progress=progress)]
    if departing:
        parts.append(computed(ds, climatology=cycle, names=departing, progress=progress))
    return _numbers(xr.merge(parts, compat="override", combine_attrs="override"))


def _write_statistics(to: Path, numbers: Mapping[str, Any], overwrite: bool) -> list[Path]:
    files = [refuse_existing(to / name, overwrite=overwrite) for name in numbers]
    for file, values in zip(files, numbers.values(), strict=True):
        with replacing(file, overwrite=overwrite) as path:
            if isinstance(values, Path):
                shutil.copyfile(values, path)
            else:
                with path.open("wb") as out:
                    np.save(out, values)
    return files


def _write_mask(target: Path, how: Way, overwrite: bool) -> None:
    """1 for sea, 0 for land, by channel; the forcing's channels are 1 everywhere."""
    import h5py

    assert how.wet is not None
    maps = np.ones((1, len(NEURALOM), *how.shape), np.float32)
    for name in NEURALOM.at_sea:
        maps[0, NEURALOM.slices[name]] = how.wet if VARIABLES[name].volume else how.wet[:1]
    with replacing(target, overwrite=overwrite) as path, h5py.File(path, "w") as file:
        file["fields"] = maps


def _write_climatology(
    target: Path, cycle: xr.Dataset, ds: xr.Dataset, how: Way, overwrite: bool, progress: Progress | None
) -> None:
    """(365, 97, row, column) float32, a day at a time; land NaN or 0 as in the fields."""
    days = published.days_of(_COMMON_YEAR)
    cycle = cycle[[name for name in NEURALOM_ANOMALIES if name in cycle.data_vars]]
    if "depth" in cycle.dims:
        cycle = cycle.sel(depth=ds["depth"], method="nearest", tolerance=1.0)
    held = "harmonic" in cycle.dims or cycle.nbytes < _HELD  # else a table of days, read day by day
    cycle_at = seasons.at if held else seasons.lazy_at
    cycle = cycle.load() if held else cycle
    with replacing(target, overwrite=overwrite) as path:
        shape = (days.size, len(NEURALOM), *how.shape)
        with path.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for number, day in enumerate(days):
                maps = np.zeros(shape[1:], np.float32)
                for name, v in cycle_at(cycle, xr.DataArray([day], dims="time")).data_vars.items():
                    values = v.transpose("time", ..., "latitude", "longitude").values
                    maps[NEURALOM.slices[str(name)]] = how.arranged(str(name), values)[0]
                out.write(maps.tobytes())
                if progress:
                    progress("writing the climatology", number + 1, days.size)
