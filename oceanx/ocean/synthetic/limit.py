"""The oracle: the generator continued from its own state. Nothing can forecast this ocean better."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES
from oceanx.vocabulary.progress import Progress

from . import files
from .column import OCEAN
from .dynamics import Fields
from .model import Keys, Model
from .run import Paths, load_model, load_state

Known = Literal["true", "unknown"]


def oracle(
    to: Path | str,
    init_time: object,
    lead: int = 10,
    *,
    weather: Known = "true",
    noise: Known = "unknown",
    members: int = 3,
    workers: int = 2,
    progress: Progress | None = None,
) -> xr.Dataset:
    """The best attainable forecast, (member, init_time, lead_time, depth, latitude, longitude).

    The mean over K members is a fair estimate of the limit once its mean squared error is lowered by spread²/K (spread
    with ddof = 1). With `weather` and `noise` both "true" it is the truth itself. Values are rounded as in the files.

    Parameters
    ----------
    to
        The folder `write` filled.
    init_time
        Label or labels of the last known daily mean: dates named in `keep`.
    lead
        Days to forecast: lead_time 1 … `lead` days.
    weather, noise
        "true": as it will happen; "unknown": another draw for every member.

    Raises
    ------
    InputError
        If a date's state was not kept.
    """
    for name, value in (("weather", weather), ("noise", noise)):
        if value not in ("true", "unknown"):
            raise unknown(name, value, ("true", "unknown"))
    if lead < 1 or members < 1:
        raise InputError(f"lead {lead}, members {members}: both must be at least 1")
    paths = Paths(Path(to))
    model = load_model(paths)
    days = [files.day_number(date) for date in _dates(init_time)]
    states = {day: _state(paths, day) for day in days}
    jobs = [(member, day) for member in range(members) for day in days]

    def job(task: tuple[int, int]) -> list[Fields]:
        member, day = task
        return _continue(model, states[day], day + 1, lead, _keys(member, weather, noise))

    runs = []
    with ThreadPoolExecutor(workers) as pool:
        for done, run in enumerate(pool.map(job, jobs), 1):
            runs.append(run)
            if progress:
                progress("oracle", done, len(jobs))
    return _labelled(model, runs, members, days, lead, f"weather {weather}, noise {noise}")


def _dates(init_time: object) -> list[object]:
    if isinstance(init_time, str) or not isinstance(init_time, Iterable):
        return [np.asarray(init_time, "datetime64[D]")]
    return list(np.atleast_1d(np.asarray(init_time, "datetime64[D]")))


def _state(paths: Paths, day: int) -> Fields:
    file = paths.state(day)
    if not file.is_file():
        kept = ", ".join(sorted(path.stem for path in paths.states.glob("*.npz")))
        raise InputError(
            f"{file}: no state kept at the end of {files.date_of(day)} (kept: {kept or 'none'}); "
            "name the date in write(keep=[…])"
        )
    return load_state(file)


def _keys(member: int, weather: Known, noise: Known) -> Keys:
    other = (1 + member,)
    return Keys(() if weather == "true" else other, () if noise == "true" else other)


def _continue(model: Model, state: Fields, first: int, lead: int, keys: Keys) -> list[Fields]:
    days = []
    for day in range(first, first + lead):
        state, means = model.step(state, day, keys)
        days.append({name: files.unpack(name, files.pack(name, field)) for name, field in means.items()})
    return days


def _labelled(
    model: Model, runs: list[list[Fields]], members: int, days: list[int], lead: int, keys: str
) -> xr.Dataset:
    """The forecast contract."""
    init = np.array([files.date_of(day) for day in days], "datetime64[ns]")
    leads = np.arange(1, lead + 1) * np.timedelta64(1, "D").astype("timedelta64[ns]")
    coords = {
        "member": ("member", np.arange(members)),
        "init_time": ("init_time", init),
        "lead_time": ("lead_time", leads),
        "valid_time": (("init_time", "lead_time"), init[:, None] + leads[None, :]),
        "depth": ("depth", np.array(model.ocean.depth, np.float32)),
        "latitude": ("latitude", model.grid.lat.astype(np.float32)),
        "longitude": ("longitude", model.grid.lon.astype(np.float32)),
    }
    data = {}
    for name in OCEAN:
        values = np.stack([[day[name] for day in run] for run in runs])
        values = values.reshape(members, len(days), *values.shape[1:])
        dims = (
            "member",
            "init_time",
            "lead_time",
            *(("depth",) if VARIABLES[name].volume else ()),
            "latitude",
            "longitude",
        )
        data[name] = (dims, values, VARIABLES[name].attrs | {"cell_methods": "time: mean"})
    attrs = {
        "Conventions": "CF-1.11",
        "title": f"Oracle of the built-in ocean: {keys}",
        "source": "oceanx built-in ocean",
        "oceanx_seed": model.ocean.seed,
    }
    result = xr.Dataset(data, coords, attrs)
    for name in coords:
        result[name].attrs = dict(DIMENSIONS[name])
    return result
