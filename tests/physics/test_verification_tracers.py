"""Every case of tracers in known flows gives the known answer."""

from __future__ import annotations

import pytest
from verification import tracers, tracers_vertical

CASES = tracers.CASES | tracers_vertical.CASES


@pytest.mark.parametrize("name", CASES)
def test_known_flows_carry_tracers_to_the_known_answer(name):
    outcomes = CASES[name]()
    assert any(outcome.curve for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.holds, outcome
