"""Lateral mixing and friction act at the rates of the closed forms."""

from __future__ import annotations

import pytest
from verification.mixing import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
