"""Rossby waves and the equatorial soliton go west as fast as they should."""

from __future__ import annotations

import pytest
from verification.rossby_waves import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
