"""The forecast Dataset without its numbers: every label, attribute and coordinate, nothing computed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import dask.array
import numpy as np
import xarray as xr

from oceanx import seam
from oceanx.ocean import labels
from oceanx.vocabulary.channels import PARENT, Task

from .model import Model
from .stepping import Atmosphere


def template(
    model: Model,
    ds: xr.Dataset,
    task: Task,
    starts: np.ndarray,
    leads: np.ndarray,
    members: int | None,
    air: Atmosphere,
    grid: xr.Dataset,
    further: Mapping[str, str],
) -> xr.Dataset:
    """Variables `(member, init_time, lead_time, depth, latitude, longitude)` of nothing yet.

    Parameters
    ----------
    members
        How many, or None for a forecast without the dimension.
    further
        Attributes that the whole carries besides those of its making.
    """
    chosen = seam.select(ds, task.prognostic)
    several = {} if members is None else {"member": np.arange(members)}
    coords = {**several, "init_time": starts, "lead_time": leads}
    variables = {}
    for name in task.prognostic.names:
        space = tuple(dim for dim in chosen[name].dims if dim != "time")
        shape = (*(len(values) for values in coords.values()), *(chosen.sizes[dim] for dim in space))
        one = (*(1 for _ in several), 1, *shape[len(several) + 1 :])
        empty = dask.array.full(shape, np.nan, dtype="float32", chunks=one)
        attrs = {k: v for k, v in chosen[name].attrs.items() if k != "cell_methods"}
        variables[name] = ((*coords, *space), empty, attrs)
    attrs = {**_attrs(model, ds, task, air), **model.attrs, **further}
    return labels.label(xr.Dataset(variables, coords={**coords, **grid.coords}), attrs=attrs)


def _attrs(model: Model, ds: xr.Dataset, task: Task, air: Atmosphere) -> dict[str, str]:
    told = {"oceanx_forcing": air.said, **air.attrs} if task.forcing.names else {}
    if any(name.endswith(PARENT) for name in task.forcing.names):
        told["oceanx_parent"] = str(ds.attrs.get("oceanx_parent", "unknown"))
    what = "simulations" if "a simulation" in told.get("oceanx_forcing", "") else "forecasts"
    return {
        "title": f"Ocean {what} by {model.name}",
        "source": f"oceanx {version('oceanx')}, model {model.name}",
        "institution": str(ds.attrs.get("institution", "unknown")),
        "references": str(ds.attrs.get("references", "")),
        "oceanx_model": model.name,
        "oceanx_analysis_fingerprint": str(ds.attrs.get("oceanx_fingerprint", "unknown")),
        **told,
    }
