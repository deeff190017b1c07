"""The Gaspari–Cohn correlation as a matrix, for localising samples on small grids: nothing at all beyond its radius.

    C = G(r/c) ⊗ G(z/h)        r straight through the Earth, z down the column

Other than diffusion it sees no coast, and its matrix is dense: it is taken apart once, in n³ operations of n cells.
"""

from __future__ import annotations

from math import inf

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

from .localisation import gaspari_cohn

MOST = 4096  # cells whose matrix is worth taking apart


class Tapered:
    """The correlation of one field, 1 on the diagonal and 0 on land.

    Parameters
    ----------
    geometry
        Where the water is.
    levels
        Of the field.
    half_width, height
        c and h in m; infinite where everything is to stay related.

    Raises
    ------
    InputError
        If so many columns are wet that the matrix would be too large.

    References
    ----------
    Gaspari & Cohn (1999), Q. J. R. Meteorol. Soc. 125, 723, doi:10.1002/qj.49712555417.
    """

    def __init__(self, geometry: Geometry, levels: int, half_width: float, height: float = inf):
        self.mask = geometry.mask_of(levels).double()
        self.columns = self.mask.any(0).flatten().nonzero()[:, 0]
        if len(self.columns) > MOST:
            raise InputError(
                f"localisation: {len(self.columns)} wet columns are too many for gaspari_cohn ({MOST}); say diffusion"
            )
        place = _places(geometry)[self.columns]
        self.across = _root(_apart(place) / half_width)
        depth = geometry.depth[:levels].double()[:, None]
        self.down = _root(_apart(depth) / height)
        self.size = levels * len(self.columns)

    def root(self, v: Float[Tensor, "batch size"]) -> Float[Tensor, "batch level lat lon"]:
        """R v."""
        fields = self.down @ v.double().unflatten(1, (len(self.down), -1)) @ self.across
        whole = fields.new_zeros(*fields.shape[:2], self.mask[0].numel()).index_copy(2, self.columns, fields)
        return (whole.unflatten(2, self.mask.shape[1:]) * self.mask).to(v.dtype)

    def adjoint(self, field: Float[Tensor, "batch level lat lon"]) -> Float[Tensor, "batch size"]:
        """Rᵀ x."""
        wet = (field.double() * self.mask).flatten(2).index_select(2, self.columns)
        return (self.down @ wet @ self.across).flatten(1).to(field.dtype)


def _places(geometry: Geometry) -> Float[Tensor, "cell 3"]:
    """Where cells are in space (m), on the sphere or on the plane."""
    y, x = torch.meshgrid(geometry.latitude.double(), geometry.longitude.double(), indexing="ij")
    if geometry.flat:
        return torch.stack([x, y, torch.zeros_like(x)], dim=-1).flatten(0, 1)
    phi, lam = torch.deg2rad(y), torch.deg2rad(x)
    on_sphere = torch.stack([phi.cos() * lam.cos(), phi.cos() * lam.sin(), phi.sin()], dim=-1)
    return EARTH_RADIUS * on_sphere.flatten(0, 1)


def _apart(place: Float[Tensor, "cell axis"]) -> Float[Tensor, "cell cell"]:
    """Straight distances, without the short cut by products, which cancels."""
    return torch.cdist(place, place, compute_mode="donot_use_mm_for_euclid_dist")


def _root(distance: Float[Tensor, "cell cell"]) -> Float[Tensor, "cell cell"]:
    """The symmetric root of G."""
    values, vectors = torch.linalg.eigh(gaspari_cohn(distance))
    return vectors * values.clamp(min=0).sqrt() @ vectors.T
