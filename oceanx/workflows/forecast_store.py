"""A forecast store on disk: created whole, filled block by block by one process or several, named when complete.

While it is made, `<to>.partial/` holds it:

lock, lock.3-16    held while somebody writes (the parts of a job array share the first, and hold one each)
manifest.json      of what the store will be: a hash of its labels, and the size of its blocks
store/             the store to be
done/              a file for every block that is complete
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from oceanx.data.writing.unfinished import alone_for_a_moment, held, manifest_of, to_disk
from oceanx.ocean import labels
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

from .forecast_units import Block, Layout, Share
from .growing_store import CHUNK, begin, identity, publish, together_in

LOOKS = 0.3  # seconds between two looks at what other processes have done


class ForecastStore:
    """An unfinished store of forecasts, as `unfinished` gives it."""

    def __init__(self, target: Path, template: xr.Dataset, layout: Layout, share: Share):
        self.target, self.template, self.share = target, template, share
        self.work = files.partial(target)
        sizes = template.sizes
        self.blocks = layout.blocks(sizes.get("member", 1), sizes["init_time"])
        self._arrays = {
            str(name): zarr.open_array(self.work / "store" / str(name), mode="r+") for name in template.data_vars
        }

    def mine(self) -> list[Block]:
        """The blocks that are left to this process."""
        return [block for block in self.share.mine(self.blocks) if not self._note(block).exists()]

    def leads(self, name: str) -> int:
        """How many leads of a variable share a chunk, and are written at once."""
        return int(self._arrays[name].chunks[self._before_lead()])

    def put(self, block: Block, name: str, leads: slice, values: np.ndarray) -> None:
        """Write the values (member, start, lead, …) of one variable at some leads."""
        array = self._arrays[name]
        at = (*block, leads) if self._before_lead() == 2 else (block.starts, leads)
        with to_disk(self.work):
            array[at] = values.reshape(tuple(i.stop - i.start for i in at) + array.shape[len(at) :])

    def note(self, block: Block) -> None:
        """Note a block as complete."""
        with to_disk(self.work):
            self._note(block).touch()

    def publish(self) -> xr.Dataset | None:
        """Give the store its name if it is complete, by this process or another; else which forecasts are."""
        try:
            with alone_for_a_moment(self.work):
                if not (self.work / "store").exists():
                    return None
                found = self._complete()
                if not found.complete.all():
                    return found
                with to_disk(self.work):
                    publish(self.work / "store", self.target)
                files.remove(self.work)
        except FileNotFoundError:
            if self.work.exists():
                raise
        return None

    def wait(self) -> None:
        """Until another process has given the store its name."""
        while self.work.exists():
            time.sleep(LOOKS)

    def _complete(self) -> xr.Dataset:
        """`complete` (member, init_time): whether a forecast is there."""
        coords = {name: self.template[name] for name in ("member", "init_time") if name in self.template.dims}
        found = np.zeros((self.template.sizes.get("member", 1), self.template.sizes["init_time"]), dtype=bool)
        for block in self.blocks:
            found[block] = self._note(block).exists()
        attrs = {"long_name": "Whether the forecast is in the unfinished store", "units": "1"}
        values = found if "member" in coords else found[0]
        return xr.Dataset({"complete": (tuple(coords), values, attrs)}, coords=coords, attrs=self.template.attrs)

    def _note(self, block: Block) -> Path:
        return self.work / "done" / block.name

    def _before_lead(self) -> int:
        return 2 if "member" in self.template.dims else 1


def finished(to: Path, template: xr.Dataset, *, clear: bool = False) -> xr.Dataset | None:
    """The complete store of these forecasts, if it is there.

    With `clear`, what its maker could not clear away any more is cleared away; nobody else may be writing then.
    """
    if not to.is_dir():
        return None
    try:
        found = labels.open_forecast(to)
    except InputError:
        return None
    if identity(found) != identity(template):
        return None
    work = files.partial(to)
    if clear and "forecast" in manifest_of(work) and not (work / "store").exists():
        files.remove(work)
    return found


def complete(to: Path) -> tuple[int, int] | None:
    """How many forecasts of how many are complete in the unfinished store of this name; None if there is none."""
    manifest = manifest_of(files.partial(to))
    if "forecast" not in manifest:
        return None
    blocks = Layout(*manifest["layout"]).blocks(*manifest["sizes"])
    there = sum(block.size for block in blocks if (files.partial(to) / "done" / block.name).exists())
    return there, int(np.prod(manifest["sizes"]))


@contextmanager
def unfinished(
    to: Path, template: xr.Dataset, layout: Layout, share: Share, *, resume: bool = False, overwrite: bool = False
) -> Iterator[ForecastStore | None]:
    """A ForecastStore to write to, taken up where it was left and held against other writers.

    Several processes join in whatever they find of the same forecasts; None where the target is there already. If
    nothing is done when an `InputError` ends it, nothing is left.

    Raises
    ------
    InputError
        If the target exists, another process writes it, or what was left there is of something else.
    """
    # Of several processes one may just have given the store its name: whether it is this one is seen below.
    target = files.refuse_existing(to, overwrite=overwrite or share.of > 1)
    work = files.partial(target)
    with ExitStack() as stack:
        try:
            stack.enter_context(held(work, share.lock))
            with alone_for_a_moment(work):
                if share.of > 1 and target.exists():
                    if not (work / "store").exists():
                        files.remove(work)
                    store = None
                else:
                    with to_disk(work):
                        begun = _begun(work, template, layout, resume=resume or share.of > 1, overwrite=overwrite)
                    store = ForecastStore(target, template, begun, share)
        except FileNotFoundError:
            if work.exists():
                raise
            store = None  # it was given its name while this process stood at the door
        try:
            yield store
        except InputError:
            if share.of == 1 and not any((work / "done").iterdir()):
                files.remove(work)
            raise


def _begun(work: Path, template: xr.Dataset, layout: Layout, *, resume: bool, overwrite: bool) -> Layout:
    """How the unfinished store is divided; it is laid out if it is not there."""
    chunks = {name: _chunks(v, layout) for name, v in template.data_vars.items()}
    sizes = template.sizes.get("member", 1), template.sizes["init_time"]
    manifest = begin(
        work, "forecast", template, chunks, other=lambda _: "other dates, leads, model or data",
        manifest={"layout": layout, "sizes": sizes}, resume=resume, overwrite=overwrite,
    )  # fmt: skip
    return Layout(*manifest["layout"])


def _chunks(variable: xr.DataArray, layout: Layout) -> tuple[int, ...]:
    """Leads, then start dates, share a chunk up to its size; it divides what is written together."""
    sizes: Mapping[str, int] = {str(dim): size for dim, size in variable.sizes.items()}
    map_ = [sizes[dim] for dim in ("depth", "latitude", "longitude") if dim in sizes]
    one = int(np.prod(map_)) * 4
    leads = max(1, min(sizes["lead_time"], CHUNK // one))
    starts = min(together_in(CHUNK, leads * one, layout.starts), sizes["init_time"])
    return (*((1,) if "member" in sizes else ()), starts, leads, *map_)
