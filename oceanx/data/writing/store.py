"""The writer: a CF Zarr store made block by block, in bounded memory, and from where it was interrupted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from oceanx.vocabulary.progress import Progress

from ...ocean import grid
from ...vocabulary.errors import InputError
from ...vocabulary.files import partial, publish, remove
from ...vocabulary.names import VARIABLES, variable
from .. import axis as axes
from .. import steps, units
from ..formats.part import Packing
from ..sources import Sources
from .blocks import Block, Record
from .chunking import days_at_once, layout
from .encode import Target, small_array
from .extending import Before
from .making import Job, disk_watched, hands, made, make_here, make_there
from .metadata import TIME_UNITS, fingerprint, global_attrs, plain
from .provenance import Provenance
from .unfinished import Share, alone_for_a_moment, held, taken_up
from .wet import mask_of

if TYPE_CHECKING:
    from ..recipe import Recipe

log = logging.getLogger(__name__)
_GROUP = 32 * 2**20  # bytes of a block of the variables that are carried together
_VERSION = 2  # of the layout of an unfinished store


@dataclass(frozen=True)
class Draft:
    """A store as it will be, before anything is written."""

    recipe: Recipe
    sources: Sources
    groups: list[list[str]]
    packings: dict[str, Packing]
    template: xr.Dataset  # of one time
    length: int  # times in a chunk
    before: Before | None = None

    @property
    def blocks(self) -> list[Block]:
        """Every block that is to be made."""
        first = self.before.times.size // self.length * self.length if self.before else 0
        starts = range(first, self.sources.axis.size, self.length)
        end = self.sources.axis.size
        return [Block(s, min(end, s + self.length), n) for s in starts for n in range(len(self.groups))]

    @property
    def block_bytes(self) -> int:
        """Size of the largest block in memory."""
        sizes = [sum(4 * int(np.prod(_shape(self.sources, n))) for n in names) for names in self.groups]
        return self.length * max(sizes)

    def targets(self, store: Path) -> dict[str, Target]:
        """The arrays of the variables."""
        found = {}
        for name, v in self.template.data_vars.items():
            packing = self.packings.get(str(name))
            item = v.dtype.itemsize
            v2 = self.recipe.zarr_format == 2
            cut = layout(v.shape[1:], self.length, self.recipe.purpose, item=item, shards=not v2)
            found[str(name)] = Target(
                store / str(name),
                (self.sources.axis.size, *v.shape[1:]),
                v.dtype.str,
                packing.fill if packing else np.nan,
                cut,
                self.recipe.compression,
                self.recipe.zarr_format,
            )
        return found


def draft(recipe: Recipe, sources: Sources, before: Before | None = None) -> Draft:
    """What a recipe makes of its sources."""
    packings = _packings(recipe, sources) if recipe.packed else {}
    if before:
        sources = before.followed_by(sources, recipe)
    shapes = {name: _shape(sources, name) for name in sources.series}
    length = before.length if before else days_at_once(shapes, sources.axis.size, recipe.purpose)
    groups = _groups(sources, shapes, length, packings)
    present = sources.axis[~np.isin(sources.axis, sources.missing)]
    first = present[present >= before.next][:1] if before else present[:1]
    parts = [made(sources, names, first, packings) for names in groups]
    template = xr.merge(parts, combine_attrs="override", compat="override", join="exact")
    if not template.data_vars:
        raise InputError("the recipe's steps left no variable; check `variables` and `steps`")
    template = template.map(_emptied)
    if before:
        before.refuse_other(template)
    for name in recipe.rounding:
        if name not in template.data_vars or name in packings:
            raise InputError(f"round: {name} is not among the variables that are stored as numbers with a point")
    plan = Draft(recipe, sources, groups, packings, template, length, before)
    if before:
        before.refuse_other_cut(plan.targets(before.path))
    return plan


def write(
    plan: Draft,
    target: Path,
    *,
    resume: bool = True,
    share: Share | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> bool:
    """Write a store, and give it its name when it is complete; False where other parts of a job array are not done."""
    work = partial(target)
    with held(work, share):
        with alone_for_a_moment(work):
            date = taken_up(work, _key(plan), resume or share is not None, clean=share is None)
            job = begun(plan, work)
        number, total = share or (1, 1)
        mine = [block for block in plan.blocks[number - 1 :: total] if not job.done(block)]
        try:
            with disk_watched(work):
                if scheduler:
                    make_there(job, mine, scheduler, progress)
                else:
                    make_here(job, mine, hands(plan.block_bytes, workers), progress)
        except InputError:
            if not any((work / "done").glob("*.json")) and share is None:
                remove(work)  # nothing was done that could be taken up again
            raise
        with alone_for_a_moment(work):
            if share and not ((work / "store").is_dir() and all(map(job.done, plan.blocks))):
                return False
            with disk_watched(work):
                _finish(work, plan, date)
            publish(work / "store", target)
    remove(work)
    return True


def complete(plan: Draft, target: Path) -> xr.Dataset:
    """Which times are in the unfinished store of this name, with all their variables: `complete` (time).

    The unfinished store itself is not for reading: what it lacks would look like land, and it is about to be renamed.
    """
    found = np.ones(plan.sources.axis.size, dtype=bool)
    job = _job(partial(target), plan)
    for block in plan.blocks:
        found[block.start : block.stop] &= job.done(block)
    attrs = {"long_name": "Whether the time is in the unfinished store", "units": "1"}
    return xr.Dataset({"complete": ("time", found, attrs)}, {"time": plan.sources.axis})


def begun(plan: Draft, work: Path) -> Job:
    """The job of an unfinished store at `work`, begun there if it is not yet."""
    work.mkdir(exist_ok=True)
    _create(work / "store", plan)
    return _job(work, plan)


def _emptied(v: xr.DataArray) -> xr.DataArray:
    """A variable as it is, but for its values, which would only take memory."""
    return v.copy(data=np.broadcast_to(np.zeros((), v.dtype), v.shape))


def _shape(sources: Sources, name: str) -> tuple[int, ...]:
    return sources.parts[sources.series[name].part[0]].shape(name)


def _groups(
    sources: Sources, shapes: Mapping[str, tuple[int, ...]], length: int, packings: Mapping[str, Packing]
) -> list[list[str]]:
    """Variables carried together: all of them for small maps, one by one for large; packed and others apart."""
    if any(name in steps.JOINT for entry in sources.steps for name in entry):
        return [list(shapes)]
    groups: list[list[str]] = []
    space = 0
    for name, shape in sorted(shapes.items(), key=lambda item: item[0] in packings):
        size = 4 * length * int(np.prod(shape))
        if not groups or size > space or (groups[-1][0] in packings) != (name in packings):
            groups.append([])
            space = _GROUP
        groups[-1].append(name)
        space -= size
    return groups


def _packings(recipe: Recipe, sources: Sources) -> dict[str, Packing]:
    """How the variables that stay integers are packed; `InputError` where staying so would change their meaning."""
    for entry in recipe.steps:
        for name in entry:
            if name not in steps.MOVING:
                raise InputError(
                    f"packed: the step {name} calculates, so the numbers cannot stay packed; leave one out"
                )
    found = {}
    for name, s in sources.series.items():
        packing = sources.packing(name)
        here = sources.parts[s.part[0]].fields[name].units
        if packing and units.normal(here) != variable(name).units:
            raise InputError(
                f"packed: {name} is in {here!r}, not in {variable(name).units!r}; bake without packed=true"
            )
        if packing and packing.arithmetic == "float64":  # attributes of a store are numbers without a type
            found[name] = packing
    return found


def _key(plan: Draft) -> dict[str, Any]:
    """What must be the same for an interrupted bake to be taken up again."""
    axis = plan.sources.axis.astype("datetime64[s]").astype("int64")
    return {
        "version": _VERSION,
        "recipe": plan.recipe.hash(),
        "times": [int(axis[0]), int(axis[-1]), axis.size, plan.sources.missing.size],
        "length": plan.length,
        "variables": sorted(map(str, plan.template.data_vars)),
        "grid": [int(n) for n in plan.template.sizes.values()],
        "before": plan.before.fingerprint if plan.before else "",
    }


def _job(work: Path, plan: Draft) -> Job:
    targets = plan.targets(work / "store")
    job = Job(work, plan.sources, plan.groups, plan.packings, dict(plan.recipe.rounding), targets)
    return replace(job, before=plan.before.times.size, inherited=plan.before.path) if plan.before else job


def _create(path: Path, plan: Draft) -> None:
    """Make the group, its coordinates and its empty variables, unless an interrupted bake has."""
    if (path.parent / "done").is_dir():
        return
    remove(path)
    group = zarr.open_group(path, mode="w", zarr_format=plan.recipe.zarr_format)
    axis = plan.sources.axis
    seconds = axis.astype("datetime64[s]").astype("int64")
    attrs = dict(plan.template["time"].attrs) | {"units": TIME_UNITS, "calendar": "proleptic_gregorian"}
    if plan.sources.climatology_bounds is not None:
        bounds = plan.sources.climatology_bounds.astype("datetime64[s]").astype("int64")
        same = {"units": TIME_UNITS, "calendar": "proleptic_gregorian"}
        small_array(group, "climatology_bnds", bounds, ("time", "bnds"), same)
        attrs["climatology"] = "climatology_bnds"
    elif plan.recipe.frequency:
        ends = pd.DatetimeIndex(axis) + pd.tseries.frequencies.to_offset(plan.recipe.frequency)
        bounds = np.stack([seconds, ends.to_numpy().astype("datetime64[s]").astype("int64")], axis=1)
        small_array(group, "time_bnds", bounds, ("time", "bnds"), {})
        attrs["bounds"] = "time_bnds"
    small_array(group, "time", seconds, ("time",), plain(attrs))
    cells = plan.template.sizes["latitude"] * plan.template.sizes["longitude"]
    bounds_of = grid.bounds(plan.template) if cells > 1 else {}  # a single point has no size
    for name in ("depth", "latitude", "longitude"):
        if name in plan.template.dims:
            edges = bounds_of.get(f"{name}_bnds")
            told = plain(plan.template[name].attrs) | ({"bounds": f"{name}_bnds"} if edges is not None else {})
            small_array(group, name, plan.template[name].values, (name,), told)
            if edges is not None:
                small_array(group, f"{name}_bnds", edges.values, (name, "bnds"), {})
    for name, target in plan.targets(path).items():
        v = plan.template[name]
        packing = plan.packings.get(name)
        told = plain(v.attrs) | (packing.attrs if packing else {})
        if name in plan.recipe.rounding:
            from .rounding import described

            told |= {"comment": described(plan.recipe.rounding[name], v.attrs["units"])}
        target.create(group, [str(d) for d in v.dims], told)
    if plan.before:
        plan.before.linked_into(path, plan.targets(path))
    (path.parent / "done").mkdir()


def _finish(work: Path, plan: Draft, date: str) -> None:
    """Mask, areas, thickness, attributes, fingerprint; consolidated metadata last."""
    group = zarr.open_group(work / "store", mode="r+", zarr_format=plan.recipe.zarr_format)
    records = {block: Record.load(block.record(work)) for block in plan.blocks}
    present = ~np.isin(plan.sources.axis, plan.sources.missing)
    known = Provenance.gathered(plan.template, records, present, work, plan.before)  # type: ignore[arg-type]
    extra, attrs = mask_of(plan.template, known.cells)
    odd = known.odd_days(axes.iso(plan.sources.axis))
    if odd:
        attrs["mask_disagreement"] = "; ".join(filter(None, (attrs.get("mask_disagreement", ""), odd)))
    if "mask_disagreement" in attrs:
        log.warning("masks of variables disagree: %s", attrs["mask_disagreement"])
    extra |= _geometry(plan.template)
    if plan.recipe.static:
        fixed, told_static = _static(plan.recipe.static, plan.template, extra.get("mask"))
        extra |= fixed
        attrs["mask_disagreement"] = "; ".join(filter(None, (attrs.get("mask_disagreement", ""), told_static)))
    for name, v in extra.items():
        small_array(group, name, v.values, tuple(str(d) for d in v.dims), VARIABLES[name].attrs)
    if not attrs.get("mask_disagreement"):
        attrs.pop("mask_disagreement", None)
    missing = sorted({*axes.iso(plan.sources.missing), *known.empty_days(axes.iso(plan.sources.axis))})
    told: dict[str, Any] = {**attrs, "missing_times": missing, "coordinates": " ".join(sorted(extra))}
    told["oceanx_fingerprint"] = fingerprint(plan.template, plan.sources, known.hashes)
    group.attrs.put(plain(global_attrs(plan.recipe, plan.sources, date, plan.before) | told))
    known.save(group)
    if plan.recipe.statistics:
        from . import statistics

        statistics.write(work / "store", plan.recipe.statistics, plan.recipe.hash())
    consolidate(work / "store", plan.recipe.zarr_format)


def _geometry(template: xr.Dataset) -> dict[str, xr.DataArray]:
    """`cell_area` and `thickness`, where the coordinates tell them (a single point has no size)."""
    found = {}
    if template.sizes["latitude"] * template.sizes["longitude"] > 1:
        found["cell_area"] = grid.area(template["latitude"], template["longitude"])
    if "depth" in template.dims and float(template["depth"].max()) > 0:  # a surface has no thickness
        found["thickness"] = grid.thickness(template["depth"])
    return found


def _static(
    paths: tuple[str, ...], template: xr.Dataset, wet: xr.DataArray | None
) -> tuple[dict[str, xr.DataArray], str]:
    """Fields of a model's grid files at the store's cells, and a word on where their mask is not the data's."""
    from ..readers import static

    depth = template["depth"].values if "depth" in template.dims else None
    ds = static.fields(paths, template["latitude"].values, template["longitude"].values, depth)
    told = ""
    if wet is not None and "mask" in ds:
        theirs = ds["mask"] if "depth" in wet.dims or "depth" not in ds["mask"].dims else ds["mask"].isel(depth=0)
        if theirs.dims == wet.dims:
            sea, dry = int(((theirs == 1) & (wet == 0)).sum()), int(((theirs == 0) & (wet == 1)).sum())
            told = f"grid files: {sea} cells wet there and dry here, {dry} the other way round" if sea or dry else ""
    return {str(name): v for name, v in ds.data_vars.items() if name != "mask"}, told


def consolidate(path: Path, zarr_format: Any = 3) -> None:
    """Gather the metadata of all arrays in one file, for readers that know it."""
    with warnings.catch_warnings():
        # Readers that do not know consolidated metadata of Zarr v3 read the arrays' own, which are the same.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path, zarr_format=zarr_format)
