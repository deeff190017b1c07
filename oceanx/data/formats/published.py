"""What the readers of published systems' files share: labels for the channels of arrays that have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...vocabulary import published
from ...vocabulary.errors import InputError, unknown
from ...vocabulary.names import VARIABLES
from ...vocabulary.published import Layout, Orientation
from .layout import Column, make_part
from .part import Part, Wanted
from .published_masks import mask_key, wet_cells

Opener = Callable[[Path], AbstractContextManager[Mapping[str, Any]]]


class Told(Orientation):
    """What a file of arrays does not say of itself, and the recipe does."""

    year: int | None = None
    first_day: date | None = None
    absent_day: published.AbsentDay | None = None
    repeated_column: bool = False
    side: Literal["east", "west"] | None = None
    land: published.Land = "nan"
    mask: Path | None = None
    quantity: Mapping[str, published.Quantity] = {}
    scaling: Mapping[str, tuple[float, float]] = {}


def parts_of(path: Path, layout: Layout, wanted: Mapping[str, Wanted], opener: Opener, told: Told) -> list[Part]:
    """The Part of one file of a layout, from its shape and what the recipe tells.

    Raises
    ------
    InputError
        Naming the file, what it holds and what was expected: key, rank, channels, grid, days, mask or scaling.
    """
    with opener(path) as source:
        shape = _checked(path, layout, source)
        packing = {name: _packing(source[layout.key(name)]) for name in layout.order}
    here = {name: want for name, want in wanted.items() if name in layout.order}
    _refuse_unscaled(path, layout, told, here)
    quantity = _quantities(path, layout, told)
    height, width = shape[-2], shape[-1] - told.repeated_column
    latitude = told.latitudes(height, f"{path}: {layout.keys[0]}")
    columns, longitude = _one_side(told.longitudes(width, f"{path}: {layout.keys[0]}"), told.side)
    times, lacking = _days(path, layout, shape[0], told)
    view = View(layout, columns, told.repeated_column, mask_key(path, layout, told.land, told.mask, height, width))
    axes = {"time": times, "depth": np.array(layout.depth), "latitude": latitude, "longitude": longitude}
    asked = {name: Wanted((name,), want.units or VARIABLES[name].units) for name, want in here.items()}
    part = make_part(str(path), _described(axes, asked), asked, partial(_opened, path, opener, view))
    fields = {
        name: replace(
            found,
            packing=packing[name] | _scaling(told.scaling.get(name, (0, 1))),
            cell_methods="time: mean" if VARIABLES[name].realm in ("ocean", "ice") else "",
            attrs=published.anomaly_attrs(name, found.units) if quantity[name] == "anomaly" else {},
        )
        for name, found in part.fields.items()
    }
    notes = (_told(layout, told, height), *([f"{path.name} lacks {lacking}"] if lacking else []))
    return [replace(part, fields=fields, notes=notes)]


def _described(axes: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[str, Column]:
    """The columns a file would have if its arrays had labels."""
    found = {dim: Column((dim,), values.shape, {}, values) for dim, values in axes.items() if values.size}
    for name in names:
        dims = ("time", *(("depth",) if VARIABLES[name].volume else ()), "latitude", "longitude")
        found[name] = Column(dims, tuple(axes[dim].size for dim in dims), {}, None)
    return found


@dataclass(frozen=True)
class View:
    """How the variables of a layout are had from its datasets: their channels, some columns, NaN on land."""

    layout: Layout
    columns: slice
    repeated: bool = False
    mask: tuple[Any, ...] | None = None  # what `wet_cells` takes

    def of(self, label: str, source: Mapping[str, Any], name: str) -> ChannelView:
        """One variable of an open file."""
        where = self.layout.slices[name] if self.layout.stacked else None
        if where is not None and not VARIABLES[name].volume:
            where = where.start
        wet = wet_cells(*self.mask)[name][..., self.columns] if self.mask and name in self.layout.at_sea else None
        return ChannelView(label, name, source[self.layout.key(name)], where, self.columns, self.repeated, wet)


@dataclass(frozen=True)
class ChannelView:
    """One variable as an array (time, [level,] row, column) that reads only what is asked for."""

    label: str
    name: str
    array: Any
    channels: slice | int | None
    columns: slice
    repeated: bool
    wet: np.ndarray | None

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        time, *space = index
        if any(s != slice(None) for s in space):
            raise IndexError(f"{self.name}: whole maps are read, not {space}")
        middle = () if self.channels is None else (self.channels,)
        if self.repeated:
            values = np.asarray(self.array[(time, *middle, slice(None), slice(None))])
            self._refuse_unequal(values)
            values = values[..., self.columns]
        else:
            values = np.asarray(self.array[(time, *middle, slice(None), self.columns)])
        if self.wet is not None:
            dry = np.broadcast_to(~self.wet, values.shape)
            self._refuse_on_land(values, dry)
            values = np.where(dry, np.asarray(np.nan, values.dtype), values)
        return values

    def _refuse_unequal(self, values: np.ndarray) -> None:
        if not np.array_equal(values[..., 0], values[..., -1], equal_nan=True):
            raise InputError(
                f"{self.label}: {self.name}: the last column is not the first one again; say repeated_column: false"
            )

    def _refuse_on_land(self, values: np.ndarray, dry: np.ndarray) -> None:
        wrong = dry & (values != 0) & ~np.isnan(values)
        if wrong.any():
            *_, row, column = np.argwhere(wrong)[0]
            raise InputError(
                f"{self.label}: {self.name} is {values[wrong][0]:g} at row {row}, column {column}, which the mask "
                "calls land; expected 0: is the mask of this grid and orientation?"
            )


@contextmanager
def _opened(path: Path, opener: Opener, view: View) -> Iterator[Mapping[str, Any]]:
    with opener(path) as source:
        yield {name: view.of(str(path), source, name) for name in view.layout.order}


def _checked(path: Path, layout: Layout, source: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of the file's datasets, which must be those of the layout."""
    shapes = {}
    for key in layout.keys:
        if key not in source or not hasattr(source[key], "shape"):
            raise InputError(
                f"{path}: holds {', '.join(sorted(map(str, source))) or 'nothing'}; expected {key!r} "
                f"({layout.system}); choose another recipe"
            )
        shapes[key] = tuple(source[key].shape)
    form = "(time, channel, row, column)" if layout.stacked else "(time, row, column)"
    for key, shape in shapes.items():
        if len(shape) != (4 if layout.stacked else 3) or 0 in shape:
            raise InputError(f"{path}: {key} has shape {shape}; expected {form}")
        if shape != shapes[layout.keys[0]]:
            raise InputError(f"{path}: {key} has shape {shape}, but {layout.keys[0]} {shapes[layout.keys[0]]}")
        if layout.stacked and shape[1] != len(layout):
            raise InputError(
                f"{path}: {key} has {shape[1]} channels; expected {len(layout)} ({layout.system}: "
                f"{', '.join(f'{n} {layout.levels(n)}' for n in layout.order)})"
            )
    return shapes[layout.keys[0]]


