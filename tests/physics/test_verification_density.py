"""Density and stratification against what is known."""

from __future__ import annotations

import pytest
from verification.density import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_case(case):
    for outcome in case():
        assert outcome.holds, outcome
