"""A store of analyses that grows: laid out whole, filled window by window, named when it is complete.

While it is made, `<to>.partial/` holds it:

lock              held while somebody writes
manifest.json     of what the store will be: a hash of its labels
store/            the store to be
done/             a file of departures for every window, and restart.safetensors: what the next window begins from

The restart is written last and at once: what it does not know of has not happened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from oceanx.data.shelf.stores import open_store
from oceanx.data.writing.unfinished import to_disk
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

from ..growing_store import building, identity, publish
from ..restart import Restart, commit, committed
from .windows import Span

Values = Mapping[str, np.ndarray]

METHOD = "method_"  # what the names begin with of numbers that only the method knows
_LAID_OUT = ("departure_row", "departure_time")  # from the beginning
PRINT = "oceanx_fingerprint"  # attribute: a hash of all other labels, which say what analyses were made of
ROWS = 2**20  # of departures, in one chunk


class Memory:
    """Analyses that are kept in memory."""

    def __init__(self, template: xr.Dataset):
        held = {str(name): (v.dims, np.array(v.values), v.attrs) for name, v in template.data_vars.items()}
        self.made = template.assign(held)
        self.restart: Restart | None = None

    def write(self, span: Span, maps: Values, numbers: Values, columns: Values) -> None:
        """What belongs to a window: fields and numbers along its times, departures along its rows."""
        for name, values in maps.items():
            self.made[name].values[_place(self.made[name], span)] = values
        for name, at, values in _in_place(span, self.rows, numbers, columns):
            self.of(name).values[at] = values

    @property
    def rows(self) -> int:
        """Which row of the table is the first one here."""
        return int(self.made["departure_row"].values[0]) if self.made.sizes["obs"] else 0

    def of(self, name: str) -> xr.DataArray:
        """A variable; of a number along `time` that the template did not know of, a new one."""
        if name not in self.made:
            said = name.removeprefix(METHOD).replace("_", " ")
            nothing = np.full(self.made.sizes["time"], np.nan)
            self.made[name] = ("time", nothing, {"long_name": f"{said}, as the method says", "units": "1"})
        return self.made[name]

    def commit(self, restart: Restart) -> None:
        """Nothing: what is in memory is not taken up again."""

    def series(self, name: str) -> np.ndarray:
        """A diagnostic along `time`, as far as it is known."""
        return np.asarray(self.made[name].values)

    def publish(self, attrs: Mapping[str, str]) -> xr.Dataset:
        """The Dataset, with attributes that came at the end."""
        return self.made.assign_attrs(attrs)


class AnalysisStore:
    """An unfinished store of analyses, as `unfinished` gives it."""

    def __init__(self, target: Path, template: xr.Dataset):
        self.target, self.template, self.work = target, template, files.partial(target)
        self._arrays = {
            str(name): zarr.open_array(self.work / "store" / str(name), mode="r+") for name in template.data_vars
        }
        self._small = Memory(template[[n for n, v in template.data_vars.items() if v.ndim == 1]])
        self.restart = self._taken_up()

    def write(self, span: Span, maps: Values, numbers: Values, columns: Values) -> None:
        """What belongs to a window: fields go to the store, all else to a file of its own."""
        with to_disk(self.work):
            for name, values in maps.items():
                self._arrays[name][_place(self.template[name], span)] = values
            small = {name: values for name, _, values in _in_place(span, 0, numbers, columns)}
            path = self.work / "done" / f"{span.number:08d}.npz"
            with path.with_suffix(".new").open("wb") as file:
                np.savez(file, at=_ends(span.at), rows=_ends(span.rows), **small)  # type: ignore[arg-type]
            os.replace(path.with_suffix(".new"), path)
        self._small.write(span, {}, numbers, columns)

    def commit(self, restart: Restart) -> None:
        """Note what the next window begins from: from here the cycle is taken up again."""
        with to_disk(self.work):
            commit(self.work / "done", restart)

    def series(self, name: str) -> np.ndarray:
        """A diagnostic along `time`, as far as it is known."""
        return self._small.series(name)

    def publish(self, attrs: Mapping[str, str]) -> xr.Dataset:
        """Gather what every window said, give the store its name, and open it."""
        with to_disk(self.work):
            small = self._small.made
            for name, v in small.data_vars.items():
                if v.size and name not in _LAID_OUT and name in self._arrays:
                    self._arrays[str(name)][:] = v.values
            new = small[[name for name in small.data_vars if name not in self._arrays]]
            new.drop_vars(list(new.coords)).to_zarr(self.work / "store", mode="a", zarr_format=3, consolidated=False)
            zarr.open_group(self.work / "store", mode="r+").attrs.update(attrs)
            publish(self.work / "store", self.target)
        files.remove(self.work)
        return open_store(self.target)

    def _taken_up(self) -> Restart | None:
        restart = committed(self.work / "done")
        for number in range(restart.done if restart else 0):
            with np.load(self.work / "done" / f"{number:08d}.npz") as small:
                at, rows = slice(*small["at"]), slice(*(small["rows"] - self._small.rows))
                for name in set(small.files) - {"at", "rows"}:
                    v = self._small.of(name)
                    v.values[rows if v.dims == ("obs",) else at] = small[name]
        return restart


def _place(v: xr.DataArray, span: Span) -> tuple[slice, ...]:
    return (slice(None), span.at) if v.dims[0] == "member" else (span.at,)


def _in_place(span: Span, first: int, numbers: Values, columns: Values) -> Iterator[tuple[str, slice, np.ndarray]]:
    """Everything small of a window by the name it is stored under, and where it goes."""
    for name, values in numbers.items():
        yield name, span.at, values
    for name, values in columns.items():
        yield f"departure_{name}", slice(span.rows.start - first, span.rows.stop - first), values


def _ends(where: slice) -> np.ndarray:
    return np.array([where.start, where.stop])


@contextmanager
def unfinished(
    to: Path, template: xr.Dataset, *, resume: bool = False, overwrite: bool = False
) -> Iterator[AnalysisStore]:
    """An AnalysisStore to write to, taken up where it was left and held against other writers, as of `building`."""
    chunks = {name: _chunks(v) for name, v in template.data_vars.items()}
    with building(
        to, "assimilation", template, chunks, other=lambda found: _other(found, template),
        manifest={"attrs": _words(template)}, resume=resume, overwrite=overwrite,
    ) as target:  # fmt: skip
        yield AnalysisStore(target, template)


def finished(to: Path, template: xr.Dataset) -> xr.Dataset | None:
    """The complete store of these analyses, if it is there: its maker was stopped when it had its name."""
    if not to.is_dir():
        return None
    try:
        found = open_store(to)
    except InputError:
        return None
    if found.attrs.get(PRINT) != template.attrs[PRINT]:
        return None
    if not (files.partial(to) / "store").exists():
        files.remove(files.partial(to))
    return found


def fingerprinted(template: xr.Dataset) -> xr.Dataset:
    """The template with a hash of its labels as attribute."""
    return template.assign_attrs({PRINT: identity(template)})


def _other(manifest: Mapping[str, Any], template: xr.Dataset) -> str:
    """What an interrupted store differs in."""
    known, mine = manifest.get("attrs", {}), _words(template)
    ours = [key for key in mine if key.startswith("oceanx_") and key != PRINT]
    differ = [key.removeprefix("oceanx_") for key in ours if known.get(key) != mine[key]]
    return f"other {', '.join(differ)}" if differ else "other dates, variables or grid"


def _words(template: xr.Dataset) -> dict[str, str]:
    return {str(key): str(value) for key, value in template.attrs.items()}


def _chunks(variable: xr.DataArray) -> tuple[int, ...]:
    """One time of one member together; of diagnostics all, of departures many."""
    if variable.dims == ("obs",):
        return (max(1, min(ROWS, variable.size)),)
    return tuple(1 if dim in ("member", "time") and variable.ndim > 1 else size for dim, size in variable.sizes.items())
