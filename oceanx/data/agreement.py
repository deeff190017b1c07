"""Agreement between the parts of a bake: what all must share, and what they have in common where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..vocabulary.errors import InputError
from . import axis as axes
from . import units
from .formats.cutting import along, at_rows
from .formats.part import Part

if TYPE_CHECKING:
    from .recipe import Recipe

_ON_ONE_GRID = 1e-4  # degrees, or m


def refuse_absent(recipe: Recipe, parts: Sequence[Part]) -> None:
    """`InputError` naming a required variable that is in no file."""
    for name, pick in recipe.variables.items():
        if not pick.optional and not any(name in part.fields for part in parts):
            raise InputError(
                f"{parts[0].label}: no variable {name} (looked for {', '.join(recipe.wanted()[name].names)}); "
                "choose variables with variables=[…], or add the files that hold it"
            )


def refuse_disorder(parts: Sequence[Part]) -> None:
    """`InputError` naming the first file in which times do not ascend."""
    for part in parts:
        if part.disorder:
            raise InputError(f"{part.disorder}; mend the file, or let them be sorted with disorder=sort")


def refuse_differing(parts: Sequence[Part]) -> None:
    """`InputError` naming the first file whose grid, depth axis, calendar or units are not those of one before it."""
    first = parts[0]
    deep = next((part for part in parts if "depth" in part.axes), first)
    unit: dict[str, tuple[str, str]] = {}
    for part in parts:
        if part.calendar != first.calendar:
            raise InputError(f"{part.label}: calendar is {part.calendar}, but {first.calendar} in {first.label}; "
                             "bake files of one calendar at a time")  # fmt: skip
        for dim in part.axes:
            model = deep if dim == "depth" else first
            if part.axes[dim] is not model.axes[dim]:
                _refuse_other_axis(dim, part, model)
        for name, found in part.fields.items():
            here = units.normal(found.units)
            before, where = unit.setdefault(name, (here, part.label))
            if here != before:
                raise InputError(f"{part.label}: {name} is in {found.units!r}, but in {before!r} in {where}; "
                                 "bake files of one unit at a time")  # fmt: skip


def _refuse_other_axis(dim: str, part: Part, model: Part) -> None:
    here, there = part.axes[dim], model.axes[dim]
    if here.shape != there.shape:
        remedy = "bake one grid at a time"
        if _overlap(dim, here, there) is not None:
            remedy += ", or only what all files hold with grids=common"
        raise InputError(f"{part.label}: {dim} has {here.size} values, but {there.size} in {model.label}; {remedy}")
    apart = np.abs(here.astype(float) - there.astype(float)) > _tolerance(dim, there)
    if apart.any():
        at = int(np.argmax(apart))
        raise InputError(
            f"{part.label}: {dim} differs from {model.label}: value {at} is {here[at]:g} against {there[at]:g}; "
            "bake one grid at a time"
        )


def common_grid(parts: Sequence[Part]) -> list[Part]:
    """The parts, each cut to the rows, columns and levels that all of them hold.

    Parts may differ at their edges, by whole rows, columns or levels; inside they must agree.

    Raises
    ------
    InputError
        Naming the first file that has nothing in common with those before it, or differs from them inside.
    """
    result = list(parts)
    for dim in ("depth", "latitude", "longitude"):
        holding = [number for number, part in enumerate(result) if dim in part.axes]
        if not holding:
            continue
        shared = _shared(dim, [result[number] for number in holding])
        for number in holding:
            part = result[number]
            found = _overlap(dim, part.axes[dim], shared)
            assert found is not None
            left_out = part.axes[dim].size - shared.size
            cut = along(part, dim, found[0])
            cut = replace(cut, axes=cut.axes | {dim: shared})  # one object, so that comparing it costs nothing
            if left_out:
                note = f"{_name(part)}: {left_out} of {part.axes[dim].size} values of {dim} left out, which others lack"
                cut = replace(cut, notes=(*cut.notes, note))
            result[number] = cut
    return result


def _shared(dim: str, parts: Sequence[Part]) -> np.ndarray:
    """The values of an axis that all parts have."""
    shared, before = parts[0].axes[dim], parts[0]
    for part in parts[1:]:
        if part.axes[dim] is shared:
            continue
        found = _overlap(dim, part.axes[dim], shared)
        if found is None:
            raise InputError(
                f"{part.label}: {dim} ({_reach(part.axes[dim])}) and that of {before.label} ({_reach(shared)}) "
                "differ by more than whole values at their edges; bake one grid at a time"
            )
        if found[1].size < shared.size:
            shared, before = shared[found[1]], part
    return shared


def _overlap(dim: str, here: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions of common values in two ascending axes, or None if they differ elsewhere than at their edges."""
    at = np.searchsorted(there, here)
    near = np.stack([np.clip(at - 1, 0, there.size - 1), np.clip(at, 0, there.size - 1)])
    away = np.abs(there[near].astype(float) - here)
    nearest = np.where(away[0] <= away[1], near[0], near[1])
    ours = np.flatnonzero(away.min(axis=0) <= _tolerance(dim, here))
    theirs = nearest[ours]
    whole = ours.size > 0 and (np.diff(ours) == 1).all() and (np.diff(theirs) == 1).all()
    # Only at the edges: nothing of one lies between what is common and the other's end on the same side.
    lower = whole and (ours[0] == 0 or theirs[0] == 0)
    upper = whole and (ours[-1] == here.size - 1 or theirs[-1] == there.size - 1)
    return (ours, theirs) if lower and upper else None


def _tolerance(dim: str, values: np.ndarray) -> np.ndarray | float:
    return _ON_ONE_GRID * np.maximum(1.0, np.abs(values)) if dim == "depth" else _ON_ONE_GRID


def common_times(parts: Sequence[Part]) -> list[Part]:
    """The parts, each cut to the times at which every variable is held by some part.

    Raises
    ------
    InputError
        Naming two variables that have no time in common.
    """
    names = dict.fromkeys(name for part in parts for name in part.fields)
    held = {n: np.unique(np.concatenate([p.times for p in parts if n in p.fields])) for n in names}
    shared = next(iter(held.values()))
    for name, times in held.items():
        both = np.intersect1d(shared, times)
        if not both.size:
            one, other = next(iter(held)), name
            raise InputError(
                f"{_holder(other, parts)}: {other} ({_period(held[other])}) has no time in common with the others, "
                f"such as {one} ({_period(held[one])} in {_holder(one, parts)}); give files of the same time"
            )
        shared = both
    result = []
    for part in parts:
        keep = np.isin(part.times, shared)
        if not keep.all() and keep.any():
            note = f"{_name(part)}: {int((~keep).sum())} of {keep.size} times left out, at which others lack variables"
            part = replace(part, notes=(*part.notes, note))
        if keep.any():
            result.append(at_rows(part, keep))
    return result


def _holder(name: str, parts: Iterable[Part]) -> str:
    return next(part.label for part in parts if name in part.fields)


def _name(part: Part) -> str:
    return part.label.rsplit("/", 1)[-1]


def _reach(values: np.ndarray) -> str:
    return f"{values.size} values, {values[0]:g} to {values[-1]:g}"


def _period(times: np.ndarray) -> str:
    return f"{axes.day(times[0])} to {axes.day(times[-1])}"
