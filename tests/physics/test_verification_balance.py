"""Balanced flows stay, a step adjusts to one, and a flow that is made up is met in second order."""

from __future__ import annotations

import pytest
from verification.balance import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
