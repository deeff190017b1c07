"""What every test may lean on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import jaxtyping
import pytest
from command_line import Answer, Oceanx, exit_code

with suppress(ImportError):
    import pyproj  # noqa: F401  (before eccodes, or a process that imports both dies when it ends)

SHARED = Path(os.environ.get("OCEANX_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture
def without_type_checks(monkeypatch):
    """Types are not looked at: a compiler cannot look through that, and of a small step it is most of the time."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def oceanx(capfd: pytest.CaptureFixture[str]) -> Oceanx:
    """A function that runs the command in this process: its exit code, output and errors."""

    def run(*words: object) -> Answer:
        capfd.readouterr()
        code = exit_code(*words)
        return Answer(code, *capfd.readouterr())

    return run


@pytest.fixture
def real():
    """A function from a path below the real-data folder to the file, skipping loudly where it is absent."""

    def find(path: str) -> Path:
        file = SHARED / "data" / path
        if not file.exists():
            pytest.skip(f"REAL DATA ABSENT: {path} (set OCEANX_SHARED to the folder that holds data/)")
        return file

    return find
