"""Fetching raw files from the services that hold them, once: afterwards nothing here needs a network."""

from typing import TYPE_CHECKING

from ...vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .fetching import stage

__all__ = ["stage"]

__getattr__ = lazily(__name__, {"stage": "fetching"})
