"""Gyres carry what Stommel and Munk say, in boundary currents as wide."""

from __future__ import annotations

import pytest
from verification.gyres import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
