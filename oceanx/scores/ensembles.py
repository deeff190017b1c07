"""Members beside the truth, cell by cell, compiled: what sorting costs is paid once, in the processor's cache."""

from __future__ import annotations

import numba
import numpy as np

from .kernel import plain


def crps(members: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Fair CRPS of members (member, …) in each valid cell (…), 0 elsewhere."""
    result = np.zeros(truth.shape)
    _crps(plain(members).reshape(len(members), -1), plain(truth).ravel(), valid.ravel(), result.reshape(-1))
    return result


def ranks(members: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many members lie below the truth, and how many equal it, in each valid cell (…); −1 and 0 elsewhere."""
    below, equal = (members < truth).sum(axis=0), (members == truth).sum(axis=0)
    return np.where(valid, below, -1), np.where(valid, equal, 0)


@numba.njit(nogil=True, cache=True)
def _crps(members: np.ndarray, truth: np.ndarray, valid: np.ndarray, result: np.ndarray) -> None:
    count = len(members)
    x = np.empty(count)
    for cell in range(len(truth)):
        if not valid[cell]:
            continue
        away, y = 0.0, np.float64(truth[cell])
        for i in range(count):
            value = np.float64(members[i, cell])
            away += abs(value - y)
            j = i  # put in order as they come: members are few
            while j > 0 and x[j - 1] > value:
                x[j] = x[j - 1]
                j -= 1
            x[j] = value
        between = 0.0
        for i in range(count):
            between += (2.0 * i - count + 1) * x[i]
        result[cell] = away / count - between / (count * (count - 1))
