"""Many files of observations as one: each as records beside the store to be, then merged by time."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...ocean.flags import meanings
from ...ocean.observations import COLUMNS, COORDINATES, check, concatenate, joined_attrs, reasons
from ...vocabulary.errors import InputError
from .. import axis as axes
from ..readers import reader
from .unfinished import write_json

if TYPE_CHECKING:
    from ..recipe import Recipe

AT_ONCE = 2**19  # observations merged at a time, unless a single day has more
_DAY = 86_400_000  # ms


@dataclass(frozen=True)
class Part:
    """One file's observations as records sorted by time, left beside the store to be."""

    path: Path
    source: str
    count: int
    days: dict[int, int]  # how many observations on each day since 1970
    variables: list[str]
    platforms: list[str]
    attrs: dict[str, Any]
    extras: dict[str, list[Any]]  # dimensions and attributes
    coords: dict[str, list[Any]]  # dimensions, values and attributes, as CF encodes them

    @property
    def records(self) -> np.ndarray:
        """The records, on disk."""
        return np.load(self.path, mmap_mode="r") if self.count else np.load(self.path)

    @cached_property
    def ends(self) -> tuple[int, int]:
        """First and last day; of nothing, none that any other could meet."""
        return (min(self.days), max(self.days)) if self.days else (1, 0)

    def between(self, first: int, last: int) -> np.ndarray:
        """Records of the days from `first` to `last`, in memory."""
        records = self.records
        edges = np.searchsorted(records["time"], np.array([first, last + 1]) * _DAY)
        return np.array(records[edges[0] : edges[1]])


def read_part(recipe: Recipe, path: Path, when: axes.Span, place: Path) -> Part:
    """What a file holds, read or left from an interrupted bake."""
    told, records = place.with_suffix(".json"), place.with_suffix(".npy")
    if not told.exists():
        found = reader(recipe.reader).parts(path, recipe.wanted(), None, **recipe.options)
        if not found:
            names = ", ".join(recipe.variables) or "the variables that oceanx knows"
            raise InputError(f"{path}: holds none of {names}; leave it out, or choose another recipe")
        ds = concatenate(found) if len(found) > 1 else found[0]
        check(ds)
        ds = ds.isel(obs=np.flatnonzero(np.isin(ds["time"].values, axes.within(ds["time"].values, when))))
        rows = _records(ds)
        temporary = place.with_suffix(".partial")
        with temporary.open("wb") as file:
            np.save(file, rows)
        os.replace(temporary, records)
        write_json(told, {**_described(ds), "source": str(path)})
    known = json.loads(told.read_text())
    known["days"] = {int(day): count for day, count in known["days"].items()}
    return Part(records, **known)


def _records(ds: xr.Dataset) -> np.ndarray:
    """The columns of a table as records."""
    time = ds["time"].values.astype("datetime64[ms]")
    if (time != ds["time"].values).any():
        raise InputError("time: is finer than a millisecond; round it before it is stored")
    kinds = [(str(n), ds[n].dtype.str, ds[n].shape[1:]) for n in (*COORDINATES, *COLUMNS, *_extras(ds))]
    rows = np.empty(ds.sizes["obs"], np.dtype([(n, "<i8" if n == "time" else k, s) for n, k, s in kinds]))
    for name, _, _ in kinds:
        rows[name] = time.astype(np.int64) if name == "time" else ds[name].values
    return rows


def _extras(ds: xr.Dataset) -> list[str]:
    return [str(n) for n in ds.data_vars if n not in COLUMNS]


def _described(ds: xr.Dataset) -> dict[str, Any]:
    """All of a table but its numbers, as JSON takes it."""
    days, counts = np.unique(ds["time"].values.astype("datetime64[D]").astype(np.int64), return_counts=True)
    coords = {}
    for name, c in ds.coords.items():
        if "obs" not in c.dims:
            v = xr.conventions.encode_cf_variable(c.variable, name=str(name))
            coords[str(name)] = [list(v.dims), v.values.tolist(), v.dtype.str, dict(v.attrs)]
    return {
        "count": ds.sizes["obs"],
        "days": {str(day): int(count) for day, count in zip(days, counts, strict=True)},
        "variables": list(meanings(ds["variable"].attrs).values()),
        "platforms": list(meanings(ds["platform"].attrs).values()),
        "attrs": {k: v for k, v in ds.attrs.items() if isinstance(v, str)},
        "extras": {n: [list(ds[n].dims), dict(ds[n].attrs)] for n in _extras(ds)},
        "coords": coords,
    }


