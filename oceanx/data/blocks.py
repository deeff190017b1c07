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

from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES
from . import axis as axes
from .digest import content_hash, finite_bits, look

if TYPE_CHECKING:
    from .sources import Sources


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


def refuse_empty(values: Mapping[str, np.ndarray], times: np.ndarray, sources: Sources) -> None:
    """`InputError` naming the file from which a variable of ocean or atmosphere came without a single value."""
    for name, v in values.items():
        if VARIABLES[name].realm == "ice":  # most seas have none
            continue
        held = np.array([look(one).finite > 0 for one in v])
        if held.all():
            continue
        labels = np.array([sources.label(t, name) for t in times])
        for label in dict.fromkeys(labels[~held]):
            if not held[labels == label].any():
                raise InputError(
                    f"{label}: {name} has no value anywhere; a failed download (fetch it again), or a box on land"
                )


def check_range(values: Mapping[str, np.ndarray], times: np.ndarray, sources: Sources, unit: Mapping[str, Any]) -> None:
    """`InputError` naming file and range if values are grossly outside what is physically possible."""
    for name, v in values.items():
        valid = VARIABLES[name].valid
        if valid is None:
            continue
        margin = (valid[1] - valid[0]) / 2
        for one, time in zip(v, times, strict=True):
            if look(one, valid[0] - margin, valid[1] + margin).outside:
                raise InputError(
                    f"{sources.label(time, name)}: {name} reaches from {np.nanmin(one):g} to {np.nanmax(one):g} "
                    f"{unit.get(name, '')}; expected within {valid[0]:g} to {valid[1]:g}: is its unit declared "
                    f"rightly? ({axes.day(time)})"
                )
