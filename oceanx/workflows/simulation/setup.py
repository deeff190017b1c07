"""A core made ready for a labelled ocean: its Config, its geometry, and the fields it begins from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
from oceanx.vocabulary.names import VARIABLES

from .cores import CoreConfig, config_of, forced
from .labels import channels_of, in_our_units, is_difference, one_moment

Precision = Literal["float32", "float64"]
FLOW = ("uo", "vo", "zos")  # what is 0 at rest
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
    *,
    forcing: xr.Dataset | None = None,
    at_rest: bool = False,
    compile: bool | None = None,
    precision: Precision = "float32",
    device: str | torch.device = "cpu",
) -> Setup:
    """The Setup of a core on one moment of a Dataset.

    Parameters
    ----------
    forcing
        What will drive it: a core whose Config leaves open what it is forced by takes what this holds.
    at_rest
        Whether current and sea level, where the Dataset lacks them, are 0.
    compile
        Whether a core that can is compiled; None leaves it to its Config.

    Raises
    ------
    InputError
        If the Dataset has no such moment, lacks a variable that the core begins from, has other units, runs along
        descending axes, or has a wet cell without or a dry one with a value.
    """
    dtype = _dtype(precision)
    config = config_of(core, compile)
    ds, moment = one_moment(dataset, init_time)
    grid.bounds(ds)  # refuses axes that are missing or do not ascend
    ds = grid.complete(ds)
    levels = tuple(map(float, ds.depth.values)) if "depth" in ds.dims else ()
    like = seam.grid_of(ds, Channels(volume=("any",) if levels else (), depth=levels))
    config, made = forced(config, seam.geometry(like, dtype), forcing)
    ds = still(ds, made.prognostic) if at_rest else ds
    channels = channels_of(ds, made.prognostic)
    _refuse_lacking(ds, made.prognostic)
    if levels and not channels.volume:
        # All that it advances lives at the surface: the levels below are nothing to it.
        like = seam.grid_of(ds, channels)
        made = config.build(seam.geometry(like, dtype))
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
    # What a difference may be, no range says: only that of a variable itself does.
    checked = {f"{name}_anomaly" if is_difference(ds[name]) else name: field for name, field in fields.items()}
    try:
        check_fields(checked, geometry)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return fields


def _refuse_lacking(ds: xr.Dataset, names: Iterable[str]) -> None:
    lacking = [name for name in names if name not in ds.data_vars]
    if lacking:
        mend = "say at_rest=True, or " if set(lacking) <= {*FLOW} else ""
        raise InputError(
            f"the Dataset lacks {', '.join(lacking)}, which the core begins from; {mend}open the store that has it"
        )


def still(ds: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """The Dataset with a current and a sea level of 0, where a core wants them and it has none."""
    mask = ds["mask"] if "mask" in ds.coords else grid.wet_mask(ds)
    nothing = xr.zeros_like(mask, dtype="float32").reset_coords(drop=True).where(mask == 1)
    made = {}
    for name in names:
        if name in FLOW and name not in ds.data_vars:
            deep = name != "zos" or "depth" not in nothing.dims
            field = nothing if deep else nothing.isel(depth=0, drop=True)
            made[name] = field.assign_attrs(VARIABLES[name].attrs)
    return ds.assign(made)


def _dtype(precision: str) -> torch.dtype:
    if precision not in ("float32", "float64"):
        raise unknown("precision", precision, ("float32", "float64"))
    return torch.float32 if precision == "float32" else torch.float64
