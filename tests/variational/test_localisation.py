"""Localisation: the taper by its closed form, and neighbours by plain loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_ring as ring
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.variational.analysis import Observed, Setting, Window
from oceanx.variational.localisation import HalfWidths, Reach, gaspari_cohn, half_widths
from oceanx.variational.neighbours import Neighbours, places
from oceanx.variational.over_sea import Detours
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError

EARTH = 6371.0e3


def published(z):
    """Equation 4.10 as it is printed."""
    if z <= 1:
        return -(z**5) / 4 + z**4 / 2 + 5 / 8 * z**3 - 5 / 3 * z**2 + 1
    return z**5 / 12 - z**4 / 2 + 5 / 8 * z**3 + 5 / 3 * z**2 - 5 * z + 4 - 2 / (3 * z) if z < 2 else 0.0


def test_gaspari_cohn_is_the_published_function():
    exact = gaspari_cohn(torch.tensor([0.0, 1.0, 2.0, 7.0], dtype=torch.float64))
    np.testing.assert_allclose(exact.numpy(), [1, 5 / 24, 0, 0], rtol=0, atol=1e-14)
    z = np.linspace(0, 3, 301)
    ours = gaspari_cohn(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(ours, [published(each) for each in z], rtol=0, atol=2e-14)
    assert (ours >= 0).all()
    assert (np.diff(ours) <= 0).all()


@pytest.mark.parametrize("half_width", [0.7, 3.0, 11.0])
def test_gaspari_cohn_is_a_correlation(half_width):
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 10
    matrix = gaspari_cohn(torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist") / half_width)
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0


def globe(nlat=9, nlon=12, periodic=True, mask=None):
    east = 180.0 if periodic else -60.0
    mask = torch.ones(1, nlat, nlon) if mask is None else mask
    depth = torch.tensor([5.0, 30.0, 90.0], dtype=torch.float64)[: len(mask)]
    edges = torch.linspace(-85, 85, nlat + 1).double(), torch.linspace(-180, east, nlon + 1).double()
    return Geometry(*edges, depth, torch.ones(len(mask)), mask, periodic=periodic, dtype=torch.float64)


def window(cells, shape, latitude=None, longitude=None, depth=None, names=None):
    """Observations of one cell each, of one variable or of several."""
    names = names or ["thetao"] * len(cells)
    parts = {}
    for name in dict.fromkeys(names):
        rows = torch.tensor([row for row, other in enumerate(names) if other == name])
        parts[name] = Part(rows, torch.as_tensor(cells)[rows][:, None], torch.ones(len(rows), 1), shape)
    values = torch.zeros(len(cells), dtype=torch.float64)
    tensors = [None if each is None else torch.as_tensor(each).double() for each in (latitude, longitude, depth)]
    return Window(Observed(values, values + 1, Operator(parts, len(cells))), lambda s: [s], None, 0, *tensors)


def dense(neighbours, columns, observations):
    """What pairs say, as a matrix."""
    matrix = np.zeros((len(columns), observations))
    pairs = neighbours.pairs(columns)
    place = np.repeat(np.arange(len(columns)), pairs.per_column)
    np.add.at(matrix, (place, pairs.observation.numpy()), pairs.taper.numpy())
    return matrix


@given(st.integers(0, 10**6), st.sampled_from([400e3, 3000e3, 30000e3, np.inf]))
@settings(max_examples=15, deadline=None)
def test_neighbours_on_the_sphere_are_those_of_a_loop_over_all_pairs(seed, half_width):
    random = np.random.default_rng(seed)
    geometry, count = globe(), 25
    latitude, longitude = random.uniform(-90, 90, count), random.uniform(-180, 180, count)
    seen = window(random.integers(0, 108, count), (1, 9, 12), latitude, longitude, np.zeros(count))
    neighbours = Neighbours(geometry, places(seen, geometry), {"thetao": HalfWidths(half_width, np.inf)})
    found = dense(neighbours, np.arange(108), count)
    for column in range(108):
        a, b = np.radians(float(geometry.latitude[column // 12])), np.radians(float(geometry.longitude[column % 12]))
        for row in range(count):
            phi, lam = np.radians(latitude[row]), np.radians(longitude[row])
            cosine = np.sin(a) * np.sin(phi) + np.cos(a) * np.cos(phi) * np.cos(b - lam)
            distance = EARTH * np.arccos(np.clip(cosine, -1, 1))
            assert abs(found[column, row] - published(distance / half_width)) < 1e-6


def test_a_ring_is_closed_and_a_channel_is_not():
    seen = Window(ring.observed(torch.tensor([0]), torch.zeros(1, dtype=torch.float64)))
    width = {"zos": HalfWidths(3000.0, np.inf)}
    closed = ring.setting().geometry
    around = dense(Neighbours(closed, places(seen, closed), width), np.arange(64), 1)[:, 0]
    expected = [published(min(k, 64 - k) / 3) for k in range(64)]
    np.testing.assert_allclose(around, expected, rtol=0, atol=1e-12)
    edges = 1000.0 * torch.arange(65, dtype=torch.float64)
    level = torch.zeros(1, dtype=torch.float64)
    straight = Geometry.plane(edges[:2], edges, level, level + 1, torch.ones(1, 1, 64), dtype=torch.float64)
    along = dense(Neighbours(straight, places(seen, straight), width), np.arange(64), 1)[:, 0]
    np.testing.assert_allclose(along, [published(k / 3) for k in range(64)], rtol=0, atol=1e-12)


def test_every_variable_has_its_own_widths_and_levels_their_distance():
    geometry = globe(mask=torch.ones(3, 9, 12))
    seen = window([50, 50], (3, 9, 12), depth=[5.0, 60.0], names=["thetao", "so"])
    widths = {"thetao": HalfWidths(2000e3, 30.0), "so": HalfWidths(4000e3, np.inf)}
    neighbours = Neighbours(geometry, places(seen, geometry), widths)
    expected = [[1, 1], [published(25 / 30), 1], [0, 1]]
    np.testing.assert_allclose(neighbours.vertical.numpy(), expected, rtol=0, atol=1e-14)
    matrix = dense(neighbours, np.arange(108), 2)
    assert matrix[50].tolist() == [1, 1]
    near, far = matrix[51]
    distance = EARTH * np.radians(30) * np.cos(np.radians(float(geometry.latitude[4])))
    np.testing.assert_allclose([near, far], [published(distance / c) for c in (2000e3, 4000e3)], rtol=1e-3)


def test_observations_of_unknown_place_are_in_their_heaviest_cell():
    part = Part(torch.tensor([0]), torch.tensor([[3, 120]]), torch.tensor([[0.2, 0.8]]), (2, 9, 12))
    observed = Observed(torch.zeros(1), torch.ones(1), Operator({"thetao": part}, 1))
    geometry = globe(mask=torch.ones(3, 9, 12))
    found = places(Window(observed), geometry)
    assert (found.level[0], found.column[0], found.depth[0]) == (1, 12, 30.0)
    assert found.latitude[0] == float(geometry.latitude[1])


def described(mask=None, length=100e3, height=40.0):
    channels = Channels(volume=("thetao",), surface=("zos",), depth=(5.0, 30.0, 90.0))
    geometry = globe(mask=torch.ones(3, 9, 12) if mask is None else mask)
    return Setting(channels, geometry, {}, {"thetao": length, "zos": 2 * length}, {"thetao": height, "zos": 1.0})


def test_half_widths_that_are_not_given_are_twice_the_lengths_of_errors():
    found = half_widths(described(), {"thetao": Reach(m=70.0)})
    assert found == {"thetao": HalfWidths(200e3, 70.0), "zos": HalfWidths(400e3, np.inf)}
    assert half_widths(described(), {"zos": Reach(km=50.0, m=20.0)})["zos"] == HalfWidths(50e3, 20.0)
    with pytest.raises(InputError, match="unknown variable to localise 'theta'; did you mean 'thetao'"):
        half_widths(described(), {"theta": Reach()})


def test_a_reach_without_bounds_is_written_and_read():
    reach = Reach(km=float("inf"), m=20.0)
    assert Reach.model_validate_json(reach.model_dump_json()) == reach


def walled():
    """A plane of 1-km cells, 20 × 20, with a wall of land that ends three cells before the northern edge."""
    mask = torch.ones(1, 20, 20)
    mask[0, :17, 10] = 0
    edges, level = 1000.0 * torch.arange(21, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    return Geometry.plane(edges, edges, level, level + 1, mask, dtype=torch.float64)


def test_the_way_over_sea_is_that_around_the_end_of_the_wall():
    detours = Detours(walled(), 60e3)
    here, there = np.array([4 * 20 + 9]), np.array([4 * 20 + 11])
    # Straight along the wall to its end, across behind it, and back: the shortest way turns at the wall's corners.
    around = 2 * np.hypot(12.5, 0.5) + 1.0
    assert around - 2 <= detours(here, there)[0] / 1000 <= 1.05 * (around + 1.5) - 2
    np.testing.assert_allclose(detours(here, there), detours(there, here), rtol=1e-6)
    many = detours(np.repeat(here, 400), np.arange(400)).reshape(20, 20)
    assert many.shape == (20, 20)
    assert (many[:, :10] == 0).all()
    assert np.isinf(many[:17, 10]).all()
    assert (many[:14, 11] > 1000).all()
    same_side = np.array([15 * 20 + 2])
    assert detours(here, same_side)[0] == 0.0
    assert detours(here, here)[0] == 0.0


def test_beyond_reach_or_without_any_way_there_is_no_distance():
    assert np.isinf(Detours(walled(), 10e3)(np.array([89]), np.array([91]))[0])
    mask = torch.ones(1, 6, 6)
    mask[0, :, 3] = 0
    edges, level = 1000.0 * torch.arange(7, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    closed = Detours(Geometry.plane(edges, edges, level, level + 1, mask, dtype=torch.float64), 60e3)
    assert np.isinf(closed(np.array([2]), np.array([4]))[0])
    # Around a ring the other way is open.
    ringed = Geometry.plane(edges, edges, level, level + 1, mask, (True, False), dtype=torch.float64)
    assert Detours(ringed, 60e3)(np.array([2]), np.array([4]))[0] == pytest.approx(2000.0)


def test_a_diagonal_wall_is_tight():
    mask = 1 - torch.eye(8).flip(0)[None]
    edges, level = 1000.0 * torch.arange(9, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    detours = Detours(Geometry.plane(edges, edges, level, level + 1, mask, dtype=torch.float64), 90e3)
    assert np.isinf(detours(np.array([0]), np.array([63]))[0])


def test_neighbours_over_sea_leave_out_what_is_behind_land():
    geometry = walled()
    seen = window([4 * 20 + 9], (1, 20, 20))
    widths = {"thetao": HalfWidths(5e3, np.inf)}
    plain = dense(Neighbours(geometry, places(seen, geometry), widths), np.arange(400), 1)[:, 0].reshape(20, 20)
    detours = Detours(geometry, 10e3)
    found = dense(Neighbours(geometry, places(seen, geometry), widths, detours), np.arange(400), 1)[:, 0]
    found = found.reshape(20, 20)
    assert plain[4, 11] > 0.5
    assert (found[:, 11:] == 0).all()
    np.testing.assert_array_equal(found[:, :10], plain[:, :10])
