"""The table of trainable models: the Config classes a preset may name under `model.kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .emulator import EmulatorConfig
from .hybrid import HybridConfig
from .hybridom import HybridOMConfig
from .hybridom_regional import HybridOMRegionalConfig
from .neuralogcm import NeuralOGCMConfig
from .neuralom import NeuralOMConfig
from .ocean_e2e import OceanE2EConfig

ModelConfig = Annotated[
    EmulatorConfig
    | HybridConfig
    | HybridOMRegionalConfig
    | HybridOMConfig
    | NeuralOGCMConfig
    | NeuralOMConfig
    | OceanE2EConfig,
    Field(discriminator="kind"),
]
