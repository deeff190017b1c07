"""Balance between variables: errors of temperature and salinity bring those of the sea surface and of currents along.

    B = K B_u Kᵀ

B_u is the covariance of unbalanced parts, which know nothing of each other. K, linear about a background, keeps
temperature and salinity and adds to the others what is in balance with them:

    ρ' = ∂ρ/∂θ θ' + ∂ρ/∂S S'                            the tangent of the equation of state
    η' = η_u − (1/ρ₀) ∫ ρ' dz                            steric height, above the level of no motion
    u' = u_u − p'_y / (ρ₀ f), v' = v_u + p'_x / (ρ₀ f)   geostrophy of p' = g ρ₀ η' + g ∫ ρ' dz, at every level

In a state without sea surface, its steric height stands in. The pressure's gradient is that of layers at rest. Towards
the equator geostrophy fades (`physics.geostrophy.taper`); inside the mixed layer, which wind and cooling keep, ρ' has
no say unless told otherwise.

References
----------
Weaver, Deltel, Machu, Ricci & Daget (2005), Q. J. R. Meteorol. Soc. 131, 3605, doi:10.1256/qj.05.119.
de Boyer Montégut et al. (2004), J. Geophys. Res. 109, C12003, doi:10.1029/2004JC002378 (mixed layer).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from oceanx.physics.density import EQUATIONS, Equation, contraction, expansion
from oceanx.physics.geostrophy import balanced
from oceanx.physics.pressure import pressure_gradient, surface_gradient
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import Vector
from oceanx.tensors.state import Fields, Increment, State
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import REFERENCE_DENSITY, ROTATION

from .covariance import Covariance
from .univariate import Univariate

SALINITY = 35.0  # of a state that has none
CURRENTS = ("uo", "vo")


class BalanceConfig(Config):
    """What is in balance with temperature and salinity.

    Attributes
    ----------
    equation
        Of state.
    mixed_layer
        Whether density inside the mixed layer takes part.
    threshold
        By how much denser than near the surface the water beneath the mixed layer is, kg m-3.
    no_motion
        Depth (m) below which density moves neither the sea surface nor, so, the water above; None: the sea floor.
    weak_latitude
        Degrees within which geostrophy fades.
    unbalanced
        The share of their spread that is left to the unbalanced parts of sea surface and currents. None: what the
        Setting's samples leave when the balanced part is taken off.
    """

    equation: Literal["teos10", "simplified", "linear"] = "teos10"
    mixed_layer: bool = False
    threshold: PositiveFloat = 0.03
    no_motion: PositiveFloat | None = None
    weak_latitude: PositiveFloat = 5.0
    unbalanced: NonNegativeFloat | None = None


class Balance:
    """K about a background: `balance(change)` is K x, `adjoint` Kᵀ x, `inverse` K⁻¹ x.

    Parameters
    ----------
    background
        One state, or as many as there will be changes. Without `so` the water is taken to have a salinity of 35.
    """

    def __init__(self, background: State, geometry: Geometry, config: BalanceConfig | None = None):
        self.geometry, self.config = geometry, config or BalanceConfig()
        self.weak = 2 * ROTATION * math.sin(math.radians(self.config.weak_latitude))
        self.slopes: dict[str, Tensor] = {}
        if "thetao" in background and background["thetao"].shape[-3] == len(geometry.mask):
            self.slopes = _slopes(background, geometry, self.config)

    def __call__(self, change: Increment) -> Increment:
        """K x: unbalanced parts with what is in balance added."""
        return self._with(change, 1.0)

    def inverse(self, change: Increment) -> Increment:
        """K⁻¹ x: what is in balance taken off."""
        return self._with(change, -1.0)

    def adjoint(self, change: Increment) -> Increment:
        """Kᵀ x."""
        names = tuple(change)

        def flat(*fields: Tensor) -> tuple[Tensor, ...]:
            return tuple(self(Increment(dict(zip(names, fields, strict=True)))).values())

        transposed = torch.func.vjp(flat, *(torch.zeros_like(change[name]) for name in names))[1]
        return Increment(dict(zip(names, transposed(tuple(change.values())), strict=True)))

    def density(self, change: Increment) -> Float[Tensor, "batch depth lat lon"] | None:
        """ρ' (kg m-3), where it has a say; None of increments without temperature and salinity."""
        parts = [slope * change[name] for name, slope in self.slopes.items() if name in change]
        return torch.stack(parts).sum(0) if parts else None

    def steric_height(self, density: Float[Tensor, "batch depth lat lon"]) -> Float[Tensor, "batch 1 lat lon"]:
        """−(1/ρ₀) ∫ ρ' dz (m)."""
        return -(density * self._layers).sum(-3, keepdim=True) / REFERENCE_DENSITY

    @property
    def _layers(self) -> Tensor:
        """How thick the wet layers are above the level of no motion (m)."""
        thickness = self.geometry.thickness * self.geometry.mask
        if self.config.no_motion is None:
            return thickness
        top = self.geometry.interfaces[:-1, None, None]
        return torch.minimum(thickness, (self.config.no_motion - top).clamp(min=0) * self.geometry.mask)

    def _with(self, change: Increment, sign: float) -> Increment:
        """The change with `sign` times its balanced parts, which come from the whole of the sea surface."""
        density, fields = self.density(change), dict(change)
        steric = self.steric_height(density) if density is not None else None
        if "zos" in fields and steric is not None:
            fields["zos"] = fields["zos"] + sign * steric
        whole = (fields if sign > 0 else change).get("zos", steric)
        if whole is not None:
            current = self._current(density, whole)
            for name in CURRENTS:
                if name in fields:
                    fields[name] = fields[name] + sign * current[name][..., : fields[name].shape[-3], :, :]
        return Increment(fields)

    def _current(self, density: Tensor | None, zos: Tensor) -> dict[str, Tensor]:
        """The geostrophic current at every level (m s-1)."""
        g = self.geometry
        slope = surface_gradient(zos, g)
        push = Vector(slope.x * g.mask_x, slope.y * g.mask_y)  # the surface's slope is not felt through closed faces
        if density is not None:
            deep = pressure_gradient(density, torch.zeros_like(zos), g)
            push = Vector(push.x + deep.x, push.y + deep.y)
        current = balanced(push, g, weak=self.weak)
        return {"uo": current.u * g.mask, "vo": current.v * g.mask}


