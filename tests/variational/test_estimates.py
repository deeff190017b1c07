"""Optimal interpolation, 3D-Var and the Kalman filter's analysis are one estimate, the best linear unbiased one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ring import (
    CELLS,
    SHAPES,
    alone,
    averages,
    blue,
    covariance,
    dense,
    draw,
    matrix,
    operator,
    state,
    trajectory,
    vector,
)
from toy_ring import channels, setting

from oceanx.tensors.observe import Operator
from oceanx.tensors.state import Fields, State
from oceanx.variational.analysis import Observed, Window
from oceanx.variational.background import SampledConfig
from oceanx.variational.covariance import Dense
from oceanx.variational.diagnosing import Variances
from oceanx.variational.four_d import FourDVar, FourDVarConfig
from oceanx.variational.kalman import Kalman, Wet
from oceanx.variational.optimal_interpolation import Applied, OptimalInterpolation, OptimalInterpolationConfig
from oceanx.variational.three_d import ThreeDVar, ThreeDVarConfig
from oceanx.vocabulary.errors import InputError

THREE = ThreeDVarConfig(tolerance=1e-13, iterations=200)
FOUR = FourDVarConfig(tolerance=1e-13, iterations=200, loops=1, variances=Variances(exact=100))


def methods(B):
    wet = Wet(channels(), setting().geometry)
    return {
        "oi": OptimalInterpolation(Applied(Dense(B, SHAPES))),
        "3dvar": ThreeDVar(Dense(B, SHAPES), THREE),
        "4dvar": FourDVar(Dense(B, SHAPES), FOUR),
        "kalman": Kalman(wet, B, torch.zeros_like(B)),
    }


every = pytest.mark.parametrize("kind", ["oi", "3dvar", "4dvar", "kalman"])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 30))
def test_all_are_the_best_linear_unbiased_estimate(seed, count):
    root, H = draw(seed, CELLS, CELLS) / CELLS**0.5, averages(count, seed)
    B = root @ root.T + 0.1 * torch.eye(CELLS, dtype=torch.float64)
    std, background, y = 0.2 + draw(seed + 1, count).abs(), draw(seed + 2, 1, CELLS), draw(seed + 3, count)
    rows = matrix(H)
    expected, covered = blue(B, rows, std, y - rows @ background[0])
    for kind, method in methods(B).items():
        found = method(state(background), alone(H, y, std))
        assert torch.allclose(vector(found.increment), expected, rtol=0, atol=1e-10), kind
        assert torch.allclose(found.variance, (rows @ B @ rows.T).diagonal(), rtol=0, atol=1e-10), kind
        assert torch.allclose(found.analysed_variance, (rows @ covered @ rows.T).diagonal(), rtol=0, atol=1e-10), kind
        assert torch.allclose(found.influence * std**2, found.analysed_variance, rtol=0, atol=1e-10), kind
        d = y - rows @ background[0]
        whole = rows @ B @ rows.T + torch.diag(std**2)
        assert found.chi_squared == pytest.approx(float(d @ torch.linalg.solve(whole, d)), rel=1e-10), kind
        if kind == "kalman":
            assert torch.allclose(method.covariance, covered, rtol=0, atol=1e-10)
            assert torch.allclose(vector(method.deviation), covered.diagonal().sqrt(), rtol=0, atol=1e-10)


@every
def test_one_observation_says_d_times_the_gain(kind):
    """σb .8 and σo .4: the gain is .8, the variance left .128, and elsewhere it counts as much as it is related."""
    B = 0.64 * covariance() / (1 + 1e-6)
    H, std = operator(torch.tensor([20])), torch.tensor([0.4], dtype=torch.float64)
    found = methods(B)[kind](state(torch.zeros(1, CELLS, dtype=torch.float64)), alone(H, torch.ones(1).double(), std))
    change = vector(found.increment)
    assert float(change[20]) == pytest.approx(0.8, abs=1e-12)
    assert torch.allclose(change, 0.8 * B[20] / B[20, 20], rtol=0, atol=1e-12)
    assert float(found.analysed_variance) == pytest.approx(0.128, abs=1e-12)
    assert found.chi_squared == pytest.approx(1 / 0.8, abs=1e-12)


@every
@pytest.mark.parametrize(("count", "left"), [(4, 0.0376470588235294), (16, 0.00984615384615385)])
def test_equal_observations_add_up(kind, count, left):
    """σb .8, σo .4: what is left is σb²/(1 + k σb²/σo²)."""
    B = 0.64 * covariance() / (1 + 1e-6)
    H, std = operator(torch.full((count,), 20)), torch.full((count,), 0.4, dtype=torch.float64)
    found = methods(B)[kind](state(draw(0, 1, CELLS)), alone(H, draw(1, count), std))
    assert torch.allclose(found.analysed_variance, torch.full_like(std, left), rtol=0, atol=1e-12)
    assert float(found.influence.sum()) == pytest.approx(1 - left / 0.64, abs=1e-12)


@every
def test_without_observations_the_background_stays_bit_for_bit(kind):
    background = state(draw(0, 1, CELLS).float())
    empty = torch.zeros(0, dtype=torch.float64)
    found = methods(covariance())[kind](background, alone(Operator({}, 0), empty, empty))
    assert torch.equal((background + found.increment)["zos"], background["zos"])
    assert len(found.influence) == 0


@every
def test_a_duplicate_with_doubled_variance_is_one_observation(kind):
    background, y = state(draw(0, 1, CELLS)), draw(1, 5)
    cells, std = torch.tensor([3, 9, 10, 40, 63]), 0.3 + draw(2, 5).abs()
    once = methods(covariance())[kind](background, alone(operator(cells), y, std))
    twice = methods(covariance())[kind](
        background, alone(operator(cells.repeat(2)), y.repeat(2), (2**0.5 * std).repeat(2))
    )
    assert torch.allclose(once.increment["zos"], twice.increment["zos"], rtol=0, atol=1e-12)


@every
def test_the_order_of_observations_does_not_matter(kind):
    background, y, H = state(draw(0, 1, CELLS)), draw(1, 20), averages(20)
    std, order = 0.3 + draw(2, 20).abs(), torch.randperm(20, generator=torch.Generator().manual_seed(3))
    part = H.parts["zos"]
    mixed = Operator({"zos": part._replace(cells=part.cells[order], weight=part.weight[order])}, 20)
    one = methods(covariance())[kind](background, alone(H, y, std))
    other = methods(covariance())[kind](background, alone(mixed, y[order], std[order]))
    assert torch.allclose(one.increment["zos"], other.increment["zos"], rtol=0, atol=1e-12)
    assert torch.allclose(one.influence[order], other.influence, rtol=0, atol=1e-12)


@every
def test_observations_that_know_nothing_and_those_that_know_all(kind):
    background, everywhere, y = draw(0, 1, CELLS), operator(torch.arange(CELLS)), draw(1, CELLS)
    B = covariance() + 0.1 * torch.eye(CELLS, dtype=torch.float64)
    vague = methods(B)[kind](state(background), alone(everywhere, y, torch.full((CELLS,), 1e7, dtype=torch.float64)))
    assert vague.increment["zos"].abs().max() < 1e-12
    sure = methods(B)[kind](state(background), alone(everywhere, y, torch.full((CELLS,), 1e-6, dtype=torch.float64)))
    assert torch.allclose(background[0] + vector(sure.increment), y, rtol=0, atol=1e-9)
    assert torch.allclose(sure.influence, torch.ones(CELLS, dtype=torch.float64), rtol=0, atol=1e-9)


@every
def test_single_precision_stays_so_and_is_nearly_the_same(kind):
    background, y, H = draw(0, 1, CELLS), draw(1, 20), averages(20)
    std = 0.3 + draw(2, 20).abs()
    exactly = methods(covariance())[kind](state(background), alone(H, y, std)).increment["zos"]
    method = methods(covariance().float() + 1e-5 * torch.eye(CELLS))[kind]
    found = method(state(background.float()), alone(H, y.float(), std.float())).increment["zos"]
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), exactly, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["oi", "3dvar"])
def test_departures_are_taken_at_their_time_and_the_increment_persists(kind):
    """Of two times, the second is compared with the state there, and changes the first as if nothing moved."""
    background, y, std = draw(0, 1, CELLS), draw(1, 3), torch.full((3,), 0.4, dtype=torch.float64)
    window = Window(Observed(y, std, operator(torch.tensor([5, CELLS + 9, CELLS + 60]), times=2)), trajectory(2))
    found = methods(covariance())[kind](state(background), window)
    rows = matrix(operator(torch.tensor([5, 9, 60])))
    departures = y - background[0, [5, 8, 59]]  # what is at 9 then is at 8 now
    expected, _ = blue(covariance(), rows, std, departures)
    assert torch.allclose(vector(found.increment), expected, rtol=0, atol=1e-8)  # the covariance is nearly singular


@every
def test_a_batch_is_refused(kind):
    with pytest.raises(ValueError, match=f"{kind} carries one state, found a batch of 2"):
        methods(covariance())[kind](state(draw(0, 2, CELLS)), alone(averages(2), draw(1, 2), draw(2, 2).abs()))


@every
def test_a_variable_without_covariance_keeps_its_background(kind):
    background = State({**state(draw(0, 1, CELLS)), "so": torch.ones(1, 1, 1, CELLS)})
    found = methods(covariance())[kind](background, alone(averages(3), draw(1, 3), 1 + draw(2, 3).abs()))
    assert not found.increment["so"].any()
    assert found.increment["zos"].any()


def test_oi_refuses_more_observations_than_it_can_solve():
    config = OptimalInterpolationConfig.parse({"most": 4})
    with pytest.raises(InputError, match="oi: 5 observations in one window, expected 4 at most"):
        config.build(setting())(state(draw(0, 1, CELLS)), alone(averages(5), draw(1, 5), 1 + draw(2, 5).abs()))


def test_oi_of_samples_is_that_of_their_covariance():
    samples = draw(5, 30, 1, 1, CELLS)
    known = setting()
    known = type(known)(**{**vars(known), "samples": Fields({"zos": samples})})
    method = OptimalInterpolationConfig(background=SampledConfig(length=None)).build(known)
    window = alone(averages(12), draw(1, 12), 0.5 + draw(2, 12).abs())
    found = method(state(draw(0, 1, CELLS)), window)
    expected = methods(torch.cov(samples[:, 0, 0].T))["oi"](state(draw(0, 1, CELLS)), window)
    assert torch.allclose(found.increment["zos"], expected.increment["zos"], rtol=0, atol=1e-10)
    assert torch.allclose(found.influence, expected.influence, rtol=0, atol=1e-10)


def test_configured_methods_work_with_diffusion_and_agree():
    """What is built of a Setting, OI and 3D-Var alike."""
    window = alone(averages(12), draw(1, 12), 0.5 + draw(2, 12).abs())
    oi = OptimalInterpolationConfig().build(setting())(state(draw(0, 1, CELLS)), window)
    three = ThreeDVarConfig(tolerance=1e-12).build(setting())(state(draw(0, 1, CELLS)), window)
    assert oi.increment["zos"].abs().max() > 0.1
    assert torch.allclose(oi.increment["zos"], three.increment["zos"], rtol=0, atol=1e-10)
    assert torch.allclose(oi.analysed_variance, three.analysed_variance, rtol=0, atol=1e-10)


def estimated(count, draws=1, **given):
    """Variances as they are estimated, and as they are."""
    H, std = operator(torch.arange(0, CELLS, CELLS // count)), 0.3 + draw(2, count).abs()
    window = alone(H, draw(1, count), std)
    method = ThreeDVar(dense(), ThreeDVarConfig(variances=Variances(exact=0, draws=draws), tolerance=1e-13, **given))
    return (
        method(state(draw(0, 1, CELLS)), window),
        methods(covariance())["oi"](state(draw(0, 1, CELLS)), window),
    )


def test_estimated_variances_are_exact_where_iterations_have_seen_everything():
    found, exact = estimated(8)
    assert torch.allclose(found.variance, exact.variance, rtol=0, atol=1e-12)
    assert torch.allclose(found.analysed_variance, exact.analysed_variance, rtol=0, atol=1e-10)
    assert torch.allclose(found.influence, exact.influence, rtol=0, atol=1e-10)


@pytest.mark.parametrize("iterations", [2, 5, 10])
def test_of_few_iterations_estimated_variances_are_nearly_right(iterations):
    found, exact = estimated(32, draws=3, iterations=iterations)
    assert found.numbers["iterations"] == iterations
    assert bool((found.analysed_variance < found.variance).all())
    assert float(found.influence.sum()) == pytest.approx(float(exact.influence.sum()), rel=0.35)
    without, _ = estimated(32, draws=0, iterations=iterations)
    assert without.influence is None  # what iterations have not seen is not guessed
    assert without.analysed_variance is None
    assert torch.equal(without.variance, found.variance)
