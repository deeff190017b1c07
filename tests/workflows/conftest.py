"""A small config and a small ocean for every workflow."""

from __future__ import annotations

import pytest
import toy_dataset
import xarray as xr

from oceanx.workflows.train_config import TrainConfig, preset


@pytest.fixture(scope="session")
def ocean() -> xr.Dataset:
    """500 toy days from January 2001."""
    return toy_dataset.ocean(500, start="2001-01-01")


@pytest.fixture
def small() -> TrainConfig:
    """A hybrid that trains in a second on the toy ocean."""
    return preset(
        "hybrid_small",
        **{
            "task.prognostic.depth": list(toy_dataset.DEPTH),
            "task.forcing.surface": ["u10", "t2m"],
            "model.net.widths": [8, 16],
            "model.substeps": 1,
            "train": ["2001-01-01", "2002-03-31"],
            "iterations": [5, 3],
            "batch_size": [4, 2],
            "checkpoint_every": 2,
        },
    )


@pytest.fixture
def tiny(small: TrainConfig) -> TrainConfig:
    """An emulator that trains in less than a second."""
    net = {"kind": "unet", "widths": [4, 8], "groups": 2}
    changes = {"model": {"kind": "emulator", "net": net}, "checkpoint_every": 2}
    return TrainConfig.parse(small.dump() | changes)
