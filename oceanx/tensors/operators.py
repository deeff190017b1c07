"""Finite-volume operators on the C-grid: means to faces and corners, differences, and divergence back to cells.

A name ending in `_x` lives on east faces, `_y` on north faces, `_z` on bottom faces, `_xy` on north-east corners (see
`geometry`). Differences are plain: divide by a spacing, or multiply by a length, as the term asks.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from .geometry import above, east, north, south, west


class Vector(NamedTuple):
    """Eastward on east faces (`x`) and northward on north faces (`y`): a velocity, or what goes with one."""

    x: Tensor
    y: Tensor


def mean_x(field: Tensor) -> Tensor:
    """Cell values averaged to east faces (or those on north faces to corners)."""
    return 0.5 * (field + east(field))


def mean_y(field: Tensor) -> Tensor:
    """Cell values averaged to north faces (or those on east faces to corners)."""
    return 0.5 * (field + north(field))


def back_x(field_x: Tensor) -> Tensor:
    """East-face values averaged to cells (or those on corners to north faces)."""
    return 0.5 * (field_x + west(field_x))


def back_y(field_y: Tensor) -> Tensor:
    """North-face values averaged to cells (or those on corners to east faces)."""
    return 0.5 * (field_y + south(field_y))


def step_x(field: Tensor) -> Tensor:
    """By how much the eastern neighbour exceeds the cell: on east faces."""
    return east(field) - field


def step_y(field: Tensor) -> Tensor:
    """By how much the northern neighbour exceeds the cell: on north faces."""
    return north(field) - field


def outflow(flux_x: Tensor, flux_y: Tensor, flux_z: Tensor | None = None) -> Tensor:
    """What leaves each cell through its faces; its sum over all cells is zero.

    `flux_z` goes upward through the bottom face, so that a cell gains its own and loses that of the cell above.
    """
    sideways = (flux_x - west(flux_x)) + (flux_y - south(flux_y))
    return sideways if flux_z is None else sideways + (above(flux_z) - flux_z)
