"""`import oceanx` is quick and light; every name it promises is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import oceanx

HEAVY = ("torch", "xarray", "dask", "pandas", "matplotlib", "numpy", "zarr", "scipy", "numba")


def loaded_by(code: str) -> set[str]:
    """The heavy packages that are loaded in a fresh interpreter after running this code."""
    asked = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules], sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_importing_loads_nothing_heavy():
    assert (
        loaded_by("import oceanx, oceanx.vocabulary.names, oceanx.vocabulary.files, oceanx.vocabulary.config") == set()
    )


def test_asking_the_command_line_for_help_loads_nothing_heavy():
    run_help = """
import sys
from oceanx.cli import main
sys.argv = ["oceanx", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
"""
    assert loaded_by(run_help) == set()


@pytest.mark.parametrize(
    ("rooms", "never"),
    [
        (
            "ocean.grid, ocean.climatology, ocean.labels, data.recipe, data.shelf.catalog, export, scores, heatwaves, "
            "plot.maps",
            "torch",
        ),
        ("tensors.state, physics.transport, nn.unet, models.registry, objectives", "xarray"),
    ],
)
def test_neither_side_loads_the_other(rooms, never):
    code = "\n".join(f"import oceanx.{room}" for room in rooms.split(", "))
    assert never not in loaded_by(code)


def test_the_help_of_a_fresh_interpreter_shows_the_verbs():
    done = subprocess.run([sys.executable, "-m", "oceanx", "--help"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    for verb in ("bake", "train", "forecast", "score"):
        assert verb in done.stdout


@pytest.mark.parametrize("name", oceanx.__all__)
def test_every_name_is_there(name):
    assert getattr(oceanx, name) is not None
    assert name in dir(oceanx)


def test_verbs_can_be_called_and_nouns_are_modules():
    nouns = {"export", "heatwaves", "ocean", "physics", "plot", "scores"}
    for name in set(oceanx.__all__) - nouns:
        assert callable(getattr(oceanx, name)), name
    for name in nouns:
        assert getattr(oceanx, name).__name__ == f"oceanx.{name}"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'oceanx' has no attribute 'boil'"):
        _ = oceanx.boil
