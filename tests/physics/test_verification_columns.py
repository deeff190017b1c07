"""Ekman's spiral, diffusion, convection and mixing by Richardson number give what is known of a column."""

from __future__ import annotations

import pytest
from verification.columns import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
