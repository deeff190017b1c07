"""oceanx: an xarray-native ocean forecasting toolkit.

    bake ─▶ open ─▶ batches ─▶ train ─▶ load ─▶ forecast ─▶ score

Verbs are functions of this package, nouns its modules. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import export, heatwaves, ocean, physics, plot, scores
    from .data.baking import bake, plan
    from .data.observing import observe
    from .data.shelf.catalog import catalog, open
    from .data.writing.rechunking import rechunk
    from .scores.diagnosing import innovations
    from .workflows.assimilation.assimilate import assimilate
    from .workflows.batching import batches
    from .workflows.evaluation import score
    from .workflows.forecasting import forecast
    from .workflows.references import climatology, damped_persistence, persistence
    from .workflows.report import report
    from .workflows.runs import load
    from .workflows.train_config import preset, presets
    from .workflows.training import train

__version__ = "0.1.0"

_VERBS = {
    "bake": "data.baking",
    "plan": "data.baking",
    "rechunk": "data.writing.rechunking",
    "open": "data.shelf.catalog",
    "observe": "data.observing",
    "catalog": "data.shelf.catalog",
    "batches": "workflows.batching",
    "preset": "workflows.train_config",
    "presets": "workflows.train_config",
    "train": "workflows.training",
    "load": "workflows.runs",
    "forecast": "workflows.forecasting",
    "persistence": "workflows.references",
    "damped_persistence": "workflows.references",
    "climatology": "workflows.references",
    "score": "workflows.evaluation",
    "assimilate": "workflows.assimilation.assimilate",
    "innovations": "scores.diagnosing",
    "report": "workflows.report",
}
_NOUNS = ("export", "heatwaves", "ocean", "physics", "plot", "scores")

__all__ = [
    "assimilate",
    "bake",
    "batches",
    "catalog",
    "climatology",
    "damped_persistence",
    "export",
    "forecast",
    "heatwaves",
    "innovations",
    "load",
    "observe",
    "ocean",
    "open",
    "persistence",
    "physics",
    "plan",
    "plot",
    "preset",
    "presets",
    "rechunk",
    "report",
    "score",
    "scores",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        # `.oceanx` on the Datasets that every verb takes and gives.
        import_module("oceanx.accessor")
        value = getattr(import_module(f"oceanx.{_VERBS[name]}"), name)
    elif name in _NOUNS:
        value = import_module(f"oceanx.{name}")
    else:
        raise AttributeError(f"module 'oceanx' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_VERBS, *_NOUNS])
