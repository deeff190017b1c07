"""Files → CF Zarr stores → Datasets. xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .catalog import open
    from .recipe import Recipe, bake

__all__ = ["Recipe", "bake", "open"]

__getattr__ = lazily(__name__, {"bake": "recipe", "Recipe": "recipe", "open": "catalog"})
