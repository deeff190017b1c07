"""Fingerprints: from which data a threshold is, and by which threshold events were found."""

from __future__ import annotations

import hashlib
import json

import numba
import numpy as np
import xarray as xr

from .limits import Field, any_temperature

_LANES = 16
_PRIME = np.uint64(0x100000001B3)


def fingerprint_of(field: Field) -> str:
    """A hash of the labels of a temperature and of its content, as far as that is known without reading it.

    Of a Dataset that `oceanx bake` made the content is that of its own fingerprint; data in memory are hashed; of
    other lazy data the labels alone are known.
    """
    sst = any_temperature(field)
    known = str(field.attrs.get("oceanx_fingerprint", "")) if isinstance(field, xr.Dataset) else ""
    if not known and not sst.chunks:
        known = _checksum(sst.values)
    digest = hashlib.sha256(json.dumps([str(sst.name), list(map(str, sst.dims)), known]).encode())
    for name in sorted(map(str, sst.indexes)):
        labels = sst[name].values
        digest.update(name.encode())
        digest.update((labels if labels.dtype != object else labels.astype(str)).tobytes())
    return digest.hexdigest()[:32]


def _checksum(values: np.ndarray) -> str:
    """A hash of the bytes of an array, at the speed of reading it."""
    raw = values.ravel(order="K").view(np.uint8)
    even = len(raw) // (8 * _LANES) * (8 * _LANES)
    lanes = np.arange(1, _LANES + 1, dtype=np.uint64)
    _mix(raw[:even].view(np.uint64).reshape(-1, _LANES), lanes)
    return hashlib.sha256(lanes.tobytes() + raw[even:].tobytes()).hexdigest()


@numba.njit(cache=True, nogil=True)
def _mix(words: np.ndarray, lanes: np.ndarray) -> None:
    """Fold words into lanes one after another, as the hash of Fowler, Noll and Vo does with bytes."""
    for row in range(len(words)):
        for k in range(_LANES):
            lanes[k] = (lanes[k] ^ words[row, k]) * _PRIME
            lanes[k] ^= lanes[k] >> np.uint64(29)


def fingerprint_of_threshold(threshold: xr.Dataset) -> str:
    """A hash of what a threshold says of itself and of its grid."""
    told = {str(k): str(v) for k, v in threshold.attrs.items() if str(k).startswith("oceanx_")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in ("year", "depth", "latitude", "longitude"):
        if name in threshold.coords:
            digest.update(np.atleast_1d(threshold[name].values).astype("<f8").tobytes())
    return digest.hexdigest()[:32]
