"""The table of networks: the Config classes that a model's `net` may name under `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .afno import AFNOConfig
from .cirt import CirTConfig
from .cno import CNOConfig
from .convlstm import ConvLSTMConfig
from .encoder_attention import EncoderAttentionConfig
from .fno import FNOConfig
from .large_kernel_unet import LargeKernelUNetConfig
from .lsm import LSMConfig
from .mesh_network import MeshConfig
from .multiconv import MultiConvConfig
from .paramnet import ParamNetConfig
from .pastnet import PastNetConfig
from .resnet import ResNetConfig
from .simvp import SimVPConfig
from .unet import UNetConfig
from .vit import ViTConfig

NetConfig = Annotated[
    AFNOConfig
    | CirTConfig
    | CNOConfig
    | ConvLSTMConfig
    | EncoderAttentionConfig
    | FNOConfig
    | LargeKernelUNetConfig
    | LSMConfig
    | MeshConfig
    | MultiConvConfig
    | ParamNetConfig
    | PastNetConfig
    | ResNetConfig
    | SimVPConfig
    | UNetConfig
    | ViTConfig,
    Field(discriminator="kind"),
]
