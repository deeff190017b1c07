"""The terms of the equations, one per file. torch, never xarray.

For a labelled ocean, `oceanx.physics.simulate`, `.tendencies` and `.sensitivity` lead the equations from Dataset to
Dataset.
"""

from __future__ import annotations

from typing import Any

from oceanx.vocabulary.lazy import lazily

# They stand above this package, where xarray is known. The door to them is opened by name when somebody knocks: an
# import here would make every term depend on labels.
_ABOVE = {
    "simulate": ".workflows.simulation.simulate",
    "tendencies": ".workflows.simulation.tendencies",
    "sensitivity": ".workflows.simulation.sensitivity",
    "average": ".workflows.simulation.metric",
}

__all__ = ["average", "sensitivity", "simulate", "tendencies"]

_found = lazily(__name__, _ABOVE)


def __getattr__(name: str) -> Any:
    return _found(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
