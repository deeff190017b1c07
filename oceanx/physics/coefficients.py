"""Coefficients that may be learned: positive, near a value that physics suggests, read and logged in SI units.

    value = prior × spreadᶻ        penalty = z²

z is what is learned: the logarithm of the value, counted in the spread of what is plausible. A penalty of 1 says that
the value is one spread (a factor of 2, say) from its prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError


class Coefficient(nn.Module):
    """A positive number of a term, fixed or learned. Call it for what the term takes.

    Parameters
    ----------
    value
        The prior, in SI units.
    unit
        The SI unit, for the log.
    spread
        Factor by which the true value may plausibly be larger or smaller, the prior's standard deviation: > 1.
    learn
        Whether it is a parameter.
    """

    z: Tensor

    def __init__(self, value: float, unit: str, spread: float = 2.0, learn: bool = True):
        super().__init__()
        if not 0 < value < math.inf:
            raise InputError(f"a coefficient of {value} {unit}: it is learned as a logarithm; give a positive number")
        if not 1 < spread < math.inf:
            raise InputError(f"a coefficient spread by a factor of {spread}: give more than 1, such as 2")
        self.prior, self.unit, self.spread, self.learn = float(value), unit, float(spread), learn
        if learn:
            self.z = nn.Parameter(torch.zeros(()))

    def forward(self) -> Tensor | float:
        """The value, in SI units: a scalar tensor with a gradient if it is learned, otherwise a plain number."""
        return self.prior * torch.exp(self.z * math.log(self.spread)) if self.learn else self.prior

    def value(self) -> float:
        """The value as a plain number, in SI units."""
        return self.prior * self.spread ** float(self.z.detach()) if self.learn else self.prior

    def penalty(self) -> Tensor:
        """z², the squared distance from the prior in spreads: add it, weighted, to what training minimises."""
        return self.z**2 if self.learn else torch.zeros(())

    def logged(self) -> dict[str, float]:
        """The value by its unit, for a log."""
        return {self.unit: self.value()}

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{self.value():g} {self.unit}, {f'learned, spread {self.spread:g}' if self.learn else 'fixed'}"


class CoefficientConfig(Config):
    """A coefficient as YAML says it: `{value: 1000, spread: 3, learn: true}`, or the number alone if it is fixed."""

    value: PositiveFloat
    spread: float = Field(2.0, gt=1)
    learn: bool = False

    @model_validator(mode="before")
    @classmethod
    def _number_alone(cls, given: Any) -> Any:
        return given if isinstance(given, Mapping | CoefficientConfig) else {"value": given}

    def build(self, unit: str) -> Coefficient:
        """The coefficient, in the unit of the term that takes it."""
        return Coefficient(self.value, unit, self.spread, self.learn)


def logged(model: nn.Module) -> dict[str, float]:
    """The values of all coefficients in a model, by their dotted name and unit: `core.viscosity [m2 s-1]`."""
    return {f"{name} [{each.unit}]": each.value() for name, each in _coefficients(model)}


def penalty(model: nn.Module) -> Tensor:
    """The sum of all penalties of a model's coefficients."""
    return torch.stack([each.penalty() for _, each in _coefficients(model) if each.learn] or [torch.zeros(())]).sum()


def _coefficients(model: nn.Module) -> list[tuple[str, Coefficient]]:
    return [(name, each) for name, each in model.named_modules() if isinstance(each, Coefficient)]
