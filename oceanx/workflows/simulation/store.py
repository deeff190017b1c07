"""A simulation on disk: laid out whole, filled output by output, named when it is complete.

Beside what every store has that grows, `done/` holds the state the run goes on from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from oceanx.data.writing.unfinished import to_disk
from oceanx.vocabulary import files

from ..growing_store import CHUNK, building, identity, publish, together_in
from ..restart import Restart, commit, committed


class SimulationStore:
    """An unfinished store of a simulation, as `unfinished` gives it.

    Attributes
    ----------
    restart
        What is complete, and the state after it; None at the start.
    """

    def __init__(self, target: Path):
        self.target, self.work = target, files.partial(target)
        self.restart = committed(self.work / "done")

    def write(self, made: xr.Dataset, at: slice, restart: Restart) -> None:
        """Write these outputs, then note what the next ones begin from."""
        with to_disk(self.work):
            bare = made.drop_vars(list(made.coords))
            bare.to_zarr(self.work / "store", region={"time": at}, consolidated=False)
            commit(self.work / "done", restart)

    def publish(self) -> xr.Dataset:
        """Give the store its name and open it."""
        with to_disk(self.work):
            publish(self.work / "store", self.target)
        files.remove(self.work)
        return _opened(self.target)


@contextmanager
def unfinished(
    to: Path, template: xr.Dataset, together: int, *, resume: bool = False, overwrite: bool = False
) -> Iterator[SimulationStore]:
    """A SimulationStore to write to, taken up where it was left and held against other writers.

    Parameters
    ----------
    together
        How many outputs each `write` brings; chunks hold no more.

    Raises
    ------
    InputError
        As of `building`.
    """
    chunks = {name: _chunks(v.variable, together) for name, v in template.data_vars.items()}
    with building(
        to, "simulation", template, chunks, other=lambda _: "another start, length, core, step or forcing",
        resume=resume, overwrite=overwrite,
    ) as target:  # fmt: skip
        yield SimulationStore(target)


def finished(to: Path, template: xr.Dataset) -> xr.Dataset | None:
    """The complete store of this simulation, if it is there: its maker was stopped when it had its name."""
    work = files.partial(to)
    if not to.is_dir() or not work.is_dir() or (work / "store").exists():
        return None
    found = _opened(to)
    if identity(found) != identity(template):
        return None
    files.remove(work)
    return found


def _opened(path: Path) -> xr.Dataset:
    return xr.open_zarr(path, consolidated=False)


def _chunks(variable: xr.Variable, together: int) -> tuple[int, ...]:
    """Whole maps; of small ones several moments share a chunk, which divides what is written together."""
    one = int(np.prod(variable.shape[1:])) * variable.dtype.itemsize
    times = together_in(CHUNK, one, together)
    return (min(times, variable.shape[0]), *variable.shape[1:])
