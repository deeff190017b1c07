"""4D-Var: what the Kalman filter and smoother say of a perfect linear model, and what it needs of any other."""

from __future__ import annotations

import pytest
import torch
from ring import CELLS, SITES, TIMES, covariance, dense, draw, matrix, operator, sites, trajectory, twin, vector, window
from toy_ring import STD, channels, moved, setting

from oceanx.tensors.integrate import rk4
from oceanx.tensors.state import Increment, State, Tendency
from oceanx.variational.analysis import Observed, Window
from oceanx.variational.diagnosing import Variances
from oceanx.variational.four_d import FourDVar, FourDVarConfig, Problem, backwards, onwards, steps
from oceanx.variational.kalman import Kalman, Wet
from oceanx.variational.minimise import conjugate_gradients, gauss_newton
from oceanx.variational.tangent import gradient_test, inner
from oceanx.vocabulary.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated"
)  # torch's own, where it derives forwards

EXACT = FourDVarConfig(loops=1, iterations=200, tolerance=1e-13)
OBS = TIMES * SITES
ROLL = torch.eye(CELLS, dtype=torch.float64).roll(1, 0)  # M of a step


def filtered(background, y, smooth=False):
    """The Kalman filter's state and covariance at every time, and the smoother's first state, by the textbook."""
    x, P, H = vector(background), covariance(), torch.eye(CELLS, dtype=torch.float64)[sites()]
    R, eye, kept = STD**2 * torch.eye(SITES, dtype=torch.float64), torch.eye(CELLS, dtype=torch.float64), []
    for number, seen in enumerate(y):
        if number:
            x, P = ROLL @ x, ROLL @ P @ ROLL.T
        gain = torch.linalg.solve(H @ P @ H.T + R, H @ P).T
        x = x + gain @ (seen - H @ x)
        P = (eye - gain @ H) @ P @ (eye - gain @ H).T + gain @ R @ gain.T
        kept.append((x, P))
    return kept


def smoothed(kept):
    """Rauch, Tung and Striebel back to the first time, the model being perfect: the gain is P Mᵀ (M P Mᵀ)⁻¹."""
    x = kept[-1][0]
    for earlier, P in reversed(kept[:-1]):
        ahead = ROLL @ P @ ROLL.T
        gain = torch.linalg.solve(ahead, ROLL @ P).T
        x = earlier + gain @ (x - ROLL @ earlier)
    return x