def _packing(array: Any) -> dict[str, Any]:
    """What a NetCDF variable says of its raw numbers; HDF5 datasets say nothing."""
    if not hasattr(array, "ncattrs"):
        return {}
    keys = ("_FillValue", "missing_value", "scale_factor", "add_offset")
    return {key: array.getncattr(key) for key in keys if key in array.ncattrs()}


def _refuse_unscaled(path: Path, layout: Layout, told: Told, here: Mapping[str, Wanted]) -> None:
    for name in told.scaling:
        if name not in layout.order:
            raise unknown(f"variable in scaling ({path})", name, layout.order)
    lacking = [name for name in layout.normalised if name in here and name not in told.scaling]
    if lacking:
        raise InputError(
            f"{path}: {layout.system} files hold scaled numbers, and do not say how {', '.join(lacking)} "
            "were scaled; give scaling: {name: [value that 0 stands for, value that 1 stands for]} in "
            f"{', '.join(dict.fromkeys(VARIABLES[n].units for n in lacking))} ([0, 1] if nothing was scaled)"
        )
    for name, (zero, one) in told.scaling.items():
        if zero == one:
            raise InputError(f"{path}: scaling of {name}: [{zero:g}, {one:g}]; expected two different values")


def _scaling(told: tuple[float, float]) -> dict[str, Any]:
    zero, one = told
    return {} if (zero, one) == (0, 1) else {"scale_factor": np.float64(one - zero), "add_offset": np.float64(zero)}


