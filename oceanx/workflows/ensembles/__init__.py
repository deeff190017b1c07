"""Ensembles: what the members of a forecast begin from, and in what their steps differ. One file a kind."""

from __future__ import annotations

from .members import Members
from .registry import Ensemble, ensemble, prepare

__all__ = ["Ensemble", "Members", "ensemble", "prepare"]
