"""The exchange on tensors: the labelled one's numbers, gradients that are right and finite everywhere, and land."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oceanx.ocean import bulk
from oceanx.physics import surface_exchange as sea_air
from oceanx.tensors.state import Fields
from oceanx.vocabulary.errors import InputError

SHAPE = (2, 1, 3, 4)  # batch, depth, lat, lon
seeds = st.integers(0, 2**31 - 1)


def weather(seed, shape=SHAPE, calm=False, dtype=torch.float64):
    """Weather between calm and hurricane over seas from the freezing point to the warm pool, and the sea (°C)."""
    rng = np.random.default_rng(seed)
    sst = rng.uniform(-1.8, 32.0, shape)
    air = sst + 273.15 + rng.uniform(-20.0, 12.0, shape)
    speed, angle = rng.uniform(0.0, 0.5 if calm else 45.0, shape), rng.uniform(0.0, 2 * np.pi, shape)
    fields = {
        "u10": speed * np.cos(angle),
        "v10": speed * np.sin(angle),
        "t2m": air,
        "d2m": air - rng.uniform(-0.5, 20.0, shape),
        "msl": rng.uniform(9.2e4, 1.05e5, shape),
        "strd": rng.uniform(100.0, 450.0, shape),
        "ssr": rng.uniform(0.0, 900.0, shape),
        "mtpr": rng.uniform(0.0, 1e-3, shape),
    }
    made = {name: torch.tensor(field, dtype=dtype) for name, field in fields.items()}
    return Fields(made), torch.tensor(sst, dtype=dtype)


def inputs(atmosphere, sst):
    return [atmosphere[name] for name in ("u10", "v10", "t2m", "d2m", "msl")] + [sst + 273.15]


@given(seeds, st.booleans(), st.integers(0, 8))
@settings(max_examples=30, deadline=None)
def test_the_numbers_are_those_of_the_labelled_exchange(seed, calm, iterations):
    tensors = inputs(*weather(seed, (500,), calm))
    found = sea_air.turbulent(*tensors, iterations)
    known = bulk.turbulent(*(x.numpy() for x in tensors), iterations)
    for name, ours, theirs in zip(found._fields, found, known, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12 * np.abs(theirs).max(), err_msg=name)


@example(11030, 1.0)  # one cell within 0.02 W m-2 of balance
@given(seeds, st.floats(0.9, 1.0))
@settings(max_examples=10, deadline=None)
def test_the_long_wave_is_that_of_the_labelled_exchange(seed, emissivity):
    atmosphere, sst = weather(seed)
    found = sea_air.net_longwave(atmosphere["strd"], sst + 273.15, emissivity)
    known = bulk.net_longwave(atmosphere["strd"].numpy(), sst.numpy() + 273.15, emissivity)
    # What comes down and what goes up, 300 W m-2 each, nearly cancel where the air is as warm as the sea.
    np.testing.assert_allclose(found, known, rtol=1e-12, atol=1e-12 * float(atmosphere["strd"].max()))


def test_the_eight_channels_in_their_order():
    atmosphere, sst = weather(1)
    fluxes = sea_air.exchange(atmosphere, sst)
    assert tuple(fluxes) == ("str", "ssr", "sshf", "slhf", "tauuo", "tauvo", "evs", "mtpr")
    assert torch.equal(fluxes["ssr"], atmosphere["ssr"])
    assert torch.equal(fluxes["mtpr"], atmosphere["mtpr"])
    turbulent = sea_air.turbulent(*inputs(atmosphere, sst))._asdict()
    assert all(torch.equal(fluxes[name], field) for name, field in turbulent.items())
    assert all(field.shape == SHAPE for field in fluxes.values())


def test_the_wind_is_relative_to_the_current():
    atmosphere, sst = weather(2)
    u, v = torch.full_like(sst, 0.8), torch.full_like(sst, -0.3)
    moving = sea_air.exchange(atmosphere, sst, (u, v))
    still = Fields(dict(atmosphere) | {"u10": atmosphere["u10"] - u, "v10": atmosphere["v10"] - v})
    for name, field in sea_air.exchange(still, sst).items():
        assert torch.equal(moving[name], field)
    drifting = sea_air.exchange(atmosphere, sst, (atmosphere["u10"], atmosphere["v10"]))
    assert not drifting["tauuo"].any()
    assert not drifting["tauvo"].any()


@pytest.mark.parametrize("rubbish", [0.0, math.nan, 1e30, -1e30])
def test_land_is_not_looked_at_and_has_no_part_in_any_gradient(rubbish):
    atmosphere, sst = weather(3)
    mask = torch.ones(1, 3, 4, dtype=torch.float64)
    mask[0, 1, 1:3] = 0
    land = (mask == 0).expand(SHAPE)
    spoilt = {name: torch.where(land, rubbish, field).requires_grad_() for name, field in atmosphere.items()}
    sea = torch.where(land, rubbish, sst).requires_grad_()
    current = torch.where(land, rubbish, 0.1 * sst).requires_grad_()
    found = sea_air.exchange(spoilt, sea, (current, current), mask)
    clean = sea_air.exchange(atmosphere, sst, (0.1 * sst, 0.1 * sst), mask)
    for name, field in found.items():
        assert torch.equal(field, clean[name])
        assert not field[land].any()
    sum(field.sum() for field in found.values()).backward()
    for tensor in (*spoilt.values(), sea, current):
        assert tensor.grad.isfinite().all()
        assert not tensor.grad[land].any()


def test_gradients_are_those_of_finite_differences():
    """Away from the corners: |ζ| = 10, 33 m/s, 0.5 m/s, and the jump of C_HN at neutral."""
    u, v = torch.tensor([8.0, -3.0, 15.0, 36.0]), torch.tensor([2.0, 7.0, -9.0, 3.0])
    sea = torch.tensor([290.0, 300.0, 280.0, 285.0])
    air, drier = torch.tensor([-3.0, -1.0, 4.0, 1.5]), torch.tensor([3.0, 5.0, 0.5, 1.0])
    # Pressure in units of 1e5 Pa, so that every input is of order one to a few hundred.
    given = [u, v, sea + air, sea + air - drier, torch.full_like(u, 1.01), sea]
    given = [x.double().requires_grad_() for x in given]

    def fluxes(u, v, air, dew, msl, sea):
        found = sea_air.turbulent(u, v, air, dew, 1e5 * msl, sea)
        return (*found[:4], 1e6 * found.evs)

    assert torch.autograd.gradcheck(fluxes, given, eps=1e-5, rtol=1e-5)


@pytest.mark.parametrize("warmer", [0.0, 1e-9, 5.0, -5.0])
@pytest.mark.parametrize("wind", [0.0, 1e-12, 0.5, 33.0, 60.0])
def test_gradients_are_finite_in_calm_and_neutral_air_and_at_every_corner(wind, warmer):
    sea = torch.full((2,), 290.0, dtype=torch.float64)
    saturated = torch.full_like(sea, 289.7)
    given = [torch.full_like(sea, wind), torch.zeros_like(sea), sea - 0.0196 + warmer, saturated, sea * 350, sea]
    given = [x.clone().requires_grad_() for x in given]
    for number, field in enumerate(sea_air.turbulent(*given)):
        gradients = torch.autograd.grad(field.sum(), given, retain_graph=number < 4)
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_gradient_of_five_rounds_is_near_that_of_agreement():
    """Over a warmer sea, where the rounds settle: 2 % of the sensitivity to the sea's temperature, and to wind."""

    def sensitivity(iterations):
        sea = torch.linspace(275.0, 302.0, 40, dtype=torch.float64).requires_grad_()
        u = torch.linspace(4.0, 20.0, 40, dtype=torch.float64).requires_grad_()
        air = sea.detach() - torch.linspace(1.0, 6.0, 40, dtype=torch.float64)
        found = sea_air.turbulent(u, 0 * u, air, air - 3.0, torch.full_like(u, 1.01e5), sea, iterations)
        return torch.autograd.grad((found.sshf + found.slhf).sum(), (sea, u))

    for few, many in zip(sensitivity(5), sensitivity(60), strict=True):
        assert (few - many).abs().max() < 0.02 * many.abs().max()


