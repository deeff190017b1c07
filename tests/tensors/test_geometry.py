"""Geometry: areas and lengths of the sphere, and which faces are open."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.geometry import Geometry, east, north, south, west
from oceanx.vocabulary.constants import EARTH_RADIUS


def grid(mask, periodic=False, south=-60.0, north=60.0, width=360.0, thickness=None):
    levels, nlat, nlon = mask.shape
    thickness = torch.ones(levels) if thickness is None else torch.tensor(thickness)
    edges = torch.linspace(south, north, nlat + 1).double(), torch.linspace(0, width, nlon + 1).double()
    return Geometry(*edges, thickness.cumsum(0) - thickness / 2, thickness, mask, periodic=periodic)


def random_mask(seed, shape=(2, 5, 6)):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.3).float()


@pytest.mark.parametrize("shape", [(1, 18, 36), (1, 7, 3)])
def test_a_global_grid_has_the_area_of_the_sphere(shape):
    area = grid(torch.ones(shape), periodic=True, south=-90.0, north=90.0).area.double()
    assert area.sum().item() == pytest.approx(4 * math.pi * EARTH_RADIUS**2, rel=1e-6)


def test_an_octant_is_an_eighth_of_it():
    area = grid(torch.ones(1, 4, 5), south=0.0, north=90.0, width=90.0).area.double()
    assert area.sum().item() == pytest.approx(math.pi * EARTH_RADIUS**2 / 2, rel=1e-6)


def test_faces_are_arcs_of_meridians_and_of_parallels():
    geometry = grid(torch.ones(1, 4, 8))  # 30° by 45°, edges at ±60°, ±30° and 0°
    radius = EARTH_RADIUS
    assert torch.allclose(geometry.length_x, torch.tensor(math.pi / 6 * radius), rtol=1e-6)
    cosines = torch.tensor([math.sqrt(3) / 2, 1.0, math.sqrt(3) / 2, 0.5])[:, None]
    assert torch.allclose(geometry.length_y, math.pi / 4 * radius * cosines.expand(-1, 8), rtol=1e-6)
    assert geometry.latitude.tolist() == [-45.0, -15.0, 15.0, 45.0]
    assert geometry.longitude.tolist() == [22.5 + 45 * i for i in range(8)]


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_face_is_open_where_both_its_cells_are_wet(seed, periodic):
    mask = random_mask(seed)
    geometry = grid(mask, periodic)
    for k, j, i in torch.cartesian_prod(*(torch.arange(n) for n in mask.shape)).tolist():
        wet = mask[k, j, i] == 1
        last_row, last_column = j == mask.shape[1] - 1, i == mask.shape[2] - 1
        eastern = mask[k, j, (i + 1) % mask.shape[2]] == 1
        assert geometry.mask_x[k, j, i] == float(wet and eastern and (periodic or not last_column))
        assert geometry.mask_y[k, j, i] == float(wet and not last_row and mask[k, j + 1, i] == 1)


def test_the_seam_is_open_only_where_longitude_goes_round():
    water = torch.ones(1, 3, 4)
    assert grid(water, periodic=True).mask_x[..., -1].eq(1).all()
    assert grid(water, periodic=False).mask_x[..., -1].eq(0).all()
    for periodic in (True, False):
        geometry = grid(water, periodic)
        assert geometry.mask_y[:, -1].eq(0).all()
        assert geometry.mask_y[:, :-1].eq(1).all()


def test_layers_and_columns_hold_the_same_water():
    mask = torch.ones(3, 4, 5)
    mask[1:, 1, 1], mask[2, 2, 2], mask[:, 3, 3] = 0, 0, 0
    geometry = grid(mask, thickness=[10.0, 30.0, 100.0])
    layers, columns = geometry.layers, geometry.columns
    assert torch.equal(layers.volume, geometry.area * torch.tensor([10.0, 30.0, 100.0])[:, None, None])
    depth = torch.full((4, 5), 140.0)
    depth[1, 1], depth[2, 2] = 10.0, 40.0
    depth[3, 3] = 1.0  # on land: the volume is divided by, so it may not vanish
    assert torch.allclose(columns.volume, (geometry.area * depth)[None], rtol=1e-6)
    assert torch.equal(columns.open_x, geometry.mask_x[:1])
    assert torch.equal(columns.open_y, geometry.mask_y[:1])


def test_a_surface_field_has_the_mask_of_the_top():
    geometry = grid(random_mask(3))
    assert torch.equal(geometry.mask_of(1), random_mask(3)[:1])
    assert torch.equal(geometry.mask_of(2), random_mask(3))


def test_neighbours_are_where_their_names_say():
    field = torch.arange(12.0).reshape(3, 4)  # rows northwards, columns eastwards
    assert (east(field)[1, 1], west(field)[1, 1]) == (field[1, 2], field[1, 0])
    assert (north(field)[1, 1], south(field)[1, 1]) == (field[2, 1], field[0, 1])
    for there, back in ((east, west), (north, south)):
        assert torch.equal(back(there(field)), field)


def test_a_double_geometry_stays_double():
    geometry = grid(torch.ones(2, 3, 4)).double()
    assert {field.dtype for field in (*geometry.layers, *geometry.columns[:3], geometry.surface)} == {torch.float64}
