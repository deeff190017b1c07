"""The Kalman filter: Riccati's equation, the textbook's recursion on a ring, and what it refuses."""

from __future__ import annotations

import pytest
import torch
import toy_errors
from ring import CELLS, SITES, alone, covariance, draw, operator, sites, state, vector, window
from toy_ring import STD, channels, moved, setting

from oceanx.tensors.state import Fields, State
from oceanx.variational.kalman import Kalman, KalmanConfig, Wet
from oceanx.vocabulary.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated"
)  # torch's own, where it derives forwards

A, Q, R = 0.95, 0.04, 0.09
FORECAST, ANALYSED, GAIN = 0.0776104851, 0.0416736677, 0.4630407522  # P_f, P_a and K, of Riccati's equation
WET = Wet(channels(), setting().geometry)
EYE = torch.eye(CELLS, dtype=torch.float64)


def damped(x: State) -> State:
    return moved(x).map(lambda field: A * field)


def cycle(method, step, windows, background):
    """Analyses and forecasts in turn; the last analysis."""
    for number, each in enumerate(windows):
        found = method(background, each)
        analysis = background + found.increment
        if number + 1 < len(windows):
            background = step(analysis)
            method.advance(analysis, background, step)
    return found, analysis


def everywhere(seed):
    return alone(operator(torch.arange(CELLS)), draw(seed, CELLS), torch.full((CELLS,), R**0.5, dtype=torch.float64))


def closed_form(a, q, r):
    c = q - r * (1 - a * a)
    forecast = (c + (c * c + 4 * q * r) ** 0.5) / 2
    return forecast, forecast * r / (forecast + r)


def test_it_settles_where_riccati_s_equation_says():
    """P_f = ½ [c + √(c² + 4 q r)] with c = q − r (1 − a²), in every cell of a ring that is damped as it goes round."""
    method = Kalman(WET, EYE, Q * EYE)
    found, _ = cycle(method, damped, [everywhere(k) for k in range(60)], state(torch.zeros(1, CELLS).double()))
    forecast, analysed = closed_form(A, Q, R)
    assert [forecast, analysed, forecast / (forecast + R)] == pytest.approx([FORECAST, ANALYSED, GAIN], abs=1e-10)
    assert torch.allclose(found.variance, torch.full((CELLS,), forecast, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.allclose(method.covariance, analysed * EYE, rtol=0, atol=1e-12)
    assert float((found.influence - forecast / (forecast + R)).abs().max()) < 1e-12


def test_with_all_cells_observed_every_wave_is_a_filter_of_its_own():
    """Errors of the model that are related along the ring: Riccati's equation for each of their waves."""
    noise = 0.1 * covariance() + 0.004 * EYE
    method = Kalman(WET, EYE, noise)
    cycle(method, damped, [everywhere(k) for k in range(120)], state(torch.zeros(1, CELLS).double()))
    waves = torch.fft.fft(EYE, norm="ortho")
    found = (waves.conj() @ method.covariance.to(waves.dtype) @ waves.T).diagonal().real
    power = torch.fft.fft(noise[0]).real
    expected = torch.tensor([closed_form(A, float(q), R)[1] for q in power], dtype=torch.float64)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert expected.max() > 3 * expected.min()


def test_it_is_the_textbook_s_recursion():
    noise, y = 0.02 * covariance(), draw(1, 11, SITES)
    method = Kalman(WET, covariance(), noise)
    H, M = EYE[sites()], A * EYE.roll(1, 0)
    x, P = draw(2, CELLS), covariance()
    _, analysis = cycle(method, damped, [window(row[None]) for row in y], state(x[None]))
    for number, row in enumerate(y):
        if number:
            x, P = M @ x, M @ P @ M.T + noise
        K = P @ H.T @ torch.linalg.inv(H @ P @ H.T + STD**2 * torch.eye(SITES).double())
        x, left = x + K @ (row - H @ x), EYE - K @ H
        P = left @ P @ left.T + STD**2 * K @ K.T  # Joseph's form
    assert torch.allclose(vector(analysis), x, rtol=0, atol=1e-10)
    assert torch.allclose(method.covariance, P, rtol=0, atol=1e-10)
    assert torch.allclose(method.deviation["zos"][0, 0, 0], P.diagonal().sqrt(), rtol=0, atol=1e-10)


def test_of_a_model_that_bends_it_takes_the_tangent():
    method, x = Kalman(WET, covariance(), 0 * EYE), draw(3, CELLS)

    def step(s):
        return moved(s).map(lambda field: field + 0.1 * field**3)

    method.advance(state(x[None]), step(state(x[None])), step)
    M = torch.diag(1 + 0.3 * x.roll(1) ** 2) @ EYE.roll(1, 0)
    assert torch.allclose(method.covariance, M @ covariance() @ M.T, rtol=0, atol=1e-12)


def test_taken_up_again_it_is_as_if_it_had_never_stopped():
    windows = [window(draw(k, 1, SITES)) for k in range(6)]
    whole = Kalman(WET, covariance(), 0.1 * EYE)
    _, expected = cycle(whole, damped, windows, state(draw(9, 1, CELLS)))
    first = Kalman(WET, covariance(), 0.1 * EYE)
    _, half = cycle(first, damped, windows[:3], state(draw(9, 1, CELLS)))
    kept = {name: tensor.clone() for name, tensor in first.carried.items()}
    again = Kalman(WET, EYE, 0.1 * EYE)
    again.resume(kept)
    again.advance(half, damped(half), damped)
    _, after = cycle(again, damped, windows[3:], damped(half))
    assert torch.equal(after["zos"], expected["zos"])
    assert torch.equal(again.covariance, whole.covariance)


def built(samples=None, errors=None, **words):
    known = {**vars(setting()), "samples": samples, "residuals": errors}
    return KalmanConfig.parse(words).build(type(setting())(**known))


def test_its_first_covariance_and_its_noise_are_those_of_samples():
    samples, residuals = (Fields({"zos": draw(k, 30, 1, 1, CELLS)}) for k in (1, 2))
    method = built(samples, residuals, residuals=1.5)
    assert torch.allclose(method.covariance, torch.cov(samples["zos"][:, 0, 0].T), rtol=0, atol=1e-12)
    assert torch.allclose(method.noise, 2.25 * torch.cov(residuals["zos"][:, 0, 0].T), rtol=0, atol=1e-12)
    assert torch.allclose(built(samples, uncorrelated=0.3).noise, 0.09 * EYE, rtol=0, atol=1e-12)


def test_what_it_lacks_is_said():
    samples = Fields({"zos": draw(1, 30, 1, 1, CELLS)})
    with pytest.raises(InputError, match=r"kalman: the model's errors have no residuals.*uncorrelated"):
        built(samples)
    with pytest.raises(InputError, match="kalman: 64 wet values in a state, expected 60 at most"):
        built(samples, samples, most=60)
    with pytest.raises(InputError, match="have none"):
        built(None, samples)


def test_land_has_no_part_in_it():
    """A state of wet cells alone, several variables and levels, and back."""
    g = toy_errors.geometry()
    wet = Wet(toy_errors.CHANNELS, g)
    fields = toy_errors.noise(g, 3)
    assert wet.size == sum(int(g.mask_of(f.shape[1]).sum()) for f in fields.values())
    back = wet.fields(wet.vectors(fields))
    assert all(torch.equal(back[name], fields[name]) for name in fields)
    assert torch.equal(wet.vectors(back), wet.vectors(fields))
