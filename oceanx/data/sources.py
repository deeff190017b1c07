"""Sources: every file of a bake, scanned, checked against one another, and read by time."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..vocabulary.errors import InputError
from ..vocabulary.names import variable
from . import axis as axes
from . import steps, units
from .agreement import common_grid, common_times, refuse_absent, refuse_differing, refuse_disorder
from .formats.part import Packing, Part, attributes, labelled
from .readers import reader
from .steps import averaging

if TYPE_CHECKING:
    from .recipe import Recipe

_DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")


def files(source: Any) -> list[Path]:
    """The files that paths and glob strings name, in order; `InputError` for a pattern that matches nothing."""
    entries = source if isinstance(source, list | tuple) else [source]
    found: list[Path] = []
    for entry in entries:
        text = os.fspath(entry)
        if glob.has_magic(text) and not os.path.exists(text):
            matches = sorted(glob.glob(text, recursive=True))
            if not matches:
                raise InputError(f"source {text!r}: no file matches; check the folder and the pattern")
            found += map(Path, matches)
        else:
            found.append(Path(text))
    if not found:
        raise InputError("source: no files given")
    return list(dict.fromkeys(found))


@dataclass(frozen=True, eq=False)
class Series:
    """One variable through time: at `times[k]` it is row `row[k]` of part `part[k]`."""

    times: np.ndarray
    part: np.ndarray
    row: np.ndarray


_UNDECIDED = (np.array([], "datetime64[ns]"), np.array([], "datetime64[ns]"))


@dataclass(frozen=True, eq=False)
class Sources:
    """All parts of a bake, what each variable is made of, and the time axis that comes out.

    Attributes
    ----------
    axis
        Output times; `missing` are those of a regular axis that no file holds.
    """

    paths: list[Path]
    parts: list[Part]
    origin: list[int]  # for each part, the number of its file in `paths`
    series: dict[str, Series]
    axis: np.ndarray
    missing: np.ndarray
    steps: tuple[Mapping[str, Mapping[str, Any]], ...]
    daily: bool

    @cached_property
    def stats(self) -> list[tuple[int, int]]:
        """Size and time of change of every file (of a folder: of itself)."""
        return [(found.st_size, found.st_mtime_ns) for found in (path.stat() for path in self.paths)]

    @cached_property
    def climatology_bounds(self) -> np.ndarray | None:
        """Of times that stand for a span of many years: (time, 2), as the files say; None if they do not."""
        found = {t: two for part in self.parts if part.bounds is not None
                 for t, two in zip(part.times, part.bounds, strict=True)}  # fmt: skip
        if not found or not all(t in found for t in self.axis):
            return None
        return np.stack([found[t] for t in self.axis])

    @classmethod
    def scan(
        cls,
        recipe: Recipe,
        paths: list[Path],
        scratch: Path,
        when: axes.Span,
        progress: Progress | None = None,
    ) -> Sources:
        """Look into every file once.

        Raises
        ------
        InputError
            Naming the file that is unreadable, on another grid, in another unit, a repetition, or without a
            variable.
        """
        module, wanted = reader(recipe.reader), recipe.wanted()
        parts: list[Part] = []
        origin: list[int] = []
        for number, path in enumerate(paths):
            if progress:
                progress("scanning", number, len(paths))
            held = [part for part in module.parts(path, wanted, scratch, **recipe.options) if part.fields]
            if not held:
                names = ", ".join(wanted) if recipe.variables else "the variables that oceanx knows"
                raise InputError(f"{path}: holds none of {names}; leave it out, or choose another recipe")
            parts += held
            origin += [number] * len(held)
        refuse_absent(recipe, parts)
        if recipe.disorder == "error":
            refuse_disorder(parts)
        if recipe.grids == "common":
            parts = common_grid(parts)
        refuse_differing(parts)
        if recipe.times == "common":
            parts, origin = _of_common_times(parts, origin)
        found = [name for name in wanted if any(name in part.fields for part in parts)]
        series = {name: _series(name, parts, recipe.duplicates) for name in found}
        return _with_axis(recipe, cls(paths, parts, origin, series, *_UNDECIDED, recipe.steps, False), when)

    def label(self, time: np.datetime64, name: str = "") -> str:
        """The file that holds a variable (or the first variable) at a time, or the first after it."""
        s = self.series.get(name) or next(iter(self.series.values()))
        at = min(int(np.searchsorted(s.times, time)), s.times.size - 1)
        return self.parts[s.part[at]].label

    def read(self, names: Sequence[str], times: np.ndarray, dtype: Any) -> xr.Dataset:
        """The Dataset of output `times` before any step, in the files' units: whole days' worth where days are made.

        With `dtype` "packed" the numbers are the files' own integers.
        """
        at = {name: self._rows(name, times) for name in names}
        moments = np.unique(np.concatenate([self.series[name].times[rows] for name, rows in at.items()]))
        values: dict[str, np.ndarray] = {}
        for number in sorted({int(p) for name, rows in at.items() for p in self.series[name].part[rows]}):
            part = self.parts[number]
            with part.open() as handle:
                for name, rows in at.items():
                    mine = rows[self.series[name].part[rows] == number]
                    if not mine.size:
                        continue
                    row = self.series[name].row[mine]
                    if dtype == "packed":
                        found = part.read_packed(handle, name, row)
                    else:
                        found = part.read(handle, name, row, dtype)
                    to = np.searchsorted(moments, self.series[name].times[mine])
                    if name not in values and np.array_equal(to, np.arange(moments.size)):
                        values[name] = found  # most often one file holds all of a block: nothing to put together
                        continue
                    if name not in values:
                        blank = self.packing(name).fill if dtype == "packed" else np.nan  # type: ignore[union-attr]
                        values[name] = np.full((moments.size, *found.shape[1:]), blank, found.dtype)
                    values[name][to] = found
        return xr.Dataset({name: self._labelled(name, values[name], moments) for name in names})

    def packing(self, name: str) -> Packing | None:
        """How the integers of a variable are packed in all files alike; None if they are no such integers.

        Raises
        ------
        InputError
            Naming the first file that packs the variable otherwise than the file before it.
        """
        held = [self.parts[number] for number in dict.fromkeys(self.series[name].part.tolist())]
        first = held[0].packing(name)
        for part in held[1:]:
            if part.packing(name) != first:
                raise InputError(
                    f"{part.label}: {name} is packed otherwise than in {held[0].label}, so the store cannot stay "
                    "packed; bake without packed=true"
                )
        return first

    def stamp(self, names: Sequence[str], times: np.ndarray) -> str:
        """What tells whether the files that `times` are made of are still the same."""
        rows = {name: self._rows(name, times) for name in names}
        used = {self.origin[p] for name, at in rows.items() for p in self.series[name].part[at].tolist()}
        stats = [(str(self.paths[n]), self.stats[n]) for n in sorted(used)]
        return hashlib.blake2b(json.dumps(stats).encode(), digest_size=12).hexdigest()

    def _rows(self, name: str, times: np.ndarray) -> np.ndarray:
        """Which rows of a series the output times are made of."""
        held = self.series[name].times
        if not self.daily:
            return np.flatnonzero(np.isin(held, times))
        days = held.astype("datetime64[D]").astype("datetime64[ns]")
        # A midnight belongs to the day that begins, and (of accumulations) to the day that ends.
        return np.flatnonzero(np.isin(days, times) | ((held == days) & np.isin(held - _DAY, times)))

    def _labelled(self, name: str, values: np.ndarray, times: np.ndarray) -> xr.DataArray:
        part = self.parts[self.series[name].part[0]]
        found = part.fields[name]
        attrs = attributes(name, units.normal(found.units), found.cell_methods, found.attrs)
        return labelled(name, values, times, part.axes, attrs)

    def exact(self, names: Sequence[str]) -> Any:
        """float32 where the steps only move numbers, float64 where they calculate."""
        fields = (self.parts[self.series[n].part[0]].fields[n] for n in names)
        moved = all(units.normal(f.units) == variable(n).units for n, f in zip(names, fields, strict=True))
        calculating = any(name in steps.ARITHMETIC for entry in self.steps for name in entry)
        return np.float32 if moved and not calculating else np.float64


def _of_common_times(parts: list[Part], origin: list[int]) -> tuple[list[Part], list[int]]:
    """What is left of the parts, each with the number of its file."""
    home = {part.label: number for part, number in zip(parts, origin, strict=True)}
    kept = common_times(parts)
    return kept, [home[part.label] for part in kept]


def _series(name: str, parts: Sequence[Part], duplicates: str) -> Series:
    """One variable through all parts, by time.

    A time that comes twice is an `InputError` naming both files, unless the first or the last file is to count.
    """
    holding = [number for number, part in enumerate(parts) if name in part.fields]
    times = np.concatenate([parts[number].times for number in holding])
    part = np.repeat(holding, [parts[number].times.size for number in holding])
    row = np.concatenate([np.arange(parts[number].times.size) for number in holding])
    order = np.argsort(times, kind="stable")
    times, part, row = times[order], part[order], row[order]
    again = np.flatnonzero(np.diff(times) == np.timedelta64(0))
    if again.size and duplicates == "error":
        at = again[0]
        raise InputError(
            f"{parts[part[at + 1]].label}: {name} of {axes.day(times[at])} is also in {parts[part[at]].label}; "
            "give each time once, or say which file counts with duplicates=first or duplicates=last"
        )
    if again.size:
        keep = np.ones(times.size, bool)
        keep[again + 1 if duplicates == "first" else again] = False
        times, part, row = times[keep], part[keep], row[keep]
    return Series(times, part, row)


def _with_axis(recipe: Recipe, sources: Sources, when: axes.Span) -> Sources:
    """The Sources with their output axis."""
    series = sources.series
    chosen, daily = recipe.steps, any("daily_mean" in entry for entry in recipe.steps)
    if daily:
        chosen, present = _days(recipe, series)
    else:
        present = np.unique(np.concatenate([s.times for s in series.values()]))
    selected = axes.within(present, when)
    if not selected.size:
        asked = " to ".join(axes.day(t) if t is not None else "…" for t in when)
        reach = f"{axes.day(present[0])} to {axes.day(present[-1])}" if present.size else "no whole day"
        raise InputError(f"time: nothing between {asked}; the files hold {reach}")
    if not daily:
        for name, s in series.items():
            absent = selected[~np.isin(selected, s.times)]
            if absent.size:
                _refuse_without(sources, name, absent[0])
    for entry in recipe.steps:
        for name in entry.get("deaccumulate", {}).get("variables") or ():
            if name in series:
                seconds = float(entry["deaccumulate"]["seconds"])
                axes.refuse_monthly(series[name].times, seconds, sources.label(series[name].times[0], name))
    axis = axes.regular(selected, recipe.frequency, sources.label) if recipe.regular else selected
    missing = axis[~np.isin(axis, selected)]
    axes.refuse_gaps(axis, missing, recipe.max_missing)
    return replace(sources, axis=axis, missing=missing, steps=chosen, daily=daily)


def _refuse_without(sources: Sources, name: str, time: np.datetime64) -> None:
    holder = next(n for n, s in sources.series.items() if time in s.times)
    s = sources.series[holder]
    label = sources.parts[s.part[np.searchsorted(s.times, time)]].label
    raise InputError(
        f"{label}: no variable {name} for {axes.day(time)}, which other files have; add the file that holds it, "
        "or choose variables with variables=[…], dates with time=…, or only the times that all have with times=common"
    )


def _days(recipe: Recipe, series: dict[str, Series]) -> tuple[tuple[dict[str, dict[str, Any]], ...], np.ndarray]:
    """The steps with `samples` filled in, and the days that are whole for every variable."""
    arguments = next(entry["daily_mean"] for entry in recipe.steps if "daily_mean" in entry)
    ending = arguments.get("ending", ())
    every = np.unique(np.concatenate([s.times for s in series.values()]))
    samples = arguments.get("samples") or averaging.samples_a_day(every)
    for name, s in series.items():
        if arguments.get("incomplete") == "error":
            averaging.refuse_incomplete(s.times, name in ending, samples, name)
    days = [averaging.whole_days(s.times, name in ending, samples)[0] for name, s in series.items()]
    whole = days[0]
    for other in days[1:]:
        whole = np.intersect1d(whole, other)
    # Whole days were chosen here, from all files; a block of them has halves of days at its edges, which is no error.
    told = {**arguments, "samples": samples, "incomplete": "drop"}
    return tuple({**e, "daily_mean": told} if "daily_mean" in e else dict(e) for e in recipe.steps), whole
