"""What a store says of itself: provenance, hashes, and the attributes that CF asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import axis as axes
from ..sources import Sources

if TYPE_CHECKING:
    from ..recipe import Recipe
    from .extending import Before

TIME_UNITS = "seconds since 1970-01-01"


def global_attrs(recipe: Recipe, sources: Sources, date: str, before: Before | None = None) -> dict[str, Any]:
    """Global attributes: CF's, then ours under `oceanx_`."""
    files = [part.label.rsplit("/", 1)[-1] for part in sources.parts]
    notes = list(dict.fromkeys(note for part in sources.parts for note in part.notes))
    history = f"{date}Z: oceanx {version('oceanx')} bake of {len(sources.paths)} files"
    if before:
        files = [*before.source_files, *files]
        notes = list(dict.fromkeys(filter(None, (before.comment, *notes))))
        history = f"{before.history}\n{history}, added from {axes.day(before.next)}"
    history = f"{history}, {axes.day(sources.axis[0])} to {axes.day(sources.axis[-1])}"
    comment = {"comment": "; ".join(notes)} if notes else {}
    return origin(recipe, history, files) | comment | {"oceanx_purpose": recipe.purpose}


def origin(recipe: Recipe, history: str, files: list[str]) -> dict[str, Any]:
    """What any store says of where it comes from: fields in time, fixed fields, or points."""
    return {
        "Conventions": "CF-1.11",
        "title": recipe.title,
        "institution": recipe.institution or "not stated",
        "source": recipe.source or recipe.title,
        "history": history,
        "references": recipe.references or "not stated",
        "license": recipe.licence or "not stated",
        "source_files": files,
        "oceanx_version": version("oceanx"),
        "oceanx_recipe": recipe.hash(),
    }


def fingerprint(template: xr.Dataset, sources: Sources, hashes: Mapping[str, np.ndarray]) -> str:
    """A hash of the content: coordinates and every variable's values by time, however they are stored."""
    digest = hashlib.sha256()
    for times in (sources.axis, sources.missing):
        digest.update(times.astype("datetime64[s]").astype("<i8").tobytes())
    for name in ("depth", "latitude", "longitude"):
        if name in template.dims:
            digest.update(template[name].values.astype("<f8").tobytes())
    for name in sorted(hashes):
        digest.update(name.encode())
        digest.update(hashes[name].astype("<u8").tobytes())
    return digest.hexdigest()[:32]


def plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON has them."""
    return {str(k): v.tolist() if isinstance(v, np.ndarray | np.generic) else v for k, v in attrs.items()}
