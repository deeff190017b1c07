"""Sunlight in the sea: nothing is lost, nothing lands on land, and what each layer keeps is the difference of light."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.radiation import JERLOV, Water, absorbed, absorption, column_warming, transmission, water_type
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError

SHAPE = (6, 3, 4)  # depth, lat, lon
seeds = st.integers(0, 2**31 - 1)
kinds = st.sampled_from(sorted(JERLOV))


def random(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def columns(seed, share=0.2):
    """Wet down to floors at random depths; some columns are land."""
    return (random(seed, *SHAPE) > share).double().cumprod(0)


@given(seeds, kinds, st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=20, deadline=None)
def test_a_wet_column_keeps_all_its_light_and_land_none(seed, kind, dtype):
    mask = columns(seed).to(dtype)
    thickness = (1.0 + 30.0 * random(seed + 1, 2, *SHAPE)).to(dtype)
    light = (800.0 * random(seed + 2, 2, 1, *SHAPE[1:])).to(dtype)
    kept = absorbed(light, thickness, mask, JERLOV[kind])
    assert kept.dtype == dtype
    assert (kept >= 0).all()
    assert not kept[:, mask == 0].any()
    total = kept.sum(1, keepdim=True)
    torch.testing.assert_close(total, light * mask[:1], rtol=8 * torch.finfo(dtype).eps, atol=0)


@given(seeds, kinds)
@settings(max_examples=15, deadline=None)
def test_above_the_lowest_layer_each_keeps_the_difference_of_light(seed, kind):
    thickness = 1.0 + 30.0 * random(seed, 6, 1, 1)
    kept = absorption(thickness, torch.ones(SHAPE, dtype=torch.float64), JERLOV[kind])
    red, first, second = JERLOV[kind]
    top = 0.0
    for level in range(5):
        bottom = top + thickness[level].item()
        light = [red * math.exp(-z / first) + (1 - red) * math.exp(-z / second) for z in (top, bottom)]
        torch.testing.assert_close(
            kept[level], torch.full_like(kept[level], light[0] - light[1]), rtol=1e-9, atol=1e-15
        )
        top = bottom


def test_the_floor_keeps_what_reaches_it():
    mask = torch.ones(SHAPE, dtype=torch.float64)
    mask[2:, 0, 0] = 0  # 20 m of water
    kept = absorption(torch.full((6, 1, 1), 10.0, dtype=torch.float64), mask)
    assert kept[1, 0, 0].item() == pytest.approx(transmission(torch.tensor(10.0).double()).item(), rel=1e-14)
    assert kept[1, 0, 0] > kept[1, 1, 1]


def test_surface_heat_enters_at_the_top_and_light_below_it():
    mask = columns(5)
    thickness = 5.0 + 10.0 * random(6, 6, 1, 1)
    light, heat = 500.0 * random(7, 2, 1, 3, 4), 300.0 * (random(8, 2, 1, 3, 4) - 0.5)
    gained = column_warming(heat, light, thickness, mask) * thickness * REFERENCE_DENSITY * HEAT_CAPACITY
    kept = absorbed(light, thickness, mask)
    torch.testing.assert_close(gained[:, 1:], kept[:, 1:])
    torch.testing.assert_close(gained[:, :1], kept[:, :1] + heat * mask[:1])
    assert not gained[:, mask == 0].any()


def test_gradients_are_those_of_finite_differences():
    mask = columns(9)

    def warming(heat, light, thickness, red, first, second):
        return 1e6 * column_warming(heat, light, thickness, mask, Water(red, first, second))

    given = [100 * random(1, 1, 1, 3, 4), 500 * random(2, 1, 1, 3, 4), 2 + 10 * random(3, 1, *SHAPE)]
    given += [torch.tensor(value, dtype=torch.float64) for value in JERLOV["II"]]
    assert torch.autograd.gradcheck(warming, [x.requires_grad_() for x in given])


def test_gradients_stay_finite_in_the_abyss_in_single_precision():
    thickness = torch.full((1, 6, 1, 1), 1000.0, requires_grad=True)
    absorption(thickness, torch.ones(SHAPE)).sum().backward()
    assert thickness.grad.isfinite().all()


def test_an_unknown_water_is_named():
    assert water_type("IA") == JERLOV["IA"]
    with pytest.raises(InputError, match="unknown type of water 'IIII'; did you mean 'III'"):
        water_type("IIII")
