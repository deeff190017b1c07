"""Stage: download tile after tile, a few at a time, check each, and go on where an interruption left off."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from oceanx.vocabulary.progress import Progress

from ...vocabulary.errors import InputError, unknown
from ...vocabulary.files import remove
from ...vocabulary.locks import locked
from ..axis import span
from ..formats.netcdf import LOCK
from ..formats.part import everything
from ..readers import reader
from .tiles import Tile, Wish

SERVICES = ("era5", "glorys12")
_ATTEMPTS = 5
_FOLDER, _RECORD = ".staging", "wish.json"  # beside the files: what is on its way, and what was asked for


def stage(
    name: str,
    to: str | os.PathLike[str],
    time: slice | str,
    *,
    box: Sequence[float] | None = None,
    depth: Sequence[float] | None = None,
    variables: Sequence[str] = (),
    workers: int = 2,
    resume: bool = True,
    pause: float = 10.0,
    progress: Progress | None = None,
) -> list[Path]:
    """The files downloaded into the folder `to` from a service, ready for `bake`.

    A file has its name only when it is complete and checked. Interrupted, and called again, it fetches what lacks.

    Parameters
    ----------
    name
        "glorys12" (a file a day, extra `cmems`) or "era5" (a file a month, extra `cds`).
    to
        A folder for this one wish; made if absent.
    time
        Days, `slice("2020-01-01", "2020-12-31")` or "2020-01-01:2020-12-31".
    box
        West, east, south, north in degrees; None: the globe.
    depth
        Upper and lower metres; None: all levels.
    variables
        Our words; none: what the recipe of the same name needs.
    workers
        How many downloads run at a time.
    resume
        Keep complete files; False fetches everything again.
    pause
        Seconds before the second attempt at a file; each later pause is twice as long.
    progress
        Called with (what, done, total).

    Raises
    ------
    InputError
        For a service, variable, region or date that is not there, missing credentials or client, a folder that holds
        another wish, or a service that goes on failing.

    Examples
    --------
    >>> stage("glorys12", "raw", "2020-01-01:2020-01-31", box=(-20, 0, 35, 50))  # doctest: +SKIP
    """
    service = _service(name)
    if workers < 1:
        raise InputError(f"workers: {workers}; expected at least 1")
    wish = _wish(time, box, depth, variables)
    wanted = service.cut(wish)
    folder = Path(to)
    with _alone(folder) as work:
        _agree(work / _RECORD, name, wish)
        lacking = [t for t in wanted if not (resume and _complete(folder / t.name, t, service, work, quick=True))]
        if lacking:
            _fetch_all(lacking, _Job(service, service.fetcher(), folder, work, pause), workers, progress)
    return [folder / tile.name for tile in wanted]


def _service(name: str) -> ModuleType:
    if name not in SERVICES:
        raise unknown("service to stage from", name, SERVICES)
    return import_module(f".{name}", __package__)


def _wish(
    time: slice | str, box: Sequence[float] | None, depth: Sequence[float] | None, variables: Sequence[str]
) -> Wish:
    first, last = span(time)
    if first is None or last is None:
        raise InputError(f"time: {time}; expected the first and the last day, such as 2020-01-01:2020-12-31")
    if box is not None and len(box) != 4:
        raise InputError(f"box: {len(box)} numbers; expected west,east,south,north")
    if depth is not None and len(depth) != 2:
        raise InputError(f"depth: {len(depth)} numbers; expected upper:lower in metres")
    edges: Any = None if box is None else tuple(map(float, box))
    reach: Any = None if depth is None else tuple(map(float, depth))
    return Wish(first.astype("datetime64[D]"), last.astype("datetime64[D]"), edges, reach, tuple(variables))


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """The hidden folder for downloads on their way, held against a second process."""
    work = folder / _FOLDER
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from None
    with locked(work / "lock", folder):
        yield work


def _agree(record: Path, name: str, wish: Wish) -> None:
    """Note what the folder is for; `InputError` if it was begun for another region, depth or variables."""
    said = json.loads(json.dumps({"service": name} | wish.plain()))
    if record.is_file():
        before = json.loads(record.read_text())
        differing = [key for key in said if before.get(key) != said[key]]
        if differing:
            key = differing[0]
            raise InputError(
                f"{record.parents[1]}: was begun with {key} {before.get(key)}, now {said[key]}; choose another folder"
            )
        return
    fresh = record.with_suffix(".new")
    fresh.write_text(json.dumps(said))
    os.replace(fresh, record)


def _fetch_all(lacking: list[Tile], job: _Job, workers: int, progress: Progress | None) -> None:
    """Every tile that lacks, `workers` at a time; the first one that will not come ends it."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job.fetch, tile) for tile in lacking]
        try:
            for done, future in enumerate(as_completed(futures)):
                if progress:
                    progress("staging", done, len(lacking))
                future.result()
        finally:
            job.ended.set()
            pool.shutdown(wait=True, cancel_futures=True)
    if progress:
        progress("staging", len(lacking), len(lacking))


