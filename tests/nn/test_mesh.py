"""The multi-mesh: known counts, ties to the grid by brute force, positions seen from the receiver, refinement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from oceanx.nn.mesh import REACH, multi_mesh, on_sphere, refined_icosahedron


def cells(latitude, longitude):
    return np.repeat(latitude, len(longitude)), np.tile(longitude, len(latitude))


def globe(nlat=24, nlon=48, west=-180.0):
    return cells(np.linspace(-90, 90, 2 * nlat + 1)[1::2], west + 360 / nlon * np.arange(nlon))


def region(south=20.0, west=130.0, nlat=12, nlon=16, step=0.5):
    return cells(south + step * np.arange(nlat), west + step * np.arange(nlon))


def sides(vertices, faces):
    """Lengths of the faces' sides [face, 3]."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.stack([np.linalg.norm(one - other, axis=1) for one, other in ((a, b), (b, c), (c, a))], axis=1)


@pytest.mark.parametrize("level", range(5))
def test_counts_and_lengths_of_a_refined_icosahedron(level):
    vertices, faces = refined_icosahedron(level)
    assert len(vertices) == 10 * 4**level + 2
    assert len(faces.finest) == len(faces.leaves) == 20 * 4**level
    assert len(faces.every) == 20 * (4 ** (level + 1) - 1) // 3
    assert np.allclose(np.linalg.norm(vertices, axis=1), 1)
    edges = {frozenset(pair) for face in faces.finest for pair in zip(face, np.roll(face, 1), strict=True)}
    assert len(vertices) - len(edges) + len(faces.finest) == 2  # Euler
    longest = sides(vertices, faces.finest).max()
    assert longest == pytest.approx({0: 1.0515, 1: 0.6180}.get(level, 1.31 / 2**level), rel=0.02)


def test_published_numbers_at_half_a_degree():
    mesh = multi_mesh(*cells(np.linspace(-90, 89.5, 360), np.linspace(-179.5, 180, 720)), level=5)
    assert len(mesh.vertices) == 10_242
    assert len(mesh.within.senders) == 81_900
    assert len(mesh.inwards.senders) == 403_596
    assert len(mesh.outwards.senders) == 777_600
    vertices, faces = refined_icosahedron(5)
    assert sides(vertices, faces.finest).max() == pytest.approx(0.04134, abs=1e-5)


def test_cells_speak_to_the_nearest_vertices_within_reach():
    latitude, longitude = globe(10, 18)
    mesh, points = multi_mesh(latitude, longitude, level=2), on_sphere(latitude, longitude)
    reach = REACH * sides(*[refined_icosahedron(2)[0], refined_icosahedron(2)[1].finest]).max()
    spoken = {(int(a), int(b)) for a, b in zip(mesh.inwards.senders, mesh.inwards.receivers, strict=True)}
    for cell, point in enumerate(points):
        distance = np.linalg.norm(mesh.vertices - point, axis=1)
        near = np.argsort(distance)[:4]
        assert {vertex for one, vertex in spoken if one == cell} == {int(v) for v in near if distance[v] <= reach}


def test_cells_hear_from_the_corners_of_the_face_they_lie_in():
    latitude, longitude = globe(16, 32)
    mesh, points = multi_mesh(latitude, longitude, level=3), on_sphere(latitude, longitude)
    assert (mesh.outwards.receivers == np.repeat(np.arange(len(points)), 3)).all()
    corners = mesh.vertices[mesh.outwards.senders.reshape(-1, 3)]
    shares = np.linalg.solve(corners.transpose(0, 2, 1), points[:, :, None])[..., 0]
    # A face's middle may be nearest to a cell just beyond its side.
    assert shares.min() > -0.1
    assert (shares.min(axis=1) > -1e-9).mean() > 0.9


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2), st.floats(-180, 180), st.integers(3, 9))
def test_every_set_of_edges_is_sorted_and_within_it_goes_both_ways(level, west, rows):
    mesh = multi_mesh(*globe(rows, 2 * rows, west), level=level)
    for edges in (mesh.inwards, mesh.within, mesh.outwards):
        assert (np.diff(edges.receivers) >= 0).all()
        assert edges.features[:, 3].max() == pytest.approx(1)
    there = set(zip(mesh.within.senders.tolist(), mesh.within.receivers.tolist(), strict=True))
    assert len(there) == len(mesh.within.senders)
    assert {(b, a) for a, b in there} == there
    assert all(a != b for a, b in there)
    reached = {*mesh.inwards.receivers.tolist(), *mesh.outwards.senders.tolist()}
    assert reached == set(range(len(mesh.vertices)))


