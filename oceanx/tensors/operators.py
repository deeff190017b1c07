"""Finite-volume operators on the C-grid: means to faces and divergence back to cells.

A name ending in `_x` lives on east faces, `_y` on north faces (see `geometry`).
"""

from __future__ import annotations

from torch import Tensor

from .geometry import east, north, south, west


def mean_x(field: Tensor) -> Tensor:
    """Cell values averaged to east faces."""
    return 0.5 * (field + east(field))


def mean_y(field: Tensor) -> Tensor:
    """Cell values averaged to north faces."""
    return 0.5 * (field + north(field))


def outflow(flux_x: Tensor, flux_y: Tensor) -> Tensor:
    """What leaves each cell through its four faces; its sum over all cells is zero."""
    return (flux_x - west(flux_x)) + (flux_y - south(flux_y))
