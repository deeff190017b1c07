"""A folder with what the command line takes: an ocean, raw files, a config, a trained run, a forecast, its scores."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import netCDF4
import numpy as np
import toy_dataset

import oceanx as ox
from oceanx.workflows.train_config import preset

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
CONFIG = {
    "task.prognostic.depth": list(toy_dataset.DEPTH),
    "task.forcing.surface": ["u10", "t2m"],
    "model.net.widths": [8, 16],
    "model.substeps": 1,
    "rollout": [1],
    "iterations": [3],
    "batch_size": [2],
    "train": ["2001-01-01", "2002-01-31"],
}


def everything_below(folder: Path) -> dict[str, str]:
    """Every path below a folder, with a hash of what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        held = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
        found[str(path.relative_to(folder))] = held
    return found


def write_sst(path: Path, first: str, days: int = 3, *, units: str = "degree_C", name: str = "sst") -> None:
    """Some daily maps of sea surface temperature, in a plain CF file."""
    with netCDF4.Dataset(path, "w") as nc:
        for dim, values, unit in (
            ("time", np.arange(days), f"days since {first}"),
            ("lat", np.arange(30.0, 34.0), "degrees_north"),
            ("lon", np.arange(-20.0, -15.0), "degrees_east"),
        ):
            nc.createDimension(dim, len(values))
            axis = nc.createVariable(dim, "f8", (dim,))
            axis.units = unit
            axis[:] = values
        field = nc.createVariable(name, "f4", ("time", "lat", "lon"), zlib=True, fill_value=np.float32(-999))
        field.units = units
        field.standard_name = {"sst": "sea_surface_temperature"}.get(name, name)
        field[:] = 15 + np.random.default_rng(0).random((days, 4, 5))


def fill(root: Path) -> None:
    """Put all that is right into a folder."""
    toy_dataset.ocean(480, start="2001-01-01").drop_encoding().to_zarr(root / "ocean.zarr", consolidated=False)
    ds = ox.open(root / "ocean.zarr")
    config = preset("hybrid_small", **CONFIG)
    config.save(root / "small.yaml")
    (root / "runs").mkdir()
    ox.train(config, ds, root / "runs" / "hybrid")
    fc = ox.forecast(ox.persistence(), ds, ["2001-03-01", "2001-03-03"], "3D", to=root / "fc.zarr")
    ox.score({"persistence": fc}, ds).to_netcdf(root / "scores.nc")
    (root / "raw").mkdir()
    write_sst(root / "raw" / "sst_1.nc", "2001-01-01")
    write_sst(root / "raw" / "sst_2.nc", "2001-01-04")
