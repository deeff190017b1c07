"""Observations at a prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_observing
from command_line import Oceanx

import oceanx as ox


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands run in a folder with `ocean.zarr`."""
    toy_observing.truth(6).to_zarr(tmp_path / "ocean.zarr", consolidated=False)
    monkeypatch.chdir(tmp_path)


def test_observe_at_a_prompt_is_observe_in_python(oceanx: Oceanx) -> None:
    words = ["observe", "ocean.zarr", "--network", "argo+sst", "--seed", "4", "--time", "2004-02-21:2004-02-24"]
    code, out, err = oceanx(*words, "--to", "obs.zarr", "sst.cloud=0.8", "errors.so=0.5", "errors.sst=0.1")
    assert code == 0, err
    expected = ox.observe(
        ox.open("./ocean.zarr"),
        "sst+argo",
        seed=4,
        time="2004-02-21:2004-02-24",
        errors={"sst": 0.1, "so": 0.5},
        **{"sst.cloud": 0.8},
    )
    found = ox.open("./obs.zarr")
    for name in ("time", "longitude", "value", "error_std", "platform"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert out == f"obs.zarr: {expected.sizes['obs']} obs; thetao so\n"


def test_one_error_for_all_and_cells(oceanx: Oceanx) -> None:
    code, _, err = oceanx(
        "observe", "ocean.zarr", "--network", "cells", "--to", "obs.zarr", "cells.number=7", "errors=0.2"
    )
    assert code == 0, err
    found = ox.open("./obs.zarr")
    assert found.sizes["obs"] == 6 * 7
    assert (found["error_std"] == 0.2).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--network", "ssst"], "unknown network 'ssst'; did you mean 'sst'?"),
        (["seed=3"], "write it as an option, --seed"),
        (["errors=1", "errors.sst=2"], "errors=1: is one for all"),
        (["--time", "2005:2006"], "the truth has 2004-02-20 to 2004-02-25"),
        (["--network", "sst", "sst.cloud=-1"], "greater than or equal to 0, found -1"),
    ],
)
def test_wrong_words_are_said_in_a_line(oceanx: Oceanx, words: list[str], said: str) -> None:
    code, _, err = oceanx("observe", "ocean.zarr", "--to", "obs.zarr", *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not Path("obs.zarr").exists()
