"""Score: forecast + truth → labelled Dataset. The verb: `scores.score` with Models and lazy truth welcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from oceanx import scores

from .model import Model


def score(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | Model | None = None,
    metrics: Sequence[str] = ("rmse",),
    by: Sequence[Any] = (),
    **options: Any,
) -> xr.Dataset:
    """Scores by lead time and depth as a labelled Dataset: `<variable>_<metric>`, and `<variable>_missing`.

    Parameters
    ----------
    forecast
        One forecast Dataset, or a mapping of names to forecasts, which gains a `model` dimension.
    truth
        A Dataset with dimension `time` that covers every valid time.
    climatology
        What anomalies are taken from: of `ocean.climatology`, or the Model that `ox.climatology` returns.
    metrics, by, options
        As `oceanx.scores.score` takes them.

    Examples
    --------
    >>> sc = ox.score({"hybrid": fc, "persistence": ref}, truth=ds)         # doctest: +SKIP
    >>> sc.thetao_rmse.isel(depth=0).sel(model="hybrid")                     # doctest: +SKIP
    """
    fitted = climatology.climatology if isinstance(climatology, Model) else climatology
    return scores.score(forecast, truth, climatology=fitted, metrics=metrics, by=by, **options)
