"""The table of learned analyses: the Config classes that a preset of kind `analysis` may name under `model.kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .analysis_network import AnalysisNetworkConfig
from .analysis_solver import AnalysisSolverConfig

AnalysisModelConfig = Annotated[AnalysisNetworkConfig | AnalysisSolverConfig, Field(discriminator="kind")]
