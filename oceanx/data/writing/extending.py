"""Extending: a store to which days are added. The new store shares the files of the old one until it takes its name."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr

from ...vocabulary.errors import InputError
from .. import axis as axes
from .encode import Target
from .provenance import Provenance

if TYPE_CHECKING:
    from ..recipe import Recipe
    from ..sources import Sources


@dataclass(frozen=True)
class Before:
    """A store as it is before days are added to it."""

    path: Path
    times: np.ndarray
    missing: np.ndarray
    length: int  # times in a chunk
    shapes: dict[str, tuple[int, ...]]
    provenance: Provenance
    attrs: dict[str, Any]

    @classmethod
    def of(cls, path: Path, recipe: Recipe) -> Before:
        """The store at `path`, which the same recipe must have made."""
        if not path.is_dir():
            raise InputError(f"{path}: no such store to add to; bake it first, without --append")
        known = Provenance.load(path)
        group = zarr.open_group(path, mode="r")
        attrs = dict(group.attrs)
        if attrs.get("oceanx_recipe") != recipe.hash():
            raise InputError(
                f"{path}: was baked by another recipe ({attrs.get('oceanx_recipe', 'unknown')}; this one is "
                f"{recipe.hash()}); add to it with the recipe and settings that made it"
            )
        times = np.asarray(group["time"][...]).astype("datetime64[s]").astype("datetime64[ns]")  # type: ignore[index]
        arrays: dict[str, Any] = {name: group[name] for name in known.hashes}
        lengths = {(array.shards or array.chunks)[0] for array in arrays.values()}
        missing = np.array(attrs.get("missing_times", []), "datetime64[ns]")
        return cls(
            path, times, missing, lengths.pop(), {n: a.shape[1:] for n, a in arrays.items()}, known, attrs
        )  # fmt: skip

    @property
    def next(self) -> np.datetime64:
        """The first moment that can be added."""
        return self.times[-1] + np.timedelta64(1, "ns")

    @property
    def fingerprint(self) -> str:
        """Of its content."""
        return str(self.attrs["oceanx_fingerprint"])

    @property
    def source_files(self) -> list[str]:
        """What it was made of."""
        return [str(name) for name in self.attrs.get("source_files", [])]

    @property
    def comment(self) -> str:
        """Notes on its sources."""
        return str(self.attrs.get("comment", ""))

    @property
    def history(self) -> str:
        """How it came to be."""
        return str(self.attrs["history"])

    def followed_by(self, sources: Sources, recipe: Recipe) -> Sources:
        """The sources of the whole: times of the store, then those of the files that come after."""
        new = sources.axis[(sources.axis > self.times[-1]) & ~np.isin(sources.axis, sources.missing)]
        if not new.size:
            raise InputError(
                f"{self.path}: holds times to {axes.day(self.times[-1])}, and the files give none after that "
                f"(their last is {axes.day(sources.axis[-1])}); nothing to add"
            )
        if recipe.regular:
            axis = axes.regular(np.concatenate([self.times, new]), recipe.frequency, sources.label)
        else:
            axis = np.concatenate([self.times, new])
        missing = np.union1d(self.missing[np.isin(self.missing, self.times)], axis[axis > self.times[-1]])
        missing = missing[~np.isin(missing, new)]
        axes.refuse_gaps(axis, missing, recipe.max_missing)
        return replace(sources, axis=axis, missing=missing)

    def refuse_other(self, template: xr.Dataset) -> None:
        """`InputError` if the files have other variables or another grid than the store."""
        here = {str(name): v.shape[1:] for name, v in template.data_vars.items()}
        if set(here) != set(self.shapes):
            raise InputError(
                f"{self.path}: holds {', '.join(sorted(self.shapes))}, but the files give {', '.join(sorted(here))}; "
                "choose variables with variables=[…], or add the files that are lacking"
            )
        group = zarr.open_group(self.path, mode="r")
        for dim in ("depth", "latitude", "longitude"):
            if dim not in template.dims:
                continue
            old, new = np.asarray(group[dim][...]), template[dim].values  # type: ignore[index]
            if old.shape != new.shape or not np.allclose(old, new, rtol=1e-4 if dim == "depth" else 0, atol=1e-4):
                raise InputError(
                    f"{self.path}: its {dim} ({old.size} values, {old[0]:g} to {old[-1]:g}) is not that of the files "
                    f"({new.size} values, {new[0]:g} to {new[-1]:g}); add files of the same grid"
                )
            template[dim] = template[dim].copy(data=old)

    def refuse_other_cut(self, targets: dict[str, Target]) -> None:
        """`InputError` if the store's chunks are not those that the recipe makes."""
        group: Any = zarr.open_group(self.path, mode="r")
        for name, target in targets.items():
            array = group[name]
            if (array.chunks, array.shards) != (target.layout.chunks, target.layout.shards):
                raise InputError(
                    f"{self.path}: {name} has chunks {array.chunks}, but this recipe makes {target.layout.chunks}; was "
                    "it rechunked? Add to the store that was baked, and rechunk that again"
                )

    def linked_into(self, store: Path, targets: dict[str, Target]) -> None:
        """Give a new store the old one's chunks that stay as they are: the same files, under a second name."""
        whole = self.times.size // self.length
        for name, target in targets.items():
            old = replace(target, folder=self.path / name)
            for index, file in old.files():
                if index[0] < whole:
                    _linked(file, target.path(index))


def _linked(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # a file system without hard links
        shutil.copy2(file, to)
