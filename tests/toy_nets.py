"""A configuration of every network of the table, so small that it is built and run in an instant."""

from __future__ import annotations

from oceanx.nn.afno import AFNOConfig
from oceanx.nn.cirt import CirTConfig
from oceanx.nn.cno import CNOConfig
from oceanx.nn.convlstm import ConvLSTMConfig
from oceanx.nn.encoder_attention import EncoderAttentionConfig
from oceanx.nn.fno import FNOConfig
from oceanx.nn.large_kernel_unet import LargeKernelUNetConfig
from oceanx.nn.lsm import LSMConfig
from oceanx.nn.mesh_network import MeshConfig
from oceanx.nn.multiconv import MultiConvConfig
from oceanx.nn.paramnet import ParamNetConfig
from oceanx.nn.pastnet import PastNetConfig
from oceanx.nn.registry import NetConfig
from oceanx.nn.resnet import ResNetConfig
from oceanx.nn.simvp import SimVPConfig
from oceanx.nn.unet import UNetConfig
from oceanx.nn.vit import ViTConfig

SMALL: dict[str, NetConfig] = {
    "simvp": SimVPConfig(spatial=4, strides=(1, 2, 2), hidden=8, blocks=2, kernels=(3, 5), groups=2),
    "pastnet": PastNetConfig(
        width=8,
        units=4,
        residual=1,
        code=4,
        codes=8,
        hidden=8,
        blocks=2,
        kernels=(3, 5),
        groups=2,
        patch=2,
        fourier=8,
        fourier_blocks=2,
    ),
    "large_kernel_unet": LargeKernelUNetConfig(width=8, levels=2, convolutions=2, wider=2, kernel=15, blocks=2),
    "convlstm": ConvLSTMConfig(hidden=(4, 6), passes=2),
    "cno": CNOConfig(levels=2, residual=1, bottleneck=1, width=8, latent=4, groups=2),
    "afno": AFNOConfig(patch=2, width=8, depth=2, blocks=2, places=(3, 1)),
    "cirt": CirTConfig(width=8, depth=2, heads=2, drop_path=0.0),
    "fno": FNOConfig(modes=(3, 4), width=6, depth=2, last_width=8),
    "lsm": LSMConfig(width=4, scales=3, tokens=2, basis=3, patch=2, heads=2, groups=2, last_width=8),
    "vit": ViTConfig(channels=4, halvings=1, width=16, depth=2, heads=2),
    "encoder_attention": EncoderAttentionConfig(widths=(4, 8, 8), blocks=2, heads=2, ratio=2, dropout=0.0, groups=2),
    "mesh": MeshConfig(level=1, width=8, layers=2),
    "multiconv": MultiConvConfig(width=4, hidden=8, blocks=3, expansion=2),
    "resnet": ResNetConfig(widths=(4, 8), blocks=(1, 1), groups=2),
    "paramnet": ParamNetConfig(
        embed=8, latent=16, spatial_layers=2, latent_layers=3, heads=2, window=2, ratio=2, drop_path=0.0
    ),
    "unet": UNetConfig(widths=(4, 8, 16), groups=2),
}
