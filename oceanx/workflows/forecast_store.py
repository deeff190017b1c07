"""A forecast store on disk: created whole, filled start date by start date, named when it is complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from oceanx.ocean import labels

from .growing_store import CHUNK, GrowingStore, together_in


class ForecastStore(GrowingStore):
    """A Zarr store of forecasts under construction: one position is one start date."""

    dim = "init_time"
    what = ("forecast", "other dates, leads, model or data")

    def chunks(self, variable: xr.Variable, together: int) -> tuple[int, ...]:
        """Leads, then start dates, share a chunk up to its size."""
        one = int(np.prod(variable.shape[2:])) * 4
        leads = max(1, min(variable.shape[1], CHUNK // one))
        starts = together_in(CHUNK, leads * one, together)
        return (min(starts, variable.shape[0]), leads, *variable.shape[2:])

    def read(self, path: Path) -> xr.Dataset:
        """The finished store, checked."""
        return labels.open_forecast(path)
