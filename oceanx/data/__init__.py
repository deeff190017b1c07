"""Files → CF Zarr stores → Datasets. xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .baking import bake, plan
    from .recipe import Recipe
    from .shelf.catalog import open

__all__ = ["Recipe", "bake", "open", "plan"]

__getattr__ = lazily(__name__, {"bake": "baking", "plan": "baking", "Recipe": "recipe", "open": "shelf.catalog"})