@dataclass
class Merge:
    """All parts of a bake, with one numbering of variables and platforms, read by time."""

    recipe: Recipe
    parts: list[Part]
    repeated: Counter[str] = field(default_factory=Counter)  # left out as duplicates, by file

    def __post_init__(self) -> None:
        full = [part for part in self.parts if part.count] or self.parts[:1]
        for part in full[1:]:
            for what in ("extras", "coords"):
                if getattr(part, what) != getattr(full[0], what):
                    raise InputError(f"{part.source}: has other {what} than {full[0].source}; bake them apart")
        self.full = full
        self.variables = list(dict.fromkeys(name for part in self.parts for name in part.variables))
        self.platforms = list(dict.fromkeys(name for part in self.parts for name in part.platforms))
        self.attrs = joined_attrs([part.attrs for part in self.parts])
        self.total = sum(part.count for part in self.parts)

    def refuse_absent(self) -> None:
        """`InputError` if nothing is left, or nothing of a variable that the recipe asks for."""
        if not self.total:
            why = ", ".join(f"{said} ({n})" for said, n in reasons(self.attrs).items()) or "none at the times asked for"
            raise InputError(f"{self.parts[0].source}: no good observation in {len(self.parts)} files: {why}")
        for name, pick in self.recipe.variables.items():
            if not pick.optional and name not in self.variables:
                raise InputError(f"{self.parts[0].source}: no variable {name} in any file; choose with variables=[…]")

    def __iter__(self) -> Iterator[np.ndarray]:
        """Records sorted by time, a few days at once."""
        for first, last in self._spans():
            near = [k for k, part in enumerate(self.parts) if max(first, part.ends[0]) <= min(last, part.ends[1])]
            mine = [(k, self.parts[k].between(first, last)) for k in near]
            rows = np.concatenate([self._renumbered(k, rows) for k, rows in mine])
            file = np.concatenate([np.full(rows.size, k) for k, rows in mine])
            order = np.argsort(rows["time"], kind="stable")
            rows, file = rows[order], file[order]
            yield rows[self._once(rows, file)]

    def _spans(self) -> Iterator[tuple[int, int]]:
        days: Counter[int] = Counter()
        for part in self.parts:
            days.update(part.days)
        ordered = sorted(days)
        first, count = ordered[0], 0
        for before, day in zip([None, *ordered], ordered, strict=False):
            if before is not None and count + days[day] > AT_ONCE:
                yield first, before
                first, count = day, 0
            count += days[day]
        yield first, ordered[-1]

    def _renumbered(self, k: int, rows: np.ndarray) -> np.ndarray:
        part = self.parts[k]
        for name, mine, ours in (("variable", part.variables, self.variables),
                                 ("platform", part.platforms, self.platforms)):  # fmt: skip
            place = {word: number for number, word in enumerate(ours)}
            rows[name] = np.array([place[word] for word in mine], rows[name].dtype)[rows[name]]
        return rows

    def _once(self, rows: np.ndarray, file: np.ndarray) -> np.ndarray:
        """Which records to keep: a datum that is in two files is refused, or taken from the first or last of them.

        The same platform, feature, time and variable in two files is one datum even if the depths differ, as they do
        between the real-time and the delayed-mode file of one profile.
        """
        keep = np.ones(rows.size, bool)
        if file.min() == file.max():
            return keep
        keys = [rows[name] for name in ("variable", "feature", "platform", "time")]
        order = np.lexsort(keys)
        same = np.ones(rows.size - 1, bool)
        for key in keys:
            same &= key[order][1:] == key[order][:-1]
        group = np.cumsum(np.r_[True, ~same]) - 1
        starts = np.flatnonzero(np.r_[True, ~same])
        choose = np.maximum if self.recipe.duplicates == "last" else np.minimum
        spare = order[file[order] != choose.reduceat(file[order], starts)[group]]
        if spare.size and self.recipe.duplicates == "error":
            raise InputError(self._told(rows, file, int(spare.min())))
        keep[spare] = False
        self.repeated.update(self.parts[k].source for k in file[spare])
        return keep

    def _told(self, rows: np.ndarray, file: np.ndarray, at: int) -> str:
        row = rows[at]
        same = np.ones(rows.size, bool)
        for name in ("time", "platform", "feature", "variable"):
            same &= rows[name] == row[name]
        other = next(k for k in file[same] if k != file[at])
        when = np.datetime_as_string(np.datetime64(int(row["time"]), "ms"), unit="s")
        return (
            f"{self.parts[file[at]].source}: {self.variables[row['variable']]} of {self.platforms[row['platform']]} "
            f"at {when} is also in {self.parts[other].source}; leave one out, or say duplicates=first or last"
        )
