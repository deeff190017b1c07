"""Waves turn, travel and decay as their dispersion relations say."""

from __future__ import annotations

import pytest
from verification.waves import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
