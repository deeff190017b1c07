"""Other targets: a baked store as a snapshot of an Icechunk repository, and opening one.

Icechunk keeps every version of a store under one path: a commit adds days, and older snapshots stay as they were.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from ...vocabulary.errors import InputError
from ...vocabulary.files import partial, publish, remove
from ...vocabulary.progress import Progress
from ..formats.packing import decode
from ..shelf.stores import opened, prepared
from . import regions
from .provenance import GROUP as PROVENANCE
from .rechunking import dims_of

_PARTS = ("refs", "snapshots", "transactions")
PACKING = "oceanx_packing"  # attribute: how raw numbers of files that are only referred to are to be decoded


def is_icechunk(path: str | os.PathLike[str]) -> bool:
    """True if an Icechunk repository lies at a path."""
    return all((Path(path) / part).is_dir() for part in _PARTS)


def to_icechunk(
    store: str | os.PathLike[str],
    repository: str | os.PathLike[str],
    message: str | None = None,
    *,
    progress: Progress | None = None,
) -> str:
    """The snapshot that a baked store has become in a repository, which is made if it is not there.

    Into a repository that holds the same store with fewer days only the new days are written. Nothing is seen of a
    commit before it is whole; one that is interrupted leaves the repository as it was.

    Parameters
    ----------
    message
        Of the commit; by default what was done.

    Raises
    ------
    InputError
        If there is no such store, or something else lies where the repository is to be.

    Examples
    --------
    >>> to_icechunk("glorys.zarr", "glorys.icechunk", "1993 to 2017")  # doctest: +SKIP
    """
    path, target = Path(store), Path(repository)
    try:
        source = zarr.open_group(path, mode="r")
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise InputError(f"{path}: is no Zarr store that can be opened ({error})") from None
    if target.exists() and not is_icechunk(target):
        raise InputError(f"{target}: is in the way and no Icechunk repository; choose another name")
    if target.exists():
        return _committed(_repository(target), source, message or f"oceanx: {path.name} added to", progress)
    with created(target) as repo:
        return _committed(repo, source, message or f"oceanx: {path.name}", progress)


def open_icechunk(path: str | os.PathLike[str], snapshot: str | None = None) -> xr.Dataset:
    """The lazy Dataset of a repository: of its latest commit, or of an older snapshot.

    Files that it only refers to are read where they lie; they must be as they were when they were indexed.

    Raises
    ------
    InputError
        If there is no repository, or no such snapshot.
    """
    path = Path(path)
    if not is_icechunk(path):
        raise InputError(f"{path}: is no Icechunk repository")
    repo = _repository(path)
    icechunk = _icechunk(path)
    try:
        session = repo.readonly_session(snapshot_id=snapshot) if snapshot else repo.readonly_session("main")
    except icechunk.IcechunkError as error:
        known = ", ".join(f"{s.id} ({s.message})" for s in repo.ancestry(branch="main"))
        raise InputError(f"{path}: no snapshot {snapshot} ({_first_line(error)}); there are {known}") from None
    ds = prepared(_opened(session.store))
    told: Any = (ds, *ds.variables.values())
    for held in told:
        held.encoding["source"] = str(path.absolute())
    return ds


@contextmanager
def created(target: Path, container: Path | None = None) -> Iterator[Any]:
    """A new repository, which takes its name when the block ends well; it may refer to files below `container`."""
    icechunk = _icechunk(target)
    work = partial(target)
    if work.exists() and not is_icechunk(work):
        raise InputError(f"{work}: is in the way; move it elsewhere")
    remove(work)
    try:
        config = icechunk.RepositoryConfig.default()
        allowed = {}
        if container is not None:
            # Icechunk compares what is written with blanks to what is written with %20: only plain folders will do.
            while quote(str(container)) != str(container):
                container = container.parent
            prefix = f"file://{str(container).rstrip('/')}/"
            config.set_virtual_chunk_container(
                icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(str(container)))
            )
            allowed = {prefix: None}
        storage = icechunk.local_filesystem_storage(str(work.absolute()))
        repo = icechunk.Repository.create(storage, config, authorize_virtual_chunk_access=allowed)
        repo.save_config()
        yield repo
        publish(work, target)
    finally:
        remove(work)


def _icechunk(path: Path) -> Any:
    try:
        import icechunk
    except ImportError:
        raise InputError(f"{path}: needs icechunk: pip install 'oceanx[icechunk]'") from None
    if "ICECHUNK_LOG" not in os.environ:
        icechunk.set_logs_filter("error")  # it would warn of concurrent commits each time a local folder is opened
    return icechunk


def _repository(path: Path) -> Any:
    """The repository at a path, allowed to read the local files that it refers to."""
    icechunk = _icechunk(path)
    storage = icechunk.local_filesystem_storage(str(path.absolute()))
    try:
        config = icechunk.Repository.fetch_config(storage)
        containers = (config.virtual_chunk_containers or {}) if config else {}
        local = {prefix: None for prefix in containers if prefix.startswith("file://")}
        return icechunk.Repository.open(storage, config, authorize_virtual_chunk_access=local)
    except icechunk.IcechunkError as error:
        raise InputError(f"{path}: is an Icechunk repository that cannot be opened ({_first_line(error)})") from None


def _opened(store: Any) -> xr.Dataset:
    """The Dataset of a session: decoded as CF says, and files that are only referred to as their own packing says."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numcodecs codecs are not in the Zarr version 3")
        return _decoded(store)


