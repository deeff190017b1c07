"""The wet mask of a store: which cells every ocean variable fills on every present day, and who disagrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr


@dataclass
class Cells:
    """Of one ocean variable: cells finite on every day, cells finite on some day."""

    always: np.ndarray
    ever: np.ndarray

    def join(self, always: np.ndarray, ever: np.ndarray) -> None:
        """Take further days in."""
        self.always &= always
        self.ever |= ever


def mask_of(template: xr.Dataset, cells: Mapping[str, Cells]) -> tuple[dict[str, xr.DataArray], dict[str, str]]:
    """The wet mask, and the attribute that tells where variables disagree with it.

    A cell is wet if every ocean variable is finite there on every present day; surface variables speak for the top.
    """
    if not cells:
        return {}, {}
    deep = any("depth" in template[name].dims for name in cells)
    dims = [d for d in ("depth", "latitude", "longitude") if d in template.dims and (deep or d != "depth")]
    wet = np.ones([template.sizes[d] for d in dims], bool)
    for name, found in cells.items():
        part = wet if "depth" in template[name].dims or not deep else wet[0]
        part &= found.always & found.ever
    told = []
    for name, found in cells.items():
        common = wet if "depth" in template[name].dims or not deep else wet[0]
        more = int((found.always & found.ever & ~common).sum())
        sometimes = int((found.ever & ~found.always).sum())
        if more or sometimes:
            told.append(f"{name}: {more} cells dry in others, {sometimes} finite on some days only")
    return {"mask": xr.DataArray(wet.astype(np.int8), dims=dims)}, {
        "mask_disagreement": "; ".join(told)
    } if told else {}


def odd_days(patterns: Sequence[str], days: Sequence[str]) -> str:
    """A sentence on the days whose cells are not those of most days; empty if there are none.

    A sea ice edge or a cloud moves every day; what is told here is the few files with another coastline.
    """
    counts = Counter(name for name in patterns if name)
    if len(counts) < 2:
        return ""
    usual, often = counts.most_common(1)[0]
    odd = [day for name, day in zip(patterns, days, strict=True) if name and name != usual]
    if often < len(patterns) / 2:
        return ""
    return f"{len(odd)} days have other cells than the rest (first {odd[0]})"
