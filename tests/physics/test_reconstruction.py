"""Reconstruction: which polynomials each scheme knows, how it ends at a wall, and what it does not depend on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.reconstruction import SCHEMES, Way
from oceanx.tensors.geometry import above, below, east, west

seeds = st.integers(0, 2**31 - 1)
every = pytest.mark.parametrize("scheme", SCHEMES)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def row(n, width=None, wall=None):
    """A way along n cells, closed at both ends, and after cell `wall`."""
    faces = torch.ones(n, dtype=torch.float64)
    faces[-1] = 0
    if wall is not None:
        faces[wall] = 0
    return Way(east, west, faces, width)


def means(degree, width):
    """Means over the cells of x**degree, and its values on the cells' ends."""
    ends = torch.cat((width.new_zeros(1), width.cumsum(0)))
    return (ends ** (degree + 1)).diff() / (degree + 1) / width, ends**degree


@pytest.mark.parametrize(("scheme", "degree"), [("centred", 1), ("limited", 1), ("third", 2), ("weno", 2)])
@given(seeds)
@settings(max_examples=15, deadline=None)
def test_profiles_are_exact_for_polynomials_whatever_the_widths(scheme, degree, seed):
    width = 0.5 + random(seed, 9).sigmoid()
    tracer, ends = means(degree, width)
    ahead, behind = SCHEMES[scheme](tracer, row(9, width))
    inner = slice(2, -2)
    assert torch.allclose(ahead[inner], ends[1:][inner], rtol=1e-12, atol=1e-12)
    assert torch.allclose(behind[inner], ends[:-1][inner], rtol=1e-12, atol=1e-12)


@every
def test_equal_widths_given_are_equal_widths_not_given(scheme):
    tracer = random(1, 12)
    for given_, counted in zip(
        SCHEMES[scheme](tracer, row(12, torch.full((12,), 7.0).double(), wall=6)),
        SCHEMES[scheme](tracer, row(12, wall=6)),
        strict=True,
    ):
        assert torch.allclose(given_, counted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scheme", ["centred", "third"])
def test_at_a_wall_a_line_stays_a_line(scheme):
    width = torch.linspace(1.0, 2.0, 8, dtype=torch.float64)
    tracer, ends = means(1, width)
    ahead, behind = SCHEMES[scheme](tracer, row(8, width))
    assert torch.allclose(ahead[:-1], ends[1:-1], rtol=1e-13)
    assert torch.allclose(behind[1:], ends[1:-1], rtol=1e-13)


@pytest.mark.parametrize("scheme", ["limited", "weno"])
def test_at_a_wall_the_profile_is_constant(scheme):
    tracer = random(2, 8)
    ahead, behind = SCHEMES[scheme](tracer, row(8, wall=3))
    for cell in (0, 3, 4, 7):
        assert ahead[cell] == behind[cell] == tracer[cell]


@every
@given(seeds, st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_nothing_is_seen_through_a_wall(scheme, seed, wall):
    tracer, elsewhere = random(seed, 10), random(seed + 1, 10)
    left = torch.arange(10) <= wall
    one = SCHEMES[scheme](tracer, row(10, wall=wall))
    other = SCHEMES[scheme](torch.where(left, tracer, 1e6 * elsewhere), row(10, wall=wall))
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a[left], b[left])


@every
@given(seeds)
@settings(max_examples=15, deadline=None)
def test_ahead_and_behind_are_alike(scheme, seed):
    width, tracer = 0.5 + random(seed, 9).sigmoid(), random(seed + 1, 9)
    ahead, behind = SCHEMES[scheme](tracer, row(9, width, wall=3))
    mirrored = SCHEMES[scheme](tracer.flip(0), row(9, width.flip(0), wall=4))
    assert torch.allclose(mirrored[1].flip(0), ahead, rtol=1e-12, atol=1e-12)
    assert torch.allclose(mirrored[0].flip(0), behind, rtol=1e-12, atol=1e-12)


@every
def test_directions_are_alike(scheme):
    tracer = random(3, 1, 6, 1, 7)
    open_x = torch.ones(7).double()
    open_x[-1] = 0
    across = SCHEMES[scheme](tracer, Way(east, west, open_x))
    down = SCHEMES[scheme](tracer.transpose(-1, -3), Way(below, above, open_x[:, None, None]))
    for a, b in zip(across, down, strict=True):
        assert torch.equal(a, b.transpose(-1, -3))


@pytest.mark.parametrize("scheme", ["upwind", "limited"])
@given(seeds, st.booleans())
@settings(max_examples=15, deadline=None)
def test_bounded_profiles_stay_between_the_neighbours(scheme, seed, unequal):
    tracer = (4 * random(seed, 30)).tanh()
    width = torch.exp(random(seed + 1, 30)) if unequal else None
    ahead, behind = SCHEMES[scheme](tracer, row(30, width))
    least, most = torch.minimum(tracer[:-1], tracer[1:]), torch.maximum(tracer[:-1], tracer[1:])
    for face in (ahead[:-1], behind[1:]):
        assert (face <= most + 1e-14).all()
        assert (face >= least - 1e-14).all()


@given(seeds, st.floats(-9, 6), st.floats(-40, 40))
@settings(max_examples=15, deadline=None)
def test_weno_knows_neither_unit_nor_zero_of_the_scale(seed, power, zero):
    tracer, unit = random(seed, 20), 10.0**power
    plain = SCHEMES["weno"](tracer, row(20))
    for a, b in zip(plain, SCHEMES["weno"](unit * (tracer + zero), row(20)), strict=True):
        assert torch.allclose(unit * (a + zero), b, rtol=1e-9, atol=1e-9 * unit)


def test_weno_in_single_precision_sees_hundredths_of_a_degree_at_twenty():
    wave = 0.01 * torch.sin(torch.linspace(0, 12, 60, dtype=torch.float64))
    exact = SCHEMES["weno"](20 + wave, row(60))
    single = SCHEMES["weno"]((20 + wave).float(), row(60)._replace(open=row(60).open.float()))
    for a, b in zip(exact, single, strict=True):
        assert (a - b.double()).abs().max() < 4 * 20 * torch.finfo(torch.float32).eps  # a few roundings of 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every
def test_gradients_are_finite_where_the_tracer_is_flat(scheme, dtype):
    tracer = torch.tensor([0.0, 0, 0, 20, 20, 20, 20, 20, 20, 20, 21, 20, 20, 0, 0, 0], dtype=dtype, requires_grad=True)
    way = row(16, wall=2)
    sum(face.sum() for face in SCHEMES[scheme](tracer, way._replace(open=way.open.to(dtype)))).backward()
    assert tracer.grad.isfinite().all()
