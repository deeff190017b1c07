"""Random numbers as functions of what they are for: the same whatever else is drawn, and in whatever order.

Every number is a hash of words and integers (seed, network, platform, day, datum), so that a month observed alone has
the errors that it has within its year.
"""

from __future__ import annotations

import hashlib

import numpy as np
import scipy.special

Word = str | int | np.ndarray
_ODD = np.uint64(0x9E3779B97F4A7C15)


def uniform(*words: Word) -> np.ndarray:
    """Numbers above 0 and below 1, evenly distributed, of the shape that the integers among `words` have together.

    References
    ----------
    Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, https://doi.org/10.1145/2714064.2660195
    """
    return ((_hashed(*words) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(*words: Word) -> np.ndarray:
    """Numbers from N(0, 1), likewise."""
    return scipy.special.ndtri(uniform(*words))


def number(word: str) -> int:
    """An integer that stands for a word, where words are to be told apart in an array."""
    return int(np.frombuffer(hashlib.sha256(word.encode()).digest()[:8], np.int64)[0])


def _hashed(*words: Word) -> np.ndarray:
    state = np.zeros((), np.uint64)
    with np.errstate(over="ignore"):
        for word in words:
            integers = np.asarray(number(word) if isinstance(word, str) else word, np.int64).view(np.uint64)
            state = _mixed(_mixed(state + _ODD) ^ _mixed(integers * _ODD))
    return state


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