def _quantities(path: Path, layout: Layout, told: Told) -> dict[str, str]:
    for name in told.quantity:
        if name not in layout.order:
            raise unknown(f"variable in quantity ({path})", name, layout.order)
    published_ = {name: "anomaly" if name in layout.anomalies else "total" for name in layout.order}
    return published_ | dict(told.quantity)


def _one_side(longitude: np.ndarray, side: str | None) -> tuple[slice, np.ndarray]:
    """The columns of one side of the date line, and their longitudes."""
    if side is None:
        return slice(None, longitude.size), longitude
    at = int(np.searchsorted(longitude, 180))
    chosen = slice(0, at) if side == "east" else slice(at, longitude.size)
    if not 0 < at < longitude.size:
        raise InputError(
            f"side: {side}: longitudes {longitude[0]:g} to {longitude[-1]:g} do not cross 180; leave `side` out"
        )
    return chosen, longitude[chosen]


def _days(path: Path, layout: Layout, count: int, told: Told) -> tuple[np.ndarray, str]:
    """The time of every row, and which day of the year is not among them."""
    if told.first_day is not None:
        return published.first_days(told.first_day, count, layout.a_day), ""
    year = told.year or published.year_of(path)
    if year is None:
        raise InputError(f"{path}: the name tells no year; say year: 2020 (or first_day: 2020-01-01) in the options")
    days = published.days_of(year)
    if count == days.size * layout.a_day:
        return published.within_days(days, layout.a_day), ""
    if count == 365 * layout.a_day and told.absent_day:
        days = published.days_of(year, told.absent_day)
        return published.within_days(days, layout.a_day), f"{year}-{told.absent_day}"
    hint = {365 * layout.a_day: "is 29 February or 31 December absent? say absent_day: '02-29' or '12-31'"}.get(
        count, "for other spans say first_day: the date of the first row"
    )
    what = "days" if layout.a_day == 1 else "times"
    expected = days.size * layout.a_day
    raise InputError(f"{path}: {layout.keys[0]} has {count} {what}; expected {expected} in {year}; {hint}")


def _told(layout: Layout, told: Told, height: int) -> str:
    """One line for the store's attributes: what was assumed about the file."""
    if told.latitude is not None:
        where = f"latitude {told.latitude[0]:g} to {told.latitude[1]:g}"
    else:
        dropped = "no row" if height == round(180 / told.resolution) + 1 else f"the {told.dropped_row} row"
        where = f"{told.resolution:g} degrees from pole to pole but for {dropped}"
        where = where.replace(" but for no row", "")
    west = told.longitude[0] if told.longitude is not None else told.first_longitude
    kinds = dict.fromkeys(layout.anomalies, "anomaly") | dict(told.quantity)
    anomalies = ", ".join(name for name in layout.order if kinds.get(name) == "anomaly") or "none"
    return (
        f"read as {layout.system}: rows {told.rows.replace('_', ' ')}, {where}, first longitude {west:g}, "
        f"land {told.land}, anomalies: {anomalies}"
    )


def told_by(path: Path, arguments: Mapping[str, Any]) -> Told:
    """What a reader was told, checked; arguments that are None stand for the published layout."""
    given = {key: arguments[key] for key in Told.model_fields if arguments.get(key) is not None}
    return Told.parse(given, f"{path}: options")
