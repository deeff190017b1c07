"""The CF checker of IOOS, in a process of its own: `python cf_checker.py FILE…` prints its complaints as JSON.

Its libraries for units and those of NetCDF do not leave one process in peace, so tests call it from outside.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

NEWEST = "cf:1.11"
MEDIUM = 2  # its weights: 3 high, 2 medium, 1 low


def complaints(path: str) -> list[str]:
    """What the checker has to say of a NetCDF file, of medium or high priority."""
    from compliance_checker.suite import CheckSuite

    CheckSuite.load_all_available_checkers()
    checker = CheckSuite()
    with checker.load_dataset(path) as nc:
        groups, errors = checker.run_all(nc, [NEWEST])[NEWEST]
    assert not errors, errors
    assert len(groups) > 10, "it did not look"
    return [said for group in groups if group.weight >= MEDIUM for said in failed(group)]


def failed(result: Any) -> list[str]:
    """The messages of a result and of those below it that did not pass in full."""
    whole = result.value is True or (isinstance(result.value, tuple) and result.value[0] == result.value[1])
    below = [said for child in result.children or [] for said in failed(child)]
    return below or ([] if whole else [f"{result.name}: {said}" for said in result.msgs or ["failed"]])


def misfits(units: dict[str, str]) -> list[str]:
    """Those standard names that are not in CF's table, or whose unit there is of another kind."""
    from cf_units import Unit
    from compliance_checker.cf.util import StandardNameTable

    table, found = StandardNameTable(), []
    for name, unit in units.items():
        try:
            theirs = table[name].canonical_units
        except KeyError:
            found.append(f"{name}: not in the table")
            continue
        if theirs and not Unit(unit).is_convertible(Unit(theirs)):
            found.append(f"{name}: {unit} against {theirs}")
    return found


def refuse(*args: Any) -> None:
    """What stands in for a connection."""
    raise OSError("the checker asked for the network")


if __name__ == "__main__":
    socket.socket.connect = refuse  # type: ignore[assignment,method-assign]
    asked = json.loads(sys.argv[1])
    print(json.dumps({"files": {path: complaints(path) for path in asked["files"]}, "names": misfits(asked["names"])}))