def _decoded(store: Any) -> xr.Dataset:
    raw = xr.open_dataset(store, engine="zarr", chunks=None, cache=False, decode_cf=False, consolidated=False)
    told = {name: told_packing(v.attrs[PACKING]) for name, v in raw.variables.items() if PACKING in v.attrs}
    if not told:
        return opened(store, chunks={})
    masking: Any = dict.fromkeys(told, False)
    ds = xr.open_dataset(store, engine="zarr", chunks={}, mask_and_scale=masking, consolidated=False)
    for name, packing in told.items():
        v = ds.variables[name]
        data = v.data.map_blocks(decode, packing=packing, dtype=np.float32, meta=np.empty((0,) * v.ndim, np.float32))
        attrs = {key: value for key, value in v.attrs.items() if key not in packing and key != PACKING}
        ds[name] = xr.Variable(v.dims, data, attrs, v.encoding)
    return ds


def telling_packing(packing: Mapping[str, Any]) -> dict[str, list[str]]:
    """How raw numbers are packed, with the types of the numbers that say so, as JSON has it."""
    told = {}
    for key, value in packing.items():
        number = np.asarray(value)
        told[key] = (
            ["", str(value)] if number.dtype.kind in "US" else [number.dtype.str, *map(repr, number.ravel().tolist())]
        )
    return told


def told_packing(told: Mapping[str, list[str]]) -> dict[str, Any]:
    """The same, back from JSON."""
    found: dict[str, Any] = {}
    for key, (kind, *texts) in told.items():
        numbers = [np.dtype(kind).type(text) for text in texts] if kind else texts
        found[key] = numbers[0] if len(numbers) == 1 else np.array(numbers)
    return found


def _committed(repo: Any, source: zarr.Group, message: str, progress: Progress | None) -> str:
    """Everything of a store that the repository does not have, committed."""
    session = repo.writable_session("main")
    target = zarr.open_group(session.store, mode="a", zarr_format=3)
    if dict(target.attrs) == dict(source.attrs) != {}:
        return str(session.snapshot_id)  # it has this very store, fingerprint and all
    old, longer = _held(target, source)
    arrays = sorted(_arrays(source).items())
    for number, (name, array) in enumerate(arrays):
        if progress:
            progress("committing", number, len(arrays))
        if name in longer:
            _lengthened(target[name], array, old)
        else:
            _copied(target, name, array)
    for name in set(_arrays(target)) - {name for name, _ in arrays}:
        del target[name]
    for name, group in source.members(max_depth=None):
        if isinstance(group, zarr.Group):
            target.require_group(name).attrs.put(dict(group.attrs))
    target.attrs.put(dict(source.attrs))
    if progress:
        progress("committing", len(arrays), len(arrays))
    return str(session.commit(message))


def _lengthened(there: Any, array: Any, old: int) -> None:
    """An array of the repository, longer, with those chunks written anew that hold new times."""
    there.resize(array.shape)
    there.attrs.put(_attrs(array))
    for box in regions.boxes(array.shape, array.shards or array.chunks):
        if box[0].stop > old:
            there[box] = array[box]


def _copied(target: zarr.Group, name: str, array: Any) -> None:
    """A copy of one array, in place of one that was there."""
    parent, _, last = name.rpartition("/")
    place = target.require_group(parent) if parent else target
    if last in place:
        del place[last]
    fill = array.metadata.fill_value
    v2 = array.metadata.zarr_format == 2
    there: Any = place.create_array(
        last,
        shape=array.shape,
        dtype=array.dtype,
        chunks=array.chunks,
        shards=array.shards,
        compressors=BloscCodec(cname="lz4", typesize=array.dtype.itemsize) if v2 else array.compressors,
        fill_value=0 if fill is None else fill,
        dimension_names=dims_of(array) or None,
        attributes=_attrs(array),
    )
    for box in regions.boxes(array.shape, array.shards or array.chunks):
        there[box] = array[box]


def _held(target: zarr.Group, source: zarr.Group) -> tuple[int, set[str]]:
    """How many times at the beginning the repository has with the very values of the store, and of which arrays."""
    here, there = _arrays(target), _arrays(source)
    remembered = [name for name in here if name.startswith(f"{PROVENANCE}/") and name.endswith("_hash")]
    variables = {name.partition("/")[2].removesuffix("_hash") for name in remembered}
    if "time" not in here or not {*remembered, *variables, "time"} <= set(there):
        return 0, set()
    old = here["time"].shape[0]
    same = all(np.array_equal(here[n][...], there[n][:old]) for n in ("time", *remembered))
    alike = {n for n in variables if _cut(here[n]) == _cut(there[n])}
    return (old, alike) if same else (0, set())


def _cut(array: Any) -> tuple[Any, ...]:
    return array.chunks, array.shards, array.dtype, array.shape[1:], str(array.metadata.fill_value)


def _arrays(group: zarr.Group) -> dict[str, Any]:
    """Every array by its path."""
    return {name: member for name, member in group.members(max_depth=None) if isinstance(member, zarr.Array)}


def _attrs(array: Any) -> dict[str, Any]:
    return {key: value for key, value in array.attrs.items() if key != "_ARRAY_DIMENSIONS"}


def _first_line(error: Exception) -> str:
    return next((line.strip(" x|") for line in str(error).splitlines() if line.strip(" x|")), str(error))
