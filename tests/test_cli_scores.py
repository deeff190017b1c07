"""`oceanx score` says what `ox.score` says, with every option; what is wrong is one line and leaves no file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from command_line import Oceanx

import oceanx as ox

STARTS = [f"2002-02-{day:02d}" for day in range(1, 28, 3)]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ocean of two variables, persistence of it under another name, limits by day, and files of regions."""
    root = tmp_path_factory.mktemp("scored")
    ds = toy_dataset.ocean(430, start="2001-01-01")[["thetao", "zos"]]
    ds.to_zarr(root / "ocean.zarr", consolidated=False)
    fc = ox.forecast(ox.persistence(), ds, STARTS, "3D").assign_attrs(oceanx_model="mine")
    fc.drop_encoding().to_zarr(root / "fc.zarr", consolidated=False)
    limits = ox.heatwaves.threshold(ds["zos"].sel(time="2001"), baseline=(2001, 2001))
    limits.to_netcdf(root / "limits.nc")
    bounds = {"minimum_latitude": 30, "maximum_latitude": 32, "minimum_longitude": -20, "maximum_longitude": -16}
    (root / "box.json").write_text(json.dumps({"id": "south", "display_name": "The South", "bounds": bounds}))
    ring = [[-21, 29], [-15.8, 29], [-15.8, 32], [-21, 32], [-21, 29]]
    (root / "ring.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    (root / "cut.json").write_text('{"id"')
    return root


def test_references_stand_beside(oceanx: Oceanx, shelf: Path, tmp_path: Path) -> None:
    to = tmp_path / "scores.nc"
    code, out, err = oceanx("score", shelf / "fc.zarr", "--truth", shelf / "ocean.zarr", "--to", to)
    assert code == 0, err
    assert "damped_persistence left out: no climatology was given" in out
    with xr.open_dataset(to, decode_timedelta=True) as found:
        assert found["model"].values.tolist() == ["mine", "persistence"]
        a, b = (found["thetao_rmse"].sel(model=name) for name in found["model"].values)
        np.testing.assert_allclose(a, b, rtol=1e-6)
    code, _, err = oceanx(
        "score", shelf / "fc.zarr", "--truth", shelf / "ocean.zarr", "--to", to, "--no-references", "--overwrite"
    )
    assert code == 0, err
    with xr.open_dataset(to, decode_timedelta=True) as found:
        assert found["model"].values.tolist() == ["mine"]


OPTIONS = {
    ("--train", "2001:2001", "--metrics", "rmse,acc", "--by", "season"): lambda ds, root: {
        "train": ds.sel(time="2001"), "metrics": ["rmse", "acc"], "by": ["season"],
    },
    ("--variables", "zos", "--metrics", "csi,brier", "--threshold", "LIMITS", "--side", "below"): lambda ds, root: {
        "variables": ["zos"], "metrics": ["csi", "brier"], "side": "below",
        "threshold": xr.open_dataset(root / "limits.nc"),
    },
    ("--variables", "zos", "--metrics", "base_rate", "--threshold", "0.12"): lambda ds, root: {
        "variables": ["zos"], "metrics": ["base_rate"], "threshold": 0.12,
    },
    ("--confidence", "0.9", "--compare", "persistence", "--depth-bands", "0:50,50:100"): lambda ds, root: {
        "confidence": 0.9, "compare": "persistence", "depth_bands": [(0, 50), (50, 100)],
    },
    ("--derived", "heat_content_0_90", "--regions", "RING"): lambda ds, root: {
        "derived": ["heat_content_0_90"],
        "regions": {"ring": [(-21, 29), (-15.8, 29), (-15.8, 32), (-21, 32)]},
    },
    ("--regions", "BOX"): lambda ds, root: {"regions": {"south": json.loads((root / "box.json").read_text())}},
    ("--regions", "northern_extratropics"): lambda ds, root: {"regions": ["northern_extratropics"]},
}  # fmt: skip


@pytest.mark.parametrize("words", list(OPTIONS), ids=lambda words: words[0])
def test_options_mean_what_they_mean_in_python(
    words: tuple[str, ...], oceanx: Oceanx, shelf: Path, tmp_path: Path
) -> None:
    places = {"LIMITS": shelf / "limits.nc", "RING": shelf / "ring.geojson", "BOX": shelf / "box.json"}
    given = [places.get(word, word) for word in words]
    to = tmp_path / "scores.nc"
    code, _, err = oceanx("score", shelf / "fc.zarr", "--truth", shelf / "ocean.zarr", "--to", to, *given)
    assert code == 0, err
    ds = ox.open(shelf / "ocean.zarr")
    expected = ox.score(ox.open(shelf / "fc.zarr"), ds, **OPTIONS[words](ds, shelf))
    with xr.open_dataset(to, decode_timedelta=True) as found:
        xr.testing.assert_allclose(found.load(), expected)


def test_training_on_the_test_is_warned_of_in_a_line(oceanx: Oceanx, shelf: Path, tmp_path: Path) -> None:
    to = tmp_path / "scores.nc"
    given = ("--train", "2001-01:2002-02", "--variables", "zos")
    code, _, err = oceanx("score", shelf / "fc.zarr", "--truth", shelf / "ocean.zarr", "--to", to, *given)
    assert code == 0
    (said,) = [line for line in err.splitlines() if "has seen the test" in line]
    assert said.startswith("warning: climatology: was made from 2001-01-01 to 2002-02-28, which includes 27 of the 27")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--threshold", "nothing.zarr"), "--threshold nothing.zarr: is neither a number nor a store"),
        (("--depth-bands", "0:50:70"), "--depth-bands '0:50:70': expected 2 numbers"),
        (("--regions", "cut.json"), "--regions cut.json: cannot be read as JSON"),
        (("--regions", "atlantis"), "unknown region 'atlantis'"),
        (("--metrics", "csi"), "csi: needs a threshold"),
        (("--metrics", "acc"), "acc: needs a climatology"),
        (("--train", "1990:1991"), "--train 1990:1991"),
        (("--confidence", "95"), "confidence: found 95"),
        (("--compare", "nobody"), "unknown model to compare with 'nobody'"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[str, str], message: str, oceanx: Oceanx, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelf)
    to = tmp_path / "scores.nc"
    code, _, err = oceanx("score", "fc.zarr", "--truth", "ocean.zarr", "--to", to, *words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
