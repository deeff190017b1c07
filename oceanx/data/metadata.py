"""What a store says of itself: provenance, hashes, and the attributes that CF asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import xarray as xr

from . import axis as axes
from .blocks import Record
from .sources import Sources

if TYPE_CHECKING:
    from .recipe import Recipe

TIME_UNITS = "seconds since 1970-01-01"


def global_attrs(recipe: Recipe, sources: Sources, date: str) -> dict[str, Any]:
    """Global attributes: CF's, then ours under `oceanx_`."""
    files = [part.label.rsplit("/", 1)[-1] for part in sources.parts]
    notes = list(dict.fromkeys(note for part in sources.parts for note in part.notes))
    return {
        "Conventions": "CF-1.11",
        "title": recipe.title,
        "institution": recipe.institution or "not stated",
        "source": recipe.source or recipe.title,
        "history": f"{date}Z: oceanx {version('oceanx')} bake of {len(sources.paths)} files, "
        f"{axes.day(sources.axis[0])} to {axes.day(sources.axis[-1])}",
        "references": recipe.references or "not stated",
        "license": recipe.licence or "not stated",
        **({"comment": "; ".join(notes)} if notes else {}),
        "source_files": files,
        "oceanx_version": version("oceanx"),
        "oceanx_recipe": recipe.hash(),
    }


def fingerprint(template: xr.Dataset, sources: Sources, records: Sequence[Record]) -> str:
    """A hash of the content: coordinates and every variable's values by time, however they are chunked."""
    digest = hashlib.sha256()
    for times in (sources.axis, sources.missing):
        digest.update(times.astype("datetime64[s]").astype("<i8").tobytes())
    for name in ("depth", "latitude", "longitude"):
        if name in template.dims:
            digest.update(template[name].values.astype("<f8").tobytes())
    for name in sorted(map(str, template.data_vars)):
        digest.update(name.encode())
        for record in records:
            if name in record.hashes:
                digest.update(record.hashes[name].tobytes())
    return digest.hexdigest()[:32]
