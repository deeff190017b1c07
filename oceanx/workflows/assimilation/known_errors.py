"""What a method is told of the ocean: its geometry, and how the background errs, given or found."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from oceanx import seam
from oceanx.ocean import labels
from oceanx.variational.analysis import Setting
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from ..model import Model
from .background_errors import background_errors
from .background_errors import setting as setting_of
from .beginning import outside
from .methods import MethodConfig

FEWEST = 30  # times that say how large errors are, where nobody does
RESIDUALS = 40  # errors of one step that a method learns the model's from

Errors = xr.Dataset | str | Path | slice


def known_errors(
    config: MethodConfig, errors: Errors | None, model: Model, ds: xr.Dataset, grid: xr.Dataset, task: Task,
    times: np.ndarray, progress: Progress | None,
) -> tuple[Setting, str]:  # fmt: skip
    """What a method may know of the ocean and of the background's errors in it, and a hash of these.

    Parameters
    ----------
    errors
        As `assimilate` takes them.
    times
        Of the analyses.

    Raises
    ------
    InputError
        For a file that is not there, errors of other variables or another grid, or too few times to find them in.
    """
    if not getattr(config, "needs_errors", True):
        return Setting(task.prognostic, seam.geometry(grid), spread={}, length={}, height={}), "none"
    named = replace(model, task=task)  # a reference takes on any Dataset's
    if errors is None or isinstance(errors, slice):
        within = ds.sel(time=errors) if isinstance(errors, slice) else _earlier(ds, times)
        errors = background_errors(
            named, within, residuals=RESIDUALS if _asks_for_residuals(config) else 0, progress=progress
        )
    elif not isinstance(errors, xr.Dataset):
        if not Path(errors).exists():
            raise InputError(f"errors: {errors}: no such file; make one with background-errors, or give a period")
        errors = labels.opened(errors)
    setting = setting_of(named, errors)
    if dict(setting.channels) != dict(task.prognostic):
        raise InputError(
            f"errors: of {list(setting.channels.names)} at {list(setting.channels.depth)} m; expected those of "
            f"{list(task.prognostic.names)} at {list(task.prognostic.depth)} m"
        )
    return setting, hashed(errors)


def _earlier(ds: xr.Dataset, times: np.ndarray) -> xr.Dataset:
    """What there is before the first analysis; an `InputError` where that says nothing of errors."""
    before = outside(ds, times[0], ds.time.values[-1])
    if before.sizes["time"] < FEWEST:
        raise InputError(
            f"errors: the background has {before.sizes['time']} times before {times[0]} to find its errors "
            f"in, fewer than {FEWEST}; give errors= (--errors), of background_errors or a period of the background"
        )
    return before


def _asks_for_residuals(config: MethodConfig) -> bool:
    """Whether a method wants to know what one step of the model leaves unexplained."""
    inflation = getattr(config, "inflation", None)
    return getattr(config, "kind", "") == "kalman" or bool(getattr(inflation, "additive", 0))


def hashed(ds: xr.Dataset) -> str:
    """A hash of the numbers of a Dataset."""
    digest = hashlib.sha256()
    for name in sorted(map(str, ds.data_vars)):
        digest.update(name.encode() + np.ascontiguousarray(ds[name].values).tobytes())
    return digest.hexdigest()[:32]
