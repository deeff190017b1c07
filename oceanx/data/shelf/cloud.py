"""Stores in the cloud, read through obstore: anonymous, read-only, and only where there is a network."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from ...vocabulary.errors import InputError
from .entries import Entry
from .foreign import translated
from .stores import opened

if TYPE_CHECKING:
    from zarr.storage import ObjectStore

_ROOTS = ("zarr.json", ".zmetadata", ".zgroup")
_AT_ONCE = 8  # stores of one entry opened together
_KEYS = {  # where object stores look for credentials that are files
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT"),
    "s3": ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
}


def open_entry(entry: Entry) -> xr.Dataset:
    """The lazy Dataset of a catalog entry in the cloud, in our names, axes and units.

    Raises
    ------
    InputError
        If the `cloud` extra is not installed, the network or the store cannot be reached, or credentials are asked
        for and cannot be read.
    """
    urls = _urls(entry)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        parts = list(pool.map(lambda url: _open(url, entry), urls))
    ds = parts[0]
    if len(parts) > 1:
        ds = xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override", join="override")
    ds.attrs |= {"oceanx_url": entry.url, "oceanx_citation": entry.citation}
    return ds


def _urls(entry: Entry) -> list[str]:
    if entry.every is None or entry.period is None:
        return [str(entry.url)]
    dates = pd.date_range(*entry.period, freq=entry.every)
    return [date.strftime(str(entry.url)) for date in dates]


def _open(url: str, entry: Entry) -> xr.Dataset:
    store = zarr_store(url, endpoint=entry.endpoint, anonymous=entry.anonymous)
    _refuse_unreachable(store, url, entry.anonymous)
    try:
        ds = opened(store, chunks=None)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{url}: cannot be opened ({error}); is it a Zarr store?") from None
    return translated(ds, url, entry.accumulated)


def zarr_store(url: str, *, endpoint: str | None = None, anonymous: bool = True) -> ObjectStore[Any]:
    """A Zarr store at an address, where a key that may not be read counts as absent.

    Some object stores answer 403, not 404, for a chunk that was never written.
    """
    scheme = url.split("://")[0]
    try:
        from obstore.store import from_url
    except ImportError:
        raise InputError(f"{url}: needs the extra `cloud`: pip install 'oceanx[cloud]'") from None
    options: dict[str, Any] = {}
    if scheme in ("gs", "s3"):
        options["skip_signature"] = anonymous
        _refuse_unreadable_keys(scheme)
        if endpoint:
            options["endpoint"] = endpoint
        if scheme == "s3" and "AWS_REGION" not in os.environ and "AWS_DEFAULT_REGION" not in os.environ:
            options["region"] = "us-east-1"
    if scheme != "file":
        # A machine without a network should say so in seconds.
        options["client_options"] = {"connect_timeout": "10s", "allow_http": scheme == "http"}
        options["retry_config"] = {"max_retries": 3}
    try:
        return _lenient()(from_url(url, **options), read_only=True)
    except Exception as error:  # obstore raises its own, of many kinds
        raise InputError(f"{url}: cannot be reached ({_said(error)}); check the address and the credentials") from None


@cache
def _lenient() -> type[ObjectStore[Any]]:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
    from zarr.storage import ObjectStore

    class Lenient(ObjectStore[Any]):
        """An ObjectStore for which what is forbidden is absent."""

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            try:
                return await super().get(key, prototype, byte_range)
            except (PermissionDeniedError, UnauthenticatedError):
                return None

        async def exists(self, key: str) -> bool:
            try:
                return await super().exists(key)
            except (PermissionDeniedError, UnauthenticatedError):
                return False

    return Lenient


def _refuse_unreachable(store: ObjectStore[Any], url: str, anonymous: bool) -> None:
    """`InputError` where no metadata can be had: no network, no store, or no permission."""
    import obstore
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    forbidden = False
    for key in _ROOTS:
        try:
            obstore.get(store.store, key)
            return
        except (PermissionDeniedError, UnauthenticatedError):
            forbidden = True
        except FileNotFoundError:
            pass
        except Exception as error:
            raise InputError(f"{url}: cannot be reached ({_said(error)}); is there a network?") from None
    if forbidden:
        remedy = "it may not exist, or want credentials (anonymous: false)" if anonymous else "check your credentials"
        raise InputError(f"{url}: no store that may be read; {remedy}")
    raise InputError(f"{url}: no Zarr store there; check the address")


def _refuse_unreadable_keys(scheme: str) -> None:
    """`InputError` naming the variable and the file if the environment names credentials that cannot be read."""
    for variable in _KEYS[scheme]:
        path = os.environ.get(variable)
        if path:
            try:
                Path(path).expanduser().read_bytes()
            except OSError as error:
                raise InputError(
                    f"{variable}: {path} cannot be read ({error.strerror}); name a readable file"
                ) from None


def _said(error: Exception) -> str:
    """The first line of an error, without the long debug text that follows."""
    text = " ".join(str(error).split("\n\nDebug source")[0].split())
    text = re.sub(r" in [\d.]+m?s, after.*", "", text)
    return text[:200] or type(error).__name__
