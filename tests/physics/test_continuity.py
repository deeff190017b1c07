"""Continuity: layers share the sea surface, and the vertical flow is what remains. In float64, on random coasts."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_basin import fields, geometry

from oceanx.physics.continuity import depth_mean_x, depth_mean_y, layer_thickness, stretch, vertical_flux
from oceanx.tensors.operators import outflow

seeds = st.integers(0, 2**31 - 1)


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_layers_of_a_column_add_up_to_its_depth_and_sea_surface(seed):
    g = geometry()
    zos = noise(seed, 2, 1, *g.area.shape) * g.surface
    h, h_x, h_y = layer_thickness(zos, g)
    column = (h * g.mask).sum(1, keepdim=True)
    torch.testing.assert_close(column, (g.bottom_depth + zos) * g.surface, rtol=1e-13, atol=0)
    assert (h > 0).all()
    assert (h_x > 0).all()
    assert (h_y > 0).all()
    assert torch.equal(stretch(torch.zeros_like(zos), g), torch.ones_like(zos))


@given(seeds, st.booleans())
@settings(max_examples=10, deadline=None)
def test_what_flows_in_is_what_a_cell_grows_by(seed, periodic):
    """−∇·U − δW = ∂V/∂t in every cell, and nothing goes through the sea floor or the sea surface."""
    g = geometry(periodic=periodic)
    x, y = noise(seed, 1, *g.mask.shape) * g.mask_x, noise(seed + 1, 1, *g.mask.shape) * g.mask_y
    rising = -outflow(x, y).sum(1, keepdim=True)  # what every column gains
    share = g.thickness * g.mask / g.bottom_depth.clamp(min=1)
    up = vertical_flux(x, y, rising * share, g)
    assert not (up * (1 - g.mask_z)).any()
    torch.testing.assert_close(-outflow(x, y, up) * g.mask, rising * share, rtol=0, atol=1e-13)


def test_rising_water_where_the_surface_spreads():
    """A current that diverges in the uppermost layer alone draws water up through all those beneath it."""
    g = geometry()
    x = torch.zeros(1, *g.mask.shape, dtype=torch.float64)
    x[0, 0, 5, 3], x[0, 1, 5, 3] = 1.0, -1.0  # eastward above, westward below: out of one column, into the next
    up = vertical_flux(x, torch.zeros_like(x), torch.zeros_like(x), g)
    assert up[0, 0, 5, 3] == 1.0
    assert up[0, 0, 5, 4] == -1.0
    assert up.abs().sum() == 2.0


def test_depth_means_are_over_open_faces():
    g = geometry()
    values = fields(g)["uo"]
    for mean, mask in ((depth_mean_x(values, g), g.mask_x), (depth_mean_y(values, g), g.mask_y)):
        weight = (g.thickness * mask).expand_as(values)
        expected = (values * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1e-9)
        torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-14)
        assert not mean[:, :, mask[0] == 0].any()
