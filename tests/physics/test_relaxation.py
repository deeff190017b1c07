"""Relaxation: which edges are open, where the zone is, and what it does to a state."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.relaxation import (
    EDGES,
    PROFILES,
    distance_to,
    open_edges,
    relax,
    relaxation,
    relaxation_zone,
    relaxed,
    restoring,
    timescale_for,
)
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import State
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

DAY = 86400.0
DEPTH, THICKNESS = torch.tensor([5.0, 20.0]), torch.tensor([10.0, 20.0])


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def region(mask=None, south=20.0, north=28.0, periodic=False):
    mask = torch.ones(2, 8, 10) if mask is None else mask
    lat = torch.linspace(south, north, 9, dtype=torch.float64)
    lon = torch.linspace(0.0, 360.0 if periodic else 10.0, 11, dtype=torch.float64)
    return Geometry(lat, lon, DEPTH, THICKNESS, mask, periodic, dtype=torch.float64)


def plane(cells=8, periodic=(False, False)):
    edges = torch.linspace(0.0, 1000.0 * cells, cells + 1, dtype=torch.float64)
    mask = torch.ones(2, cells, cells, dtype=torch.float64)
    return Geometry.plane(edges, edges, DEPTH, THICKNESS, mask, periodic, dtype=torch.float64)


def test_edges_are_open_where_the_sea_goes_on():
    mask = torch.ones(2, 8, 10)
    assert open_edges(region(mask)) == EDGES
    mask[:, 0], mask[1, :, 0], mask[0, 1:, 0] = 0, 0, 0
    assert open_edges(region(mask)) == ("east", "north")
    assert open_edges(region(periodic=True)) == ("south", "north")
    assert open_edges(region(torch.zeros(2, 8, 10))) == ()


@pytest.mark.parametrize(("south", "north", "expected"), [(50.0, 90.0, ("south",)), (-90.0, -50.0, ("north",))])
def test_a_pole_is_no_open_edge(south, north, expected):
    assert open_edges(region(south=south, north=north, periodic=True)) == expected


def test_a_plane_has_no_poles():
    assert open_edges(plane()) == EDGES
    assert open_edges(plane(periodic=(True, True))) == ()


def test_distances_to_the_edges_are_those_between_centre_and_edge():
    geometry = region()
    degree = EARTH_RADIUS * math.pi / 180
    assert distance_to("south", geometry)[:, 3].tolist() == pytest.approx([(n + 0.5) * degree for n in range(8)])
    assert distance_to("north", geometry)[:, 3].tolist() == pytest.approx([(7.5 - n) * degree for n in range(8)])
    # A cell is as wide as the mean of its parallel: area over height.
    wide = degree * (math.sin(math.radians(21)) - math.sin(math.radians(20))) / math.radians(1)
    assert distance_to("west", geometry)[0].tolist() == pytest.approx([(n + 0.5) * wide for n in range(10)])
    assert distance_to("east", geometry)[0].tolist() == pytest.approx([(9.5 - n) * wide for n in range(10)])
    with pytest.raises(InputError, match=r"unknown edge 'nort'; did you mean 'north'\?"):
        distance_to("nort", geometry)


@pytest.mark.parametrize("profile", PROFILES)
def test_weights_fall_from_the_edge_to_nothing_at_the_end_of_the_zone(profile):
    zone = relaxation_zone(plane(), width=3000.0, timescale=DAY, edges=("west",), profile=profile)
    weight = zone.centre[0, 4] * DAY
    known = {  # at 1/6, 1/2 and 5/6 of the zone
        "cosine": [math.cos(math.pi / 12) ** 2, 0.5, math.cos(5 * math.pi / 12) ** 2],
        "linear": [5 / 6, 1 / 2, 1 / 6],
        "tanh": [1 - math.tanh(5 / 6), 1 - math.tanh(5 / 2), 1 - math.tanh(25 / 6)],
    }
    assert weight[:3].tolist() == pytest.approx(known[profile])
    assert weight[3:].tolist() == [0.0] * 5
    assert torch.equal(zone.centre[0], zone.centre[0, :1].expand(8, 8))


def test_faces_are_held_as_the_cells_beside_them_and_closed_ones_not_at_all():
    mask = torch.ones(2, 8, 10)
    mask[:, 3:5, 4:7], mask[1, :, 0] = 0, 0
    geometry = region(mask)
    zone = relaxation_zone(geometry, 300e3, DAY)
    both = (zone.centre + zone.centre.roll(-1, -1)) / 2
    assert torch.allclose(zone.x, both * geometry.mask_x, rtol=1e-12)
    assert not zone.x[:, :, -1].any()
    assert not zone.y[:, -1].any()
    assert not zone.centre[geometry.mask == 0].any()
    assert zone.at("uo_x", 2) is not zone.x  # as deep as the field asks
    assert torch.equal(zone.at("uo_x", 2), zone.x)
    assert torch.equal(zone.at("vo_y", 2), zone.y)
    assert torch.equal(zone.at("zos", 1), zone.centre[:1])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), steps=st.floats(1e-3, 1e9))
def test_relaxation_stays_between_field_and_target_for_any_step(seed, steps):
    geometry = region()
    zone = relaxation_zone(geometry, 300e3, DAY)
    field, target = random(seed, 2, 2, 8, 10), random(seed + 1, 2, 2, 8, 10)
    after = relaxed(field, target, zone.centre, steps * DAY)
    assert (after >= torch.minimum(field, target) - 1e-12).all()
    assert (after <= torch.maximum(field, target) + 1e-12).all()


def test_a_long_step_arrives_and_a_short_one_is_the_tendency():
    field, target, rate = random(1, 1, 2, 4, 5), random(2, 1, 2, 4, 5), torch.full((2, 4, 5), 1 / DAY).double()
    assert torch.allclose(relaxed(field, target, rate, 1e12), target, atol=1e-6)
    slope = (relaxed(field, target, rate, 1e-3) - field) / 1e-3
    assert torch.allclose(slope, relaxation(field, target, rate), atol=1e-10)
    # Implicit steps without number follow the exponential: (1 + 1/n)^-n after one time scale.
    for _ in range(1000):
        field = relaxed(field, torch.zeros_like(field), rate, DAY / 1000)
    assert torch.allclose(field, random(1, 1, 2, 4, 5) * (1 + 1 / 1000) ** -1000, rtol=1e-10)


def test_the_interior_is_left_alone_and_so_is_what_has_no_target():
    geometry = region()
    zone = relaxation_zone(geometry, 200e3, DAY)
    state = State({"thetao": random(1, 1, 2, 8, 10), "uo_x": random(2, 1, 2, 8, 10), "zos": random(3, 1, 1, 8, 10)})
    targets = {"thetao": random(4, 1, 2, 8, 10), "zos": random(5, 1, 1, 8, 10)}
    after = relax(state, targets, zone, 5 * DAY)
    inside = slice(2, -2)
    assert list(after) == list(state)
    assert torch.equal(after["thetao"][..., inside, inside], state["thetao"][..., inside, inside])
    assert torch.equal(after["uo_x"], state["uo_x"])
    edge = after["zos"][..., 0, :] - targets["zos"][..., 0, :]
    assert (edge.abs() < 0.3 * (state["zos"] - targets["zos"])[..., 0, :].abs()).all()


def test_a_state_that_is_its_target_stays_so_bit_for_bit():
    zone = relaxation_zone(region(), 300e3, DAY)
    state = State({"thetao": random(1, 1, 2, 8, 10), "uo_x": random(2, 1, 2, 8, 10)})
    after = relax(state, state, zone, DAY)
    assert all(torch.equal(after[name], field) for name, field in state.items())


def test_a_surface_layer_is_restored_within_thickness_over_piston_velocity():
    piston, thickness, target = 0.5 / DAY, 10.0, torch.full((1, 1, 3, 3), 35.0, dtype=torch.float64)
    surface, step = target - 2, DAY / 100
    for _ in range(2000):  # 20 days, one time scale
        surface = surface + restoring(surface, target, piston) / thickness * step
    assert (target - surface).flatten().tolist() == pytest.approx([2 * math.exp(-1)] * 9, rel=1e-3)
    assert restoring(target, target, piston).abs().max() == 0
    assert restoring(target - 1, target, 40.0).unique().tolist() == [40.0]  # W m-2, into a sea too cold by 1 K


def test_gradients_reach_field_and_target():
    rate = relaxation_zone(region(), 300e3, DAY).centre
    inputs = [random(seed, 1, 2, 8, 10).requires_grad_() for seed in (1, 2)]
    assert torch.autograd.gradcheck(lambda x, y: relaxed(x, y, rate, DAY), inputs)
    assert torch.autograd.gradcheck(lambda x, y: DAY * relaxation(x, y, rate), inputs)


def test_what_makes_no_zone_is_refused():
    with pytest.raises(InputError, match="a width and a time above 0, not -1 m and 86400 s"):
        relaxation_zone(region(), -1.0, DAY)
    with pytest.raises(InputError, match="unknown profile 'cosin'"):
        relaxation_zone(region(), 1e5, DAY, profile="cosin")
    with pytest.raises(InputError, match="between 0 and 1, not 1"):
        timescale_for(1.0, 30.0, 1e5)