@dataclass(frozen=True)
class _Job:
    """What every download of one call shares; `ended` once no other is to begin."""

    service: ModuleType
    download: Callable[[Tile, Path], None]
    folder: Path
    work: Path
    pause: float
    ended: threading.Event = field(default_factory=threading.Event)

    def fetch(self, tile: Tile) -> None:
        """One tile, by several attempts: downloaded beside, checked, and then given its name."""
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                if self.ended.is_set() or self._attempt(tile, last=attempt == _ATTEMPTS):
                    return
                self.ended.wait(self.pause * 2 ** (attempt - 1))
        except BaseException:
            self.ended.set()
            raise

    def _attempt(self, tile: Tile, *, last: bool) -> bool:
        path = self.work / tile.name
        remove(path)
        try:
            self.download(tile, path)
            if not path.is_file():
                raise FileNotFoundError("the client wrote no file")
            _check(path, tile, self.service, self.work)
        except Exception as error:
            said = _without_secrets(f"{type(error).__name__}: {error}", self.service.SECRETS)
            if _is_final(error, self.service):
                raise InputError(f"{tile.name}: refused by the service ({said})") from None
            if last:
                kept = "run it again later, what is complete is kept"
                raise InputError(f"{tile.name}: failed {_ATTEMPTS} times ({said}); {kept}") from None
            return False
        os.replace(path, self.folder / tile.name)
        return True


def _is_final(error: Exception, service: ModuleType) -> bool:
    """True for what a second attempt does not mend: a wrong request, wrong credentials."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return type(error).__name__ in service.FATAL or status in (400, 401, 403, 404)


def _without_secrets(text: str, names: Sequence[str]) -> str:
    for name in names:
        secret = os.environ.get(name, "")
        if len(secret) > 2 and "://" not in secret:
            text = text.replace(secret, "…")
    return " ".join(text.split())[:300]


def _complete(path: Path, tile: Tile, service: ModuleType, work: Path, *, quick: bool = False) -> bool:
    """True where a file is there and holds what it should."""
    if not path.is_file():
        return False
    if quick and zipfile.is_zipfile(path):
        return True  # it was checked before it had its name, and unpacking a month to look again takes long
    try:
        _check(path, tile, service, work)
    except InputError:
        return False
    return True


def _check(path: Path, tile: Tile, service: ModuleType, work: Path) -> None:
    """`InputError` unless the reader finds every variable of the tile at every time."""
    with LOCK, tempfile.TemporaryDirectory(dir=work) as scratch:
        parts = reader(service.READER).parts(path, everything(), Path(scratch))
        for name in tile.variables:
            times = [part.times for part in parts if name in part.fields]
            held = np.concatenate(times) if times else np.array([], "datetime64[ns]")
            absent = tile.times[~np.isin(tile.times, held)]
            if absent.size:
                raise InputError(
                    f"{path.name}: lacks {name} for {absent[0]} ({absent.size} of {tile.times.size} times)"
                )
