"""The README's first example runs as it is printed, beside a miniature of what `make demo` makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import toy_dataset

import oceanx as ox

README = Path(__file__).parents[2] / "README.md"


def test_example_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    demo = tmp_path / "demo"
    (demo / "results").mkdir(parents=True)
    ocean = toy_dataset.ocean(700, start="2002-12-01").drop_encoding()
    ocean.drop_vars(["u10", "t2m"]).to_zarr(demo / "ocean.zarr", consolidated=False)
    ocean[["u10", "t2m"]].drop_dims("depth", errors="ignore").to_zarr(demo / "atmosphere.zarr", consolidated=False)
    config = ox.preset(
        "hybrid_small",
        **{
            "task.prognostic.depth": list(toy_dataset.DEPTH),
            "task.forcing.surface": ["u10", "t2m"],
            "model.net.widths": [8, 16],
            "train": ["2002-12-01", "2004-04-30"],
            "iterations": [3],
            "batch_size": [2],
        },
    )
    monkeypatch.chdir(tmp_path)
    ox.train(config, ox.open("demo/ocean.zarr", "demo/atmosphere.zarr"), "demo/results/hybrid")
    names: dict = {}
    exec(compile(code, str(README), "exec"), names)
    assert names["fc"].sizes["init_time"] == 10
    assert {"hybrid", "persistence", "damped_persistence", "climatology"} == set(names["sc"].model.values)
    assert (names["sc"].thetao_rmse > 0).all()
