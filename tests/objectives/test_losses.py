"""Losses against sums written out in numpy, and what each kind promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import toy_tensors as toy
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from oceanx.objectives import MAE, MSE, Huber, Objective, RelativeL2, Spectral
from oceanx.objectives.losses import Measure
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.workflows.train_config import preset

WEIGHTS = {"thetao": 4.0, "zos": 0.5}
LOSSES = [
    MSE(), MSE(scale="spread", thickness=True), MAE(), MAE(thickness=True), Huber(threshold=3.0),
    Huber(scale="spread", threshold=0.5), RelativeL2(), RelativeL2(epsilon=1.0, thickness=True), Spectral(),
    Spectral(scale="spread", thickness=True),
]  # fmt: skip


def measure(geometry: Geometry | None = None, anomalies: bool = False) -> Measure:
    task = toy.task(anomalies)
    return Measure(task.prognostic, geometry or toy.geometry(), toy.statistics(task), WEIGHTS)


def pair(geometry: Geometry | None = None) -> tuple[State, State]:
    made = [toy.state(toy.task(), geometry or toy.geometry(), 2, seed) for seed in (50, 51)]
    return made[0], made[1]


def season(geometry: Geometry | None = None) -> Fields:
    return toy.forcings(toy.task(anomalies=True), geometry or toy.geometry(), 1, batch=2)[0].next


def by_hand(config: Any, state: State, target: State, told: Fields, geometry: Geometry | None = None) -> float:
    """Map by map, in double precision, from the equations of the docstrings."""
    geometry = geometry or toy.geometry()
    channels, statistics = toy.task().prognostic, toy.statistics(toy.task())
    area, mask = geometry.area.double().numpy(), geometry.mask.numpy() == 1
    thickness = geometry.thickness.flatten().double().numpy()
    weights = {name: WEIGHTS.get(name, 1.0) for name in channels.names}
    found = []
    for sample in range(2):
        loss = 0.0
        for name in channels.names:
            levels, part = channels.levels(name), []
            for level in range(levels):
                wet = mask[level]
                kind = "std" if getattr(config, "scale", "spread") == "spread" else "increment_std"
                sigma = float(statistics[f"{name}_{kind}"][level])
                clim = told[name + CLIMATOLOGY][sample, level].double().numpy() if name + CLIMATOLOGY in told else 0.0
                mean = float(statistics[f"{name}_mean"][level])
                x, y = (fields[name][sample, level].double().numpy() for fields in (state, target))
                part.append(one_map(config, x, y, clim + mean, sigma, wet, area))
            shares = thickness / thickness.sum() if config.thickness and levels > 1 else np.full(levels, 1 / levels)
            loss += weights[name] / sum(weights.values()) * np.dot(shares, part)
        found.append(loss)
    return float(np.mean(found))


def one_map(config: Any, x: Any, y: Any, usual: Any, sigma: float, wet: Any, area: Any) -> float:
    def over(values: Any) -> Any:
        return np.average(values[wet], weights=area[wet])

    error = (x - y) / sigma
    if config.kind == "mse":
        return over(error**2)
    if config.kind == "mae":
        return over(abs(error))
    if config.kind == "huber":
        delta = config.threshold
        return over(np.where(abs(error) <= delta, 0.5 * error**2, delta * (abs(error) - 0.5 * delta)))
    if config.kind == "relative_l2":
        return np.sqrt(over((x - y) ** 2)) / (np.sqrt(over((y - usual) ** 2)) + config.epsilon * sigma)
    columns = np.arange(wet.shape[1])
    waves = np.exp(-2j * np.pi * np.outer(columns, columns) / len(columns))  # all k, each with its own sign
    amplitudes = [abs((np.where(wet, field - usual, 0) / sigma) @ waves) / len(columns) for field in (x, y)]
    rows = ((amplitudes[0] - amplitudes[1]) ** 2).sum(1)
    return float((rows * area.sum(1)).sum() / area[wet].sum())


@pytest.mark.parametrize("anomalies", [False, True])
@pytest.mark.parametrize("config", LOSSES, ids=str)
def test_every_loss_is_the_sum_that_its_docstring_says(config: Any, anomalies: bool) -> None:
    (state, target), told = pair(), season() if anomalies else Fields({})
    loss = config.build(measure())(state, target, told)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_hand(config, state, target, told), rel=1e-4)


@pytest.mark.parametrize("config", LOSSES, ids=str)
def test_land_does_not_count_and_a_perfect_state_has_no_loss_and_no_slope(config: Any) -> None:
    (state, target), loss = pair(), config.build(measure())
    dry = {name: torch.where(measure().mask(name) == 1, field, 99.0) for name, field in state.items()}
    assert loss(State(dry), target, Fields({})).item() == loss(state, target, Fields({})).item()
    moved = {name: field.clone().requires_grad_() for name, field in target.items()}
    same = loss(State(moved), target, Fields({}))
    same.backward()
    assert same.item() == 0.0
    slopes = torch.cat([field.grad.flatten() for field in moved.values()])
    assert slopes.isfinite().all()
    assert slopes.abs().max() == 0.0


@pytest.mark.parametrize("config", LOSSES, ids=str)
def test_a_level_without_water_counts_nothing(config: Any) -> None:
    geometry = toy.geometry()
    geometry.mask[1] = 0
    state, target = pair(geometry)
    moved = {name: field.clone().requires_grad_() for name, field in state.items()}
    loss = config.build(measure(geometry))(State(moved), target, Fields({}))
    loss.backward()
    assert loss.isfinite()
    assert all(field.grad.isfinite().all() for field in moved.values())


@settings(max_examples=10, deadline=None)
@given(columns=st.integers(1, 9), blur=st.floats(0.0, 1.0))
def test_spectra_know_strength_and_not_place(columns: int, blur: float) -> None:
    """On a globe without land a shifted field has no spectral loss; a weaker one has that of the mean square."""
    geometry = toy.geometry(periodic=True)
    geometry.mask.fill_(1)
    target = State(
        {name: torch.randn(2, n, 7, 10) for name in toy.task().prognostic.names
         for n in [toy.task().prognostic.levels(name)]}
    )  # fmt: skip
    still = measure(geometry)
    statistics = {name: torch.zeros_like(v) if name.endswith("_mean") else v for name, v in still.statistics.items()}
    still = Measure(still.channels, geometry, statistics, WEIGHTS)
    spectral, square = Spectral().build(still), MSE().build(still)
    shifted = State({name: field.roll(columns, -1) for name, field in target.items()})
    usual = square(shifted, target, Fields({})).item()
    assert spectral(shifted, target, Fields({})).item() < 1e-6 * usual
    weaker = State({name: field * blur for name, field in target.items()})
    mean_square = square(weaker, target, Fields({})).item()
    assert spectral(weaker, target, Fields({})).item() == pytest.approx(mean_square, rel=1e-4, abs=1e-9)


def test_spectral_loss_is_never_more_than_the_mean_square() -> None:
    state, target = pair()
    spectral, square = (config.build(measure())(state, target, Fields({})) for config in (Spectral(), MSE()))
    assert 0 < spectral.item() < square.item()


def test_relative_error_does_not_know_units() -> None:
    """In millidegrees, with statistics in millidegrees, it is the same number."""
    (state, target), usual = pair(), measure()
    other = Measure(usual.channels, usual.geometry, {n: 1000 * v for n, v in usual.statistics.items()}, WEIGHTS)
    large = [State({name: 1000 * field for name, field in fields.items()}) for fields in (state, target)]
    found = RelativeL2().build(other)(large[0], large[1], Fields({}))
    assert found.item() == pytest.approx(RelativeL2().build(usual)(state, target, Fields({})).item(), rel=1e-4)


class Still(nn.Module):
    def forward(self, state: State, forcing: Any) -> State:
        return state


def test_several_losses_add_up_by_their_shares() -> None:
    task, geometry = toy.task(), toy.geometry()
    (state, target), told = pair(), toy.forcings(task, geometry, 1, 2)

    def loss(*configs: Any) -> float:
        statistics = toy.statistics(task)
        return Objective(Still(), task.prognostic, geometry, statistics, WEIGHTS, configs)(state, told, [target]).item()

    together = loss(MSE(share=0.25), MAE(share=2.0))
    assert together == pytest.approx(0.25 * loss(MSE()) + 2.0 * loss(MAE()), rel=1e-5)


def test_a_preset_may_say_one_loss_or_several() -> None:
    assert preset("hybrid_small").loss == (MSE(),)
    assert preset("hybrid_small", **{"loss.kind": "huber", "loss.threshold": 2}).loss == (Huber(threshold=2),)
    several = [{"kind": "mse"}, {"kind": "spectral", "share": 0.3}]
    assert preset("hybrid_small", loss=several).loss == (MSE(), Spectral(share=0.3))
    with pytest.raises(ValueError, match=r"loss\.0\.treshold: unknown key 'treshold'; did you mean 'threshold'"):
        preset("hybrid_small", loss={"kind": "huber", "treshold": 2})
    with pytest.raises(ValueError, match="`loss` is empty"):
        preset("hybrid_small", loss=[])
