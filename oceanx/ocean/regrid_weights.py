"""Weights: how much of each source cell lies in each target cell, made in milliseconds and kept in one small file."""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..vocabulary.errors import InputError
from . import grid
from .regrid_grid import Grid, ascending, latitude_edges, longitude_edges, target_axes

_ONE_EDGE = 1e-4  # degrees: closer edges are one edge, for float32 coordinates differ by that much


@dataclass(frozen=True, eq=False)
class Overlap:
    """The shares that the intervals of one axis have in those of another, target by target.

    Target t is made of source cells `index[start[t]:start[t + 1]]` with `weight`; `size` is all of the target's.
    """

    start: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, target: np.ndarray, index: np.ndarray, weight: np.ndarray, size: np.ndarray) -> Self:
        """From unordered (target, source, weight) triples."""
        order = np.lexsort((index, target))
        start = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=size.size))])
        return cls(start.astype(np.int64), index[order].astype(np.int64), weight[order].astype(np.float64), size)


@dataclass(frozen=True, eq=False)
class Weights:
    """Conservative weights from one rectilinear grid to another: a row's share times a column's share of area.

    Attributes
    ----------
    source, target
        Latitudes and longitudes of the centres.
    rows, columns
        Overlaps in sin(latitude) and in radians of longitude, so that products are areas on the unit sphere.
    """

    source: tuple[np.ndarray, np.ndarray]
    target: tuple[np.ndarray, np.ndarray]
    rows: Overlap
    columns: Overlap

    def save(self, path: Path | str) -> None:
        """Write an .npz that appears whole or not at all, whoever else writes the same one just now."""
        path = Path(path)
        content = {"source_latitude": self.source[0], "source_longitude": self.source[1],
                   "target_latitude": self.target[0], "target_longitude": self.target[1]}  # fmt: skip
        for name, axis in (("rows", self.rows), ("columns", self.columns)):
            content |= {f"{name}_{key}": value for key, value in vars(axis).items()}
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: its folder {path.absolute().parent} does not exist; make it first")
        building = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
        try:
            with building.open("wb") as file:
                np.savez_compressed(file, **content)  # type: ignore[arg-type]
            os.replace(building, path)
        finally:
            building.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """The Weights in a file that `save` wrote; `InputError` if it is anything else."""
        try:
            with np.load(path) as held:
                axes = [
                    Overlap(*(held[f"{name}_{key}"] for key in ("start", "index", "weight", "size")))
                    for name in ("rows", "columns")
                ]
                source = (held["source_latitude"], held["source_longitude"])
                return cls(source, (held["target_latitude"], held["target_longitude"]), *axes)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path}: not weights that oceanx wrote ({error}); delete it to have it made anew"
            ) from None


def weights(source_latitude: Any, source_longitude: Any, target: Any) -> Weights:
    """The conservative Weights from a grid with these ascending centres to a target.

    Cells end half-way between centres and at the poles; longitude is periodic, so that cells across the date line
    collect from both ends. With cell edges φ and λ the overlap of two cells is (sin φ_n − sin φ_s)(λ_e − λ_w): exact
    on the sphere. Edges within 1e-4 degrees of one another are taken for the same edge.

    Parameters
    ----------
    target
        A `Grid`, the mapping that describes one, or a Dataset that stands on the grid.

    Raises
    ------
    InputError
        If an axis is not ascending, cells have no size, or the grids have nothing in common.
    """
    source = ascending(source_latitude, "latitude"), ascending(source_longitude, "longitude")
    return _made(source, target_axes(target))


def kept_weights(latitude: np.ndarray, longitude: np.ndarray, target: Grid, path: Path | str | None = None) -> Weights:
    """`weights` that are computed once for each pair of grids, and where there is a `path` once for all.

    Raises
    ------
    InputError
        If the file at `path` belongs to other grids.
    """
    key = (np.asarray(latitude, float).tobytes(), np.asarray(longitude, float).tobytes())
    return _kept(*key, target, None if path is None else str(path))


@lru_cache(maxsize=32)  # may compute twice when two threads ask at once, to the same result
def _kept(latitude: bytes, longitude: bytes, target: Grid, path: str | None) -> Weights:
    source = np.frombuffer(latitude), np.frombuffer(longitude)
    if path is None:
        return weights(*source, target)
    if not Path(path).exists():
        weights(*source, target).save(path)
    held = Weights.load(path)
    for what, ours, theirs in (("source", source, held.source), ("target", target_axes(target), held.target)):
        if not all(
            a.shape == b.shape and np.allclose(a, b, rtol=0, atol=_ONE_EDGE) for a, b in zip(ours, theirs, strict=True)
        ):
            raise InputError(f"{path}: weights for another {what} grid; name another file, or delete this one")
    return held


def _made(source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]) -> Weights:
    (south_north, west_east), (rows, columns) = (_edges(*axes) for axes in (source, target))
    return Weights(
        source,
        target,
        _overlap("latitude", south_north, rows, lambda low, high: np.sin(np.deg2rad(high)) - np.sin(np.deg2rad(low))),
        _overlap("longitude", west_east, columns, lambda low, high: np.deg2rad(high - low), (-360.0, 0.0, 360.0)),
    )


def _edges(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cell edges of both axes; a row or column that stands alone takes its width from the other axis."""
    if latitude.size == 1 and longitude.size == 1:
        raise InputError("latitude, longitude: a single point has no cell size; give at least two rows or columns")
    return (
        latitude_edges(latitude, grid._spacing(longitude)),
        longitude_edges(longitude, grid._spacing(latitude)),
    )


def _overlap(
    name: str,
    source: np.ndarray,
    target: np.ndarray,
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    shifts: tuple[float, ...] = (0.0,),
) -> Overlap:
    """The Overlap of two sets of adjoining cells: all edges together cut the axis into pieces of one cell of each."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for shift in shifts:
        moved = _snapped(source + shift, target)
        cuts = np.union1d(moved, target)
        middle = (cuts[1:] + cuts[:-1]) / 2
        s, t = np.searchsorted(moved, middle) - 1, np.searchsorted(target, middle) - 1
        both = (s >= 0) & (s < source.size - 1) & (t >= 0) & (t < target.size - 1)
        found.append((t[both], s[both], measure(cuts[:-1][both], cuts[1:][both])))
    t, s, weight = (np.concatenate(each) for each in zip(*found, strict=True))
    if not t.size:
        raise InputError(f"{name}: the data reach {source[0]:g} to {source[-1]:g}, the target grid {target[0]:g} to "
                         f"{target[-1]:g}: nothing in common; choose a grid that covers the data")  # fmt: skip
    return Overlap.of(t, s, weight, measure(target[:-1], target[1:]))


def _snapped(edges: np.ndarray, to: np.ndarray) -> np.ndarray:
    """`edges`, but where one is within rounding of one of the others, that one."""
    near = min(_ONE_EDGE, 0.01 * np.diff(edges).min(), 0.01 * np.diff(to).min())
    after = np.clip(np.searchsorted(to, edges), 1, to.size - 1)
    nearest = np.where(edges - to[after - 1] < to[after] - edges, to[after - 1], to[after])
    return np.where(np.abs(edges - nearest) <= near, nearest, edges)
