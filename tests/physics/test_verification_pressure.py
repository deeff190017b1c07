"""Hydrostatic pressure and geostrophy against what is known."""

from __future__ import annotations

import pytest
from verification.pressure import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_case(case):
    for outcome in case():
        assert outcome.holds, outcome
