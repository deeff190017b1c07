"""Making the files: spin up, run, write; interrupted, it goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.files import partial
from oceanx.vocabulary.progress import Progress

from . import files
from .config import Ocean
from .dynamics import Fields
from .model import Day, Model


@dataclass(frozen=True)
class Paths:
    """Where `write` puts things."""

    root: Path

    @property
    def glorys(self) -> Path:
        """Folder of the daily GLORYS12 files."""
        return self.root / "glorys12"

    @property
    def era5(self) -> Path:
        """Folder of the monthly ERA5 files."""
        return self.root / "era5"

    @property
    def states(self) -> Path:
        """Folder of the generator's full states at the end of days."""
        return self.root / "states"

    @property
    def ocean(self) -> Path:
        """The ocean's description."""
        return self.root / "ocean.json"

    def state(self, day: int) -> Path:
        """The state at the end of a day."""
        return self.states / f"{str(files.date_of(day)).replace('-', '')}.npz"


def write(
    to: Path | str,
    *,
    ocean: Ocean | None = None,
    start: str = "2001-01-01",
    end: str = "2004-12-31",
    keep: Iterable[object] = (),
    progress: Progress | None = None,
) -> Paths:
    """The Paths of the built-in ocean's raw files from `start` to `end`: `to`/glorys12/*.nc and `to`/era5/*.nc.

    The daily mean labelled D covers [D, D+1). Files appear complete or not at all. Called again after an interruption
    it goes on from the last month's end; called again after it finished it does nothing.

    Parameters
    ----------
    ocean
        Which ocean; the demo's basin by default.
    keep
        Dates whose full state (at the end of the day) is kept for `oracle`.
    progress
        Called with (what, done, total).

    Raises
    ------
    InputError
        If `to` holds the files of another ocean or of another first day.
    """
    paths, ocean = Paths(Path(to)), ocean or Ocean()
    first, stop = _days(start, end, ocean)
    wanted = _wanted(keep, first, stop)
    _claim(paths, ocean, first)
    begin = _resume(paths, first, stop, wanted)
    if begin == stop:
        return paths
    _clear_weather(paths, begin, stop)
    model = Model(ocean)
    state = _begin(paths, model, first, begin, progress)
    with ThreadPoolExecutor(1) as pool:
        pending: deque[Future[None]] = deque()
        month: list[Day] = []
        for day in model.run(state, begin, stop):
            month.append(day)
            pending.append(pool.submit(_write_day, paths, model, day))
            if day.number + 1 == stop or files.date_of(day.number + 1).astype("datetime64[M]") != _month(day):
                pending.append(pool.submit(_write_month, paths, model, month, wanted | {first - 1}))
                month = []
            elif day.number in wanted:
                pending.append(pool.submit(_save, paths.state(day.number), day.state))
            while len(pending) > 6:
                pending.popleft().result()
            if progress:
                progress("days", day.number + 1 - first, stop - first)
        for job in pending:
            job.result()
    return paths


def load_model(paths: Paths) -> Model:
    """The Model whose files lie at `paths`."""
    if not paths.ocean.is_file():
        raise InputError(f"{paths.root}: holds no built-in ocean (no ocean.json); write one first")
    return Model(Ocean.parse(json.loads(paths.ocean.read_text())["ocean"], str(paths.ocean)))


def load_state(path: Path) -> Fields:
    """A kept state."""
    with np.load(path) as stored:
        return dict(stored)


def _days(start: str, end: str, ocean: Ocean) -> tuple[int, int]:
    try:
        first, last = files.day_number(start), files.day_number(end)
    except ValueError as error:
        raise InputError(f"start {start!r}, end {end!r}: not dates such as '2001-01-01' ({error})") from None
    if last < first:
        raise InputError(f"start {start} lies after end {end}; swap them")
    if first < ocean.spinup + 1:
        raise InputError(f"start {start}: with {ocean.spinup} days of spin-up the ocean cannot begin before "
                         f"{files.date_of(ocean.spinup + 1)}; start later or spin up less")  # fmt: skip
    return first, last + 1


