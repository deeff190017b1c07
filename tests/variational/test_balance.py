"""Balance: warm water stands high and turns anticyclonically; its adjoint is exact; away from where it is off."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
import torch
import toy_errors
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.density import teos10
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Increment, State
from oceanx.variational.balance import Balance, BalanceConfig, Balanced, beneath
from oceanx.variational.covariance import flattened
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY, ROTATION

quick = settings(max_examples=10, deadline=None)
WHOLE = BalanceConfig(mixed_layer=True)


def sea(latitude: float, n: int = 21) -> Geometry:
    """A square of open sea, 4° across, about a latitude; 12 levels down to 1200 m."""
    edges = torch.linspace(-2.0, 2.0, n + 1, dtype=torch.float64)
    thick = torch.full((12,), 100.0, dtype=torch.float64)
    mask = torch.ones(12, n, n, dtype=torch.float64)
    return Geometry(latitude + edges, edges, thick.cumsum(0) - 50, thick, mask, periodic=False, dtype=torch.float64)


def water(g: Geometry) -> State:
    """Stratified, at rest."""
    depth = g.depth[:, None, None] * torch.ones_like(g.mask)
    return State({"thetao": (20 * torch.exp(-depth / 500) + 2)[None], "so": (35 + 0 * depth)[None]})


def warm_column(g: Geometry, size: float = 1.0) -> Increment:
    """Round, as warm as 1 K, fading downwards; nothing else unbalanced."""
    y, x = g.latitude - g.latitude.mean(), g.longitude - g.longitude.mean()
    hill = torch.exp(-(y[:, None] ** 2 + x**2) / 2 / 0.5**2)
    warm = size * hill * torch.exp(-g.depth / 300)[:, None, None]
    nothing = torch.zeros_like(warm)[None]
    return Increment({"thetao": warm[None], "so": nothing, "zos": nothing[:, :1], "uo": nothing, "vo": nothing})


def noise(g: Geometry, seed: int, count: int = 2) -> Increment:
    return Increment(dict(toy_errors.noise(g, count, seed)))


@given(seed=st.integers(0, 1000), south=st.sampled_from([-40.0, -3.0, 30.0]), mixed=st.booleans())
@quick
def test_its_adjoint_is_exact(seed, south, mixed):
    g = toy_errors.geometry(south)
    k = Balance(toy_errors.background(g), g, BalanceConfig(mixed_layer=mixed, no_motion=70.0))
    x, y = noise(g, seed), noise(g, seed + 1)
    forth, back = k(x), k.adjoint(y)
    ours = torch.stack([(forth[name] * y[name]).sum() for name in x]).sum()
    theirs = torch.stack([(x[name] * back[name]).sum() for name in x]).sum()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@given(seed=st.integers(0, 1000), mixed=st.booleans())
@quick
def test_its_inverse_takes_off_what_it_put_on(seed, mixed):
    g = toy_errors.geometry()
    k = Balance(toy_errors.background(g), g, BalanceConfig(mixed_layer=mixed))
    x = noise(g, seed)
    again = k.inverse(k(x))
    for name in x:
        torch.testing.assert_close(again[name], x[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("latitude", [-38.0, 38.0])
def test_a_warm_column_stands_high(latitude):
    g = sea(latitude)
    background, change = water(g), warm_column(g)
    zos = Balance(background, g, WHOLE)(change)["zos"][0, 0]
    # The slope of density by differences of the TEOS-10 of another library.
    warm, depth = background["thetao"][0].numpy(), g.depth.numpy()[:, None, None]
    salt = 35.16504  # of standard composition

    def density(theta):
        return gsw.rho(salt, gsw.CT_from_pt(salt, theta), gsw.p_from_z(-depth, latitude))

    slope = (density(warm + 0.01) - density(warm - 0.01)) / 0.02
    expected = -(slope * change["thetao"][0].numpy() * 100.0).sum(0) / REFERENCE_DENSITY
    assert zos.max() > 0.05
    np.testing.assert_allclose(zos.numpy(), expected, rtol=5e-3, atol=1e-6)


@pytest.mark.parametrize("latitude", [-38.0, 38.0])
def test_it_turns_anticyclonically_and_fades_downwards(latitude):
    g = sea(latitude)
    full = Balance(water(g), g, WHOLE)(warm_column(g))
    u, v = full["uo"][0], full["vo"][0]
    n = u.shape[-1] // 2
    f = 2 * ROTATION * np.sin(np.deg2rad(latitude))
    vorticity = (v[:, n, n + 1] - v[:, n, n - 1]) - (u[:, n + 1, n] - u[:, n - 1, n])
    assert (vorticity * np.sign(f) < 0).all()
    speed = (u**2 + v**2).sqrt().amax((1, 2))
    assert (speed.diff() < 0).all()
    assert speed[-1] < 0.05 * speed[0]
    # In the middle of the first layer pressure is that of the sea surface and of half a layer of lighter water.
    lighter = Balance(water(g), g, WHOLE).density(warm_column(g))[0, 0]
    pressure = GRAVITY * (full["zos"][0, 0] + lighter * 50.0 / REFERENCE_DENSITY)
    slope = (pressure[n, n + 4] - pressure[n, n + 2]) / (2 * g.spacing_x[n, n + 2])
    assert float(v[0, n, n + 3]) == pytest.approx(float(slope / f), rel=1e-9)


def test_salt_does_the_opposite():
    g = sea(38.0)
    change = warm_column(g)
    salty = change.only(("zos", "uo", "vo")) + Increment({"so": change["thetao"]})
    k = Balance(water(g), g, WHOLE)
    zos = k(salty)["zos"]
    assert zos.min() < -0.1
    assert zos.max() < 0.01


def test_the_unbalanced_sea_surface_drives_the_whole_column():
    g = sea(38.0)
    hill = warm_column(g)["thetao"][:, :1]
    nothing = torch.zeros(1, *g.mask.shape, dtype=torch.float64)
    change = Increment({"zos": hill, "uo": nothing, "vo": nothing, "thetao": nothing})
    full = Balance(water(g), g, WHOLE)(change)
    assert full["uo"].abs().max() > 0.5
    for name in ("uo", "vo"):
        torch.testing.assert_close(full[name], full[name][:, :1].expand_as(full[name]), rtol=0, atol=1e-14)
    assert torch.equal(full["zos"], hill)
    assert torch.equal(full["thetao"], nothing)


def test_at_the_equator_there_is_no_current():
    g = sea(0.0)
    full = Balance(water(g), g, WHOLE)(warm_column(g))
    middle = g.mask.shape[-1] // 2
    assert full["zos"].max() > 0.05
    assert full["uo"][0, :, middle].abs().max() < 1e-12
    assert full["vo"][0, :, middle].abs().max() < 1e-12
    assert full["vo"].abs().max() < 0.4


def test_below_the_level_of_no_motion_water_is_of_no_account():
    g = sea(38.0)
    change = warm_column(g)
    counts = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.3, *[0.0] * 7], dtype=torch.float64)  # 430 m of layers of 100 m
    upper = Increment({**change, "thetao": change["thetao"] * counts[:, None, None]})
    expected = Balance(water(g), g, WHOLE)(upper)["zos"]
    found = Balance(water(g), g, BalanceConfig(mixed_layer=True, no_motion=430.0))(change)["zos"]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_inside_the_mixed_layer_water_is_of_no_account_unless_told():
    g = sea(38.0)
    background = water(g)
    mixed = background["thetao"].clone()
    mixed[:, :3] = mixed[:, :1]  # 300 m of one temperature
    background = State({"thetao": mixed, "so": background["so"]})
    share = beneath(mixed, background["so"], g, 0.03, teos10)
    assert not share[:, :3].any()
    assert (share[:, 3:] == 1).all()
    change = warm_column(g)
    shallow = Increment({**change, "thetao": torch.where(g.depth[:, None, None] < 300, change["thetao"], 0.0)})
    deep = Increment({**change, "thetao": change["thetao"] - shallow["thetao"]})
    off, on = Balance(background, g), Balance(background, g, WHOLE)
    assert not off(shallow)["zos"].any()
    assert not off(shallow)["uo"].any()
    assert on(shallow)["zos"].max() > 0.02
    torch.testing.assert_close(off(change)["zos"], on(deep)["zos"], rtol=1e-12, atol=1e-15)


def test_without_salinity_water_has_thirty_five():
    g = sea(38.0)
    fresh = State({"thetao": water(g)["thetao"]})
    change = warm_column(g).only(("thetao", "zos", "uo", "vo"))
    with_salt, without = Balance(water(g), g, WHOLE)(change), Balance(fresh, g, WHOLE)(change)
    assert all(torch.equal(with_salt[name], without[name]) for name in change)


def test_errors_of_temperature_and_sea_surface_belong_together():
    g = toy_errors.geometry()
    samples = toy_errors.noise(g, 30)
    alone = toy_errors.univariate(g)
    together = Balanced(alone, lambda state: Balance(state, g, WHOLE), samples).about(toy_errors.background(g))
    observed = Increment({"zos": torch.zeros(1, 1, 6, 7, dtype=torch.float64)})
    observed["zos"][0, 0, 3, 1] = 1.0
    assert not alone(observed)["thetao"].any()
    column = together(observed)
    assert (column["thetao"][0, :, 3, 1] > 0).all()
    assert column["uo"].abs().max() > 0
    assert (
        flattened(column, together)[0, torch.cat([g.mask.flatten()] * 4 + [g.mask[0].flatten()]) == 0].abs().max() == 0
    )


def test_what_samples_leave_unbalanced_is_the_spread_of_the_rest():
    """Samples made by K of unbalanced parts with a known spread give that back, and nothing of what K added."""
    g = toy_errors.geometry()
    k = Balance(toy_errors.background(g), g, WHOLE)
    parts = Increment(dict(toy_errors.noise(g, 400, 5)))
    samples = Increment(dict(k(parts)))
    told = Balanced(toy_errors.univariate(g), lambda state: Balance(state, g, WHOLE), samples)
    inner = told.about(toy_errors.background(g)).unbalanced
    for name in ("zos", "uo", "vo"):
        torch.testing.assert_close(inner.spread[name], parts[name].std(0), rtol=1e-9, atol=1e-12)


def test_it_must_be_told_of_a_background():
    g = toy_errors.geometry()
    b = Balanced(toy_errors.univariate(g), lambda state: Balance(state, g))
    with pytest.raises(ValueError, match="about"):
        b.root(torch.zeros(1, b.size, dtype=torch.float64))
