"""An unfinished store: `<name>.partial/`, where a store is built, held against other writers, and taken up again.

lock, lock.3          held while somebody writes (the parts of a job array share the first, and hold one each)
manifest.json         what is being built: recipe, times, layout
store/                the store to be
done/                 a record of every finished block, and the patterns of cells they share
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...vocabulary.errors import InputError
from ...vocabulary.files import remove
from ...vocabulary.locks import locked

Share = tuple[int, int]  # (number, of how many): a job array's part of the blocks
_OURS = {"manifest.json", "manifest.new", "store", "done", "scratch"}


@contextmanager
def held(work: Path, share: Share | None = None) -> Iterator[None]:
    """Hold an unfinished store against a second writer; the lock goes with the process, however that ends.

    The parts of a job array hold it together, each against its own double.
    """
    if work.exists() and not (work.is_dir() and all(p.name in _OURS or p.name[:4] == "lock" for p in work.iterdir())):
        raise InputError(f"{work}: is in the way and not an unfinished store of ours; move it elsewhere")
    work.mkdir(exist_ok=True)
    with locked(work / "lock", work, shared=share is not None):
        if share is None:
            yield
            return
        with locked(work / f"lock.{share[0]}-{share[1]}", work):
            yield


@contextmanager
def alone_for_a_moment(work: Path) -> Iterator[None]:
    """Wait until no other part of the job array is in here."""
    with locked(work / "lock.moment", work, wait=True):
        yield


def taken_up(work: Path, key: Mapping[str, Any], resume: bool, *, clean: bool = True) -> str:
    """Keep what an interrupted bake of the same key left, or clear the place; the date on which it was begun.

    With `clean`, files that were being written are taken away; nobody else may be writing then.
    """
    manifest = work / "manifest.json"
    if resume and (found := manifest_of(work)).get("key") == key:
        for folder, kind in (("store", "*.partial"), ("done", "*.new")):
            for stray in (work / folder).rglob(kind) if clean else ():
                stray.unlink()
        return str(found["date"])
    for old in ("manifest.json", "done", "store"):
        remove(work / old)
    date = str(np.datetime64("now"))
    write_json(manifest, {"key": key, "date": date})
    return date


@contextmanager
def to_disk(work: Path) -> Iterator[None]:
    """What the disk refuses is said in a line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(
            f"{work}: cannot be written ({error.strerror or error}); mend that, or free some space, and run the same "
            "again with resume (--resume): it goes on where it stopped"
        ) from None


def manifest_of(work: Path) -> dict[str, Any]:
    """What an unfinished store is to become; empty if nobody can tell."""
    try:
        return dict(json.loads((work / "manifest.json").read_text()))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a small JSON file, whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    os.replace(temporary, path)