def _wanted(keep: Iterable[object], first: int, stop: int) -> set[int]:
    wanted = {files.day_number(date) for date in keep}
    for day in wanted:
        if not first <= day < stop:
            raise InputError(
                f"keep: {files.date_of(day)} lies outside {files.date_of(first)} … {files.date_of(stop - 1)}"
            )
    return wanted


def _claim(paths: Paths, ocean: Ocean, first: int) -> None:
    """Make the folders, or make sure that those there are of this very ocean."""
    # Another version may make another ocean of the same description: its states and files do not mix.
    mine = {"oceanx": version("oceanx"), "ocean": ocean.dump(), "start": str(files.date_of(first))}
    if paths.ocean.is_file():
        theirs = json.loads(paths.ocean.read_text())
        if theirs != json.loads(json.dumps(mine)):
            raise InputError(
                f"{paths.root}: holds another built-in ocean ({paths.ocean.name} differs); choose another folder"
            )
        return
    if paths.root.exists() and any(paths.root.iterdir()):
        raise InputError(f"{paths.root}: holds other files; choose an empty or a new folder")
    for folder in (paths.glorys, paths.era5, paths.states):
        folder.mkdir(parents=True, exist_ok=True)
    temporary = partial(paths.ocean)
    temporary.write_text(json.dumps(mine, indent=1))
    os.replace(temporary, paths.ocean)


def _month(day: Day) -> np.datetime64:
    return files.date_of(day.number).astype("datetime64[M]")


def _resume(paths: Paths, first: int, stop: int, wanted: set[int]) -> int:
    """The first day still to be made: the day after the latest state before which nothing is missing."""
    present = {file.name for folder in (paths.glorys, paths.era5, paths.states) for file in folder.iterdir()}
    complete = first
    best = first
    for day in range(first, stop):
        month = str(files.date_of(day))[:7]
        ends = day + 1 == stop or str(files.date_of(day + 1))[:7] != month
        kept = day not in wanted or paths.state(day).name in present
        if files.glorys_name(day) not in present or not kept or not set(files.era5_names(month)) <= present:
            break
        complete = day + 1
        if ends and paths.state(day).name in present:
            best = complete
    return best


def _clear_weather(paths: Paths, begin: int, stop: int) -> None:
    """Remove months that will be made again: one cut short by an earlier `end` must not pass for a whole one."""
    for month in {str(files.date_of(day))[:7] for day in range(begin, stop)}:
        for name in files.era5_names(month):
            (paths.era5 / name).unlink(missing_ok=True)


def _begin(paths: Paths, model: Model, first: int, begin: int, progress: Progress | None) -> Fields:
    """The state at the beginning of `begin`: a stored one, or a new one spun up to `first`."""
    if paths.state(begin - 1).is_file():
        return load_state(paths.state(begin - 1))
    state: Fields = {}
    for done, (_, reached) in enumerate(model.spin_up(first), 1):
        state = reached
        if progress:
            progress("spin-up", min(done, model.ocean.spinup), model.ocean.spinup)
    _save(paths.state(first - 1), state)
    return state


def _write_day(paths: Paths, model: Model, day: Day) -> None:
    if not (paths.glorys / files.glorys_name(day.number)).is_file():
        files.write_glorys(paths.glorys, day.number, day.ocean, model.grid.lat, model.grid.lon, model.ocean.depth)


def _write_month(paths: Paths, model: Model, days: list[Day], wanted: set[int]) -> None:
    """Write the month's weather, then the state to go on from; drop the last month's, unless it is wanted."""
    air = {name: np.concatenate([day.air[name] for day in days]) for name in days[0].air}
    files.write_era5(paths.era5, days[0].number, air, model.grid.lat, model.grid.lon)
    _save(paths.state(days[-1].number), days[-1].state)
    before = days[0].number - 1
    if before not in wanted:
        paths.state(before).unlink(missing_ok=True)


def _save(path: Path, state: Fields) -> None:
    temporary = partial(path)
    with temporary.open("wb") as file:
        np.savez(file, **state)  # type: ignore[arg-type]
    os.replace(temporary, path)
