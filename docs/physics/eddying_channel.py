"""An eddying channel: a jet in thermal-wind balance breaks into eddies, beside what linear theory says of it.

Makes docs/images/eddying_channel.png and prints the numbers of docs/physics/eddying_channel.md:

    python docs/physics/eddying_channel.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigvals

from oceanx.physics.momentum import vorticity
from oceanx.physics.primitive.config import PrimitiveEquationsConfig
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.geometry import Geometry, above, below
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.constants import GRAVITY, SECONDS_PER_DAY

IMAGE = Path(__file__).parents[1] / "images" / "eddying_channel.png"
NX, NY, NZ, CELL, DEPTH = 160, 80, 10, 25e3, 2000.0  # a cell as wide as 1/4° is at 45°, halfway between both directions
F0, BETA = -1.0e-4, 1.6e-11  # 45° S
SPEED, HALF_WIDTH, N = 0.6, 200e3, 4e-3  # of the jet, m s-1 and m; buoyancy frequency, s-1
EXPANSION = 1.7e-4  # of the linear equation of state, K-1
NOISE = 0.005  # K, of each wave that the jet begins with
STEP = 2700.0
GROWTH = (20.0, 32.0)  # days between which waves are small, and old enough to have found their shape
SHOWN = (36, 48, 60, 84)  # days


def geometry(dtype: torch.dtype) -> Geometry:
    """A channel that closes on itself in x, with walls in the south and the north and a flat floor."""
    y = (torch.arange(NY + 1, dtype=torch.float64) - NY / 2) * CELL
    x = torch.arange(NX + 1, dtype=torch.float64) * CELL
    thickness = torch.full((NZ,), DEPTH / NZ, dtype=torch.float64)
    depth = thickness.cumsum(0) - thickness / 2
    return Geometry.plane(y, x, depth, thickness, torch.ones(NZ, NY, NX), (True, False), (F0, BETA), dtype)


def core(at: Geometry) -> PrimitiveEquations:
    """The primitive equations, as free of friction as 25 km bear; nothing drives the channel."""
    given = {
        "density": "linear",
        "transport": "third",
        "viscosity4": 5e10,
        "vertical": "constant",
        "vertical_viscosity": 1e-4,
        "vertical_diffusivity": 1e-6,
    }
    return PrimitiveEquations(PrimitiveEquationsConfig.parse(given), at)


def jet(at: Geometry, noise: float) -> dict[str, torch.Tensor]:
    """u = U sech²(y/L) (1 − depth/H), and the temperature and sea surface that hold it in balance, with waves of every
    length along the jet in the upper half of the water: `noise` K high, at random places."""
    y, depth = at.latitude[:, None].double(), at.depth[:, None, None].double()
    shape = 1 / torch.cosh(y / HALF_WIDTH) ** 2
    slope = (F0 + BETA * y) * shape * SPEED
    across = torch.cumsum(slope, 0) * CELL - slope * CELL / 2
    across = across - across[NY // 2]
    uo = SPEED * shape * (1 - depth / DEPTH)
    thetao = 20 - N**2 / (GRAVITY * EXPANSION) * depth - across / (DEPTH * GRAVITY * EXPANSION)
    phase = 2 * torch.pi * torch.rand(24, 1, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    number = torch.arange(1, 25)[:, None, None]
    turns = 2 * torch.pi * at.longitude.double() / (NX * CELL)
    waves = (torch.cos(number * turns + phase) * torch.exp(-((y / HALF_WIDTH) ** 2))).sum(0)
    thetao = thetao + noise * waves * (depth < DEPTH / 2)
    fields = {
        "thetao": thetao,
        "so": torch.full_like(thetao, 35.0),
        "uo": uo.expand_as(thetao),
        "vo": torch.zeros_like(thetao),
        "zos": (-across / GRAVITY).expand(1, NY, NX),
    }
    return {name: field[None].to(at.area) for name, field in fields.items()}


def run(days: int) -> dict[str, Any]:
    """What the channel shows twice a day."""
    at = geometry(torch.float64)
    its = core(at)
    state = its.begin(jet(at, NOISE))
    begun = its.budget(state)
    kept: dict[str, Any] = {"day": [], "eke": [], "mke": [], "conversion": [], "waves": [], "shown": {}, "rates": []}
    for half in range(2 * days + 1):
        if half:
            state = its(state, Fields({}), SECONDS_PER_DAY / 2, round(SECONDS_PER_DAY / 2 / STEP))
        kept["day"].append(half / 2)
        for name, value in energies(its, state).items():
            kept[name].append(value)
        kept["rates"].append(its.rates(state))
        if half % 2 == 0 and half // 2 in SHOWN:
            spin = vorticity(state["uo_x"], state["vo_y"], at)[0, 0] / F0
            kept["shown"][half // 2] = state["thetao"][0, 0].numpy(), spin.numpy()
    ended = its.budget(state)
    kept["drift"] = {name: (ended[name] / begun[name] - 1).item() for name in ("volume", "heat", "salt")}
    return {
        name: np.array(value) if isinstance(value, list) and name != "rates" else value for name, value in kept.items()
    }


def energies(its: PrimitiveEquations, state: State) -> dict[str, Any]:
    """Kinetic energy of the eddies and of the zonal mean (m2 s-2), what turns into the eddies' (m2 s-3), and the
    surface's v² by zonal wavenumber."""
    at, t, u, v = its.geometry, state["thetao"], state["uo_x"], state["vo_y"]
    rising = its.its.flow(u, v, state["zos"], None).z / at.area
    lifted = GRAVITY * EXPANSION * eddy(0.5 * (t + below(t)))
    through = rising * lifted
    mean_u, mean_v = u - eddy(u), v - eddy(v)
    waves = torch.fft.rfft(v[0, 0], dim=-1).abs() ** 2
    return {
        "eke": 0.5 * (eddy(u) ** 2 + eddy(v) ** 2).mean().item(),
        "mke": 0.5 * (mean_u**2 + mean_v**2).mean().item(),
        "conversion": (0.5 * (through + above(through))).mean().item(),
        "waves": waves.mean(0).numpy(),
    }


