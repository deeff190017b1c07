"""Rounded values are multiples of a power of two, near enough, and compress."""

from __future__ import annotations

import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oceanx.data.writing.rounding import described, rounded, step
from oceanx.vocabulary.errors import InputError

precisions = st.floats(1e-12, 1e9)
floats = arrays("f4", st.integers(0, 40), elements=st.floats(width=32, allow_nan=True, allow_infinity=True))


@given(precisions)
def test_the_step_is_the_largest_power_of_two_that_keeps_the_promise(precision):
    unit = step(precision)
    assert np.frexp(unit)[0] == 0.5
    assert unit / 2 <= precision < unit


@settings(max_examples=150, deadline=None)
@given(floats, precisions)
def test_every_value_is_the_nearest_multiple_ties_to_even(values, precision):
    unit = Fraction(step(precision))
    for before, after in zip(values, rounded(values, precision), strict=True):
        if not np.isfinite(before):
            assert before.tobytes() == after.tobytes() or (np.isnan(before) and np.isnan(after))
            continue
        # Python rounds exact fractions half to even; beyond 24 bits every float32 is a multiple already.
        nearest = round(Fraction(float(before)) / unit) * unit
        assert Fraction(float(after)) == nearest
        assert abs(nearest - Fraction(float(before))) <= Fraction(precision)
        assert not (after == 0 and np.signbit(after))


@settings(max_examples=100, deadline=None)
@given(floats, precisions, st.sampled_from(["f4", "f8"]))
def test_again_and_in_place_change_nothing(values, precision, kind):
    values = values.astype(kind)
    kept = values.copy()
    once = rounded(values, precision)
    np.testing.assert_array_equal(values, kept)
    assert once.dtype == values.dtype
    assert rounded(once, precision).tobytes() == once.tobytes()
    assert rounded(values, precision, in_place=True) is values
    assert values.tobytes() == once.tobytes()


def test_shapes_views_and_empty_arrays():
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("f4")
    np.testing.assert_array_equal(rounded(values.T, 0.01), rounded(values, 0.01).T)
    assert rounded(values[:0], 0.01).shape == (0, 4, 5)
    with pytest.raises(ValueError, match="contiguous"):
        rounded(values.T, 0.01, in_place=True)
    with pytest.raises(TypeError, match="int64"):
        rounded(np.arange(3), 0.01)


def test_it_is_unbiased_and_compresses():
    values = np.random.default_rng(0).normal(35, 1, 200_000).astype("f4")
    out = rounded(values, 0.001)
    error = out.astype("f8") - values
    assert abs(error.mean()) < 4 * 0.001 / np.sqrt(3 * error.size)
    assert len(zlib.compress(out.tobytes(), 1)) < 0.7 * len(zlib.compress(values.tobytes(), 1))


@pytest.mark.parametrize("precision", [0.0, -1.0, np.nan, np.inf, 1e-40, 1e40])
def test_what_is_no_precision_is_refused(precision):
    with pytest.raises(InputError, match="round: found precision"):
        rounded(np.ones(3, "f4"), precision)


def test_what_a_store_says():
    assert described(0.001, "degrees_C") == "rounded to multiples of 2^-9 degrees_C; |error| <= 0.000977"
    assert described(0.25, "m") == "rounded to multiples of 2^-1 m; |error| <= 0.25"
