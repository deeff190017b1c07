"""Which terms the primitive equations have, and how large."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import GRAVITY

from ..coefficients import CoefficientConfig
from ..core import Core


class PrimitiveEquationsConfig(Config):
    """Which terms the equations have, and their coefficients in SI units; a coefficient may be learned.

    `viscosity` and `diffusivity` (m2 s-1) and their biharmonic sisters (m4 s-1) hold where cells are widest;
    elsewhere they shrink with the cell's narrower side (biharmonic: its cube) if `shrink` is set, as what they stand
    for does. `vertical` is constant, or by the Richardson number.
    """

    kind: Literal["primitive_equations"] = "primitive_equations"
    density: Literal["teos10", "simplified", "linear"] = "teos10"
    transport: Literal["upwind", "centred", "third", "limited", "weno"] = "limited"
    forced_by: Literal["nothing", "wind", "fluxes", "weather"] = "nothing"
    gravity: PositiveFloat = GRAVITY
    viscosity: CoefficientConfig | None = None
    viscosity4: CoefficientConfig | None = None
    smagorinsky: CoefficientConfig | None = None  # Υ, without unit
    diffusivity: CoefficientConfig | None = None
    shrink: bool = True
    slip: Literal["free", "no"] = "free"
    vertical: Literal["constant", "richardson"] = "richardson"
    vertical_viscosity: CoefficientConfig = CoefficientConfig.model_validate(1e-4)
    vertical_diffusivity: CoefficientConfig = CoefficientConfig.model_validate(1e-5)
    convection: NonNegativeFloat = 1.0  # m2 s-1 where water would overturn
    drag: NonNegativeFloat = 2.5e-3  # quadratic, without unit
    drag_linear: NonNegativeFloat = 0.0  # m s-1
    jerlov: Literal["I", "IA", "IB", "II", "III"] = "I"
    epsilon: NonNegativeFloat = 0.1  # of Adams–Bashforth
    turn: PositiveFloat = 0.5  # radians that inertial motion may turn in a step: for accuracy, any number is stable
    compile: bool = True

    def build(self, geometry: Geometry) -> Core:
        """The core on this grid."""
        from .equations import PrimitiveEquations  # which is built of the terms, which know this configuration

        return PrimitiveEquations(self, geometry)