def test_the_coefficient_of_heat_jumps_at_neutral_and_the_gradient_has_the_value_of_its_own_side():
    """C_HN is 32.7 √C_D in unstable air and 18 √C_D in stable: the gradient never holds the step between them."""

    def slope(warmer):
        air = torch.tensor([290.0 - 0.0196 + warmer], dtype=torch.float64, requires_grad=True)
        dew, sea = torch.tensor([280.0], dtype=torch.float64), torch.tensor([290.0], dtype=torch.float64)
        # Stable from the start or not is decided by the virtual temperature: dry air is heavy.
        found = sea_air.turbulent(sea * 0 + 15.0, sea * 0, air, dew, sea * 350, sea, iterations=0)
        return torch.autograd.grad(found.sshf.sum(), air)[0].item()

    assert slope(0.5) / slope(3.0) == pytest.approx(32.7 / 18.0, rel=0.05)


def test_single_precision_goes_in_and_comes_out():
    atmosphere, sst = weather(5)
    double = sea_air.exchange(atmosphere, sst)
    single = sea_air.exchange(atmosphere.map(torch.Tensor.float), sst.float())
    for name, field in single.items():
        assert field.dtype == torch.float32
        # Temperatures near 300 K are known to 3e-5 K, a millionth of the differences that drive the exchange.
        torch.testing.assert_close(field.double(), double[name], rtol=1e-3, atol=1e-5 * double[name].abs().max().item())