def test_features_are_the_sender_seen_from_the_receiver():
    """Turned to longitude 0, then to the equator, the receiver looks along x, with y to the east and z to the north."""
    latitude, longitude = globe(9, 16, west=-170.0)
    mesh, points = multi_mesh(latitude, longitude, level=2), on_sphere(latitude, longitude)
    edges = mesh.outwards
    seen = []
    for sender, receiver in zip(edges.senders, edges.receivers, strict=True):
        turn = Rotation.from_euler("zy", (-longitude[receiver], latitude[receiver]), degrees=True)
        assert np.allclose(turn.apply(points[receiver]), (1, 0, 0))
        seen.append(turn.apply(mesh.vertices[sender]) - (1, 0, 0))
    lengths = np.linalg.norm(seen, axis=1)
    assert np.allclose(edges.features[:, :3], np.array(seen) / lengths.max())
    assert np.allclose(edges.features[:, 3], lengths / lengths.max())


def test_where_longitudes_begin_is_of_no_account():
    first, second = (multi_mesh(*globe(8, 16, west), level=2) for west in (-177.3, 182.7))
    assert np.allclose(first.vertices, second.vertices)
    for one, other in zip(first[1:], second[1:], strict=True):
        assert (one.senders == other.senders).all()
        assert (one.receivers == other.receivers).all()
        assert np.allclose(one.features, other.features)


def spacing(mesh):
    """Distance from each vertex to its nearest neighbour in the mesh."""
    lengths = np.linalg.norm(mesh.vertices[mesh.within.senders] - mesh.vertices[mesh.within.receivers], axis=1)
    nearest = np.full(len(mesh.vertices), np.inf)
    np.minimum.at(nearest, mesh.within.receivers, lengths)
    return nearest


@pytest.mark.parametrize(("south", "west"), [(20.0, 130.0), (-4.0, 176.0), (84.0, -20.0)])
def test_a_region_has_a_fine_mesh_of_its_own(south, west):
    mesh = multi_mesh(*region(south, west), level=2, finer=4)
    assert len(mesh.vertices) < 120  # of 40 962
    assert 1.05 < 2**6 * np.median(spacing(mesh)) < 1.33
    links = coo_array((np.ones(len(mesh.within.senders)), (mesh.within.senders, mesh.within.receivers)))
    assert connected_components(links, directed=False)[0] == 1
    whole = multi_mesh(*region(south, west), level=6)  # all the globe so fine, then what no cell reaches left out
    assert whole.vertices.shape == mesh.vertices.shape
    assert np.allclose(cKDTree(whole.vertices).query(mesh.vertices)[0], 0)
    assert len(whole.within.senders) == len(mesh.within.senders)


@pytest.mark.parametrize("west", [-170.0, 170.0, 530.0])
def test_part_of_the_globe_may_be_finer(west):
    latitude, longitude = globe(45, 90)
    south, north, east = 10.0, 30.0, west + 40
    coarse = multi_mesh(latitude, longitude, level=2)
    mesh = multi_mesh(latitude, longitude, level=2, finer=2, region=(south, west, north, east))
    assert len(coarse.vertices) < len(mesh.vertices) < 10 * 4**4 + 2
    middle = on_sphere(np.array(20.0), np.array(west + 20))
    here = np.linalg.norm(mesh.vertices - middle, axis=1) < 0.1
    there = np.linalg.norm(mesh.vertices + middle, axis=1) < 1.0
    assert spacing(mesh)[here].max() < 0.3 * spacing(mesh)[there].min()
    links = coo_array((np.ones(len(mesh.within.senders)), (mesh.within.senders, mesh.within.receivers)))
    assert connected_components(links, directed=False)[0] == 1
    assert len(mesh.outwards.senders) == 3 * len(latitude)
    assert set(mesh.inwards.senders.tolist()) == set(range(len(latitude)))
