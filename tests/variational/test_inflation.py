"""Inflation: each kind by its formula, none as nothing, and the adaptive one by finding the factor that was made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_ring as ring
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.state import Fields, Increment, State
from oceanx.variational.analysis import Setting, Window
from oceanx.variational.etkf import ETKFConfig
from oceanx.variational.inflation import Adaptive, Inflation, InflationConfig
from oceanx.vocabulary.errors import InputError

SITES = torch.arange(0, 64, 8)


def drawn(members, seed=0, spread=1.0):
    random = torch.Generator().manual_seed(seed)
    return spread * torch.randn(members, 64, generator=random, dtype=torch.float64)


def after(inflation, members, y=None, std=ring.STD, setting=None):
    """The analysed members."""
    method = ETKFConfig(members=len(members), inflation=inflation).build(setting or ring.setting())
    y = torch.linspace(-1, 1, 8, dtype=torch.float64) if y is None else y
    found = method(ring.state(members), Window(ring.observed(SITES, y, std), seed=7))
    return ring.values(ring.state(members) + found.increment)


def split(members):
    return members.mean(0), members - members.mean(0)


def test_without_any_key_and_with_factors_that_do_nothing_it_is_nothing_bit_for_bit():
    nothing = InflationConfig()
    members, change = ring.state(drawn(6)), Increment({"zos": drawn(6, seed=1)[:, None, None]})
    assert nothing.build(ring.setting()).widened(members, change, seed=0) is change
    identity = InflationConfig(multiplicative=1.0, rtps=0.0, rtpp=0.0, additive=0.0)
    assert torch.equal(after(identity, drawn(6)), after(nothing, drawn(6)))
    assert nothing.build(ring.setting()).carried == {}


@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
@settings(max_examples=10, deadline=None)
def test_rtps_brings_the_spread_back_by_its_share(seed, share):
    members = drawn(7, seed)
    mean, plain = split(after(InflationConfig(), members))
    relaxed_mean, relaxed = split(after(InflationConfig(rtps=share), members))
    before, without = members.std(0).numpy(), plain.std(0).numpy()
    np.testing.assert_allclose(relaxed.std(0).numpy(), without + share * (before - without), rtol=1e-12)
    np.testing.assert_allclose(relaxed.numpy(), plain.numpy() * (relaxed.std(0).numpy() / without), atol=1e-12)
    np.testing.assert_allclose(relaxed_mean.numpy(), mean.numpy(), atol=1e-12)


def test_rtpp_mixes_the_anomalies_of_before():
    members = drawn(7)
    mean, plain = split(after(InflationConfig(), members))
    mixed_mean, mixed = split(after(InflationConfig(rtpp=0.3), members))
    torch.testing.assert_close(mixed_mean, mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(mixed, 0.7 * plain + 0.3 * split(members)[1], rtol=0, atol=1e-12)


def test_multiplicative_inflation_is_that_of_the_background_s_anomalies():
    members = drawn(7)
    mean, anomalies = split(members)
    torch.testing.assert_close(
        after(InflationConfig(multiplicative=1.3), members),
        after(InflationConfig(), mean + 1.3 * anomalies),
        rtol=0,
        atol=1e-12,
    )


def with_samples(**samples):
    plain = ring.setting()
    return Setting(plain.channels, plain.geometry, plain.spread, plain.length, plain.height, **samples)


def test_additive_inflation_gives_samples_without_a_mean():
    random = torch.Generator().manual_seed(1)
    samples = torch.randn(400, 1, 1, 64, generator=random, dtype=torch.float64) + 3.0
    setting, members = with_samples(residuals=Fields({"zos": samples})), drawn(300)
    plain, noisy = (after(InflationConfig(additive=share), members, setting=setting) for share in (0.0, 0.5))
    torch.testing.assert_close(noisy.mean(0), plain.mean(0), rtol=0, atol=1e-12)
    noise = noisy - plain
    assert float(noise.var(0).mean()) == pytest.approx(0.25, rel=0.1)
    # What one member gets is half a sample, less the same for all.
    apart, known = (noise[0] - noise[1]) / 0.5, samples[:, 0, 0]
    assert float((apart + known[:, None] - known).abs().amax(-1).min()) < 1e-12
    assert torch.equal(noisy, after(InflationConfig(additive=0.5), members, setting=setting))


def test_additive_inflation_by_variable_leaves_those_not_given_alone():
    noise = {name: torch.randn(50, 1, 1, 64, dtype=torch.float64) for name in ("zos", "mlotst")}
    increment = Increment({name: torch.zeros(20, 1, 1, 64, dtype=torch.float64) for name in noise})

    def widened(additive):
        inflation = InflationConfig(additive=additive).build(with_samples(residuals=Fields(noise)))
        return inflation.widened(State(increment), increment, seed=3)

    whole, apart = widened(1.0), widened({"zos": 0.25})
    torch.testing.assert_close(apart["zos"], 0.25 * whole["zos"], rtol=0, atol=1e-12)
    assert whole["mlotst"].any()
    assert not apart["mlotst"].any()
    with pytest.raises(InputError, match=r"names \['sla'\]; there are residuals of \['mlotst', 'zos'\]"):
        widened({"sla": 1.0})


def test_additive_inflation_without_samples_is_refused():
    with pytest.raises(InputError, match=r"additive inflation of 0.5: there are no residuals .* set additive to 0"):
        InflationConfig(additive=0.5).build(ring.setting())
    with pytest.raises(InputError, match="there are no samples"):
        InflationConfig(additive=0.5, samples="samples").build(with_samples(residuals=Fields({})))


def test_adaptive_inflation_finds_the_factor_by_which_the_spread_is_too_small():
    """Departures of variance 2.2 s² + σo² with an ensemble of variance s²: λ² goes to 2.2, and stays about there."""
    random = np.random.default_rng(0)
    inflation = InflationConfig(adaptive=Adaptive()).build(ring.setting())
    std, spread, factors = 0.5 + random.random(200), 0.5 + random.random(200), []
    for _ in range(400):
        d = np.sqrt(2.2 * spread**2 + std**2) * random.standard_normal(200)
        factors.append(inflation.learn(*(torch.from_numpy(each) for each in (d, std, spread**2))))
    assert factors[0] < 1.1
    assert np.mean(factors[200:]) == pytest.approx(2.2, rel=0.05)
    assert np.std(factors[200:]) < 0.15


def test_one_step_of_adaptive_inflation_is_the_scalar_filter():
    config = InflationConfig(multiplicative=1.2, adaptive=Adaptive(std=0.1, most=9.0))
    d, std, variance = (torch.tensor(each, dtype=torch.float64) for each in ([2.0, 1.0], [1.0, 0.5], [0.3, 0.2]))
    s, total = 0.3 + 0.2 / 0.25, 4.0 + 1.0 / 0.25
    found, doubt = (total - 2) / s, 2 / 2 * ((1.44 * s + 2) / s) ** 2
    expected = (1.44 / 0.01 + found / doubt) / (1 / 0.01 + 1 / doubt)
    assert config.build(ring.setting()).learn(d, std, variance) == pytest.approx(expected, rel=1e-12)


def test_adaptive_inflation_stays_within_its_bounds_and_is_taken_up():
    config = InflationConfig(adaptive=Adaptive(std=5.0, most=1.5))
    made = config.build(ring.setting())
    ones = torch.ones(50, dtype=torch.float64)
    assert made.learn(9 * ones, ones, ones) == 1.5
    again = Inflation(config)
    again.resume(made.carried)
    assert again.variance_factor == 1.5
    assert made.learn(0 * ones, ones, ones) == 1.0
    assert made.learn(9 * ones, ones, 0 * ones) == 1.0  # without any spread there is nothing to widen
