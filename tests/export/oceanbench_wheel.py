"""OceanBench's own scores of one export against another, in an interpreter that has the package; printed as JSON.

`python oceanbench_wheel.py challenger.py reference.py`. What it would fetch from the network is put in its place: the
reference is the second file, and all the sea is sea.
"""

from __future__ import annotations

import json
import runpy
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import oceanbench.metrics
import xarray as xr
from oceanbench.core import metrics
from oceanbench.core.ocean_mask import OCEAN_MASK_DEPTHS
from oceanbench.core.resolution import get_dataset_resolution


def dataset(script: str) -> xr.Dataset:
    """What the file of a challenger defines."""
    return runpy.run_path(script)["challenger_dataset"]


def main(challenger: xr.Dataset, reference: xr.Dataset) -> dict[str, Any]:
    """Every gridded score, by the label of its row: the lead days, and the missing fraction."""
    space = {"latitude": challenger.latitude.values, "longitude": challenger.longitude.values}
    everywhere = np.ones((len(OCEAN_MASK_DEPTHS), *(axis.size for axis in space.values())), bool)
    sea = xr.DataArray(everywhere, {"depth": OCEAN_MASK_DEPTHS, **space}, ("depth", *space))
    metrics.ocean_mask = lambda: sea
    metrics.glorys_reanalysis_dataset = lambda _: reference
    scores = {}
    for kind in ("variables", "mixed_layer_depth", "geostrophic_currents"):
        table = getattr(oceanbench.metrics, f"rmsd_of_{kind}_compared_to_glorys_reanalysis")(challenger)
        scores |= {label: list(map(float, row)) for label, row in zip(table.index, table.values, strict=True)}
    return {"version": version("oceanbench"), "resolution": get_dataset_resolution(challenger), "scores": scores}


if __name__ == "__main__":
    print(json.dumps(main(dataset(sys.argv[1]), dataset(sys.argv[2]))))
