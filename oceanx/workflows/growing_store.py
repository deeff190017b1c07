"""Zarr stores that grow: laid out whole, filled part by part, named when they are complete.

While one is made, `<to>.partial/` holds it:

lock               held while somebody writes
manifest.json      of what the store will be: a hash of its labels
store/             the store to be
done/              what is complete, and what the next part begins from
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from oceanx.data.writing.unfinished import held, manifest_of, to_disk, write_json
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

CHUNK = 2 * 2**20  # bytes: how much one chunk holds, at most, where one map is not more

Chunks = Mapping[Hashable, tuple[int, ...]]
Differs = Callable[[Mapping[str, Any]], str]


def begin(
    work: Path,
    what: str,
    template: xr.Dataset,
    chunks: Chunks,
    *,
    other: Differs,
    manifest: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """The manifest of an unfinished store, laid out like the template if it is not there.

    Parameters
    ----------
    work
        Where it is built; nobody else may be writing there.
    what
        What it is of: its word in the manifest and in messages.
    template
        Every label, attribute and coordinate, and nothing computed.
    other
        From the manifest of an unfinished one that may not be taken up, what it differs in.
    manifest
        What to note beside the hash of the labels.

    Raises
    ------
    InputError
        If what is there is of something else, or may not be gone on with.
    """
    found, mine = manifest_of(work), identity(template)
    if found and what not in found:
        raise InputError(f"{work}: is in the way and no unfinished {what}; move it elsewhere")
    if found and (work / "store").exists():
        if resume and found[what] == mine:
            return found
        if resume and not overwrite:
            raise InputError(
                f"{work}: an interrupted {what} of something else ({other(found)}); finish that one, or say overwrite "
                "(--overwrite)"
            )
        if not overwrite:
            raise InputError(f"{work}: an interrupted {what}; continue it with resume (--resume) or overwrite")
    for old in ("manifest.json", "done", "store"):
        files.remove(work / old)
    (work / "done").mkdir()
    _create(work / "store", template, chunks)
    made = {what: mine, **(manifest or {})}
    write_json(work / "manifest.json", made)
    return made


@contextmanager
def building(
    to: Path, what: str, template: xr.Dataset, chunks: Chunks, *, other: Differs,
    manifest: Mapping[str, Any] | None = None, resume: bool = False, overwrite: bool = False,
) -> Iterator[Path]:  # fmt: skip
    """The name of a store to write by one process alone, laid out or taken up again, as of `begin`.

    If nothing is done when an `InputError` ends it, nothing is left.

    Raises
    ------
    InputError
        If the target exists, another process writes it, or what was left there is of something else.
    """
    target = files.refuse_existing(to, overwrite=overwrite)
    work = files.partial(target)
    with held(work):
        with to_disk(work):
            begin(work, what, template, chunks, other=other, manifest=manifest, resume=resume, overwrite=overwrite)
        try:
            yield target
        except InputError:
            if not any((work / "done").iterdir()):
                files.remove(work)
            raise


def together_in(bytes_at_once: int, one: int, together: int) -> int:
    """The largest number of positions of `one` bytes each that divides `together` and fits into so many bytes."""
    most = max(1, min(together, bytes_at_once // one))
    return max(n for n in range(1, most + 1) if together % n == 0)


def _create(store: Path, template: xr.Dataset, chunks: Chunks) -> None:
    """Make a Zarr store with every label, attribute and coordinate of a template, and room for its variables."""
    encoding: dict[str, dict[str, Any]] = {str(name): {"chunks": chunks[name]} for name in template.data_vars}
    # The template's own chunks are those of nothing yet: only labels are written here.
    template.to_zarr(store, compute=False, zarr_format=3, consolidated=False, encoding=encoding, safe_chunks=False)


def publish(store: Path, target: Path) -> None:
    """Gather a complete store's metadata and give it its name."""
    with warnings.catch_warnings():
        # Consolidated metadata is an extension of Zarr v3 that every reader may ignore.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(store))
    files.publish(store, target)


def identity(template: xr.Dataset) -> str:
    """A hash of what the store will hold: labels, grid, variables, attributes."""
    digest = hashlib.sha256(
        json.dumps({k: str(v) for k, v in sorted(template.attrs.items()) if k != "history"}).encode()
    )
    for name in sorted(map(str, template.coords)):
        digest.update(name.encode() + np.ascontiguousarray(template[name].values).tobytes())
    digest.update(" ".join(sorted(map(str, template.data_vars))).encode())
    return digest.hexdigest()
