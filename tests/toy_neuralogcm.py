"""Small NeuralOGCMs, and deep water for them to move."""

from __future__ import annotations

import torch
import toy_hybridom as toy
import toy_tensors

from oceanx.models.neuralogcm import NeuralOGCMConfig
from oceanx.nn.encoder_attention import EncoderAttentionConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import State

NET = EncoderAttentionConfig(widths=(4, 8), blocks=1, heads=2, ratio=2, dropout=0.0, groups=2)


def build(anomalies=False, geometry=None, trained=False, **settings):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies), geometry or toy_tensors.geometry()
    config = NeuralOGCMConfig.parse({"net": NET.model_dump(), "substeps": 3, "fastest": 0.5, **settings})
    model = config.build(task, geometry, toy.statistics(task))
    if trained:
        toy_tensors.train_a_little(model)
    return model, task, geometry


def plane(size=(6, 8), spacing=5e4, f=1e-4, periodic=(True, True)):
    """Deep water on an f-plane, its layers 10 and 40 m thick."""
    y, x = (torch.arange(n + 1) * spacing for n in size)
    depth, thickness = torch.tensor(toy_tensors.DEPTH), torch.tensor([10.0, 40.0])
    return Geometry.plane(y, x, depth, thickness, torch.ones(2, *size), periodic=periodic, coriolis=(f, 0.0))


def at_rest(geometry, **fields):
    """Water of 10 °C and 35, and what is given."""
    full = torch.ones(1, 2, *geometry.area.shape)
    usual = {"thetao": 10 * full, "so": 35 * full, "uo": 0 * full, "vo": 0 * full, "zos": 0 * full[:, :1]}
    return State(usual | {name: field.expand_as(usual[name]).clone() for name, field in fields.items()})