def test_every_member_of_a_batch_is_by_itself():
    atmosphere, sst = weather(6)
    both = sea_air.exchange(atmosphere, sst)
    for member in (0, 1):
        alone = sea_air.exchange(atmosphere.map(lambda x, m=member: x[m : m + 1]), sst[member : member + 1])
        for name, field in alone.items():
            torch.testing.assert_close(field, both[name][member : member + 1], rtol=1e-13, atol=0)


def test_it_compiles_whole(without_type_checks):
    given = inputs(*weather(7))
    compiled = torch.compile(sea_air.turbulent, fullgraph=True, backend="eager")(*given, 2)
    for ours, plain in zip(compiled, sea_air.turbulent(*given, 2), strict=True):
        torch.testing.assert_close(ours, plain)


def test_a_missing_variable_is_named():
    atmosphere, sst = weather(8)
    without = {name: field for name, field in atmosphere.items() if name != "d2m"}
    with pytest.raises(InputError, match=r"the atmosphere lacks \['d2m'\]"):
        sea_air.exchange(without, sst)


def test_rain_fills_and_evaporation_empties_the_sea():
    rain, evaporation = torch.tensor([2e-4]), torch.tensor([5e-5])
    # 1.5e-4 kg m-2 s-1 is 12.96 kg m-2 a day: as much mass as 12.96 / 1026 m of sea.
    day = sea_air.freshwater(evaporation, rain) * 86400
    assert day.item() == pytest.approx(12.96 / 1026)
    assert sea_air.freshwater(evaporation, rain, 1000.0).item() * 86400 == pytest.approx(0.01296)


def test_virtual_salt_dilutes_as_water_would():
    """A metre of sea that swells by 1 mm of rain, or loses the salt instead: S falls alike to first order."""
    volume, salinity = torch.tensor([1e-3], dtype=torch.float64), torch.tensor([35.0], dtype=torch.float64)
    swollen = salinity * 1.0 / (1.0 + volume)
    lost = salinity + sea_air.virtual_salt(volume, salinity)
    assert (swollen - lost).abs().item() < 35.0 * 1e-3**2 * 1.01


def test_what_enters_at_the_surface_is_all_but_the_light():
    atmosphere, sst = weather(9)
    fluxes = sea_air.exchange(atmosphere, sst)
    total = fluxes["str"] + fluxes["ssr"] + fluxes["sshf"] + fluxes["slhf"]
    torch.testing.assert_close(sea_air.nonsolar(fluxes) + fluxes["ssr"], total)
