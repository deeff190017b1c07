"""Learned analyses: silence while untrained or blind, order of observations, and what a cycle is told of variance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy
from torch import Tensor

from oceanx.models.analysis_gains import Sight, sight
from oceanx.models.analysis_method import LearnedMethod
from oceanx.models.analysis_network import FADES, AnalysisNetworkConfig, LearnedAnalysis
from oceanx.models.analysis_solver import AnalysisSolverConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Forcing, State
from oceanx.variational.analysis import Observed, Window
from oceanx.variational.balance import Balance, BalanceConfig

NET = UNetConfig(widths=(8, 16))
WHOLE = BalanceConfig(mixed_layer=True)
KINDS = {
    "network": AnalysisNetworkConfig(net=NET),
    "solver": AnalysisSolverConfig(net=NET, steps=3),
    "network in balance": AnalysisNetworkConfig(net=NET, balance=WHOLE),
    "solver in balance": AnalysisSolverConfig(net=NET, steps=3, balance=WHOLE),
}
kinds = pytest.mark.parametrize("kind", KINDS)
TASK, GEOMETRY = toy.task(anomalies=True), toy.geometry()
SURFACE = np.flatnonzero(GEOMETRY.mask[0].reshape(-1).numpy())


def analysis(kind: str, trained: bool = True) -> LearnedAnalysis:
    torch.manual_seed(0)
    made = KINDS[kind].build(TASK, toy.geometry(), toy.statistics(TASK))
    if trained:
        toy.train_a_little(made)
    return made.eval()


def observed(count: int, seed: int = 0) -> Observed:
    """Sea level and temperature between the centres of random wet cells."""
    rng = np.random.default_rng(seed)
    parts = {}
    for number, (name, levels) in enumerate({"zos": 1, "thetao": 2}.items()):
        cells = torch.from_numpy(rng.choice(SURFACE, (count, 2)))
        weight = torch.from_numpy(rng.dirichlet([1.0, 1.0], count))
        rows = torch.arange(count) + number * count
        parts[name] = Part(rows, cells, weight, (levels, *GEOMETRY.area.shape))
    values = torch.from_numpy(np.concatenate([rng.normal(0.1, 0.3, count), rng.normal(15, 2, count)]))
    return Observed(values, torch.from_numpy(rng.uniform(0.1, 1, 2 * count)), Operator(parts, 2 * count))


def blind() -> Observed:
    return Observed(torch.zeros(0), torch.zeros(0), Operator({}, 0))


def told(batch: int = 1) -> Forcing:
    return toy.forcings(TASK, GEOMETRY, 1, batch)[0]


def same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@kinds
def test_untrained_it_gives_the_background_bit_for_bit(kind: str) -> None:
    background = toy.state(TASK, GEOMETRY)
    said = analysis(kind, trained=False)(background, [sight(observed(9), [background])], told())
    assert same(background + said.increment, background)
    assert not any(field.any() for field in said.analysed.values())


@kinds
def test_untrained_it_keeps_what_it_was_told_of_errors_and_forgets_slowly(kind: str) -> None:
    background, module = toy.state(TASK, GEOMETRY), analysis(kind, trained=False)
    expected = background.map(lambda x: torch.full_like(x, -2.0))
    said = module(background, [sight(observed(9), [background])], told(), expected)
    for name, field in background.items():
        wet = GEOMETRY.mask_of(field.shape[1]).expand_as(field)
        assert torch.equal(said.analysed[name], -2.0 * wet)
        assert torch.equal(said.following[name], FADES * said.analysed[name])
    assert 0.9 < FADES < 1  # a Kalman filter that forgot half a day's knowledge would be little more than interpolation


@kinds
def test_without_observations_it_gives_the_background_bit_for_bit_row_by_row(kind: str) -> None:
    background, module = toy.state(TASK, GEOMETRY, batch=2), analysis(kind)
    rows = [background.map(lambda x, row=row: x[row : row + 1]) for row in range(2)]
    said = module(background, [sight(blind(), [rows[0]]), sight(observed(9), [rows[1]])], told(2))
    reached = background + said.increment
    assert same(reached.map(lambda x: x[:1]), rows[0])
    assert (reached["zos"][1] != background["zos"][1]).any()
    assert any(field[0].any() for field in said.following.values())  # but it knows that the error grows


@kinds
def test_land_stays_land_and_so_does_its_variance(kind: str) -> None:
    background = toy.state(TASK, GEOMETRY)
    said = analysis(kind)(background, [sight(observed(9), [background])], told())
    for name, field in said.increment.items():
        dry = ~GEOMETRY.mask_of(field.shape[1]).bool().expand_as(field)
        assert not field[dry].any()
        assert not said.analysed[name][dry].any()


def test_what_is_in_balance_with_an_increment_comes_along_row_by_row() -> None:
    torch.manual_seed(0)
    module = AnalysisNetworkConfig(net=NET, sweeps=1, balance=WHOLE).build(TASK, GEOMETRY, toy.statistics(TASK))
    toy.train_a_little(module)
    background = toy.state(TASK, GEOMETRY, batch=2)
    rows = [background.map(lambda x, row=row: x[row : row + 1]) for row in range(2)]
    seen, forcing = [sight(observed(9, row), [rows[row]]) for row in range(2)], told(2)
    together = module(background, seen, forcing).increment
    module.balance = None
    alone = module(background, seen, forcing).increment
    for row in range(2):
        expected = Balance(rows[row], GEOMETRY, WHOLE)(alone.map(lambda x, row=row: x[row : row + 1]))
        for name, field in expected.items():
            torch.testing.assert_close(together[name][row : row + 1], field, rtol=1e-5, atol=1e-7)
    assert (together["uo"] != alone["uo"]).any()
    assert torch.equal(together["thetao"], alone["thetao"])


@kinds
def test_the_order_of_observations_does_not_matter(kind: str) -> None:
    module, seen = analysis(kind).double(), observed(40)
    background = toy.state(TASK, GEOMETRY).map(lambda x: x.double())
    forcing = Forcing(*(fields.map(lambda x: x.double()) for fields in told()))
    turned = torch.randperm(len(seen), generator=torch.Generator().manual_seed(1))
    back = turned.argsort()
    parts = {}
    for name, part in seen.operator.parts.items():
        mixed = torch.randperm(len(part.rows), generator=torch.Generator().manual_seed(2))
        parts[name] = Part(back[part.rows][mixed], part.cells[mixed], part.weight[mixed], part.shape)
    other = Observed(seen.values[turned], seen.std[turned], Operator(parts, len(seen)))
    first, second = (module(background, [sight(each, [background])], forcing) for each in (seen, other))
    for name, field in first.increment.items():
        assert torch.allclose(second.increment[name], field, rtol=0, atol=1e-12)
        assert torch.allclose(second.following[name], first.following[name], rtol=0, atol=1e-12)


@kinds
def test_twice_the_same_with_twice_the_variance_is_once(kind: str) -> None:
    module, seen = analysis(kind).double(), observed(9)
    background = toy.state(TASK, GEOMETRY).map(lambda x: x.double())
    forcing = Forcing(*(fields.map(lambda x: x.double()) for fields in told()))
    size = len(seen)
    parts = {
        name: Part(torch.cat([p.rows, p.rows + size]), p.cells.repeat(2, 1), p.weight.repeat(2, 1), p.shape)
        for name, p in seen.operator.parts.items()
    }
    doubled = Observed(seen.values.repeat(2), (2**0.5 * seen.std).repeat(2), Operator(parts, 2 * size))
    first, second = (module(background, [sight(each, [background])], forcing) for each in (seen, doubled))
    for name, field in first.increment.items():
        assert torch.allclose(second.increment[name], field, rtol=0, atol=1e-11)


def test_what_observations_say_of_a_cell_is_the_sum_of_its_definition() -> None:
    module, seen, background = analysis("network"), observed(5), toy.state(TASK, GEOMETRY)
    seen_from = sight(seen, [background])
    before = torch.zeros(1, 7, *GEOMETRY.area.shape)
    gains = module.gains([seen_from], before)
    assert gains.at.tolist() == [0, 1, 6]  # temperature at both levels, and sea level
    gained = gains([seen_from.departures])[0]
    departures = (seen.values - seen.operator([background])[0]).numpy()
    total, precision = (np.zeros((7, *GEOMETRY.area.shape)) for _ in range(2))
    for name, first in (("thetao", 0), ("zos", 6)):
        part = seen.operator.parts[name]
        for row, cells, weights in zip(part.rows.numpy(), part.cells.numpy(), part.weight.numpy(), strict=True):
            for cell, weight in zip(cells, weights, strict=True):
                at = (first, *np.unravel_index(cell, GEOMETRY.area.shape))
                total[at] += weight * departures[row] / float(seen.std[row]) ** 2
                precision[at] += weight / float(seen.std[row]) ** 2
    assert np.allclose(gains.precision[0], precision[[0, 1, 6]], rtol=1e-5)
    variance = module.spread.numpy() ** 2
    alone = (variance * total / (1 + variance * precision))[[0, 1, 6]]
    assert np.allclose(gained[:3], alone, rtol=1e-4, atol=1e-6)
    rows, columns = np.indices(GEOMETRY.area.shape)
    for row, column in ((4, 2), (6, 9)):
        near = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 1.5**2))
        near[(np.abs(rows - row) > 5) | (np.abs(columns - column) > 5)] = 0
        around, known = ((near * field[6]).sum() for field in (total, precision))
        expected = variance[6, 0, 0] * around / (1 + variance[6, 0, 0] * known)
        assert float(gained[5, row, column]) == pytest.approx(expected, rel=1e-4)


def test_of_one_cell_alone_the_gain_is_the_textbooks() -> None:
    """d σb² / (σb² + σo²) in the cell, and of length L the same seen from r: d ρ / (ρ + σo² / σb²)."""
    module = analysis("network")
    cell, size = 42, GEOMETRY.area.shape
    part = Part(torch.tensor([0]), torch.tensor([[cell]]), torch.ones(1, 1), (1, *size))
    seen = Sight(torch.tensor([0.2]), torch.tensor([1 / 0.3**2]), Operator({"zos": part}, 1))
    at_rest, far, _ = module.gains([seen], torch.zeros(1, 7, *size))([seen.departures])[0]
    variance = float(module.spread[6]) ** 2
    row, column = divmod(cell, size[1])
    assert float(at_rest[row, column]) == pytest.approx(0.2 * variance / (variance + 0.3**2), rel=1e-5)
    weight = np.exp(-0.5 * (2 / 1.5) ** 2)
    assert GEOMETRY.mask[0, row, column + 2] == 1
    assert float(far[row, column + 2]) == pytest.approx(0.2 * weight / (weight + 0.3**2 / variance), rel=1e-5)


@kinds
def test_a_gradient_goes_through_it_to_the_background_and_every_weight(kind: str) -> None:
    module = analysis(kind).train()
    background = toy.state(TASK, GEOMETRY).map(lambda x: x.requires_grad_())
    said = module(background, [sight(observed(20), [background])], told())
    total = sum((field**2).sum() for part in said for field in part.values())
    assert isinstance(total, Tensor)
    total.backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in module.parameters())
    assert background["zos"].grad is not None
    assert background["zos"].grad.any()


def test_as_a_method_it_is_without_ensemble_and_carries_its_variance() -> None:
    method, background = LearnedMethod(analysis("network")), toy.state(TASK, GEOMETRY)
    assert method.members == 1
    assert not method.carried
    window = Window(observed(9), forcing=told())
    found = method(background, window)
    assert found.variance is not None
    assert found.chi_squared is not None
    assert found.variance.shape == found.influence.shape == (18,)
    assert float(found.influence.max()) <= 1
    other = LearnedMethod(analysis("network"))
    other.resume(method.carried)
    for each in (method, other):
        each.advance(background, background, lambda state: state)
    again, taken_up = method(background, window), other(background, window)
    assert torch.equal(again.variance, taken_up.variance)
    assert same(State(again.increment), State(taken_up.increment))
    assert not torch.equal(again.variance, found.variance)


def test_windows_that_nobody_asked_about_count_as_steps_without_observations() -> None:
    background = toy.state(TASK, GEOMETRY)
    forcing = Forcing(told().now, told().now)
    asked, counted = LearnedMethod(analysis("network")), LearnedMethod(analysis("network"))
    for method in (asked, counted):
        method(background, Window(observed(9), forcing=forcing))
    for _ in range(3):
        asked.advance(background, background, lambda state: state)
        counted.advance(background, background, lambda state: state)
        asked(background, Window(blind(), forcing=forcing))
    asked.advance(background, background, lambda state: state)
    counted.advance(background, background, lambda state: state)
    first, second = (method(background, Window(observed(9), forcing=forcing)) for method in (asked, counted))
    assert torch.allclose(first.variance, second.variance, rtol=1e-5)


def test_without_forcing_it_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="forcing"):
        LearnedMethod(analysis("network"))(toy.state(TASK, GEOMETRY), Window(observed(2)))