def eddy(field: torch.Tensor) -> torch.Tensor:
    """What differs from the mean along the channel."""
    return field - field.mean(-1, keepdim=True)


def quasi_geostrophic(wavenumbers: np.ndarray) -> np.ndarray:
    """The growth rate (s-1) of the fastest linear wave of each zonal wavenumber (m-1) on the same jet and levels.

    (U − c) (∂²/∂y² − k² + S) ψ + (β − U_yy − S U) ψ = 0,   S = ∂/∂z f₀²/N² ∂/∂z, nothing through surface and floor.
    """
    y = (np.arange(NY) + 0.5 - NY / 2) * CELL
    depth = (np.arange(NZ) + 0.5) * DEPTH / NZ
    u = SPEED / np.cosh(y / HALF_WIDTH) ** 2 * (1 - depth[:, None] / DEPTH)

    def second(number: int, width: float, through: float) -> np.ndarray:
        off = np.ones(number - 1) / width**2
        made = np.diag(off, 1) + np.diag(off, -1)
        inner = -made.sum(1)
        walls = np.zeros(number)
        walls[[0, -1]] = -through / width**2
        return made + np.diag(inner + walls)

    stretching = F0**2 / N**2 * second(NZ, DEPTH / NZ, 0)
    across = second(NY, CELL, 2)  # ψ = 0 on the walls
    curved = u @ second(NY, CELL, 0).T  # no vorticity of the jet on the walls
    gradient = (BETA - curved - stretching @ u).ravel()
    growth = []
    for k in wavenumbers:
        inverse = np.kron(np.eye(NZ), across - k**2 * np.eye(NY)) + np.kron(stretching, np.eye(NY))
        speed = u.ravel()[:, None] * np.eye(NY * NZ) + np.linalg.solve(inverse.T, np.diag(gradient)).T
        growth.append(k * eigvals(speed).imag.max())
    return np.array(growth)
