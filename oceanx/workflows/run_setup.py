"""Setting up a run folder: the training period, and what is computed from it once."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from oceanx import seam
from oceanx.data.writing import statistics as stored
from oceanx.ocean import climatology as climatologies
from oceanx.ocean import grid
from oceanx.ocean.statistics import statistics
from oceanx.vocabulary import files
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from .batching import GlobalBatches, small, valid_windows
from .learner import refuse_unknown_names
from .model import refuse_without_time
from .processes import Processes
from .runs import Run, build, described
from .train_config import Schedule, TrainConfig

# Keys that decide how a run is computed, kept and told, not what it learns (but for rounding): they may change midway.
_FREE = (
    "checkpoint_every", "workers", "keep", "log", "validation", "explodes", "accumulate", "recompute", "sharding",
    "compile", "deterministic",
)  # fmt: skip
_LATER = ("trains", "loss", "prior", "precision")


def training_data(ds: xr.Dataset, config: TrainConfig) -> xr.Dataset:
    """What training needs of a Dataset, over the config's period; read into memory where it is small.

    Climatology, statistics and windows then share one reading. `InputError` if the Dataset does not hold it all.
    """
    task = config.task
    for channels in (task.prognostic, task.forcing):
        seam.select(ds, channels)
    if config.train is not None:
        ds = period(ds, *config.train, what="train")
    return needed_of(ds, config)


def needed_of(ds: xr.Dataset, config: TrainConfig) -> xr.Dataset:
    """The variables and levels of a config's task, with the mask; in memory where they are small."""
    task = config.task
    ds = ds[list(task.names)].assign_coords({name: ds[name] for name in ("mask",) if name in ds.coords})
    if "depth" in ds.dims and task.prognostic.volume and not task.forcing.volume:
        ds = ds.isel(depth=seam.levels(ds, task.prognostic.depth))
    return ds.compute() if small(ds.nbytes) and not config.workers else ds


def period(ds: xr.Dataset, first: str | None, last: str | None, what: str) -> xr.Dataset:
    """The Dataset from one date to another, whole years or months meant; `InputError` if it does not reach that far."""
    refuse_without_time(ds)
    have = pd.DatetimeIndex(ds.time.values)
    try:
        begin = have[0] if first is None else pd.Period(first).start_time
        end = have[-1] if last is None else pd.Period(last).end_time
    except ValueError as error:
        raise InputError(f"{what}: {error}; expected dates such as 1993 or 1993-01-31") from None
    if begin > end:
        raise InputError(f"{what}: {first} lies after {last}; write first:last")
    # Stamps may stand anywhere within their day or month, so less than a step too far is not too far.
    step = have[1] - have[0] if len(have) > 1 else pd.Timedelta("1D")
    if begin <= have[0] - step or end >= have[-1] + step:
        raise InputError(
            f"{what}: {begin.date()} to {end.date()} is not all in the Dataset, which has {have[0]} to {have[-1]}"
        )
    return ds.sel(time=slice(begin, end))


def refuse_at_once(
    config: TrainConfig, ds: xr.Dataset, to: str | Path, processes: int, *, resume: bool, overwrite: bool
) -> None:
    """Raise `InputError` for what labels and names alone can tell: nothing is read yet, nothing written."""
    if not (resume and Path(to).exists()):
        Path(to).absolute().parent.mkdir(parents=True, exist_ok=True)  # runs stand together in a folder, as runs/first
        files.refuse_existing(to, overwrite=overwrite)
    if config.sharding == "full" and torch.__version__ < "2.7":
        raise InputError(f"sharding: full needs PyTorch 2.7 or later, this is {torch.__version__}; leave it out")
    for channels in (config.task.prognostic, config.task.forcing):
        seam.select(ds, channels)
    _refuse_all_land(ds, config)
    if config.validation:
        steps = round(pd.Timedelta(config.validation.lead) / pd.Timedelta(config.task.step))
        valid_windows(period(ds, *config.validation.period, what="validation"), config.task, steps)
    first, last = config.train or (None, None)
    ds = period(ds, first, last, what="train")
    for stage in config.stages:
        windows = len(valid_windows(ds, config.task, stage.rollout))
        GlobalBatches(windows, stage.batch_size, ranks=processes)
        if stage.batch_size // processes % config.accumulate:
            raise InputError(
                f"accumulate: {stage.batch_size // processes} windows of each process cannot be computed in "
                f"{config.accumulate} equal parts; choose a divisor"
            )


