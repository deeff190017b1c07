"""The labels of a Dataset of background errors: names, units and dimensions of spread, lengths and samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.names import VARIABLES

from ..model import Model
from .error_moments import ErrorMoments

STD, LENGTH, HEIGHT, SAMPLE, RESIDUAL = "_std", "_length", "_height", "_sample", "_residual"


def statistics(name: str, moment: ErrorMoments, channels: Channels) -> dict[str, xr.DataArray]:
    row = VARIABLES.get(name)
    what, units = (row.long_name, row.units) if row else (name, "1")
    standard = {"standard_name": f"{row.standard_name} standard_error"} if row and row.standard_name else {}
    of = f"errors of the background: {what}"
    spread = np.where(moment.wet, moment.spread(), np.nan).astype(np.float32)
    attrs = {"long_name": f"Spread of {of}", "units": units, **standard}
    dims = space(name, channels)
    found = {
        name + STD: xr.DataArray(spread if name in channels.volume else spread[0], dims=dims, attrs=attrs),
        name + LENGTH: _number(moment.length() / 1000, f"Horizontal Daley length of {of}", "km"),
    }
    if name in channels.volume and len(channels.depth) > 1:
        found[name + HEIGHT] = _number(moment.height(), f"Vertical Daley length of {of}", "m")
    return found


def _number(value: float, long_name: str, units: str) -> xr.DataArray:
    return xr.DataArray(value, attrs={"long_name": long_name, "units": units})


def several(
    name: str, dim: str, fields: Sequence[np.ndarray], dates: np.ndarray, channels: Channels, wet: np.ndarray
) -> xr.DataArray:
    """Fields along a dimension of their own, with the dates on which they are valid; NaN on land."""
    values = np.where(wet, np.stack(fields), np.float32(np.nan))
    row = VARIABLES.get(name)
    attrs = {"long_name": f"Error of the background: {row.long_name if row else name}"}
    attrs["units"] = row.units if row else "1"
    when = xr.Variable(dim, dates, {"long_name": "Date on which the difference is valid"})
    dims = (dim, *space(name, channels))
    return xr.DataArray(values if name in channels.volume else values[:, 0], {f"{dim}_time": when}, dims, attrs=attrs)


def space(name: str, channels: Channels) -> tuple[str, ...]:
    return (("depth",) if name in channels.volume else ()) + ("latitude", "longitude")


def provenance(model: Model, ds: xr.Dataset, dates: np.ndarray) -> dict[str, str]:
    period = "/".join(str(np.datetime_as_string(date, "D")) for date in dates[[0, -1]])
    return {
        "Conventions": "CF-1.11",
        "title": f"Errors of a background by {model.name}",
        "oceanx_model": model.name,
        "oceanx_period": period,
        "oceanx_data": str(ds.attrs.get("oceanx_fingerprint", "unknown")),
    }
