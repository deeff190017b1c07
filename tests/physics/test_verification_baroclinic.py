"""Waves, jets, fronts and columns by the whole of the primitive equations do as their closed forms say."""

from __future__ import annotations

import pytest
from verification import baroclinic, lock_exchange, whole

CASES = baroclinic.CASES | lock_exchange.CASES | whole.CASES


@pytest.mark.parametrize("name", CASES)
def test_the_primitive_equations_give_the_known_answer(name):
    outcomes = CASES[name]()
    assert any(outcome.curve for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.holds, outcome
