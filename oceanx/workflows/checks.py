"""check_step: what every model of oceanx promises, held against one model on one ocean."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import xarray as xr

from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError, unknown

from .check_subject import subject_of
from .model import Model
from .promises import PROMISES, BrokenError, NotHeldError

KEPT = "kept"


def check_step(
    model: str | Path | Config | Model,
    ds: xr.Dataset | None = None,
    *,
    task: Task | None = None,
    only: tuple[str, ...] | None = None,
    turns_by: int | None = None,
    days: int = 30,
    compiled: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """A table by promise: its `outcome` (kept, not promised, not checked) and what was `found`.

    ========== ===========================================================================================
    names      a step keeps variables, shapes, types and units
    land       what is 0 on land stays 0 there
    gradients  a finite gradient reaches every weight
    bounded    untrained, the sea stays in sight of the ocean's own range for 30 days
    skeleton   untrained, the networks say exactly nothing; what remains is what the model says it is
    batch      two start dates together are the same as each alone
    longitude  where the globe is turned, so is the forecast
    saved      weights written and read again give the same numbers
    compiled   `torch.compile` gives the same numbers
    ========== ===========================================================================================

    A model tells what it is without its networks by a method `skeleton(state, forcing) -> State`; without one, it is
    held against itself with its networks silenced. It tells by how many columns it may be turned by an attribute
    `turns_by`, its networks likewise.

    Parameters
    ----------
    model
        The name of a preset, a config of `ox.preset`, a run folder, the Config of a model (with a `task`), or a Model.
        Of a Model alone it is not known how it is built: it is not turned, nor held against its skeleton.
    ds
        Days of an ocean with everything the Task names; by default a small one is made up.
    task
        What a model is to forecast whose Config is given alone.
    only
        These promises alone.
    turns_by
        Columns, in place of what the model says of itself.
    days
        How long it must stay bounded.
    compiled
        Also compile it, which takes up to minutes.

    Raises
    ------
    InputError
        For promises that are broken, a line each: the promise, the variable and the numbers.

    Examples
    --------
    >>> from oceanx.workflows.checks import check_step
    >>> check_step("emulator_small").outcome["land"]                                 # doctest: +SKIP
    'kept'
    """
    for promise in only or ():
        if promise not in PROMISES:
            raise unknown("promise", promise, PROMISES)
    subject = subject_of(model, ds, task, seed)
    rows, broken = {}, []
    for promise, holds in PROMISES.items():
        if promise not in (only or PROMISES) or (promise == "compiled" and not (compiled or only)):
            continue
        try:
            rows[promise] = (KEPT, holds(subject, turns_by=turns_by, days=days))
        except NotHeldError as why:
            rows[promise] = (why.outcome, str(why))
        except BrokenError as what:
            broken.append(f"{promise}: {what}")
            if promise == "names":  # nothing else can be told of such a step
                break
    if broken:
        count = "a promise" if len(broken) == 1 else f"{len(broken)} promises"
        raise InputError("\n".join([f"{subject.model.name} breaks {count}", *broken]))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["outcome", "found"]).rename_axis("promise")
