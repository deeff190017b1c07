"""Exchange and what explicit steps bear: the plain terms to round-off, and nothing beyond the limit. In float64."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.continuity import vertical_flux
from oceanx.physics.courant import diffusion_rate
from oceanx.physics.exchange import exchange, exchanged
from oceanx.physics.explicit_limit import bearable, bounded_flow, bounded_mixing, bounded_share, mixing_rate
from oceanx.physics.mixing import diffusion
from oceanx.physics.transport import Flux, transport, volume_flux
from oceanx.tensors.geometry import Geometry

SHAPE = (3, 8, 10)
seeds = st.integers(0, 2**31 - 1)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(seed, periodic=True, north=90.0):
    """Random land on a grid that may reach the pole."""
    mask = (random(seed, *SHAPE).sigmoid() > 0.25).double().cumprod(0)
    thickness = torch.tensor([10.0, 20.0, 50.0])
    latitude = torch.linspace(-60.0, north, SHAPE[1] + 1, dtype=torch.float64)
    longitude = torch.linspace(0.0, 360.0 if periodic else 40.0, SHAPE[2] + 1, dtype=torch.float64)
    return Geometry(latitude, longitude, thickness.cumsum(0), thickness, mask, periodic, torch.float64)


def current(seed, geometry, speed, vertical):
    flow = volume_flux(speed * random(seed, 2, *SHAPE), speed * random(seed + 1, 2, *SHAPE), geometry)
    if not vertical:
        return flow
    return Flux(flow.x, flow.y, vertical_flux(flow.x, flow.y, torch.zeros_like(flow.x), geometry))


@given(seeds, st.booleans(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_exchange_is_upwind_transport_and_mixing(seed, periodic, vertical):
    geometry = grid(seed, periodic)
    flow, tracer, kappa = current(seed, geometry, 0.5, vertical), random(seed + 5, 2, *SHAPE), Flux(300.0, 200.0)
    kappa = Flux(*(geometry.area.new_full(geometry.area.shape, each) for each in kappa[:2]))
    plain = transport(tracer, flow, geometry.layers, "upwind") + diffusion(tracer, geometry, kappa)
    ours = exchanged(tracer, exchange(flow, kappa, geometry))
    assert torch.allclose(ours, plain, rtol=0, atol=1e-12 * plain.abs().max().item() + 1e-30)


@given(seeds, st.sampled_from([0.01, 1.0, 30.0]), st.sampled_from([1.0, 1e3, 1e6]), st.booleans())
@settings(max_examples=15, deadline=None)
def test_no_cell_gives_more_than_a_step_bears(seed, speed, kappa, vertical):
    geometry, most = grid(seed), bearable(7200.0, 0.1)
    flow = current(seed, geometry, speed, vertical)
    mixing = bounded_mixing(kappa, geometry, most)
    share = bounded_share(flow, geometry.layers, most - mixing_rate(mixing, geometry))
    total = sum(each for each in exchange(flow, mixing, geometry, share) if each is not None)
    assert total.max() <= most * (1 + 1e-12)
    assert total.min() >= 0
    # The same as exchange with the flow that is less.
    less = exchange(bounded_flow(flow, share), mixing, geometry)
    for one, other in zip(exchange(flow, mixing, geometry, share), less, strict=True):
        assert one is other is None or torch.allclose(one, other, rtol=1e-12, atol=1e-20)


@given(seeds, st.booleans())
@settings(max_examples=15, deadline=None)
def test_what_is_within_the_limits_is_left_alone(seed, vertical):
    geometry = grid(seed, north=60.0)
    flow, kappa = current(seed, geometry, 0.01, vertical), 100.0
    most = bearable(1800.0, 0.1)
    assert diffusion_rate(kappa, geometry).max() * 1800 < 1 / 3.3
    mixing = bounded_mixing(kappa, geometry, most)
    assert (mixing.x == kappa).all()
    assert (mixing.y == kappa).all()
    share = bounded_share(flow, geometry.layers, most - mixing_rate(mixing, geometry))
    assert (share == 1).all()


def test_the_published_mixing_is_less_within_three_degrees_of_the_pole():
    # 2 h, ε = 0.1, κ = 100 m2 s-1, 0.5°: κ Δt / Δx² = 1 / (12 (1 + ε)) where Δx = √(13.2 κ Δt) = 3.08 km, at 86.8°.
    edges = torch.linspace(80.0, 90.0, 21, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    longitude = torch.linspace(0.0, 20.0, 41, dtype=torch.float64)
    geometry = Geometry(edges, longitude, one, one, torch.ones(1, 20, 40), False, torch.float64)
    mixing = bounded_mixing(100.0, geometry, bearable(7200.0, 0.1))
    less = (mixing.x < 100)[:, :-1].any(-1)  # the last column's east face is closed
    assert geometry.latitude[less].min() == 87.25
    assert (mixing.y[:-1] == 100).all()


def test_gradients_are_those_of_finite_differences_and_finite_at_rest():
    geometry = grid(3)
    tracer = random(1, 1, *SHAPE).requires_grad_()
    u, v = (random(n, 1, *SHAPE).requires_grad_() for n in (2, 3))
    kappa = torch.tensor(100.0, dtype=torch.float64, requires_grad=True)

    def change(tracer, u, v, kappa):
        flow, most = volume_flux(u, v, geometry), bearable(3600.0, 0.1)
        mixing = bounded_mixing(kappa, geometry, most)
        share = bounded_share(flow, geometry.layers, most - mixing_rate(mixing, geometry))
        return 1e5 * exchanged(tracer, exchange(flow, mixing, geometry, share))

    assert torch.autograd.gradcheck(change, (tracer, u, v, kappa), fast_mode=True)
    still = torch.zeros_like(u, requires_grad=True)
    for gradient in torch.autograd.grad(change(tracer, still, still, kappa).square().sum(), (tracer, still, kappa)):
        assert torch.isfinite(gradient).all()
