"""Objectives: what training makes small, a rollout and its losses in one module."""

from .losses import MAE, MSE, Huber, LossConfig, RelativeL2, Spectral
from .objective import Objective

__all__ = ["MAE", "MSE", "Huber", "LossConfig", "Objective", "RelativeL2", "Spectral"]
