"""A core made ready for a labelled ocean: its Config, its geometry, and the fields it begins from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from oceanx import seam
from oceanx.ocean import grid
from oceanx.physics.core import Core
from oceanx.physics.guard import check_fields, check_geometry
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError, unknown

from .physics_cores import CoreConfig, config_of
from .physics_labels import channels_of, in_our_units, one_moment

Precision = Literal["float32", "float64"]
AnyCore = str | Mapping[str, Any] | CoreConfig


@dataclass(frozen=True)
class Setup:
    """A core, what it stands on, and where it starts.

    Attributes
    ----------
    channels
        The core's prognostic variables.
    like
        The labelled grid: axes, `mask`, `cell_area` and, of volumes, `thickness`.
    source
        The Dataset at the start, with every variable it holds.
    fields
        The prognostic fields at cell centres, `[1, depth, lat, lon]`, 0 on land.
    """

    config: CoreConfig
    core: Core
    channels: Channels
    like: xr.Dataset
    source: xr.Dataset
    moment: np.datetime64
    fields: dict[str, Tensor]

    @property
    def said(self) -> str:
        """The core's Config as JSON."""
        return json.dumps(self.config.dump())

    @property
    def kind(self) -> str:
        """The core's name."""
        return str(getattr(self.config, "kind", type(self.config).__name__))

    @property
    def geometry(self) -> Geometry:
        """The core's own."""
        return self.core.geometry


def set_up(
    dataset: xr.Dataset,
    core: AnyCore,
    init_time: Any = None,
    precision: Precision = "float32",
    device: str | torch.device = "cpu",
) -> Setup:
    """The Setup of a core on one moment of a Dataset.

    Raises
    ------
    InputError
        If the Dataset has no such moment, lacks a variable that the core begins from, has other units, runs along
        descending axes, or has a wet cell without or a dry one with a value.
    """
    config = config_of(core)
    ds, moment = one_moment(dataset, init_time)
    grid.bounds(ds)  # refuses axes that are missing or do not ascend
    ds = grid.complete(ds)
    made, channels, like = _built(config, ds, _dtype(precision))
    if isinstance(made, nn.Module):
        made = made.to(device)
    check_geometry(made.geometry)
    fields = filled(ds, channels, made.geometry, str(pd.Timestamp(moment)))
    return Setup(config, made, channels, like, ds, moment, fields)


def filled(ds: xr.Dataset, channels: Channels, geometry: Geometry, where: str) -> dict[str, Tensor]:
    """The variables of one moment as fields `[1, depth, lat, lon]` like the geometry's, 0 where land is NaN.

    Raises
    ------
    InputError
        If a wet cell has no value or an impossible one, or a dry cell has one.
    """
    chosen = in_our_units(seam.select(ds, channels), channels.names)
    fields = seam.to_fields(chosen.expand_dims("time").load(), channels)
    for name, field in fields.items():
        field = field.to(geometry.mask)
        dry = ~seam.wet_of(field, geometry.mask)
        fields[name] = torch.where(dry & field.isnan(), 0.0, field)
    try:
        check_fields(fields, geometry)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return fields


def _built(config: CoreConfig, ds: xr.Dataset, dtype: torch.dtype) -> tuple[Core, Channels, xr.Dataset]:
    """The core on all levels of the Dataset; on the surface alone, if that is where all it advances lives."""
    everywhere = (
        Channels(volume=("any",), depth=tuple(map(float, ds.depth.values))) if "depth" in ds.dims else Channels()
    )
    like = seam.grid_of(ds, everywhere)
    made = config.build(seam.geometry(like, dtype))
    channels = channels_of(ds, made.prognostic)
    lacking = [name for name in made.prognostic if name not in ds.data_vars]
    if lacking:
        raise InputError(
            f"{lacking[0]}: the Dataset lacks this variable, which the core begins from {list(made.prognostic)}; open "
            f"the store that holds it too, or start from rest with dataset.assign({lacking[0]}=…)"
        )
    if everywhere.volume and not channels.volume:
        like = seam.grid_of(ds, channels)
        made = config.build(seam.geometry(like, dtype))
    return made, channels, like


def _dtype(precision: str) -> torch.dtype:
    if precision not in ("float32", "float64"):
        raise unknown("precision", precision, ("float32", "float64"))
    return torch.float32 if precision == "float32" else torch.float64
