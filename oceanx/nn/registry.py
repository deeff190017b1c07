"""The table of networks: the Config classes that a model's `net` may name under `kind`."""

from __future__ import annotations

from .unet import UNetConfig

NetConfig = UNetConfig
