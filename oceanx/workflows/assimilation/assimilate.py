"""Assimilate: model + observations + background → analyses, window after window, written as they are made."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import xarray as xr

from oceanx import seam
from oceanx.ocean.flags import meanings
from oceanx.ocean.observations import check
from oceanx.ocean.observing.fingerprint import fingerprint
from oceanx.ocean.observing.matching import TOPOGRAPHY, as_state
from oceanx.ocean.observing.quality import Quality, check_table
from oceanx.ocean.observing.quality import withhold as kept_back
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import read_yaml
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.progress import Progress

from ..atmosphere import WORDS, atmosphere
from ..coasts import DISAGREEMENT, fitted
from ..ensembles.members import Sea
from ..model import Model
from . import methods
from .announcements import Alarms, season
from .beginning import beginning
from .bounds import Bounds, bounded
from .cycle import Cycle, Spread
from .departures import Against
from .known_errors import Errors, hashed, known_errors
from .store import Memory, fingerprinted, finished, unfinished
from .template import means, template
from .windows import Span, spans

_log = logging.getLogger("oceanx.workflows")

KEPT = ("background", "members")


def assimilate(
    model: Model,
    obs: xr.Dataset,
    *,
    background: xr.Dataset,
    time: slice,
    method: methods.Words = "letkf",
    members: int | None = None,
    errors: Errors | None = None,
    start: str | xr.Dataset = "background",
    forcing: str = "observed",
    withhold: str | Sequence[str] = (),
    quality: str | Path | Mapping[str, Any] | Quality | None = None,
    climatology: xr.Dataset | None = None,
    representation: Mapping[str, float | xr.DataArray] | xr.Dataset | None = None,
    mean_topography: xr.DataArray | None = None,
    basins: xr.DataArray | None = None,
    spread: Spread = "at once",
    bounds: bool | Bounds = True,
    keep: Sequence[str] = (),
    seed: int = 0,
    to: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Analyses `(time, depth, latitude, longitude)` of a model and of observations, with what they say of themselves.

    Window by window: the model's states are compared with the observations, the method says what to add, and the model
    goes on from there. `ox.forecast` starts from the result as from any store; without observations it is a forecast.

    Parameters
    ----------
    model
        Of `load`, `persistence`, `damped_persistence` or `climatology`.
    obs
        A table of observations, as `open` and `observe` give it.
    background
        Dataset with the first state and the forcing. Nothing else of the period is looked at.
    time
        First and last analysis and how long a window is, `slice("2020-01-01", "2020-12-31", "1D")`. A window of several
        steps of the model has one analysis, at its beginning; all its states are stored.
    method
        A kind (`oi`, `3dvar`, `4dvar`, `kalman`, `enoi`, `etkf`, `letkf`, `hybrid`), the run folder of a learned
        analysis, a mapping of `kind` and its settings, the path of a YAML of them, or a Config.
    members
        States that an ensemble method carries.
    errors
        Of the background: a Dataset of `background_errors`, its path, or the period of `background` to find them in;
        by default what `background` has before the first analysis. A learned analysis needs none.
    start
        What the first window begins from: the `background` on that day, with members about it, or the `climatology` of
        the day, with members of the same season; or members of that day, a Dataset with `member`.
    forcing
        What the model is told of the atmosphere: `observed`, since analyses are of the past, `persisted` over each
        window, or `climatology`.
    withhold
        Platforms that are kept back, to verify with: names, or patterns such as `float_*7`.
    quality
        Settings of `oceanx.ocean.observing.quality.Quality`.
    climatology
        With `<variable>_std`, of `oceanx.ocean.observing.plausible.with_spread`: for the test of observations against
        it, which is not made without.
    representation
        By variable, the error of what the grid cannot resolve; added to that of the instrument, in squares.
    mean_topography
        What sea level anomalies are added to, for a model of `zos`. Sea level is then compared but for its mean over
        each window and each of the `basins` (codes by latitude and longitude).
    spread
        Add an increment `at once`, or `over the window`, an equal share at each of its steps.
    bounds
        No increment takes salinity below 0, temperature below freezing, or another variable beyond what is possible;
        or by variable the least and largest value; or False.
    keep
        Store `background` or `members` too.
    seed
        Of all random numbers.
    to
        Write to this Zarr store as the cycle goes on, and return it lazily. Without it all is kept in memory.
    resume
        Go on with what was interrupted, to the same bits.

    Raises
    ------
    InputError
        For a table that is none, an unknown platform, method, or setting, a background of another grid than the model's
        or without its forcing, a store of something else, a disk that cannot be written.

    Examples
    --------
    >>> an = ox.assimilate(model, obs, background=ds, time=slice("2020-01-01", "2020-12-31", "1D"))  # doctest: +SKIP
    >>> fc = ox.forecast(model, an, init_time="2020-06-01", lead="40D")                             # doctest: +SKIP

    References
    ----------
    Bloom et al. (1996), doi:10.1175/1520-0493(1996)124<1256:DAUIAU>2.0.CO;2 (increments over the window).
    """
    _refuse_unknown(spread, keep, forcing)
    check(obs)
    model.check(background)
    task = model.task_for(background)
    ds, channels = background, task.prognostic
    grid = seam.grid_of(ds, channels)
    mask = seam.wet_mask(grid)
    model, said = fitted(model, grid, task)
    if said:
        _log.warning("mask: %s", said[DISAGREEMENT])

    config = methods.configured(method, members)
    if hasattr(config, "check"):
        config.check(model)  # a learned analysis knows what it was trained with
    windows = spans(time, task.step, obs["time"].values)
    times = np.concatenate([span.times for span in windows])
    asked = Quality.parse(_mapping(quality), "quality") if not isinstance(quality, Quality) else quality
    platforms = _platforms(obs, [withhold] if isinstance(withhold, str) else withhold)
    resolved = {} if representation is None else {str(name): value for name, value in representation.items()}
    table, first = _observations(obs, windows, task, grid, asked, climatology, platforms, mean_topography)
    setting, of_errors = known_errors(config, errors, model, ds, grid, task, times, progress)
    how = config.build(setting)
    sea = Sea(model, ds, task, mask, grid)
    air = atmosphere(forcing, model, ds, task, times[:1], times[1:] - times[0], mask)

    attrs = said | {
        "oceanx_observations": fingerprint(obs),
        "oceanx_method": config.model_dump_json(),
        "oceanx_members": how.members,
        "oceanx_window": str(time.step or task.step),
        "oceanx_errors": of_errors,
        "oceanx_start": start if isinstance(start, str) else f"members {hashed(start)}",
        "oceanx_spread": spread,
        "oceanx_bounds": json.dumps(bounds if isinstance(bounds, bool) else dict(bounds)),
        "oceanx_quality": asked.model_dump_json(),
        "oceanx_quality_climatology": "none" if climatology is None else hashed(climatology),
        "oceanx_representation": json.dumps({name: _told(value) for name, value in resolved.items()}),
        "oceanx_withheld": json.dumps(platforms),
        "oceanx_basins": "one" if basins is None else _told(basins),
        "oceanx_seed": seed,
        **{key: value for key, value in table.attrs.items() if key == TOPOGRAPHY},
    }
    whole = template(
        model, ds, task, windows, table, air, grid,
        spread=how.members > 1 or hasattr(how, "deviation"), members=how.members, keep=keep, attrs=attrs,
    )  # fmt: skip
    weights = means(grid, task)
    cycle = Cycle(
        model=model,
        task=task,
        air=air,
        mask=mask,
        spans=windows,
        table=table,
        first=first,
        against=Against(grid, channels, setting.spread, asked, resolved, TOPOGRAPHY in table.attrs, basins),
        method=how,
        held=bounded(channels, bounds),
        weights=weights,
        spread=spread,
        keep=keep,
        seed=seed,
        alarms=Alarms(times, [w.at.start for w in windows], how.members, season(model.climatology, weights, times)),
    )
    begin = partial(beginning, sea, start, times[0], times[-1], how.members, setting, seed)
    made = _made(cycle, fingerprinted(whole), begin, to, resume=resume, overwrite=overwrite, progress=progress)
    return with_forcing(made, ds, task)


