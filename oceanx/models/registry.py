"""The table of trainable models: the Config classes a preset may name under `model.kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .emulator import EmulatorConfig
from .hybrid import HybridConfig

ModelConfig = Annotated[EmulatorConfig | HybridConfig, Field(discriminator="kind")]
