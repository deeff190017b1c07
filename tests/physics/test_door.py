"""The verbs of `ox.physics`: nothing heavy is loaded before one is asked for."""

from __future__ import annotations

import subprocess
import sys


def succeeds(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


def test_the_door_is_light_until_it_is_opened() -> None:
    succeeds("""
import sys
import oceanx as ox
assert {"simulate", "tendencies", "sensitivity", "average"} <= set(dir(ox.physics))
assert not {"torch", "xarray"} & set(sys.modules)
try:
    ox.physics.simulat
except AttributeError as error:
    assert "simulat" in str(error)
else:
    raise AssertionError
""")


def test_the_door_opens_after_a_term_was_imported_and_before() -> None:
    succeeds("""
import sys
import oceanx.physics.transport
assert "xarray" not in sys.modules
import oceanx as ox
assert ox.physics.simulate.__module__ == "oceanx.workflows.simulation.simulate"
import oceanx.physics.momentum
assert callable(ox.physics.tendencies) and callable(ox.physics.sensitivity) and callable(ox.physics.average)
assert callable(ox.physics.transport.transport)
""")
