"""A small sea with a coast, an island and a sea floor, at rest or stirred, for tests of the primitive equations."""

from __future__ import annotations

import torch

from oceanx.physics.primitive.config import PrimitiveEquationsConfig
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields

THICKNESS = torch.tensor([20.0, 40.0, 80.0, 160.0])


def geometry(dtype=torch.float64, nlat=7, nlon=9, levels=4, periodic=False):
    mask = torch.ones(levels, nlat, nlon)
    mask[:, 0], mask[:, 3, 2] = 0, 0
    mask[levels - 1, 4:, 5:], mask[levels // 2 :, 1, :3] = 0, 0
    thickness = THICKNESS[:levels]
    lat, lon = torch.linspace(20.0, 34.0, nlat + 1), torch.linspace(-180.0, 180.0 if periodic else -162.0, nlon + 1)
    return Geometry(lat, lon, thickness.cumsum(0) - thickness / 2, thickness, mask, periodic, dtype=dtype)


def core(geometry, **changes):
    given = {"viscosity": 5e3, "diffusivity": 500.0, "compile": False} | changes
    return PrimitiveEquations(PrimitiveEquationsConfig.parse(given), geometry)


def fields(geometry, seed=0, batch=1, noise=1.0):
    """Warm above cold and salty, everything a little different everywhere, currents of some 10 cm s-1."""
    random = torch.Generator().manual_seed(seed)
    shape = (batch, *geometry.mask.shape)

    def rough(size, surface=False):
        like = (batch, 1, *shape[2:]) if surface else shape
        return noise * size * torch.randn(like, generator=random, dtype=torch.float64).to(geometry.area)

    depth, wet = geometry.depth[:, None, None], geometry.mask
    return {
        "thetao": (5 + 15 * torch.exp(-depth / 100) + rough(0.2)) * wet,
        "so": (35 + depth / 500 + rough(0.05)) * wet,
        "uo": rough(0.1) * wet,
        "vo": rough(0.1) * wet,
        "zos": rough(0.1, surface=True) * geometry.surface,
    }


def fluxes(geometry, seed=100, batch=1):
    """Wind, heat and rain of typical size, over land too."""
    random = torch.Generator().manual_seed(seed)
    typical = {"tauuo": 0.1, "tauvo": 0.1, "ssr": 100.0, "str": 40.0, "sshf": 20.0, "slhf": 80.0}
    typical |= {"evs": 4e-5, "mtpr": 4e-5}
    return Fields(
        {
            name: (size * torch.randn(batch, 1, *geometry.area.shape, generator=random, dtype=torch.float64)).to(
                geometry.area
            )
            for name, size in typical.items()
        }
    )


def weather(geometry):
    """A windy day over a sea of 20 °C."""
    typical = {"u10": 8.0, "v10": -3.0, "t2m": 292.0, "d2m": 288.0, "msl": 1.01e5, "strd": 380.0, "ssr": 180.0}
    typical |= {"mtpr": 2e-5}
    return Fields(
        {name: torch.full((1, 1, *geometry.area.shape), value).to(geometry.area) for name, value in typical.items()}
    )
