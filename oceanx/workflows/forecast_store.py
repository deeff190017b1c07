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

_CHUNK = 8 * 2**20  # bytes: leads share a chunk up to this


class ForecastStore:
    """A Zarr store under construction until `publish`.

    Attributes
    ----------
    done
        Positions of the start dates that are complete.
    """

    def __init__(self, to: str | Path, template: xr.Dataset, *, resume: bool = False, overwrite: bool = False):
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
            self._create(template)

    def write(self, made: xr.Dataset, at: list[int]) -> None:
        """Write the forecasts of these start dates, then note them as done."""
        for row, position in enumerate(at):
            one = made.isel(init_time=[row])
            one = one.drop_vars(list(one.coords))
            one.to_zarr(self._store, region={"init_time": slice(position, position + 1)}, consolidated=False)
        self.done |= set(at)
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

    def _create(self, template: xr.Dataset) -> None:
        encoding: dict[str, dict[str, Any]] = {}
        for name, variable in template.data_vars.items():
            one = int(np.prod(variable.shape[2:])) * 4
            leads = max(1, min(variable.shape[1], _CHUNK // one))
            encoding[str(name)] = {"chunks": (1, leads, *variable.shape[2:])}
        self.path.mkdir()
        template.to_zarr(self._store, compute=False, zarr_format=3, consolidated=False, encoding=encoding)
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