@pytest.mark.parametrize("stepwise", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_its_end_is_the_kalman_filter_s_and_its_start_the_smoother_s(stepwise, seed):
    _, background, y = twin(seed)
    asked = window(y, step=(lambda x, number: moved(x)) if stepwise else None)
    found = FourDVar(dense(), EXACT)(background, asked)
    start = background + found.increment
    kept = filtered(background, y)
    assert torch.allclose(vector(asked.trajectory(start)[-1]), kept[-1][0], rtol=0, atol=1e-10)
    assert torch.allclose(vector(start), smoothed(kept), rtol=0, atol=1e-8)


def test_quasi_newton_and_more_loops_end_there_too():
    _, background, y = twin(0)
    expected = filtered(background, y)[-1][0]
    for changes in ({"loops": 3}, {"minimiser": "quasi_newton", "tolerance": 1e-12}):
        found = FourDVar(dense(), EXACT.model_copy(update=changes))(background, window(y))
        assert torch.allclose(vector(trajectory(TIMES)(background + found.increment)[-1]), expected, rtol=0, atol=1e-7)


def test_its_inverse_hessian_is_the_kalman_filter_s_covariance():
    _, background, y = twin(0)
    B = dense()
    problem = Problem(B, background, window(y))
    ritz = conjugate_gradients(problem.about(None), tolerance=1e-13, lanczos=True).ritz
    G = problem.about(None).forward(torch.eye(CELLS, dtype=torch.float64))  # [size, obs], Gᵀ
    inverse = torch.linalg.inv(torch.eye(CELLS, dtype=torch.float64) + G @ G.T)
    root = vector_rows(B.root(torch.eye(CELLS, dtype=torch.float64)))
    through = torch.linalg.matrix_power(ROLL, TIMES - 1) @ root.T
    assert torch.allclose(through @ inverse @ through.T, filtered(background, y)[-1][1], rtol=0, atol=1e-10)
    assert torch.allclose(ritz.values.max() + 1, torch.linalg.eigvalsh(torch.linalg.inv(inverse)).max())


def vector_rows(fields):
    return fields["zos"][:, 0, 0]


def test_conjugate_gradients_take_no_more_than_30_iterations():
    """The condition of I + Gᵀ G on the ring is 154."""
    _, background, y = twin(0)
    linear = Problem(dense(), background, window(y)).about(None)
    G = linear.forward(torch.eye(CELLS, dtype=torch.float64))
    values = torch.linalg.eigvalsh(torch.eye(CELLS, dtype=torch.float64) + G @ G.T)
    found = conjugate_gradients(linear, tolerance=1e-10)
    assert float(values.max() / values.min()) == pytest.approx(154, abs=1)
    assert found.reason == "tolerance"
    assert found.iterations <= 30


def test_twice_the_cost_at_the_minimum_is_on_average_the_number_of_observations():
    count = 2000
    pairs = [twin(seed) for seed in range(count)]
    misfit = torch.stack([departures(background, y) for _, background, y in pairs]) / STD
    linear = Problem(dense(), pairs[0][1], window(pairs[0][2])).about(None)
    found = conjugate_gradients(linear._replace(misfit=misfit), tolerance=1e-6)
    mean = float(found.twice_cost.mean())
    assert abs(mean - OBS) < 3 * (2 * OBS / count) ** 0.5
    first = FourDVar(dense(), EXACT)(pairs[0][1], window(pairs[0][2]))
    assert first.chi_squared == pytest.approx(float(found.twice_cost[0]), rel=1e-9)


def test_its_variances_are_those_of_observations_through_the_model():
    _, background, y = twin(0)
    found = FourDVar(dense(), EXACT.model_copy(update={"variances": Variances(exact=OBS)}))(background, window(y))
    H = matrix(window(y).observed.operator).reshape(OBS, TIMES, CELLS)
    through = torch.stack([torch.linalg.matrix_power(ROLL, k) for k in range(TIMES)])
    G = torch.einsum("ptc,tcd->pd", H, through)
    S = G @ covariance() @ G.T
    gain = S @ torch.linalg.inv(S + STD**2 * torch.eye(OBS, dtype=torch.float64))
    assert torch.allclose(found.variance, S.diagonal(), rtol=0, atol=1e-10)
    assert torch.allclose(found.influence, gain.diagonal(), rtol=0, atol=1e-10)
    assert found.chi_squared == pytest.approx(float(departures(background, y) @ torch.linalg.solve(
        S + STD**2 * torch.eye(OBS, dtype=torch.float64), departures(background, y))), rel=1e-9)  # fmt: skip


def departures(background, y):
    return window(y).observed.departures(trajectory(len(y))(background))[0]


# ---- a model that is not linear --------------------------------------------------------------------------------------


def bent(state: State, forcing: object = None) -> State:
    """One step of something smooth that is neither linear nor kind: x' = −x ∂x − 0.1 x³ + 1."""

    def dynamics(x: State) -> Tendency:
        field = x["zos"]
        slope = (field.roll(-1, -1) - field.roll(1, -1)) / 2
        return Tendency({"zos": 1 - field * slope - 0.1 * field**3})

    return rk4(dynamics, state, 0.1)


def bent_window(y, step=bent):
    times = len(y)

    def way(x):
        states = [x]
        for _ in range(times - 1):
            states.append(step(states[-1]))
        return states

    cells = (torch.arange(times)[:, None] * CELLS + sites()).flatten()

    spread = torch.full((y.numel(),), STD, dtype=torch.float64)
    return Window(Observed(y.flatten(), spread, operator(cells, times)), way, step=lambda x, number: step(x))


def test_its_gradient_is_that_of_its_cost_over_six_decades():
    _, background, y = twin(0, 4)
    problem = Problem(dense(), background, bent_window(y))
    v = gauss_newton(problem.about, loops=1, iterations=3).v  # where the cost is small, and rounding with it
    h = problem.cost(v)[1]
    off = gradient_test(problem.cost, v, h / h.norm()) - 1
    assert len(off) == 7
    ratios = off[1:] / off[:-1]
    assert (ratios - 0.1).abs().max() < 0.03


def test_outer_loops_reach_the_minimum_of_the_cost_itself():
    _, background, y = twin(3, 4)
    y = y + 0.5
    problem = Problem(dense(), background, bent_window(y))
    config = FourDVarConfig(loops=6, iterations=30, tolerance=1e-3)
    found = FourDVar(dense(), config)._minimised(problem)
    assert float(problem.cost(found.v)[1].norm()) < 1e-4 * float(problem.cost(problem.nothing())[1].norm())
    other = FourDVarConfig(minimiser="quasi_newton", iterations=100, tolerance=1e-6)
    assert float(problem.cost(FourDVar(dense(), other)._minimised(problem).v)[0]) == pytest.approx(
        float(problem.cost(found.v)[0]), rel=1e-8
    )


def test_step_by_step_or_as_a_whole_it_is_the_same():
    _, background, y = twin(0, 5)
    by_step = bent_window(y)
    whole = Window(by_step.observed, by_step.trajectory)
    change = Increment({"zos": draw(4, 1, 1, 1, CELLS)})
    states = by_step.trajectory(background)
    one, other = (onwards(steps(w), states, change) for w in (by_step, whole))
    assert all(torch.allclose(a["zos"], b["zos"], rtol=0, atol=1e-12) for a, b in zip(one, other, strict=True))
    arriving = [Increment({"zos": draw(9 + k, 1, 1, 1, CELLS)}) for k in range(5)]
    back, at_once = (backwards(steps(w), states, arriving) for w in (by_step, whole))
    assert torch.allclose(back["zos"], at_once["zos"], rtol=0, atol=1e-12)
    assert inner(change, back) == pytest.approx(sum(map(inner, one, arriving)), rel=1e-12)


@pytest.mark.parametrize("way", ["climatology", "without gradient", "numpy"])
def test_a_step_without_gradient_is_refused(way):
    def step(x):
        if way == "climatology":
            return State({"zos": torch.ones_like(x["zos"])})
        if way == "numpy":
            return State({"zos": torch.from_numpy(x["zos"].detach().numpy() * 0.9)})
        with torch.no_grad():
            return moved(x)

    _, background, y = twin(0, 3)
    with pytest.raises(InputError, match=r"4dvar: the model's step has no gradient.*method=3dvar"):
        FourDVar(dense(), EXACT)(background, bent_window(y, step))


def test_of_one_time_nobody_asks_the_model():
    """A window of one time needs no step: it is 3D-Var."""
    _, background, y = twin(0, 1)
    found = FourDVar(dense(), EXACT)(background, window(y))
    assert torch.allclose(vector(background + found.increment), filtered(background, y)[0][0], rtol=0, atol=1e-10)


def test_with_many_steps_it_sees_through_kalman_s_eyes_too():
    """The filter's own method, given the whole window at once, gives the same increment."""
    _, background, y = twin(0, 4)
    other = Kalman(Wet(channels(), setting().geometry), covariance(), torch.zeros(CELLS, CELLS))
    expected = FourDVar(dense(), EXACT)(background, window(y))
    found = other(background, window(y))
    assert torch.allclose(found.increment["zos"], expected.increment["zos"], rtol=0, atol=1e-10)
    assert found.chi_squared == pytest.approx(expected.chi_squared, rel=1e-10)
