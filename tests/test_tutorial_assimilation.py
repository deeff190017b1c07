"""The tutorial on assimilation runs on the real files, command by command, over a shorter time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
from command_line import exit_code
from test_docs import DOCS, quoted_commands

PAGE = DOCS / "tutorials/assimilation_tasman.md"
SHORTER = {  # what the page says, and what is run
    "2004-01-01:2010-12-31": "2004-01-01:2004-02-29",
    "2004-01-31:2010-12-31": "2004-01-31:2004-02-29",
    "2004-01-31:2010-12-21": "2004-01-31:2004-02-19",
    "2005-04-14:2005-05-20:6D": "2005-05-02:2005-05-02:6D",
    "10000": "400",
}
TRAINED = {  # by preset, how briefly
    "sst_emulator": ["iterations=[2, 1]", "batch_size=[4, 2]"],
    "analysis_sst": ["iterations=[2]", "batch_size=[2]"],
}


@pytest.mark.real
def test_the_tutorial_on_assimilation_runs(
    real: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two months instead of seven years, 400 days of errors, few iterations, one map instead of seven."""
    data = real("mhw/oisst_tasman16_19820101-20101231.nc").parents[1]
    real("obs/dt_med_allsat_phy_l4_20050401-20050531.nc")
    monkeypatch.chdir(tmp_path)
    for words in quoted_commands(PAGE):
        words = [*words, *TRAINED.get(words[1], [])]
        line = "\0".join(words).replace("$SHARED", str(data))
        for said, run in SHORTER.items():
            line = line.replace(said, run)
        assert exit_code(*line.split("\0")) == 0, (words, capfd.readouterr().err)
    out = capfd.readouterr().out
    assert "obs.zarr: 1320 obs; sst" in out
    withheld = [xr.open_dataset(f"{name}.nc").sst_oa_rms.sel(role="withheld") for name in ("oi", "kalman")]
    assert withheld[1] < withheld[0] < 0.6  # what the filter remembers is worth something in a month already
    climatology = xr.open_dataset("oi.nc").sst_ob_rms.sel(role="withheld")
    barely_learned = xr.open_dataset("learned.nc").sst_oa_rms.sel(role="withheld")
    assert 0 < barely_learned < 1.2 * climatology
    maps = xr.open_dataset("maps.nc").zos_rmse.squeeze()
    assert maps.sel(analysis="maps") < 0.014 < 0.02 < maps.sel(analysis="maps_background")
    assert Path("innovations.png").stat().st_size > 20_000


def test_what_the_page_makes_of_its_tables_follows_from_them() -> None:
    """The shares in its prose, and the short table, are of the numbers that it prints."""
    text = PAGE.read_text()
    printed = [[float(x) for x in row] for row in re.findall(r"^  (\d+) +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.M)]
    errors, csi = ({row[0]: row[1:] for row in rows} for rows in (printed[:10], printed[10:20]))
    cost = {day: errors[day][1] / errors[day][0] - 1 for day in (1, 5, 10)}
    assert f"costs {cost[1]:.0%} after one day, {cost[5]:.0%} after five".replace("%", " %") in text
    assert cost[10] < 0.02
    cells = re.search(r"^\| the Kalman filter \|(.*)\|$", text, re.M)
    assert cells
    assert [float(x) for x in cells[1].split("|")] == [csi[day][1] for day in (1, 3, 5, 10)]
    truth = re.search(r"^\| the truth \|(.*)\|$", text, re.M)
    assert truth
    share = csi[5][1] / float(truth[1].split("|")[2])
    assert f"is worth {share:.0%} of all cells".replace("%", " %") in text.replace("\n", " ")
