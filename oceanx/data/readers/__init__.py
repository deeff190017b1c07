"""One small file per source layout: `read(path)` gives a Dataset, `parts(path, …)` what the streaming writer needs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ...vocabulary.errors import unknown

READERS = (
    "altimeter",
    "argo",
    "cf",
    "class4",
    "curvilinear",
    "daily",
    "drifter",
    "era5",
    "glorys12",
    "hybridom",
    "neuralom",
    "ocean_e2e",
    "oisst",
    "oneforecast",
    "sst_swath",
    "static",
    "woa",
)


def reader(name: str) -> ModuleType:
    """The reader module of that name; `InputError` with the nearest match if there is none."""
    if name not in READERS:
        raise unknown("reader", name, READERS)
    return import_module(f".{name}", __name__)
