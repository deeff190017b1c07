"""Every case of `tests/verification` gives the answer that is known."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest
import verification

MODULES = {each.name: import_module(f"verification.{each.name}") for each in iter_modules(verification.__path__)}
CASES = {
    f"{stem}: {name}": case for stem, module in MODULES.items() for name, case in getattr(module, "CASES", {}).items()
}
WITHOUT_CURVES = ("density: ", "pressure: ", "integrators: advection limits")


@pytest.mark.usefixtures("without_type_checks")  # thousands of steps by functions whose own tests check types
@pytest.mark.parametrize("name", CASES)
def test_the_known_answer_is_given(name):
    outcomes = CASES[name]()
    assert outcomes
    for outcome in outcomes:
        assert outcome.holds, outcome
    assert any(outcome.curve for outcome in outcomes) or name.startswith(WITHOUT_CURVES)
