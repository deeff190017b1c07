"""Files: where our content lies, and targets that are refused, resumed or replaced, never half-written."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError
from .locks import locked

_PACKAGE = Path(__file__).parents[1]
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def content(kind: str) -> Path:
    """The folder of shipped YAML: `recipes`, `data_catalog` or `presets`, in the wheel or in a checkout."""
    inside, beside = _PACKAGE / kind, _PACKAGE.parent / kind
    return inside if inside.is_dir() else beside


def partial(target: Path | str) -> Path:
    """Where `target` is built before it takes its name: a neighbour, so that the last rename is atomic."""
    target = Path(target)
    return target.with_name(target.name + ".partial")


def refuse_existing(target: Path | str, *, overwrite: bool = False) -> Path:
    """`target` as a Path; `InputError` if it is there already and may not be replaced."""
    target = Path(target)
    if not target.exists() and _replaced(target).exists():
        os.replace(_replaced(target), target)  # its maker was stopped between two renames: nothing is lost
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; choose another name or say overwrite (--overwrite)")
    if not target.absolute().parent.is_dir():
        raise InputError(f"{target}: its folder {target.absolute().parent} does not exist; make it first")
    return target


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def publish(built: Path, target: Path) -> None:
    """Give what was built its final name, replacing what stood there only now that the new one is complete."""
    if not built.exists():
        raise FileNotFoundError(f"{built}: nothing was written here, so {target} stays as it was")
    if target.exists() and (target.is_dir() or built.is_dir()):
        if _exchanged(built, target):
            remove(built)
            return
        old = _replaced(target)
        remove(old)
        os.replace(target, old)
        os.replace(built, target)
        remove(old)
    else:
        os.replace(built, target)  # over a file, this is atomic


def _replaced(target: Path) -> Path:
    """Where a folder waits while another takes its name, on systems that cannot exchange the two at once."""
    return target.with_name(target.name + ".replaced")


def _exchanged(a: Path, b: Path) -> bool:
    """Exchange the names of two folders in one stroke, without a moment lacking either; False if that is impossible."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):  # not Linux
        return False
    return bool(rename(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0)


@contextmanager
def replacing(target: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write; it becomes `target` when the block ends well and is deleted when not.

    Raises
    ------
    InputError
        If the target exists and may not be replaced, or another process is writing it.

    Examples
    --------
    >>> with replacing("scores.nc") as path:          # doctest: +SKIP
    ...     scores.to_netcdf(path)
    """
    target = refuse_existing(target, overwrite=overwrite)
    path = partial(target)
    lock = path.with_name(path.name + ".lock")
    with locked(lock, target):
        try:
            refuse_existing(target, overwrite=overwrite)  # another process may just have made it
            remove(path)
            yield path
            publish(path, target)
        finally:
            remove(path)
            lock.unlink(missing_ok=True)