def prepare(
    config: TrainConfig,
    ds: xr.Dataset,
    to: str | Path,
    here: Processes,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Run:
    """The run folder, new or (with `resume`) found to be of this config and this data. Rank 0 does it."""
    run = Run(to)

    def make() -> None:
        if run.exists() and resume:
            _check_same(run, config, ds)
        else:
            _create(run, config, ds, overwrite=overwrite, progress=progress)

    here.first_alone(make)
    return run


def former(run: Run) -> Run:
    """Where a trained run that is to be replaced waits until the new one is trained."""
    return run.with_name(run.name + ".former")


def fingerprint(config: Schedule) -> str:
    """A hash of everything in a config that decides the result."""
    return hashlib.sha256(json.dumps(_deciding(config), sort_keys=True).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of what computes."""
    return {name: version(name) for name in ("oceanx", "torch")}


def content_of(ds: xr.Dataset) -> dict[str, str]:
    """Hashes of what every process must see alike: labels, and the values of the first and the last day."""
    seen = {str(name): [ds[name].values] for name in ds.coords}
    seen |= {str(name): [field.isel(time=day).values for day in (0, -1)] for name, field in ds.data_vars.items()}
    hashes = {name: hashlib.sha256(b"".join(map(_bytes, values))) for name, values in seen.items()}
    known = {f"data ({name})": digest.hexdigest()[:16] for name, digest in hashes.items()}
    return {"data": str(ds.attrs.get("oceanx_fingerprint", ""))} | known


def _bytes(values: np.ndarray) -> bytes:
    # Words are objects, of which the array holds but the addresses.
    return repr(values.tolist()).encode() if values.dtype == object else values.tobytes()


def _refuse_all_land(ds: xr.Dataset, config: TrainConfig) -> None:
    if not bool(seam.grid_of(ds, config.task.prognostic).mask.any()):
        raise InputError("mask: no cell of the task's levels is wet; choose another region, or bake with a right mask")


def _create(run: Run, config: TrainConfig, ds: xr.Dataset, *, overwrite: bool, progress: Progress | None) -> None:
    with files.replacing(run, overwrite=overwrite) as path:
        building = Run(path)
        building.mkdir()
        config.save(building / "config.yaml")
        building.save_dataset("grid", seam.grid_of(ds, config.task.prognostic))
        scales = _describe(building, config, ds, progress)
        building.save_dataset("statistics", scales)
        building.note(**versions(), config=fingerprint(config), **_origin(ds), iteration=0, finished=False)
        # A model that cannot be built, or has no such parts, leaves nothing behind.
        refuse_unknown_names(build(config, *described(building)), config)
        if (run / "weights.safetensors").exists():
            files.publish(run, former(run))


def _describe(run: Run, config: TrainConfig, ds: xr.Dataset, progress: Progress | None) -> xr.Dataset:
    """Write the climatology if the task wants it; the statistics of all the network reads."""
    parts = []
    fitted = None
    for i, channels in enumerate((config.task.prognostic, config.task.forcing)):
        if progress:
            progress("climatology and statistics", i, 2)
        if not channels.names:
            continue
        mask = seam.grid_of(ds, channels).mask
        chosen = seam.select(ds, channels).assign_coords(mask=mask)
        seasonal = climatologies.climatology(chosen, config.harmonics) if config.task.anomalies else None
        names = list(channels.names)
        kept = None if seasonal is not None else stored.known(chosen, names)
        parts.append(statistics(chosen, climatology=seasonal, names=names) if kept is None else kept)
        if seasonal is not None:
            parts.append(_of_climatology(seasonal, mask, channels))
            fitted = (
                seasonal
                if fitted is None
                else xr.merge([fitted, seasonal], compat="override", combine_attrs="override")
            )
    if fitted is not None:
        run.save_dataset("climatology", fitted)
    if progress:
        progress("climatology and statistics", 2, 2)
    # Prognostic and forcing variables may stand at different levels.
    for i, part in enumerate(parts):
        parts[i] = part.rename(depth=f"depth_{i}") if "depth" in part.dims else part
    return xr.merge(parts, compat="override", combine_attrs="override")


def _of_climatology(seasonal: xr.Dataset, mask: xr.DataArray, channels: Channels) -> xr.Dataset:
    """Statistics of the climatology itself, over the days of one year."""
    days = pd.date_range("2001-01-01", "2001-12-31", freq="5D").values
    yearly = climatologies.at(seasonal[list(channels.names)], days).assign_coords(mask=mask)
    yearly = yearly.rename({name: name + CLIMATOLOGY for name in channels.names})
    return statistics(yearly, names=[name + CLIMATOLOGY for name in channels.names])


def _check_same(run: Run, config: TrainConfig, ds: xr.Dataset) -> None:
    """`InputError` unless the run was started with this config, on this data."""
    if not (run / "config.yaml").exists():
        raise InputError(f"{run}: is not a run folder, so there is nothing to go on with; train into another one")
    known, wanted = _deciding(run.config), _deciding(config)
    for key in wanted:
        if known.get(key) != wanted[key]:
            raise InputError(
                f"{run}: was started with {key}={known.get(key)!r}, now {wanted[key]!r}; go on with the same config, "
                "or train into another folder"
            )
    for key, now in _origin(ds).items():
        if run.about.get(key) != now:
            raise InputError(f"{run}: was started on {key} {run.about.get(key)}, now {now}; go on with the same store")
    _refuse_another_grid(run, seam.grid_of(ds, config.task.prognostic))


def _refuse_another_grid(run: Run, now: xr.Dataset) -> None:
    """`InputError` unless the run was started on this grid: a store's cut-outs have its fingerprint too."""
    begun = run.dataset("grid")
    if begun is None:
        raise InputError(f"{run}: grid.nc is missing; the run folder is not complete, train again")
    try:
        grid.same_grid(begun, now)
    except InputError as error:
        raise InputError(f"{run}: was started on another grid, {error}, or train into another folder") from None
    apart = int((begun.mask.values != now.mask.values).sum())
    if apart:
        raise InputError(
            f"{run}: was started with another mask, {apart} cells differ; go on with the same store, or train into "
            "another folder"
        )


def _origin(ds: xr.Dataset) -> dict[str, str]:
    """Which data a run is trained on."""
    first, last = (str(pd.Timestamp(ds.time.values[i]).date()) for i in (0, -1))
    return {"data": str(ds.attrs.get("oceanx_fingerprint", "unknown")), "period": f"{first} to {last}"}


def _deciding(config: Schedule) -> dict[str, object]:
    """What decides the result. A key that came later than the first runs counts only where it says something."""
    made, fields = type(config).model_construct, type(config).model_fields
    plain = {key: fields[key].get_default(call_default_factory=True) for key in _LATER if key in fields}
    later = {key: made(**{key: value}).dump()[key] for key, value in plain.items()}
    found = {key: value for key, value in config.dump().items() if key not in _FREE}
    return {key: value for key, value in found.items() if key not in later or value != later[key]}
