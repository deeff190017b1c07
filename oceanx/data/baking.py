"""Bake: follow a recipe from files to a store; or say beforehand what that would take."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import xarray as xr
import zarr

from oceanx.vocabulary.progress import Progress

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.files import partial, refuse_existing, remove
from ..vocabulary.processes import part_of
from . import axis as axes
from .readers import reader
from .recipe import Recipe, load_recipe
from .shelf.catalog import open_store
from .sources import Sources, files
from .writing import fixed, points, store
from .writing.extending import Before
from .writing.planning import Plan, measured
from .writing.unfinished import Share, manifest_of

Form = Literal["zarr", "icechunk", "virtual"]
Source = str | os.PathLike[str] | list[Any] | tuple[Any, ...]


def bake(
    recipe: str | os.PathLike[str] | Recipe,
    source: Source,
    to: str | os.PathLike[str],
    *,
    time: slice | str | None = None,
    append: bool = False,
    overwrite: bool = False,
    resume: bool = True,
    part: str | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    form: Form = "zarr",
    progress: Progress | None = None,
    **overrides: Any,
) -> xr.Dataset:
    """The lazy Dataset of the CF Zarr store written at `to` from files of one kind.

    Parameters
    ----------
    recipe
        A shipped name ("glorys12"), a path to a YAML or a `Recipe`.
    source
        A path, a glob string, or a list of them.
    to
        The store; refused if it exists, unless `overwrite`, and then replaced only when the new one is complete.
    time
        Dates to take: `slice("1993", "2017")`, "1993-01-01:2017-12-31" or one date.
    append
        Add the times after the store's last one. The store stays as it is until the longer one is complete.
    resume
        Go on with what an interrupted bake of the same recipe left in `<to>.partial`; a file that has changed
        since is read again.
    part
        "3/16": the third of 16 processes that share the work, none of which needs to know of the others. The last
        to finish gives the store its name; until then a Dataset is returned that says which times are `complete`.
    scheduler
        Address of a dask.distributed scheduler whose workers see the files, or "slurm" (dask-jobqueue).
    workers
        Threads of this process; as many as there are cores, or as memory allows.
    form
        "icechunk": a snapshot in an Icechunk repository at `to`, which is begun if it is not there; "virtual": an
        index of the files, which stay where they are and are read again each time.
    progress
        Called with (what, done, total).
    **overrides
        Keys of the recipe, dotted: `**{"variables": ["thetao"], "for": "timeseries"}`.

    Raises
    ------
    InputError
        For a file, variable, unit, grid, date or key that is not as it should be: named, with the remedy.

    Examples
    --------
    >>> ds = bake("glorys12", "raw/*.nc", "glorys.zarr", time="1993:2017")  # doctest: +SKIP
    """
    if form not in get_args(Form):
        raise unknown("form", form, get_args(Form))
    chosen = load_recipe(recipe, overrides)
    target, share = Path(to), None if part is None else part_of(part)
    if form != "zarr":
        if append or share or scheduler:
            raise InputError(f"form: {form} is written by one process at once; leave out append, part and scheduler")
        return _in_other_form(form, chosen, source, target, time, overwrite, workers, progress)
    if share and (append or overwrite):
        raise InputError("part: a job array can neither append nor overwrite; do that with one process")
    if append and overwrite:
        raise InputError("append: adds to a store, overwrite replaces it; choose one")
    complete = _complete(target, chosen, share)
    if not append:
        if complete:
            return open_store(target)
        refuse_existing(target, overwrite=overwrite)
    when = axes.span(time)
    if kind(chosen) != "fields":
        if append or share or scheduler:
            raise InputError(f"{chosen.title}: is written by one process at once; leave out append, part and scheduler")
        if kind(chosen) == "points":
            points.write(chosen, files(source), target, when=when, resume=resume, progress=progress)
        else:
            fixed.write(chosen, files(source), target, overwrite=overwrite, progress=progress)
        return open_store(target)
    with _scratch(target, scheduler) as scratch:
        sources = Sources.scan(chosen, files(source), scratch, when, progress)
        plan = store.draft(chosen, sources, Before.of(target, chosen) if append else None)
        whole = store.write(
            plan, target, resume=resume, share=share, scheduler=scheduler, workers=workers, progress=progress
        )
        if not whole:
            there = store.complete(plan, target)
            if not target.exists():  # else another part of the job array has finished it just now
                return there
    return open_store(target)


def plan(
    recipe: str | os.PathLike[str] | Recipe,
    source: Source,
    to: str | os.PathLike[str],
    *,
    time: slice | str | None = None,
    append: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Plan:
    """What `bake` would write, how much memory and time it would take: from a look at every file and a short probe.

    Parameters are those of `bake`; nothing is written at `to`.

    Examples
    --------
    >>> print(plan("glorys12", "raw/*.nc", "glorys.zarr"))  # doctest: +SKIP
    """
    chosen = load_recipe(recipe, overrides)
    if kind(chosen) != "fields":
        raise InputError(f"plan: {chosen.title} is gathered at once, without blocks to plan; bake it")
    with tempfile.TemporaryDirectory(prefix="oceanx-") as folder:
        sources = Sources.scan(chosen, files(source), Path(folder), axes.span(time), progress)
        before = Before.of(Path(to), chosen) if append else None
        return measured(store.draft(chosen, sources, before), Path(folder), workers)


def _in_other_form(
    form: Form,
    recipe: Recipe,
    source: Source,
    target: Path,
    time: slice | str | None,
    overwrite: bool,
    workers: int | None,
    progress: Progress | None,
) -> xr.Dataset:
    if form == "virtual":
        from .writing import virtual

        return virtual.index(recipe, source, target, time=time, overwrite=overwrite, progress=progress)
    from .writing import targets

    if overwrite:
        raise InputError("form: a repository keeps its history, and a bake is its next snapshot; leave out overwrite")
    plain = target.with_name(target.name + ".zarr")
    bake(recipe, source, plain, time=time, workers=workers, progress=progress)
    targets.to_icechunk(plain, target, progress=progress)
    remove(plain)
    return open_store(target)


def kind(recipe: Recipe) -> str:
    """What a recipe's files hold: `fields` in time, `points`, or `fixed` fields without time."""
    return getattr(reader(recipe.reader), "KIND", "fields")


def _complete(target: Path, recipe: Recipe, share: Share | None) -> bool:
    """Whether the store is there already: given its name a moment before its maker was stopped, or by another part.

    What that maker could not clear away any more is cleared away.
    """
    work = partial(target)
    if not target.is_dir():
        return False
    left = work.is_dir() and not (work / "store").exists() and bool(manifest_of(work))
    try:
        made = dict(zarr.open_group(target, mode="r").attrs).get("oceanx_recipe")
    except (FileNotFoundError, ValueError, KeyError):
        return False
    same: Literal[True] | bool = made == recipe.hash()
    if left and same:
        remove(work)
    return same and (left or share is not None)


@contextmanager
def _scratch(target: Path, scheduler: str | None) -> Iterator[Path]:
    """Where archives are unpacked: a place that other machines see too, if they take part."""
    folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.scratch-" if scheduler else "oceanx-",
                                   dir=target.absolute().parent if scheduler else None))  # fmt: skip
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
