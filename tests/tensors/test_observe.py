"""The observation operator on tensors: its matrix, its adjoint, and choosing among its rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import State

SHAPES = {"thetao": (2, 3, 4), "zos": (1, 3, 4)}
quick = settings(max_examples=15, deadline=None)


def made(seed: int, size: int = 12, times: int = 1) -> Operator:
    """Observations of either variable in any order, each of a few cells that may be met twice."""
    random = np.random.default_rng(seed)
    which, parts = random.integers(0, 2, size), {}
    for code, (name, shape) in enumerate(SHAPES.items()):
        rows = np.flatnonzero(which == code)
        if rows.size:
            cells = random.integers(0, times * int(np.prod(shape)), (rows.size, 4))
            weight = random.random((rows.size, 4))
            parts[name] = Part(*map(torch.from_numpy, (rows, cells, weight)), shape)
    return Operator(parts, size, times)


def states(seed: int, batch: int = 2, times: int = 1) -> list[State]:
    random = torch.Generator().manual_seed(seed)
    return [
        State({n: torch.randn(batch, *s, generator=random, dtype=torch.float64) for n, s in SHAPES.items()})
        for _ in range(times)
    ]


def by_hand(h: Operator, x: list[State]) -> np.ndarray:
    """H x by a plain loop."""
    found = np.zeros((len(x[0]["zos"]), h.size))
    for name, part in h.parts.items():
        fields = np.stack([state[name].numpy() for state in x], axis=1).reshape(len(found), -1)
        for row, cells, weight in zip(*(t.numpy() for t in part[:3]), strict=True):
            for cell, w in zip(cells, weight, strict=True):
                found[:, row] += w * fields[:, cell]
    return found


seeds, several = st.integers(0, 10_000), st.integers(1, 3)


@given(seed=seeds, times=several)
@quick
def test_each_observation_is_a_weighted_sum_of_cells(seed, times):
    h, x = made(seed, times=times), states(seed, 3, times)
    np.testing.assert_allclose(h(x).numpy(), by_hand(h, x), rtol=1e-13, atol=1e-13)


@given(seed=seeds, times=several, size=st.integers(0, 20))
@quick
def test_its_adjoint_is_exact(seed, times, size):
    h, x = made(seed, size, times), states(seed, 2, times)
    y = torch.randn(2, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ours = (h(x) * y).sum()
    pairs = zip(x, h.adjoint(y), strict=True)
    theirs = sum(((state[name] * field).sum() for state, change in pairs for name, field in change.items()), start=0.0)
    torch.testing.assert_close(ours, torch.as_tensor(theirs, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@given(seed=seeds, times=several)
@quick
def test_autograd_finds_the_same_adjoint(seed, times):
    h, x = made(seed, times=times), states(seed, 2, times)
    leaves = [State({name: field.requires_grad_() for name, field in state.items()}) for state in x]
    y = torch.randn(2, h.size, dtype=torch.float64)
    (h(leaves) * y).sum().backward()
    for leaf, change in zip(leaves, h.adjoint(y), strict=True):
        for name, field in change.items():
            torch.testing.assert_close(leaf[name].grad, field, rtol=1e-12, atol=1e-12)


@given(seed=seeds, times=several)
@quick
def test_some_observations_keep_their_order_and_their_cells(seed, times):
    h, x = made(seed, times=times), states(seed, 2, times)
    which = torch.from_numpy(np.random.default_rng(seed).random(h.size) < 0.5)
    kept = h.keep(which)
    assert (kept.size, kept.times) == (int(which.sum()), times)
    torch.testing.assert_close(kept(x), h(x)[:, which], rtol=0, atol=0)


def test_no_observation_is_a_row_of_nothing():
    h = made(0).keep(torch.zeros(12, dtype=torch.bool))
    assert h(states(0)).shape == (2, 0)
    (change,) = h.adjoint(torch.zeros(2, 0, dtype=torch.float64))
    assert len(change) == 0


def test_each_of_a_batch_is_observed_by_itself():
    h, x = made(1), states(1, 3)
    whole, back = h(x), h.adjoint(torch.arange(36, dtype=torch.float64).reshape(3, 12))[0]
    for i in range(3):
        alone = State({name: field[i : i + 1] for name, field in x[0].items()})
        torch.testing.assert_close(h(alone), whole[i : i + 1], rtol=0, atol=0)
        one = h.adjoint(torch.arange(12 * i, 12 * i + 12, dtype=torch.float64)[None])[0]
        assert all(torch.equal(one[name], back[name][i : i + 1]) for name in one)


def test_numbers_stay_in_their_precision():
    h, x = made(2), states(2)[0].map(lambda field: field.float())
    assert h(x).dtype == torch.float32
    assert h.adjoint(torch.ones(1, 12))[0]["zos"].dtype == torch.float32


def test_the_same_on_a_device():
    h, x = made(3), states(3)
    torch.testing.assert_close(h.to("cpu")(x), h(x), rtol=0, atol=0)


def test_another_number_of_states_is_refused():
    with pytest.raises(ValueError, match="2 states for an observation operator of 3 times"):
        made(0, times=3)(states(0, times=2))
