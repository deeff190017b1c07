"""The hybrid: each of its two covariances alone, both together, and members that follow the variational mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_ring as ring

from oceanx.variational.analysis import Window
from oceanx.variational.background import StaticConfig
from oceanx.variational.etkf import ETKFConfig
from oceanx.variational.hybrid import HybridConfig
from oceanx.variational.inflation import InflationConfig
from oceanx.variational.letkf import LETKFConfig
from oceanx.variational.three_d import ThreeDVarConfig

SITES = torch.arange(0, 64, 8)
NONE = InflationConfig()
MEMBERS = 12
EVERYWHERE = {"zos": {"km": float("inf")}}
EXACTLY = {"members": MEMBERS, "inflation": {}, "tolerance": 1e-13}


def members(seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(MEMBERS, 64, generator=random, dtype=torch.float64) @ torch.linalg.cholesky(ring.covariance()).T


def window():
    return Window(ring.observed(SITES, torch.linspace(-1, 2, 8, dtype=torch.float64)))


def analysed(config, background):
    found = config.build(ring.setting())(background, window())
    return ring.values(background + found.increment), found


def test_with_the_members_covariance_alone_it_is_the_etkf():
    background = ring.state(members())
    ours, found = analysed(HybridConfig.parse(EXACTLY | {"weight": 1.0, "localisation": EVERYWHERE}), background)
    theirs, expected = analysed(ETKFConfig(members=MEMBERS, inflation=NONE), background)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    assert found.chi_squared == pytest.approx(expected.chi_squared, abs=1e-9)
    torch.testing.assert_close(found.variance, expected.variance, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.influence, expected.influence, rtol=0, atol=1e-9)


def test_with_the_static_covariance_alone_its_mean_is_that_of_3d_var():
    background, near = ring.state(members()), {"zos": {"km": 6.0}}
    ours, _ = analysed(HybridConfig.parse(EXACTLY | {"weight": 0.0, "localisation": near}), background)
    mean = ring.state(members().mean(0, keepdim=True))
    theirs, _ = analysed(ThreeDVarConfig(tolerance=1e-13), mean)
    torch.testing.assert_close(ours.mean(0), theirs[0], rtol=0, atol=1e-10)
    local, _ = analysed(LETKFConfig(members=MEMBERS, localisation=near, inflation=NONE), background)
    torch.testing.assert_close(ours - ours.mean(0), local - local.mean(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("weight", [0.3, 0.7])
def test_with_both_its_mean_is_the_best_linear_unbiased_estimate(weight):
    background = members()
    ours, found = analysed(
        HybridConfig.parse(EXACTLY | {"weight": weight, "localisation": EVERYWHERE}), ring.state(background)
    )
    identity = ring.state(torch.eye(64, dtype=torch.float64)) - ring.state(torch.zeros(64, 64, dtype=torch.float64))
    static = StaticConfig().build(ring.setting())(identity)["zos"][:, 0, 0].numpy()
    b = (1 - weight) * static + weight * np.cov(background.numpy().T)
    h, mean = np.eye(64)[SITES], background.mean(0).numpy()
    s, d = h @ b @ h.T + ring.STD**2 * np.eye(8), np.linspace(-1, 2, 8) - h @ mean
    np.testing.assert_allclose(ours.mean(0).numpy(), mean + b @ h.T @ np.linalg.solve(s, d), rtol=0, atol=1e-9)
    assert found.chi_squared == pytest.approx(d @ np.linalg.solve(s, d), abs=1e-9)


def test_localised_it_moves_nothing_far_away_and_works_again_in_the_next_window():
    sole = Window(ring.observed(torch.tensor([20]), torch.tensor([2.0], dtype=torch.float64)))
    near = {"zos": {"km": 3.0}}
    method = HybridConfig.parse(EXACTLY | {"weight": 1.0, "localisation": near}).build(ring.setting())
    for seed in (0, 1):
        background = members(seed)
        change = method(ring.state(background), sole).increment["zos"][:, 0, 0].mean(0)
        cov = torch.cov(background.T)[:, 20]
        gain = (2.0 - background[:, 20].mean()) / (cov[20] + ring.STD**2)
        assert float(change[20]) == pytest.approx(float(cov[20] * gain), rel=1e-9)
        assert float(change[[50, 55, 60]].abs().max()) < 1e-6


def test_without_observations_the_background_stays_bit_for_bit():
    nowhere = Window(ring.observed(torch.zeros(0, dtype=torch.long), torch.zeros(0).double()))
    background = ring.state(members())
    found = HybridConfig(members=MEMBERS).build(ring.setting())(background, nowhere)
    assert torch.equal((background + found.increment)["zos"], background["zos"])


def test_it_carries_as_many_members_as_it_says():
    method = HybridConfig(members=5).build(ring.setting())
    assert method.members == 5
    with pytest.raises(ValueError, match="12 states for a method of 5 members"):
        method(ring.state(members()), window())
