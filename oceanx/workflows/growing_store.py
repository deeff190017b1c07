"""A Zarr store that grows along one dimension: created whole, filled part by part, named when it is complete.

While it is made, `<to>.partial/` holds the store and the list of the positions that are done.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

CHUNK = 2 * 2**20  # bytes: how much one chunk holds, at most, where one map is not more


class GrowingStore:
    """A Zarr store under construction until `publish`.

    Parameters
    ----------
    to
        What it will be called.
    template
        The Dataset it will hold: every label, attribute and coordinate, and nothing computed.
    together
        How many positions along `dim` each `write` brings; chunks hold no more.

    Attributes
    ----------
    dim
        What it grows along.
    what
        What an interrupted one is called in messages, and of what it may differ.
    done
        Positions that are complete.
    """

    dim: str
    what: tuple[str, str]

    def __init__(
        self, to: str | Path, template: xr.Dataset, together: int, *, resume: bool = False, overwrite: bool = False
    ):
        self.target = files.refuse_existing(to, overwrite=overwrite)
        self.path = files.partial(self.target)
        self._store, self._list = self.path / "store", self.path / "done.json"
        self.identity = identity(template)
        self.done: set[int] = set()
        if self.path.exists():
            if not resume:
                if not overwrite:
                    raise InputError(
                        f"{self.path}: an interrupted {self.what[0]}; continue it with resume (--resume) or overwrite"
                    )
                files.remove(self.path)
            else:
                self.done = self._found()
        if not self.path.exists():
            self._create(template, together)

    def chunks(self, variable: xr.Variable, together: int) -> tuple[int, ...]:
        """How a variable is cut. No chunk is shared by two writes: it divides what is written together."""
        raise NotImplementedError

    def write(self, made: xr.Dataset, at: slice) -> None:
        """Write what belongs to these positions, then note them as done."""
        made = made.drop_vars(list(made.coords))
        made.to_zarr(self._store, region={self.dim: at}, consolidated=False)
        self.done |= set(range(at.start, at.stop))
        self._note()

    def read(self, path: Path) -> xr.Dataset:
        """The finished store, opened."""
        raise NotImplementedError

    def publish(self) -> xr.Dataset:
        """Give the store its name and open it."""
        publish(self._store, self.target)
        files.remove(self.path)
        return self.read(self.target)

    def _create(self, template: xr.Dataset, together: int) -> None:
        self.path.mkdir()
        create(self._store, template, {n: self.chunks(v.variable, together) for n, v in template.data_vars.items()})
        self._note()

    def _found(self) -> set[int]:
        try:
            noted = json.loads(self._list.read_text())
        except (OSError, json.JSONDecodeError):
            # Cut off before the store was laid out: nothing is lost by starting afresh.
            files.remove(self.path)
            return set()
        if noted.get("identity") != self.identity:
            raise InputError(
                f"{self.path}: an interrupted {self.what[0]} of something else ({self.what[1]}); "
                "finish that one, or say overwrite (--overwrite)"
            )
        return set(noted["done"])

    def _note(self) -> None:
        with files.replacing(self._list, overwrite=True) as path:
            path.write_text(json.dumps({"identity": self.identity, "done": sorted(self.done)}))


def together_in(bytes_at_once: int, one: int, together: int) -> int:
    """The largest number of positions of `one` bytes each that divides `together` and fits into so many bytes."""
    most = max(1, min(together, bytes_at_once // one))
    return max(n for n in range(1, most + 1) if together % n == 0)


def create(store: Path, template: xr.Dataset, chunks: Mapping[Hashable, tuple[int, ...]]) -> None:
    """Make a Zarr store with every label, attribute and coordinate of a template, and room for its variables."""
    encoding: dict[str, dict[str, Any]] = {str(name): {"chunks": chunks[name]} for name in template.data_vars}
    # The template's own chunks are those of nothing yet: only labels are written here.
    template.to_zarr(store, compute=False, zarr_format=3, consolidated=False, encoding=encoding, safe_chunks=False)


def publish(store: Path, target: Path) -> None:
    """Gather a complete store's metadata and give it its name."""
    with warnings.catch_warnings():
        # Consolidated metadata is an extension of Zarr v3 that every reader may ignore.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(store))
    files.publish(store, target)


def identity(template: xr.Dataset) -> str:
    """A hash of what the store will hold: labels, grid, variables, attributes."""
    digest = hashlib.sha256(
        json.dumps({k: str(v) for k, v in sorted(template.attrs.items()) if k != "history"}).encode()
    )
    for name in sorted(map(str, template.coords)):
        digest.update(name.encode() + np.ascontiguousarray(template[name].values).tobytes())
    digest.update(" ".join(sorted(map(str, template.data_vars))).encode())
    return digest.hexdigest()
