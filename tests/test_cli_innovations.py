"""`oceanx innovations` says what `ox.innovations` says; what is wrong is one line and leaves no file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import toy_analyses
import xarray as xr
from command_line import Oceanx

import oceanx as ox


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of analyses and the table it was made with."""
    root = tmp_path_factory.mktemp("assimilated")
    an, obs, _ = toy_analyses.made(33, 20, 5, members=5)
    an.to_zarr(root / "an.zarr", consolidated=False)
    obs.to_zarr(root / "obs.zarr", consolidated=False)
    return root


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, shelf: Path) -> None:
    """Commands run where the store of analyses is."""
    monkeypatch.chdir(shelf)


def test_the_file_and_the_table_are_those_of_python(oceanx: Oceanx, tmp_path: Path) -> None:
    to, table = tmp_path / "innov.nc", tmp_path / "innov.csv"
    given = ("--by", "variable,platform", "--platforms", "floats=float_1,floats=float_2", "--windows", "MS")
    code, out, err = oceanx(
        "innovations", "an.zarr", "--obs", "obs.zarr", "--to", to, "--table", table, "--depths", "0:5,5:100", *given
    )
    assert code == 0, err
    expected = ox.innovations(
        "an.zarr", ox.open("obs.zarr"), by=["variable", "platform"], windows="MS", depths=[(0, 5), (5, 100)],
        platforms={"floats": ["float_1", "float_2"]},
    )  # fmt: skip
    with xr.open_dataset(to) as found:
        xr.testing.assert_allclose(found.load(), expected)
        assert found.attrs["oceanx_withheld"] == expected.attrs["oceanx_withheld"]
    rows = pd.read_csv(table)
    assert len(rows) == 2 * 2 * 2 * 2
    assert set(rows.platform) == {"floats", "other"}
    assert str(to) in out
    assert "mooring" not in out


def test_a_short_table_is_printed(oceanx: Oceanx, tmp_path: Path) -> None:
    code, out, err = oceanx("innovations", "an.zarr", "--obs", "obs.zarr", "--to", tmp_path / "innov.nc")
    assert code == 0, err
    used = next(line.split() for line in out.splitlines() if "used" in line and "thetao" in line)
    assert used[:4] == ["thetao", "used", "561", "99"]
    assert "χ²/p of whole windows: " in out


def test_what_was_written_is_drawn(oceanx: Oceanx, tmp_path: Path) -> None:
    to = tmp_path / "innov.nc"
    assert oceanx("innovations", "an.zarr", "--obs", "obs.zarr", "--to", to, "--windows", "10D")[0] == 0
    once = ("--select", "window=2001-01-01")
    for words in (
        ("innovations", to), ("consistency", to, *once), ("rank_histogram", to, "--select", "role=used", *once),
    ):  # fmt: skip
        code, _, err = oceanx("plot", *words, "--var", "thetao", "--to", tmp_path / f"{words[0]}.png")
        assert code == 0, err
        assert (tmp_path / f"{words[0]}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("an.zarr", "--by", "depth"), "unknown group to diagnose by 'depth'"),
        (("an.zarr", "--depths", "0:50:70"), "--depths '0:50:70': expected 2 numbers"),
        (("an.zarr", "--platforms", "floats="), "--platforms 'floats=': expected names"),
        (("an.zarr", "--windows", "fortnight"), "windows: found 'fortnight'"),
        (("obs.zarr",), "expected analyses with their departures"),
        (("nothing.zarr",), "nothing.zarr: no such store of analyses"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], message: str, oceanx: Oceanx, tmp_path: Path) -> None:
    code, _, err = oceanx("innovations", *words, "--obs", "obs.zarr", "--to", tmp_path / "innov.nc")
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_there_is_kept(oceanx: Oceanx, tmp_path: Path) -> None:
    (tmp_path / "innov.csv").write_text("mine")
    given = ("innovations", "an.zarr", "--obs", "obs.zarr", "--to", tmp_path / "innov.nc")
    code, _, err = oceanx(*given, "--table", tmp_path / "innov.csv")
    assert code == 2
    assert "exists already" in err
    assert [path.name for path in tmp_path.iterdir()] == ["innov.csv"]
    assert (tmp_path / "innov.csv").read_text() == "mine"
