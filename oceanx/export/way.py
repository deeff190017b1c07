"""Where each row, column and level of a published system's file comes from in a labelled Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..ocean import climatology as seasons
from ..vocabulary import published
from ..vocabulary.config import Config
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import VARIABLES
from ..vocabulary.published import QUANTITY, Layout

_ON_GRID = 1e-4  # degrees
_SAME_DEPTH = 0.01  # m, or that share of the depth


class Asked(Config):
    """How the files should be: what the options of an export say."""

    rows: published.Rows
    first_longitude: float = -180.0
    dropped_row: published.Row = "none"
    pad: bool = False
    repeated_column: bool = False
    land: published.Land = "nan"
    absent_day: published.AbsentDay | None = None
    partial: bool = False
    quantity: Mapping[str, published.Quantity] = {}
    scaling: Mapping[str, tuple[float, float]] = {}

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Asked:
        """The options among the arguments of an export's `write`; those that are None were not given."""
        given = {key: arguments[key] for key in cls.model_fields if arguments.get(key) is not None}
        return cls.parse(given, "export")


@dataclass(frozen=True, eq=False)
class Way:
    """From a labelled Dataset to the arrays of a layout.

    Attributes
    ----------
    rows
        For each row of the file, the row of the Dataset; −1 where it has none.
    columns
        For each column of the file, that of the Dataset.
    latitude
        Of each row of the file.
    wet
        (level, row, column) of the file, sea by the Dataset's mask; None where it has no mask.
    """

    layout: Layout
    asked: Asked
    rows: np.ndarray
    columns: np.ndarray
    latitude: np.ndarray
    wet: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the file."""
        return self.rows.size, self.columns.size

    def arranged(self, name: str, values: np.ndarray) -> np.ndarray:
        """float32 values (day, [level,] row, column) as the file has them, from ascending ones."""
        values = np.take(np.asarray(values, np.float32), np.maximum(self.rows, 0), axis=-2)
        if not np.array_equal(self.columns, np.arange(values.shape[-1])):
            values = np.take(values, self.columns, axis=-1)
        values[..., self.rows < 0, :] = np.nan
        if name in self.asked.scaling:
            zero, one = map(np.float64, self.asked.scaling[name])
            values = values if (zero, one) == (0, 1) else ((values - zero) / (one - zero)).astype(np.float32)
        if self.asked.land == "zero" and name in self.layout.at_sea:
            gaps = np.isnan(values)
            self._refuse_gaps(name, gaps)
            values[gaps] = 0
        return values

    def _refuse_gaps(self, name: str, gaps: np.ndarray) -> None:
        """`InputError` for missing values at sea, which a zero would hide."""
        if self.wet is None:
            return
        wrong = gaps & (self.wet if VARIABLES[name].volume else self.wet[0])
        if wrong.any():
            raise InputError(
                f"{name}: {int(wrong.sum())} missing values at sea, which land: zero would turn into water of 0; "
                "say land=nan, or fill them first"
            )


def way(ds: xr.Dataset, layout: Layout, asked: Asked) -> Way:
    """How a Dataset is laid out in the files of a layout.

    Raises
    ------
    InputError
        If the Dataset lacks a coordinate, or its grid cannot be laid out so.
    """
    lacking = [c for c in ("time", "latitude", "longitude") if c not in ds.coords]
    if lacking:
        raise InputError(f"export: no coordinate {lacking[0]!r}; found {', '.join(map(str, ds.coords))}")
    rows, latitude = _rows(ds["latitude"].values, asked)
    columns = _columns(ds["longitude"].values, asked)
    return Way(layout, asked, rows, columns, latitude, _wet(ds, layout, rows, columns))


def _wet(ds: xr.Dataset, layout: Layout, rows: np.ndarray, columns: np.ndarray) -> np.ndarray | None:
    if "mask" not in ds.coords:
        return None
    mask = ds["mask"].transpose(..., "latitude", "longitude")
    if "depth" not in mask.dims:
        mask = mask.expand_dims("depth")
    elif layout.depth:
        mask = mask.sel(depth=matched(ds, layout))
    wet: np.ndarray = mask.values[..., np.maximum(rows, 0)[:, None], columns] == 1
    wet[..., rows < 0, :] = False
    return wet


def prepared(ds: xr.Dataset, layout: Layout, asked: Asked, cycle: xr.Dataset | None) -> xr.Dataset:
    """The layout's variables on its levels, each a total or an anomaly as the files have it; lazy where `ds` is.

    Raises
    ------
    InputError
        For a variable, level or unit that is not there, or a quantity that no climatology is given to convert.
    """
    for name in layout.order:
        if name not in ds.data_vars:
            raise InputError(f"export: no variable {name}; {layout.system} files hold {', '.join(layout.order)}")
    ds = ds[list(layout.order)]
    if layout.depth and any(VARIABLES[name].volume for name in layout.order):
        ds = ds.sel(depth=matched(ds, layout))
    kinds = {name: "anomaly" if name in layout.anomalies else "total" for name in layout.order}
    for name in (*asked.quantity, *asked.scaling):
        if name not in kinds:
            raise unknown("variable", name, kinds)
    kinds |= dict(asked.quantity)
    _refuse_units(ds)
    lacking = [name for name in layout.normalised if name not in asked.scaling]
    if lacking:
        raise InputError(
            f"{layout.system} files hold scaled numbers: give scaling: {{name: [value that 0 stands for, value that "
            f"1 stands for]}} of {', '.join(lacking)} ([0, 1] to scale nothing)"
        )
    for kind, convert in (("anomaly", seasons.anomaly), ("total", seasons.total)):
        names = [n for n in layout.order if kinds[n] == kind != ds[n].attrs.get(QUANTITY, "total")]
        lacking = [n for n in names if cycle is None or n not in cycle.data_vars]
        if lacking:
            raise InputError(
                f"{', '.join(lacking)}: {layout.system} files hold the {kind}, and the Dataset the other; give "
                f"climatology=…, or quantity: {{{lacking[0]}: {ds[lacking[0]].attrs.get(QUANTITY, 'total')}}} to write "
                "what is there"
            )
        if names:
            assert cycle is not None
            ds = ds.assign(convert(ds[names], _on_levels(cycle[names], ds)).data_vars)
    order = ("time", "depth", "latitude", "longitude")
    return ds.transpose(*(d for d in order if d in ds.dims))


def matched(ds: xr.Dataset, layout: Layout) -> np.ndarray:
    """The Dataset's own depths of the layout's levels."""
    if "depth" not in ds.coords:
        raise InputError(f"export: no coordinate 'depth'; {layout.system} files have {len(layout.depth)} levels")
    held, wanted = np.atleast_1d(ds["depth"].values), np.array(layout.depth)
    nearest = held[np.abs(held[:, None] - wanted).argmin(axis=0)]
    wrong = np.abs(nearest - wanted) > _SAME_DEPTH * np.maximum(1.0, wanted)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"depth: the level nearest to {wanted[at]:g} m is {nearest[at]:g} m; {layout.system} files have the "
            f"{wanted.size} levels {wanted[0]:g} to {wanted[-1]:g} m: interpolate to them first"
        )
    return nearest


def _on_levels(cycle: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    if "depth" not in cycle.dims:
        return cycle
    return cycle.sel(depth=ds["depth"], method="nearest", tolerance=1.0).assign_coords(depth=ds["depth"])


def _refuse_units(ds: xr.Dataset) -> None:
    for name, v in ds.data_vars.items():
        expected, found = VARIABLES[str(name)].units, v.attrs.get("units")
        difference = v.attrs.get(QUANTITY) == "anomaly" and {found, expected} <= {"K", "degrees_C"}
        if found != expected and not difference:
            raise InputError(f"{name}: found units {found!r}, expected {expected!r}; convert it first")


def _rows(latitude: np.ndarray, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """For each row of the file that of the Dataset (−1 for none), and its latitude."""
    rows = np.arange(latitude.size)
    if asked.pad:
        complete = _from_pole_to_pole(latitude)
        rows = np.full(complete.size, -1)
        rows[np.abs(complete[:, None] - latitude).argmin(axis=0)] = np.arange(latitude.size)
        latitude = complete
    order = slice(None, None, -1) if asked.rows == "north_to_south" else slice(None)
    kept = {"first": slice(1, None), "last": slice(-1), "none": slice(None)}[asked.dropped_row]
    return rows[order][kept], latitude[order][kept]


def _from_pole_to_pole(latitude: np.ndarray) -> np.ndarray:
    """The grid with both poles on which some latitudes lie; `InputError` if they lie on none."""
    spacing = float(np.median(np.diff(latitude))) if latitude.size > 1 else 180.0
    complete = np.linspace(-90, 90, round(180 / spacing) + 1)
    if np.abs(complete[:, None] - latitude).min(axis=0).max() > _ON_GRID:
        raise InputError(
            f"latitude: {latitude[0]:g} to {latitude[-1]:g} does not lie on a grid with both poles; leave `pad` out, "
            "or regrid first"
        )
    return complete


def _columns(longitude: np.ndarray, asked: Asked) -> np.ndarray:
    """The Dataset's columns in the file's order: eastwards from the first longitude."""
    first = (asked.first_longitude + 180) % 360 - 180
    away = np.abs((longitude - first + 180) % 360 - 180)
    start = int(away.argmin())
    if away[start] > _ON_GRID:
        raise InputError(
            f"longitude: no column at {asked.first_longitude:g} (nearest {longitude[start]:g}); say "
            f"first_longitude={longitude[0]:g}"
        )
    columns = np.roll(np.arange(longitude.size), -start)
    return np.append(columns, columns[0]) if asked.repeated_column else columns