def with_forcing(an: xr.Dataset, background: xr.Dataset, task: Task) -> xr.Dataset:
    """The analyses with the forcing of a background beside them, lazily, so that a forecast can begin from them."""
    names = [name for name in task.forcing.names if name in background and name not in an]
    if not names:
        return an
    there = background[names].drop_vars(["mask", "cell_area", "thickness"], errors="ignore")
    there = there.sel(time=an.time.values).assign_coords({d: an[d] for d in ("latitude", "longitude")})
    if "depth" in there.dims:
        return an
    return an.assign({name: there[name].variable for name in names})


def _made(
    cycle: Cycle, whole: xr.Dataset, begin: Any, to: str | Path | None, *, resume: bool, overwrite: bool,
    progress: Progress | None,
) -> xr.Dataset:  # fmt: skip
    if to is None:
        if resume:
            raise InputError("resume: what is kept in memory cannot be gone on with; say where it is, to= (--to)")
        return cycle.run(begin, Memory(whole), progress)
    if resume and (found := finished(Path(to), whole)) is not None:
        return found
    with unfinished(Path(to), whole, resume=resume, overwrite=overwrite) as store:
        return cycle.run(begin, store, progress)


def _observations(
    obs: xr.Dataset, windows: Sequence[Span], task: Task, grid: xr.Dataset, quality: Quality,
    climatology: xr.Dataset | None, withhold: Sequence[str], mean_topography: xr.DataArray | None,
) -> tuple[xr.Dataset, int]:  # fmt: skip
    """The rows of the period, tested and in the model's variables, and which row of the table is the first of them."""
    first, last = windows[0].rows.start, windows[-1].rows.stop
    if last - first < obs.sizes["obs"]:
        _log.info("observations: %d of %d lie outside the period", obs.sizes["obs"] - (last - first), obs.sizes["obs"])
    if first == last:
        _log.warning("observations: none lies in the period; the background goes on without")
        return kept_back(obs, withhold).isel(obs=slice(0, 0)), first
    part = obs.isel(obs=slice(first, last)).load()
    part = as_state(part, task.prognostic.names, mean_topography=mean_topography)
    return kept_back(check_table(part, grid, quality, climatology), withhold), first


def _platforms(obs: xr.Dataset, wanted: Sequence[str]) -> list[str]:
    """The platforms of a table that are meant by names or by patterns such as `float_1*`."""
    known = list(meanings(obs["platform"].attrs).values())
    for word in wanted:
        if not any(fnmatchcase(name, word) for name in known):
            raise unknown("platform", word, known)
    return [name for name in known if any(fnmatchcase(name, word) for word in wanted)]


def _refuse_unknown(spread: str, keep: Sequence[str], forcing: str) -> None:
    """`InputError` for words that none of these has."""
    for what, words, known in (
        ("spread", (spread,), get_args(Spread)),
        ("word of keep", keep, KEPT),
        ("forcing", (forcing,), WORDS),
    ):
        for word in words:
            if word not in known:
                raise unknown(what, str(word), known)


def _told(value: float | xr.DataArray) -> float | str:
    """A number, or which map it is."""
    return hashed(value.to_dataset(name="map")) if isinstance(value, xr.DataArray) else float(value)


def _mapping(words: str | Path | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if words is None:
        return {}
    return words if isinstance(words, Mapping) else read_yaml(words)
