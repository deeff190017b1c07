"""Blocks: the unit of work of the writer, what is remembered of each when it is done, and what it must satisfy."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from ...vocabulary.published import QUANTITY
from .. import axis as axes
from .digest import content_hash, finite_bits, look

if TYPE_CHECKING:
    from ..sources import Sources


@dataclass(frozen=True)
class Block:
    """Output times [start, stop) of one group of variables."""

    start: int
    stop: int
    group: int

    def record(self, work: Path) -> Path:
        """The file whose presence says that the block is written."""
        return work / "done" / f"{self.start:09d}-{self.group:03d}.json"


@dataclass
class Record:
    """What is remembered of a block, by variable.

    Attributes
    ----------
    stamp
        Of the files that the block was made of: if one of them changes, the block is made again.
    hashes
        A 64-bit hash of the values of each time.
    patterns
        For each time, the name of its pattern of finite cells ("" for none at all); ocean variables only.
    """

    stamp: str
    hashes: dict[str, list[int]] = field(default_factory=dict)
    patterns: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, values: np.ndarray, work: Path) -> None:
        """Take note of a variable's values (time first); NaN where nothing is known."""
        self.hashes[name] = [content_hash(one) for one in values]
        if VARIABLES[name].realm == "ocean":
            self.patterns[name] = [_kept(finite_bits(one), work / "done") for one in values]

    def save(self, path: Path) -> None:
        """Write the record so that it is there whole or not at all."""
        _replace(path, json.dumps(self.__dict__).encode())

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """The record in a file; None if there is none."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None


def _kept(bits: np.ndarray, folder: Path) -> str:
    """The name under which a pattern of finite cells is kept; days mostly share one."""
    if not bits.any():
        return ""
    name = hashlib.blake2b(bits.tobytes(), digest_size=10).hexdigest()
    path = folder / f"{name}.bits"
    if not path.exists():
        _replace(path, bits.tobytes())
    return name


def pattern(name: str, shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """The pattern of finite cells of that name."""
    bits = np.frombuffer((folder / f"{name}.bits").read_bytes(), np.uint8)
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(bool).reshape(shape)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def refuse_impossible(
    values: Mapping[str, np.ndarray], times: np.ndarray, sources: Sources, attrs: Mapping[str, Mapping[str, Any]]
) -> None:
    """`InputError` naming a file without a single value of a variable, or with one grossly outside what is possible."""
    for name, v in values.items():
        low, high = _possible(name, attrs.get(name, {}))
        looks = [look(one, low, high) for one in v]
        for one, time, found in zip(v, times, looks, strict=True):
            if found.outside:
                raise InputError(_range_told(name, one, time, sources, str(attrs.get(name, {}).get("units", ""))))
        held = np.array([found.finite > 0 for found in looks])
        if VARIABLES[name].realm == "ice" or held.all():  # most seas have no ice
            continue
        labels = np.array([sources.label(t, name) for t in times])
        for label in dict.fromkeys(labels[~held]):
            if not held[labels == label].any():
                raise InputError(
                    f"{label}: {name} has no value anywhere; a failed download (fetch it again), or a box on land"
                )


def _possible(name: str, attrs: Mapping[str, Any]) -> tuple[float, float]:
    """What is still taken for a value: half as much again as is physically possible. Anomalies have no such range."""
    valid = VARIABLES[name].valid
    if valid is None or attrs.get(QUANTITY) == "anomaly":
        return -np.inf, np.inf
    margin = (valid[1] - valid[0]) / 2
    return valid[0] - margin, valid[1] + margin


def _range_told(name: str, values: np.ndarray, time: np.datetime64, sources: Sources, unit: str) -> str:
    low, high = VARIABLES[name].valid or (-np.inf, np.inf)
    return (
        f"{sources.label(time, name)}: {name} reaches from {np.nanmin(values):g} to {np.nanmax(values):g} {unit}; "
        f"expected within {low:g} to {high:g}: is its unit declared rightly? ({axes.day(time)})"
    )
