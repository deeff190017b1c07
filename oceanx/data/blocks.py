"""Blocks: the unit of work of the writer, what is remembered of each when it is done, and what it must satisfy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES
from . import axis as axes
from .sources import Sources

_DIGEST = 32


@dataclass(frozen=True)
class Block:
    """Output times [start, stop) of one group of variables."""

    start: int
    stop: int
    group: int

    def record(self, work: Path) -> Path:
        """The file whose presence says that the block is written."""
        return work / "done" / f"{self.start:09d}-{self.group:03d}.npz"


@dataclass(frozen=True)
class Record:
    """What is remembered of a block, by variable: a hash per present time, cells finite always, cells finite ever."""

    hashes: dict[str, np.ndarray]  # (time, 32) uint8
    always: dict[str, np.ndarray]
    ever: dict[str, np.ndarray]
    empty: set[str]  # times at which an ocean variable has no value at all

    def add(self, name: str, values: np.ndarray, times: np.ndarray) -> None:
        """Take note of a variable's values (time first)."""
        digests = [hashlib.sha256(one).digest() for one in values]
        self.hashes[name] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST)
        if VARIABLES[name].realm == "ocean":
            finite = np.isfinite(values)
            # A day on which a variable has nothing at all is absent, not dry.
            held = finite.any(axis=tuple(range(1, finite.ndim)))
            self.empty.update(axes.iso(times[~held]))
            self.always[name] = finite[held].all(axis=0)
            self.ever[name] = finite.any(axis=0)

    def save(self, path: Path) -> None:
        """Write the record so that it is there whole or not at all."""
        content: dict[str, Any] = {"empty": np.array(sorted(self.empty), dtype=str)}
        for name, hashes in self.hashes.items():
            content[f"hashes/{name}"] = hashes
        for kind, held in (("always", self.always), ("ever", self.ever)):
            for name, cells in held.items():
                content[f"{kind}/{name}"] = np.packbits(cells)
                content[f"shape/{name}"] = np.array(cells.shape)
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            np.savez_compressed(file, **content)
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> Record:
        """The record in a file."""
        record = cls({}, {}, {}, set())
        with np.load(path) as content:
            record.empty.update(map(str, content["empty"]))
            for key in content.files:
                kind, _, name = key.partition("/")
                if kind == "hashes":
                    record.hashes[name] = content[key]
                elif kind in ("always", "ever"):
                    shape = content[f"shape/{name}"]
                    cells = np.unpackbits(content[key], count=int(shape.prod())).astype(bool).reshape(shape)
                    getattr(record, kind)[name] = cells
        return record


def refuse_empty(ds: xr.Dataset, sources: Sources) -> None:
    """`InputError` naming the file from which an ocean variable came without a single value."""
    for name, v in ds.data_vars.items():
        if VARIABLES[str(name)].realm != "ocean":
            continue
        held = np.isfinite(v.values).any(axis=tuple(range(1, v.ndim)))
        if held.all():
            continue
        labels = np.array([sources.label(t, str(name)) for t in v["time"].values])
        for label in dict.fromkeys(labels[~held]):
            if not held[labels == label].any():
                raise InputError(
                    f"{label}: {name} has no value anywhere; a failed download (fetch it again), or a box on land"
                )


def check_range(ds: xr.Dataset, sources: Sources) -> None:
    """`InputError` naming file and range if values are grossly outside what is physically possible."""
    for name, v in ds.data_vars.items():
        valid = VARIABLES[str(name)].valid
        if valid is None:
            continue
        margin = (valid[1] - valid[0]) / 2
        low, high = np.fmin.reduce(v.values, axis=None), np.fmax.reduce(v.values, axis=None)
        if low < valid[0] - margin or high > valid[1] + margin:
            outside = (v.values < valid[0] - margin) | (v.values > valid[1] + margin)
            at = np.flatnonzero(outside.any(axis=tuple(range(1, v.ndim))))[0]
            one = v.values[at]
            raise InputError(
                f"{sources.label(v['time'].values[at], str(name))}: {name} reaches from {np.nanmin(one):g} to "
                f"{np.nanmax(one):g} {v.attrs['units']}; expected within {valid[0]:g} to {valid[1]:g}: "
                "is its unit declared rightly?"
            )


def mask_of(template: xr.Dataset, records: Sequence[Record]) -> tuple[dict[str, xr.DataArray], dict[str, Any]]:
    """The wet mask over all blocks, and the attribute that tells where variables disagree with it.

    A cell is wet if every ocean variable is finite there on every present day; surface variables speak for the top.
    """
    always: dict[str, np.ndarray] = {}
    ever: dict[str, np.ndarray] = {}
    for record in records:
        for name, cells in record.always.items():
            always[name] = cells & always.get(name, np.True_)
            ever[name] = record.ever[name] | ever.get(name, np.False_)
    if not always:
        return {}, {}
    deep = any("depth" in template[name].dims for name in always)
    dims = [d for d in ("depth", "latitude", "longitude") if d in template.dims and (deep or d != "depth")]
    wet = np.ones([template.sizes[d] for d in dims], bool)
    for name, cells in always.items():
        part = wet if "depth" in template[name].dims or not deep else wet[0]
        part &= cells & ever[name]
    mask = xr.DataArray(wet.astype(np.int8), dims=dims)
    return {"mask": mask}, _disagreements(template, always, ever, wet, deep)


def _disagreements(
    template: xr.Dataset, always: dict[str, np.ndarray], ever: dict[str, np.ndarray], wet: np.ndarray, deep: bool
) -> dict[str, str]:
    told = []
    for name, cells in always.items():
        common = wet if "depth" in template[name].dims or not deep else wet[0]
        more, sometimes = int((cells & ever[name] & ~common).sum()), int((ever[name] & ~cells).sum())
        if more or sometimes:
            told.append(f"{name}: {more} cells dry in others, {sometimes} finite on some days only")
    return {"mask_disagreement": "; ".join(told)} if told else {}
