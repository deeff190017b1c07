"""The drift of the wind gives the published values and the closed forms."""

from __future__ import annotations

import pytest
from verification.ekman import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes)
