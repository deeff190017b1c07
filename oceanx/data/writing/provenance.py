"""Provenance: what a store remembers of its own making, in its group `provenance`, so that days can be added to it.

<name>_hash (time)           a 64-bit hash of the values of each time, 0 where it is missing
<name>_always, <name>_ever   cells of an ocean variable that are finite on every day, on some day; packed bits
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr

from ...vocabulary.errors import InputError
from .blocks import Block, Record, pattern
from .encode import small_array
from .wet import Cells, odd_days

if TYPE_CHECKING:
    from .extending import Before

GROUP = "provenance"


@dataclass
class Provenance:
    """Hashes by time, cells by variable, and the patterns of the days that were made just now."""

    hashes: dict[str, np.ndarray]
    cells: dict[str, Cells]
    patterns: dict[str, list[str]] = field(default_factory=dict)  # "-" for a time that is missing or not made now

    @classmethod
    def gathered(
        cls,
        template: xr.Dataset,
        records: Mapping[Block, Record],
        present: np.ndarray,
        work: Path,
        before: Before | None = None,
    ) -> Provenance:
        """What the records of all blocks add up to, after what the store knew before."""
        first = before.times.size if before else 0
        hashes = {str(name): np.zeros(present.size, np.uint64) for name in template.data_vars}
        patterns: dict[str, list[str]] = defaultdict(lambda: ["-"] * present.size)
        for block, record in records.items():
            made = max(block.start, first) + np.flatnonzero(present[max(block.start, first) : block.stop])
            for name, found in record.hashes.items():
                hashes[name][made] = np.array(found, np.uint64)
            for name, named in record.patterns.items():
                for at, one in zip(made, named, strict=True):
                    patterns[name][int(at)] = one
        cells: dict[str, Cells] = {}
        for name, named in patterns.items():
            shape = template[name].shape[1:]
            for one in sorted({p for p in named if p not in ("", "-")}):
                wet = pattern(one, shape, work / "done")
                if name in cells:
                    cells[name].join(wet, wet)
                else:
                    cells[name] = Cells(wet.copy(), wet.copy())
            cells.setdefault(name, Cells(np.zeros(shape, bool), np.zeros(shape, bool)))
        if before:
            for name in hashes:
                hashes[name][:first] = before.provenance.hashes[name]
            for name, old in before.provenance.cells.items():
                if name in cells and cells[name].ever.any():
                    cells[name].join(old.always, old.ever)
                else:
                    cells[name] = old
        return cls(hashes, cells, dict(patterns))

    def empty_days(self, days: list[str]) -> set[str]:
        """Days on which an ocean variable has no value at all."""
        return {day for named in self.patterns.values() for day, one in zip(days, named, strict=True) if one == ""}

    def odd_days(self, days: list[str]) -> str:
        """Which variables have other cells on a few days than on the rest."""
        told = {}
        for name, named in self.patterns.items():
            known = [(one, day) for one, day in zip(named, days, strict=True) if one not in ("", "-")]
            told[name] = odd_days([one for one, _ in known], [day for _, day in known])
        return "; ".join(f"{name}: {text}" for name, text in told.items() if text)

    def save(self, group: zarr.Group) -> None:
        """Write the group, in place of one that is there."""
        if GROUP in group:
            del group[GROUP]
        place = group.create_group(GROUP, attributes={"title": "What the store remembers of its own making"})
        for name, values in self.hashes.items():
            small_array(place, f"{name}_hash", values, ("time",), {})
        for name, cells in self.cells.items():
            for kind, held in (("always", cells.always), ("ever", cells.ever)):
                bits = np.packbits(held)
                small_array(place, f"{name}_{kind}", bits, (f"{name}_byte",), {"shape": list(held.shape)})

    @classmethod
    def load(cls, path: Path) -> Provenance:
        """What a store remembers; `InputError` if it is none of ours."""
        try:
            place: Any = zarr.open_group(path, mode="r")[GROUP]
        except KeyError:
            raise InputError(
                f"{path}: does not remember how it was made, so nothing can be added; bake it anew"
            ) from None
        hashes, halves = {}, defaultdict(dict)  # type: ignore[var-annotated]
        for name, array in place.arrays():
            variable, _, kind = name.rpartition("_")
            if kind == "hash":
                hashes[variable] = np.asarray(array[...])
                continue
            shape = tuple(array.attrs["shape"])
            bits = np.unpackbits(np.asarray(array[...]), count=int(np.prod(shape)))
            halves[variable][kind] = bits.astype(bool).reshape(shape)
        return cls(hashes, {name: Cells(**both) for name, both in halves.items()})
