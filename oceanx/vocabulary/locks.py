"""Locks: what one process writes no other does meanwhile."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError

_TAKEN = {errno.EAGAIN, errno.EACCES}  # the second on network file systems
_UNKNOWN = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}  # of file systems without locks, such as some of clusters


@contextmanager
def locked(path: Path, what: Path, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold a file for the writing of `what`; the lock goes with the process, however that ends.

    A system or a file system that has no locks is not held up by that.

    Parameters
    ----------
    shared
        With others who share it; without, alone.
    wait
        Until it is free.

    Raises
    ------
    InputError
        If another process has it, unless this one is to wait.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    with path.open("w+") as lock:  # to be read as well, or network file systems would not share it
        try:
            fcntl.flock(lock, kind)
        except OSError as error:
            if error.errno in _TAKEN:
                raise InputError(f"{what}: another process is writing it; wait for that one, or stop it") from None
            if error.errno not in _UNKNOWN:
                raise
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)  # for processes forked meanwhile, too
