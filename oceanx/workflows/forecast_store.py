"""A forecast store on disk: created whole, filled start date by start date, named when it is complete.

While it is made, `<to>.partial/` holds the store and the list of start dates that are done.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from oceanx.ocean import labels
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

_CHUNK = 2 * 2**20  # bytes: leads, then start dates, share a chunk up to this


class ForecastStore:
    """A Zarr store under construction until `publish`.

    Parameters
    ----------
    together
        How many start dates each `write` brings; chunks hold no more.

    Attributes
    ----------
    done
        Positions of the start dates that are complete.
    """

    def __init__(
        self, to: str | Path, template: xr.Dataset, together: int, *, resume: bool = False, overwrite: bool = False
    ):
        self.target = files.refuse_existing(to, overwrite=overwrite)
        self.path = files.partial(self.target)
        self._store, self._list = self.path / "store", self.path / "done.json"
        self.identity = _identity(template)
        self.done: set[int] = set()
        if self.path.exists():
            if not resume:
                if not overwrite:
                    raise InputError(
                        f"{self.path}: an interrupted forecast; continue it with resume (--resume) or overwrite"
                    )
                files.remove(self.path)
            else:
                self.done = self._found()
        if not self.path.exists():
            self._create(template, together)

    def write(self, made: xr.Dataset, at: slice) -> None:
        """Write the forecasts of these start dates, then note them as done."""
        made = made.drop_vars(list(made.coords))
        made.to_zarr(self._store, region={"init_time": at}, consolidated=False)
        self.done |= set(range(at.start, at.stop))
        self._note()

    def publish(self) -> xr.Dataset:
        """Give the store its name and open it."""
        with warnings.catch_warnings():
            # Consolidated metadata is an extension of Zarr v3 that every reader may ignore.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(str(self._store))
        files.publish(self._store, self.target)
        files.remove(self.path)
        return labels.open_forecast(self.target)

    def _create(self, template: xr.Dataset, together: int) -> None:
        encoding: dict[str, dict[str, Any]] = {}
        for name, variable in template.data_vars.items():
            one = int(np.prod(variable.shape[2:])) * 4
            leads = max(1, min(variable.shape[1], _CHUNK // one))
            # No chunk is shared by two writes: it divides what is written together.
            starts = max(n for n in range(1, max(1, _CHUNK // (leads * one)) + 1) if together % n == 0)
            encoding[str(name)] = {"chunks": (min(starts, variable.shape[0]), leads, *variable.shape[2:])}
        self.path.mkdir()
        # The template's own chunks are those of nothing yet: only labels are written here.
        template.to_zarr(
            self._store, compute=False, zarr_format=3, consolidated=False, encoding=encoding, safe_chunks=False
        )
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
                f"{self.path}: an interrupted forecast of something else (other dates, leads, model or data); "
                "finish that one, or say overwrite (--overwrite)"
            )
        return set(noted["done"])

    def _note(self) -> None:
        with files.replacing(self._list, overwrite=True) as path:
            path.write_text(json.dumps({"identity": self.identity, "done": sorted(self.done)}))


def _identity(template: xr.Dataset) -> str:
    """A hash of what the store will hold: dates, leads, grid, variables, attributes."""
    digest = hashlib.sha256(
        json.dumps({k: str(v) for k, v in sorted(template.attrs.items()) if k != "history"}).encode()
    )
    for name in sorted(map(str, template.coords)):
        digest.update(name.encode() + np.ascontiguousarray(template[name].values).tobytes())
    digest.update(" ".join(sorted(map(str, template.data_vars))).encode())
    return digest.hexdigest()
