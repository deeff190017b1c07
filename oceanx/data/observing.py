"""Observe: sample an ocean with simulated networks, into a table or into a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..ocean.interpolation import When
from ..ocean.observations import concatenate
from ..ocean.observing.networks import Words, networks
from ..ocean.observing.observe import observed, prepared
from ..vocabulary.errors import InputError
from ..vocabulary.files import refuse_existing
from ..vocabulary.progress import Progress
from . import axis as axes
from .shelf.stores import open_store
from .writing import tables


def observe(
    truth: xr.Dataset,
    network: Words = "argo+sst+nadir3",
    *,
    time: slice | str | None = None,
    seed: int = 0,
    errors: float | Mapping[str, Any] | None = None,
    between: When = "day",
    middle: str = "12h",
    to: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> xr.Dataset:
    """The table (obs) of what simulated networks read in an ocean, y = H x + e; lazy if it is written to a store.

    H is the observation operator of `oceanx.ocean.interpolation`, e is drawn from N(0, σ²) with the σ stated as
    `error_std`: the instrument's error alone. What a grid cannot resolve (`representation`) is not drawn, for a truth
    that is finer than the model brings it along; it is told in the attributes. An error of 0 gives H x itself, with an
    `error_std` of 1e-6.

    Every random number is a function of seed, network, platform, day and datum: a month observed alone is the same as
    that month of a year, whatever other networks are asked for, and in whatever order.

    Parameters
    ----------
    truth
        Dataset with `time`: a store, an analysis. Without a `mask`, what is wet is where the first field has values.
    network
        Presets joined by "+" ("sst", "swath", "nadir1", "nadir3", "jason", "sentinel3", "saral", "argo", "mooring"),
        a mapping such as `{"kind": "cells", "number": 22, "error": 0.3}`, several by name, a list, or a YAML.
    time
        Dates to observe, `slice("2004-01", "2004-06")` or "2004-01:2004-06"; by default all there are.
    errors
        σ instead of the stated ones: one for all, or by the name of a network or of a variable.
    between
        How moments are matched with fields: "day" for daily means, which speak for all of theirs; "linear" or
        "nearest" between fields that stand `middle` after their stamps.
    to
        A store to write, in bounded memory, instead of a table in memory; refused if it exists, unless `overwrite`.
    **settings
        Of networks, dotted: `**{"sst.cloud": 0.8, "nadir3.interval": 7}`.

    Raises
    ------
    InputError
        For an unknown network, setting or variable, a negative error, a truth without time, or dates outside it.

    Examples
    --------
    >>> obs = ox.observe(truth, "argo+sst+nadir3", time="2004", seed=1)     # doctest: +SKIP
    """
    truth = prepared(truth)
    found = networks(network, map(str, truth.data_vars), errors, settings)
    days = _days(truth["time"].values, time)
    parts = observed(truth, found, days, seed=seed, between=between, middle=middle, progress=progress)
    if to is None:
        return concatenate(list(parts))
    target = refuse_existing(os.fspath(to), overwrite=overwrite)
    told = f"observe {'+'.join(n.name for n in found)} in {truth.attrs.get('title', 'a Dataset')}, seed {seed}"
    tables.write(parts, target, overwrite=overwrite, done=told)
    return open_store(target)


def _days(stamps: np.ndarray, time: slice | str | None) -> np.ndarray:
    """The days to observe, which the truth must have."""
    first, last = axes.span(time)
    held = f"the truth has {axes.day(stamps[0])} to {axes.day(stamps[-1])}"
    found = np.unique(axes.within(stamps, (first, last)).astype("datetime64[D]"))
    day = np.timedelta64(1, "D")
    early = first is not None and first < stamps[0].astype("datetime64[D]")
    late = last is not None and last >= stamps[-1].astype("datetime64[D]") + day
    if early or late or not found.size:
        raise InputError(f"time: {time}: {held}; choose days that it has")
    return found
