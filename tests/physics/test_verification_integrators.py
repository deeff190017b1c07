"""Every integrator has the order, the stability and the monotonicity that the literature gives it."""

from __future__ import annotations

import pytest
from verification.integrators import CASES


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    outcomes = CASES[case]()
    assert outcomes
    assert not [outcome for outcome in outcomes if not outcome.holds]
    assert any(outcome.curve for outcome in outcomes) or case == "advection_limits"
