"""Keeping: inflated chunks that will be wanted again, because they hold more times than were asked for."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

_MOST = 96 * 2**20  # bytes that are kept


class Kept:
    """The chunks that were used last, of all files, up to so many bytes; for any number of threads."""

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._size = most, 0
        self._chunks: OrderedDict[Any, tuple[np.ndarray, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], tuple[np.ndarray, Any]]) -> tuple[np.ndarray, Any]:
        """What is kept under a key, or made now (by two threads at once, if they both come first)."""
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
                return self._chunks[key]
        made = make()
        with self._lock:
            if key not in self._chunks and made[0].nbytes <= self._most:
                self._chunks[key] = made
                self._size += made[0].nbytes
                while self._size > self._most:
                    self._size -= self._chunks.popitem(last=False)[1][0].nbytes
        return made


def identity(file: int) -> tuple[int, int, int, int]:
    """What tells an open file from others, and from itself after a change."""
    found = os.fstat(file)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