class Balanced(Covariance):
    """B = K B_u Kᵀ, K about the background last told by `about`.

    Parameters
    ----------
    unbalanced
        B_u.
    balance
        From a background to K.
    samples
        Of the errors, or None. Where given, the spread of the unbalanced parts is what is left of them by K⁻¹.
    """

    def __init__(
        self,
        unbalanced: Univariate,
        balance: Callable[[State], Balance],
        samples: Fields | None = None,
        told: Balance | None = None,
    ):
        self.unbalanced, self.balance, self.samples, self.told = unbalanced, balance, samples, told
        self.size, self.shapes = unbalanced.size, unbalanced.shapes
        self.dtype, self.device = unbalanced.dtype, unbalanced.device

    def about(self, background: State) -> Balanced:
        """The covariance of errors about this background, of a batch its mean."""
        told = self.balance(background.map(lambda field: field.mean(0, keepdim=True)))
        inner = self.unbalanced
        if self.samples is not None:
            left = told.inverse(Increment(dict(self.samples.only(tuple(inner.shapes)))))
            spread = {
                name: field.std(0) if name in (*CURRENTS, "zos") else inner.spread[name] for name, field in left.items()
            }
            inner = Univariate(spread, inner.correlations)
        return Balanced(inner, self.balance, self.samples, told)

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        return self._told(self.unbalanced.root(v))

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        whole = Increment({name: self.field(change, name) for name in self.shapes})
        return self.unbalanced.adjoint(self._told.adjoint(whole))

    @property
    def _told(self) -> Balance:
        if self.told is None:
            raise ValueError("a balance is linear about a background: say which, covariance.about(background)")
        return self.told


def _slopes(background: State, geometry: Geometry, config: BalanceConfig) -> dict[str, Tensor]:
    """∂ρ/∂θ and ∂ρ/∂S at the background, 0 on land and where density has no say."""
    equation = EQUATIONS[config.equation]
    warm = background["thetao"]
    salty = background["so"] if "so" in background else torch.full_like(warm, SALINITY)
    depth = geometry.depth.to(warm)[:, None, None]
    here = geometry.mask
    if not config.mixed_layer:
        here = here * beneath(warm, salty, geometry, config.threshold, equation)
    slopes = {"thetao": -REFERENCE_DENSITY * expansion(warm, salty, depth, equation) * here}
    if "so" in background:
        slopes["so"] = REFERENCE_DENSITY * contraction(warm, salty, depth, equation) * here
    return slopes


def beneath(
    thetao: Float[Tensor, "batch depth lat lon"],
    so: Float[Tensor, "batch depth lat lon"],
    geometry: Geometry,
    threshold: float,
    equation: Equation,
) -> Float[Tensor, "batch depth lat lon"]:
    """0 in mixed water, 1 beneath: how much denser than near the surface (10 m) water is, over `threshold`, up to 1."""
    near = int((geometry.depth - 10.0).abs().argmin())
    dense = equation(thetao, so, torch.zeros_like(geometry.depth)[:, None, None].to(thetao))
    deeper = (dense - dense[:, near : near + 1]) / threshold
    return torch.where(geometry.depth[:, None, None] > geometry.depth[near], deeper.clamp(0.0, 1.0), 0.0)
