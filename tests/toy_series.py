"""A daily series of given values, beginning at a given date."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr


def series(values, start="1982-01-01"):
    time = pd.date_range(start, periods=len(values))
    return xr.DataArray(np.asarray(values, float), dims="time", coords={"time": time})
