"""Icosahedral multi-mesh: an icosahedron refined again and again, all levels' edges kept, and its ties to a grid.

grid ──inwards──▶ mesh ──within──▶ mesh ──outwards──▶ grid

Every cell speaks to the vertices next to it, and hears from the three corners of the face it lies in. Coarse edges
carry far, fine ones near.

References
----------
Lam et al. (2023), Science 382, 1416, doi:10.1126/science.adi2336 (multi-mesh).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.transform import Rotation

from oceanx.vocabulary.errors import InputError

NEIGHBOURS, REACH = 4, 0.6  # how many vertices a cell speaks to, and how far away, in longest finest edges
Region = tuple[float, float, float, float]  # south, west, north, east in degrees


class Edges(NamedTuple):
    """Who speaks to whom, sorted by receiver.

    `features` [edge, 4] are the sender's position seen from the receiver, up, east and north, and its distance: all
    divided by the longest distance of the set.
    """

    senders: np.ndarray
    receivers: np.ndarray
    features: np.ndarray


class MultiMesh(NamedTuple):
    """Vertices on the unit sphere [vertex, 3], and the three sets of edges."""

    vertices: np.ndarray
    inwards: Edges
    within: Edges
    outwards: Edges


class Faces(NamedTuple):
    """Triangles by their three vertices: of all levels, those with no finer ones in them, and of the last level."""

    every: np.ndarray
    leaves: np.ndarray
    finest: np.ndarray


def multi_mesh(
    latitude: np.ndarray, longitude: np.ndarray, level: int, finer: int = 0, region: Region | None = None
) -> MultiMesh:
    """The multi-mesh of these cells; vertices that no cell speaks to or hears from are left out.

    Parameters
    ----------
    latitude, longitude
        Of every cell, in degrees.
    level
        How often the whole icosahedron is refined: 10 · 4ⁿ + 2 vertices, at level 5 about 2.2° apart.
    finer
        How often more where there are cells (of the region, if one is given).
    region
        South, west, north, east in degrees.

    Raises
    ------
    InputError
        No cell lies in the region.
    """
    cells = on_sphere(latitude, longitude)
    there = cells if region is None else cells[_inside(latitude, longitude, region)]
    if not len(there):
        raise InputError(f"region: no cell of the grid lies in {region}; write south, west, north, east in degrees")
    vertices, faces = refined_icosahedron(level, finer, there)
    speaks, spoken = _nearest_vertices(cells, vertices, faces.finest)
    hears, heard = _corners(cells, vertices, faces.leaves)
    kept = np.unique(np.concatenate((spoken, heard)))
    number = np.full(len(vertices), -1)
    number[kept] = np.arange(len(kept))
    a, b = number[_both_ways(faces.every)]
    linked = (a >= 0) & (b >= 0)
    vertices = vertices[kept]
    return MultiMesh(
        vertices,
        _edges(speaks, number[spoken], cells, vertices),
        _edges(a[linked], b[linked], vertices, vertices),
        _edges(number[heard], hears, vertices, cells),
    )


def on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Unit vectors [point, 3] towards latitude and longitude in degrees; z is north."""
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)), axis=-1)


def refined_icosahedron(level: int, finer: int = 0, cells: np.ndarray | None = None) -> tuple[np.ndarray, Faces]:
    """Vertices and faces after `level` refinements everywhere, and `finer` more of the faces near `cells`.

    A refinement cuts each face into four at the middles of its edges.
    """
    vertices, faces = _icosahedron()
    tree = cKDTree(cells) if finer and cells is not None else None
    every, leaves = [faces], []
    for done in range(level + (finer if tree else 0)):
        chosen = np.full(len(faces), True) if done < level else _near(vertices[faces], tree)
        leaves.append(faces[~chosen])
        vertices, faces = _refined(vertices, faces[chosen])
        every.append(faces)
    return vertices, Faces(np.concatenate(every), np.concatenate([*leaves, faces]), faces)


def _icosahedron() -> tuple[np.ndarray, np.ndarray]:
    """Its twelve vertices and twenty faces, one face lying flat on each pole."""
    golden = (1 + 5**0.5) / 2
    corners = np.array([(one, other, 0.0) for one in (1.0, -1.0) for other in (golden, -golden)])
    vertices = np.concatenate([np.roll(corners, turn, axis=1) for turn in range(3)])
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    tilt = np.pi / 2 - np.arcsin(golden / 3**0.5)
    return vertices @ Rotation.from_euler("y", tilt).as_matrix(), ConvexHull(vertices).simplices.astype(np.int64)


def _refined(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Old and new vertices, and four faces for each one."""
    count = len(vertices)
    ends = np.sort(np.concatenate((faces[:, (0, 1)], faces[:, (1, 2)], faces[:, (2, 0)])), axis=1)
    keys, where = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    middles = vertices[keys // count] + vertices[keys % count]
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    a, b, c = faces.T
    ab, bc, ca = (count + where).reshape(3, -1)
    parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return np.concatenate((vertices, middles)), np.concatenate([np.stack(part, axis=1) for part in parts])


def _near(corners: np.ndarray, cells: cKDTree) -> np.ndarray:
    """Which faces [face, corner, 3] have a cell no further from their middle than their longest edge."""
    middles = corners.mean(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    return cells.query(middles)[0] <= _lengths(corners).max(axis=1)


def _lengths(corners: np.ndarray) -> np.ndarray:
    return np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=-1)


def _inside(latitude: np.ndarray, longitude: np.ndarray, region: Region) -> np.ndarray:
    south, west, north, east = region
    across = (east - west) % 360 or 360
    return (latitude >= south) & (latitude <= north) & ((longitude - west) % 360 <= across)


def _nearest_vertices(cells: np.ndarray, vertices: np.ndarray, finest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells and the vertices they speak to: the nearest, and up to three more within reach."""
    distance, near = cKDTree(vertices).query(cells, k=NEIGHBOURS)
    kept = distance <= REACH * _lengths(vertices[finest]).max()
    kept[:, 0] = True  # beyond the refined region no vertex may be within reach
    return np.nonzero(kept)[0], near[kept]


def _corners(cells: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells and the vertices they hear from, three each: the corners of the face whose middle is nearest."""
    _, at = cKDTree(vertices[faces].mean(axis=1)).query(cells)
    return np.repeat(np.arange(len(cells)), 3), faces[at].reshape(-1)


def _both_ways(faces: np.ndarray) -> np.ndarray:
    """Each edge of the faces once in each direction [2, edge]."""
    ends = np.concatenate((faces[:, (0, 1)], faces[:, (1, 2)], faces[:, (2, 0)]))
    return np.unique(np.concatenate((ends, ends[:, ::-1])), axis=0).T


def _edges(senders: np.ndarray, receivers: np.ndarray, source: np.ndarray, target: np.ndarray) -> Edges:
    order = np.lexsort((senders, receivers))
    senders, receivers = senders[order], receivers[order]
    up = target[receivers]
    east = np.stack((-up[:, 1], up[:, 0], np.zeros(len(up))), axis=1)
    length = np.linalg.norm(east, axis=1, keepdims=True)
    east = np.where(length > 1e-9, east / np.maximum(length, 1e-9), (0.0, 1.0, 0.0))  # at a pole longitude is zero
    frame = np.stack((up, east, np.cross(up, east)), axis=1)
    seen = np.einsum("eij,ej->ei", frame, source[senders] - up)
    features = np.concatenate((seen, np.linalg.norm(seen, axis=1, keepdims=True)), axis=1)
    return Edges(senders, receivers, features / max(features[:, 3].max(), 1e-9))
