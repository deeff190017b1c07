"""Cutting a Part: fewer of its times, or fewer of its rows, columns or levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .part import Part


def at_rows(part: Part, keep: np.ndarray) -> Part:
    """The part at those of its times for which `keep` is true."""
    if keep.all():
        return part
    bounds = None if part.bounds is None else part.bounds[keep]
    return replace(part, times=part.times[keep], picks=part.picks[keep], bounds=bounds)


def along(part: Part, dim: str, positions: np.ndarray) -> Part:
    """The part at some positions (ascending, of our order) along one of its axes."""
    size = part.axes[dim].size
    if np.array_equal(positions, np.arange(size)):
        return part
    order = part.order[dim]
    index = np.arange(size)[order] if isinstance(order, slice) else np.asarray(order)
    return replace(
        part,
        axes=part.axes | {dim: part.axes[dim][positions]},
        order=part.order | {dim: index[positions]},
    )
