"""The room as a whole: its names, its weight, its silence."""

from __future__ import annotations

import subprocess
import sys

import matplotlib.figure
import pytest

import oceanx.plot as plot
from oceanx.plot import page, tables


def test_every_name_is_there_and_stays_a_function_whatever_was_imported():
    for name in plot.__all__:
        assert getattr(plot, name) is not None
    assert plot.report is page.report
    assert plot.table is tables.table
    with pytest.raises(AttributeError, match="maap"):
        plot.maap  # noqa: B018


def test_kinds_map_names_to_functions(ocean, scores):
    fields = {"map", "triptych", "section", "hovmoller", "profile", "ts_diagram", "exceedance", "heatwave", "animation"}
    scored = {"skill", "spectrum", "reliability", "rank_histogram", "heatwave_skill", "innovations", "consistency"}
    assert fields | scored == set(plot.KINDS)
    assert isinstance(plot.KINDS["skill"](scores), matplotlib.figure.Figure)
    assert isinstance(plot.KINDS["map"](ocean["zos"].isel(time=0)), matplotlib.figure.Figure)


def test_importing_the_room_loads_neither_matplotlib_nor_xarray():
    code = "import sys, oceanx.plot; print(sorted({'matplotlib', 'xarray', 'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_warns_of_nothing_and_needs_no_torch(tmp_path):
    code = (
        "import sys, numpy as np, xarray as xr, oceanx.plot as plot\n"
        "at = {'latitude': np.arange(40.0, 45), 'longitude': np.arange(-20.0, -12)}\n"
        "sst = xr.DataArray(np.eye(5, 8), at, ('latitude', 'longitude'), 'sst')\n"
        "plot.map(sst).savefig(sys.argv[1])\n"
        "assert 'torch' not in sys.modules\n"
    )
    target = tmp_path / "map.png"
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(target)], check=True)
    assert target.read_bytes().startswith(b"\x89PNG")
