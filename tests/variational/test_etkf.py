"""The ETKF against a Kalman filter written in plain numpy, and on Lorenz-96."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_ring as ring
from lorenz_filters import scored

from oceanx.tensors.state import State
from oceanx.variational.analysis import Window
from oceanx.variational.etkf import ETKFConfig
from oceanx.variational.inflation import InflationConfig
from oceanx.variational.square_root import rotation

SITES = np.arange(0, 64, 8)
NONE = InflationConfig()


def kalman(mean, cov, observations):
    """Mean, covariance and innovation χ² of each analysis, everything moving one cell between them."""
    h, r = np.eye(64)[SITES], ring.STD**2 * np.eye(8)
    for y in observations:
        s = h @ cov @ h.T + r
        gain, d = cov @ h.T @ np.linalg.inv(s), y - h @ mean
        prior = np.diag(h @ cov @ h.T)
        mean, cov = mean + gain @ d, cov - gain @ h @ cov
        yield mean, cov, prior, d @ np.linalg.solve(s, d), np.diag(h @ gain)
        mean, cov = np.roll(mean, 1), np.roll(np.roll(cov, 1, 0), 1, 1)


def observations(count, seed=0):
    """A truth drawn from B, observed at the sites while it moves."""
    random = np.random.default_rng(seed)
    truth = np.linalg.cholesky(ring.covariance().numpy()) @ random.standard_normal(64)
    return [np.roll(truth, k)[SITES] + ring.STD * random.standard_normal(8) for k in range(count)]


def simplex(mean):
    """65 members around a mean that carry B exactly."""
    corners = np.linalg.qr(np.hstack((np.ones((65, 1)), np.eye(65)[:, :64])))[0][:, 1:]
    root = np.linalg.cholesky(ring.covariance().numpy())
    return ring.state(torch.from_numpy(mean + 8.0 * corners @ root.T))


def analysed(method, members, y, seed=0):
    window = Window(ring.observed(torch.from_numpy(SITES), torch.from_numpy(y)), seed=seed)
    return method(members, window)


@pytest.mark.parametrize("rotate", [False, True])
def test_members_that_carry_the_covariance_exactly_are_the_kalman_filter(rotate):
    method = ETKFConfig(members=65, inflation=NONE, rotate=rotate).build(ring.setting())
    mean, seen = np.random.default_rng(3).standard_normal(64), observations(11)
    members = simplex(mean)
    for number, (y, truth) in enumerate(zip(seen, kalman(mean, ring.covariance().numpy(), seen), strict=True)):
        found = analysed(method, members, y, seed=number)
        members = members + found.increment
        x = ring.values(members).numpy()
        ours = x.mean(0), np.cov(x.T), found.variance.numpy(), found.chi_squared, found.influence.numpy()
        for mine, theirs in zip(ours, truth, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.analysed_variance.numpy(), np.diag(truth[1])[SITES], rtol=0, atol=1e-10)
        members = ring.moved(members)


def test_random_members_approach_the_kalman_filter_like_one_over_the_root_of_their_number():
    random = torch.Generator().manual_seed(5)
    root = torch.linalg.cholesky(ring.covariance())
    (y,) = observations(1)
    ((truth, *_),) = kalman(np.zeros(64), ring.covariance().numpy(), [y])
    sizes, errors = [128, 256, 512, 1024], []
    for size in sizes:
        method, squares = ETKFConfig(members=size, inflation=NONE).build(ring.setting()), []
        for _ in range(8192 // size):
            draw = torch.randn(size, 64, generator=random, dtype=torch.float64) @ root.T
            members = ring.state(draw)
            found = ring.values(members + analysed(method, members, y).increment).mean(0).numpy()
            squares.append(np.mean((found - truth) ** 2))
        errors.append(np.sqrt(np.mean(squares)))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope + 0.5) < 0.1


def test_the_transform_is_the_symmetric_root():
    members = torch.randn(20, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    method = ETKFConfig(members=20, inflation=NONE).build(ring.setting())
    after = ring.values(ring.state(members) + analysed(method, ring.state(members), observations(1)[0]).increment)
    x = (members - members.mean(0)).numpy()
    values, vectors = np.linalg.eigh(19 * np.eye(20) + x[:, SITES] @ x[:, SITES].T / ring.STD**2)
    w = np.sqrt(19) * vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose((after - after.mean(0)).numpy(), w @ x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("inflation", [{}, {"rtpp": 0.4, "multiplicative": 1.1}, {"rtps": 0.5}])
def test_anomalies_add_up_to_nothing_and_a_rotation_keeps_mean_and_covariance(inflation):
    members = ring.state(torch.randn(20, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    y, after = observations(1)[0], {}
    for rotate in (False, True):
        config = ETKFConfig.parse({"members": 20, "inflation": inflation, "rotate": rotate})
        after[rotate] = ring.values(members + analysed(config.build(ring.setting()), members, y).increment)
        anomalies = after[rotate] - after[rotate].mean(0)
        assert float(anomalies.sum(0).abs().max()) < 1e-12
    torch.testing.assert_close(after[True].mean(0), after[False].mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cov(after[True].T), torch.cov(after[False].T), rtol=0, atol=1e-12)
    assert float((after[True] - after[False]).abs().max()) > 0.1


def test_a_rotation_is_orthogonal_keeps_the_mean_and_follows_its_seed():
    turn = rotation(9, seed=4)
    torch.testing.assert_close(turn @ turn.T, torch.eye(9, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(turn.sum(0), torch.ones(9, dtype=torch.float64), rtol=0, atol=1e-14)
    assert torch.equal(turn, rotation(9, seed=4))
    assert not torch.allclose(turn, rotation(9, seed=5))


def test_permuted_observations_and_permuted_members_make_the_same_analysis():
    random = torch.Generator().manual_seed(2)
    members = torch.randn(12, 64, generator=random, dtype=torch.float64)
    method = ETKFConfig(members=12).build(ring.setting())
    y, std = torch.randn(8, generator=random).double(), 0.2 + torch.rand(8, generator=random).double()
    sites, order = torch.from_numpy(SITES), torch.randperm(8, generator=random)
    first = method(ring.state(members), Window(ring.observed(sites, y, std)))
    second = method(ring.state(members), Window(ring.observed(sites[order], y[order], std[order])))
    torch.testing.assert_close(first.increment["zos"], second.increment["zos"], rtol=0, atol=1e-12)
    torch.testing.assert_close(first.influence[order], second.influence, rtol=0, atol=1e-12)
    other = torch.randperm(12, generator=random)
    third = method(ring.state(members[other]), Window(ring.observed(sites, y, std)))
    torch.testing.assert_close(first.increment["zos"][other], third.increment["zos"], rtol=0, atol=1e-12)


def test_without_observations_the_background_stays_bit_for_bit():
    method = ETKFConfig(members=5, rotate=True, inflation=InflationConfig(multiplicative=2.0)).build(ring.setting())
    members = ring.state(torch.randn(5, 64))
    nowhere = Window(ring.observed(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.float64)))
    assert torch.equal(ring.values(members + method(members, nowhere).increment), ring.values(members))


def test_members_in_single_precision_get_increments_in_single_precision():
    members = State({"zos": torch.randn(6, 1, 1, 64)})
    method = ETKFConfig(members=6).build(ring.setting())
    assert analysed(method, members, observations(1)[0]).increment["zos"].dtype == torch.float32


def test_other_members_than_configured_or_broken_ones_are_refused():
    method = ETKFConfig(members=5).build(ring.setting())
    with pytest.raises(ValueError, match="4 states for a method of 5 members"):
        analysed(method, ring.state(torch.randn(4, 64)), observations(1)[0])
    broken = torch.randn(5, 64)
    broken[3, 8] = torch.nan
    with pytest.raises(ValueError, match=r"members \[3\] are not finite"):
        analysed(method, ring.state(broken), observations(1)[0])


@pytest.mark.usefixtures("without_type_checks")  # thousands of small analyses
def test_lorenz_96_has_the_published_score():
    rmse, spread = scored(ETKFConfig(members=24, inflation=InflationConfig(multiplicative=1.013), rotate=True))
    assert abs(rmse - 0.18) < 0.02
    assert abs(spread / rmse - 1) < 0.1
