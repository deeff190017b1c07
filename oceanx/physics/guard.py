"""Guard: nothing becomes NaN silently. What is wrong with a start is said before a run, and where a run broke, at once.

`check_geometry`, `check_fields` and `check_present` look at everything once, before a run. `Watch` looks at every state
of a run, at the price of reading it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, above
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES, Variable

from .place import place

FACES = ("_xy", "_x", "_y", "_z")
AMISS = "mask and field disagree, or land was not filled with 0"
UNIT = "check its unit"
ADVICE = "try a shorter step (more substeps) or more viscosity"


class DivergedError(FloatingPointError):
    """A run has produced a number that is none: the message says which variable, where and when.

    Attributes
    ----------
    variable, cell, day
        The first field that broke, the indices of its first cell (batch, depth, latitude, longitude), and when.
    last
        The value there the last time all was well; None if it never was.
    """

    def __init__(self, message: str, variable: str, cell: tuple[int, ...], day: float, last: float | None):
        super().__init__(message)
        self.variable, self.cell, self.day, self.last = variable, cell, day, last


class Watch:
    """Looks at each state of a run and raises `DivergedError` at the first that holds NaN or infinity, on land too.

    It reads every field once: a sum is finite only where all its terms are. To name the last good value it keeps
    hold of the state before, without a copy.

    Parameters
    ----------
    geometry
        Of the states.
    start
        The state the run begins from, day 0.
    """

    def __init__(self, geometry: Geometry, start: Mapping[str, Tensor] | None = None):
        self.geometry = geometry
        self.good: Mapping[str, Tensor] = {}
        if start is not None:
            self(start, 0.0)

    def __call__(self, state: Mapping[str, Tensor], day: float) -> None:
        """Let this state pass, or raise `DivergedError`.

        Parameters
        ----------
        state
            Fields `[batch, depth, lat, lon]`.
        day
            Since the start of the run: what the message calls it.
        """
        with torch.no_grad():
            if not torch.stack([field.sum().isfinite() for field in state.values()]).all():
                for name, field in state.items():
                    self._look_closely(name, field, day)  # a sum of finite numbers may be too large for one
            self.good = {name: field.detach() for name, field in state.items()}

    def _look_closely(self, name: str, field: Tensor, day: float) -> None:
        broken = ~field.isfinite()
        if not broken.any():
            return
        cell = first(broken)
        last = self.good[name][cell].item() if name in self.good else None
        before = "it was so from the start" if last is None else f"the last good value was {last:.4g}{_unit(name)}"
        land = "" if _mask(name, field, self.geometry).expand(field.shape)[cell] else " (land)"
        where = place(self.geometry, cell, field.shape[1]) + land
        raise DivergedError(
            f"{name} is {field[cell].item()} on day {day:g} at {where}, in {_cells(broken)} in all; {before}; {ADVICE}",
            name,
            cell,
            day,
            last,
        )


def check_fields(fields: Mapping[str, Tensor], geometry: Geometry) -> None:
    """Let these fields pass as the start or forcing of a run on this grid, or say what is wrong with the first bad one.

    Parameters
    ----------
    fields
        `[batch, depth, lat, lon]`, by our names, 0 on land. A name that ends in `_x`, `_y`, `_z` or `_xy` lives there.

    Raises
    ------
    InputError
        For a shape that is not the grid's, NaN or infinity in wet cells, anything but 0 on land, a value that is not
        physically possible (`VARIABLES`), or fresh wet cells in a salty ocean, which are another mask's land.
    """
    for name, field in fields.items():
        _check_shape(name, field, geometry)
        what, complain = _variable(name), _complainer(name, field, geometry)
        wet, finite = _mask(name, field, geometry).expand(field.shape) > 0, field.isfinite()
        complain(wet & ~finite, "wet", "not finite: fill what is missing, or make it land in the mask")
        if what is None or what.realm in ("ocean", "ice"):
            complain(~wet & (field != 0), "land", f"not 0: {AMISS}")
        complain(~finite, "land", "not finite: fill land with 0 (0 × NaN is NaN)")
        if what is not None and what.valid is not None:
            low, high = what.valid
            complain(wet & ((field < low) | (field > high)), "wet", f"outside {low:g} to {high:g} {what.units}: {UNIT}")
        if name == "so" and (wet & (field != 0)).any():
            complain(wet & (field == 0), "wet", f"exactly 0, as land is: {AMISS}")


def check_present(fields: Iterable[str], needed: Iterable[str], what: str = "forcing") -> None:
    """Let these fields pass if they hold all that is needed; else `InputError` names what is missing."""
    there = list(fields)
    missing = [name for name in needed if name not in there]
    if missing:
        raise InputError(f"the {what} lacks {', '.join(missing)}; it holds {', '.join(there) or 'nothing'}")


def check_geometry(geometry: Geometry) -> None:
    """Let this grid pass, or say what is wrong with it. Unequal spacing is no fault.

    Raises
    ------
    InputError
        For axes that do not ascend, layers or cells without volume, a mask of other values than 0 and 1, water under
        land, or no water at all.
    """
    for axis in ("latitude", "longitude", "depth"):
        values = getattr(geometry, axis)
        wrong = ~(values.diff() > 0)
        if wrong.any():
            at = int(wrong.nonzero()[0])
            pair = f"{values[at].item():g} is followed by {values[at + 1].item():g}"
            raise InputError(f"{axis} must ascend: {pair} (index {at}); sort the dataset by {axis}")
    for name, sizes in {"layer thickness": geometry.thickness.flatten(), "cell area": geometry.area.flatten()}.items():
        wrong = ~(sizes > 0)
        if wrong.any():
            at = int(wrong.nonzero()[0])
            raise InputError(f"{name} must be positive: {sizes[at].item():g} at index {at}; check the cell edges")
    mask = geometry.mask[None]
    complain = _complainer("mask", mask, geometry)
    complain((mask != 0) & (mask != 1), "grid", "neither 0 (land) nor 1 (wet)")
    under = (mask > 0) & (above(mask) == 0)
    under[:, 0] = False
    complain(under, "wet", "under land: make them land too, or open the column above them")
    if not mask.any():
        raise InputError("the mask has no wet cell; 1 is wet and 0 is land")


def first(which: Tensor) -> tuple[int, ...]:
    """The indices of the first cell that is true."""
    return tuple(int(n) for n in which.nonzero()[0])


def _check_shape(name: str, field: Tensor, geometry: Geometry) -> None:
    levels, rows, columns = geometry.mask.shape
    what, found = _variable(name), tuple(field.shape)
    depths = {1, levels} if what is None else {levels if what.volume else 1}
    if field.ndim != 4 or field.shape[1] not in depths or found[2:] != (rows, columns):
        expected = f"(batch, {' or '.join(map(str, sorted(depths)))}, {rows}, {columns})"
        raise InputError(f"{name} has the shape {found}, the grid asks for {expected}: put it on the grid of the mask")


def _complainer(name: str, field: Tensor, geometry: Geometry) -> Callable[[Tensor, str, str], None]:
    """A function that raises `InputError` where cells are marked: how many, and the first one's value and place."""

    def complain(which: Tensor, kind: str, fault: str) -> None:
        if which.any():
            cell = first(which)
            value = f"{field[cell].item():.4g} at {place(geometry, cell, field.shape[1])}"
            raise InputError(f"{name}: {_cells(which, kind)} {fault} (first: {value})")

    return complain


def _variable(name: str) -> Variable | None:
    """The table's row of a field, wherever on its cell it lives."""
    return VARIABLES.get(name.rsplit("_", 1)[0] if name.endswith(FACES) else name)


def _unit(name: str) -> str:
    what = _variable(name)
    return "" if what is None else f" {what.units}"


def _mask(name: str, field: Tensor, geometry: Geometry) -> Tensor:
    """Where a field of this name and depth is wet, or its face open."""
    suffix = next((face for face in FACES if name.endswith(face)), "")
    mask: Tensor = getattr(geometry, f"mask{suffix}")
    return mask[:1] if field.shape[1] == 1 else mask


def _cells(which: Tensor, kind: str = "") -> str:
    """'1 wet cell', '12 wet cells'."""
    count = int(which.sum())
    return " ".join(filter(None, (str(count), kind, "cell" if count == 1 else "cells")))
