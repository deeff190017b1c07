"""What is unstable by the whole of the primitive equations grows as its closed form says."""

from __future__ import annotations

import pytest
from verification.instability import CASES


@pytest.mark.parametrize("name", CASES)
def test_what_is_unstable_grows_at_the_known_rate(name):
    outcomes = CASES[name]()
    assert any(outcome.curve for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.holds, outcome
