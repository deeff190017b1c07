"""EnOI: the best linear unbiased estimate with the samples' covariance, written in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_ring as ring

from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Fields
from oceanx.variational.analysis import Observed, Setting, Window
from oceanx.variational.enoi import EnOIConfig
from oceanx.vocabulary.errors import InputError

SITES = torch.arange(0, 64, 8)


def samples(count=40):
    random = torch.Generator().manual_seed(0)
    return torch.randn(count, 64, generator=random, dtype=torch.float64) @ torch.linalg.cholesky(ring.covariance()).T


def setting(values=None):
    plain = ring.setting()
    fields = None if values is None else Fields({"zos": values[:, None, None]})
    return Setting(plain.channels, plain.geometry, plain.spread, plain.length, plain.height, samples=fields)


def seen(y, std=ring.STD):
    return Window(ring.observed(SITES, y, std))


def blue(b, mean, y):
    """Increment, H B Hᵀ, H A Hᵀ, χ² and influence."""
    h, r = np.eye(64)[SITES], ring.STD**2 * np.eye(8)
    s = h @ b @ h.T + r
    gain, d = b @ h.T @ np.linalg.inv(s), y - h @ mean
    after = b - gain @ h @ b
    return gain @ d, np.diag(h @ b @ h.T), np.diag(h @ after @ h.T), d @ np.linalg.solve(s, d), np.diag(h @ gain)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_it_is_the_best_linear_unbiased_estimate(alpha):
    drawn = samples()
    mean, y = np.linspace(-1, 1, 64), np.linspace(0, 2, 8)
    method = EnOIConfig(alpha=alpha, localised=False).build(setting(drawn + 3.0))
    found = method(ring.state(torch.from_numpy(mean)[None]), seen(torch.from_numpy(y)))
    ours = (
        found.increment["zos"][0, 0, 0].numpy(),
        found.variance.numpy(),
        found.analysed_variance.numpy(),
        found.chi_squared,
        found.influence.numpy(),
    )
    for mine, theirs in zip(ours, blue(alpha * np.cov(drawn.numpy().T), mean, y), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10)


def test_localised_without_bounds_it_is_the_same():
    window, background = seen(torch.linspace(0, 2, 8, dtype=torch.float64)), ring.state(torch.zeros(1, 64).double())
    one = EnOIConfig(localised=False, alpha=0.5).build(setting(samples()))(background, window)
    reach = {"zos": {"km": float("inf")}}
    two = EnOIConfig(localisation=reach, alpha=0.5).build(setting(samples()))(background, window)
    torch.testing.assert_close(one.increment["zos"], two.increment["zos"], rtol=0, atol=1e-10)
    torch.testing.assert_close(one.analysed_variance, two.analysed_variance, rtol=0, atol=1e-10)
    torch.testing.assert_close(one.influence, two.influence, rtol=0, atol=1e-10)


def test_localised_one_observation_has_the_scalar_gain_of_its_taper():
    drawn, background = samples(), ring.state(torch.zeros(1, 64).double())
    window = Window(ring.observed(torch.tensor([20]), torch.tensor([1.5], dtype=torch.float64), 0.4))
    method = EnOIConfig(localisation={"zos": {"km": 5.0}}, alpha=2.0).build(setting(drawn))
    found = method(background, window)
    cov, change = 2 * torch.cov(drawn.T)[:, 20], found.increment["zos"][0, 0, 0]
    for cell, taper in ((20, 1.0), (25, 5 / 24)):
        assert float(change[cell]) == pytest.approx(float(cov[cell] * 1.5 / (cov[20] + 0.16 / taper)), abs=1e-12)
    assert not change[30:].any()
    assert float(found.variance[0]) == pytest.approx(float(cov[20]), abs=1e-12)


def test_observations_of_a_later_time_are_compared_with_it():
    """The departure is the one of the second state; the increment is as if it persisted."""
    drawn, start = samples(), torch.randn(1, 64, dtype=torch.float64)
    parts = {"zos": Part(torch.tensor([0]), torch.tensor([[64 + 9]]), torch.ones(1, 1).double(), (1, 1, 64))}
    observed = Observed(torch.zeros(1).double(), torch.ones(1).double(), Operator(parts, 1, times=2))
    window = Window(observed, lambda state: [state, ring.moved(state)])
    found = EnOIConfig(localised=False).build(setting(drawn))(ring.state(start), window)
    cov = torch.cov(drawn.T)[:, 9]
    expected = -start[0, 8] * cov / (cov[9] + 1)
    torch.testing.assert_close(found.increment["zos"][0, 0, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("localised", [False, True])
def test_without_observations_the_background_stays_bit_for_bit(localised):
    method = EnOIConfig(localised=localised).build(setting(samples()))
    background = ring.state(torch.randn(1, 64))
    nowhere = Window(ring.observed(torch.zeros(0, dtype=torch.long), torch.zeros(0).double()))
    assert torch.equal((background + method(background, nowhere).increment)["zos"], background["zos"])


def test_no_samples_and_several_states_are_refused():
    with pytest.raises(InputError, match="enoi: the background's errors have no samples"):
        EnOIConfig().build(setting())
    method = EnOIConfig().build(setting(samples()))
    with pytest.raises(ValueError, match="enoi carries one state, found a batch of 2"):
        method(ring.state(torch.zeros(2, 64)), seen(torch.zeros(8).double()))
