"""Weighted sums whose results know nothing of order and blocks."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.moments import Moments


def fields(seed, times=7, levels=2, cells=37):
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(times, levels, cells)) * 10.0 ** rng.integers(-3, 4)).astype("f4")
    values[rng.random(values.shape) < 0.2] = np.nan
    return values, rng.random((levels, cells)) * (rng.random((levels, cells)) < 0.8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equal_the_exact_sums_rounded_once(seed):
    values, weights = fields(seed)
    found = Moments(2)
    found.add(values, weights)
    for k in range(2):
        pairs = [
            (float(x), w) for day in values[:, k] for x, w in zip(day, weights[k], strict=True) if x == x and w > 0
        ]
        total = fsum(w for _, w in pairs)
        mean = fsum(w * x for x, w in pairs) / total
        square = fsum(w * x * x for x, w in pairs) / total
        assert found.weight[k] == total
        assert found.mean[k] == mean
        assert found.spread[k] == pytest.approx(np.sqrt(max(square - mean**2, 0)), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.data())
def test_any_order_and_any_blocks_give_the_same_bits(seed, data):
    values, weights = fields(seed)
    whole = Moments(2)
    whole.add(values, weights)
    order = data.draw(st.permutations(range(len(values))))
    cut = data.draw(st.integers(0, values.shape[2]))
    parts = [Moments(2) for _ in range(3)]
    for n, day in enumerate(order):
        for cells in (slice(0, cut), slice(cut, None)):
            parts[n % 3].add(values[day : day + 1, :, cells], np.ascontiguousarray(weights[:, cells]))
    merged = Moments(2)
    for part in reversed(parts):
        merged.merge(part)
    for name in ("weight", "mean", "spread"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


def test_changes_are_differences_in_double_precision():
    values, weights = fields(1)
    found, expected = Moments(2), Moments(2)
    found.add_changes(values[:-1], values[1:], weights)
    expected.add(np.diff(values.astype("f8"), axis=0), weights)
    np.testing.assert_array_equal(found.sums, expected.sums)


def test_nothing_seen_is_no_weight_and_infinities_do_not_count():
    empty = Moments(3)
    assert (empty.weight == 0).all()
    assert np.isnan(empty.mean).all()
    empty.add(np.full((1, 3, 4), np.inf, "f4"), np.ones((3, 4)))
    assert (empty.weight == 0).all()


def test_foreign_byte_order_and_integers_are_read_right():
    found = Moments(1)
    found.add(np.array([[[1.0, 3.0]]], dtype=">f4"), np.ones((1, 2)))
    found.add(np.array([[[5, 7]]]), np.ones((1, 2)))
    assert found.mean[0] == 4.0
