"""An eddying channel: a jet in thermal-wind balance breaks into eddies, beside what linear theory says of it.

Makes docs/images/eddying_channel.png and prints the numbers of docs/physics/eddying_channel.md:

    python docs/physics/eddying_channel.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cmocean
import matplotlib.pyplot as plt
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
EADY = 0.31 * abs(F0) / N * SPEED / DEPTH * SECONDS_PER_DAY  # growth of the fastest wave on a broad jet, per day


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
        "viscosity4": 2e11,
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
    kept: dict[str, Any] = {"day": [], "eke": [], "mke": [], "conversion": [], "waves": [], "shown": {}}
    for half in range(2 * days + 1):
        if half:
            state = its(state, Fields({}), SECONDS_PER_DAY / 2, round(SECONDS_PER_DAY / 2 / STEP))
        kept["day"].append(half / 2)
        for name, value in energies(its, state).items():
            kept[name].append(value)
        if half % 2 == 0 and half // 2 in SHOWN:
            spin = vorticity(state["uo_x"], state["vo_y"], at)[0, 0] / abs(F0)
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


def theory() -> np.ndarray:
    """Growth rate (per day) of the fastest quasi-geostrophic wave on this jet and these levels, by its number.

    (U − c) (∂²/∂y² − k² + S) ψ + (β − U_yy − S U) ψ = 0,   S = ∂/∂z f₀²/N² ∂/∂z, nothing through surface and floor.
    """
    y = (np.arange(NY) + 0.5 - NY / 2) * CELL
    depth = (np.arange(NZ) + 0.5) * DEPTH / NZ
    u = SPEED / np.cosh(y / HALF_WIDTH) ** 2 * (1 - depth[:, None] / DEPTH)

    def second(number: int, width: float, through: float) -> np.ndarray:
        """Second differences; at the edges 0 beyond a wall (`through` 2), or no slope (0)."""
        off = np.ones(number - 1) / width**2
        made = np.diag(off, 1) + np.diag(off, -1)
        edges = np.zeros(number)
        edges[[0, -1]] = through / width**2
        return made - np.diag(made.sum(1) + edges)

    stretching = F0**2 / N**2 * second(NZ, DEPTH / NZ, 0)
    across = second(NY, CELL, 2)  # ψ = 0 on the walls
    curved = u @ second(NY, CELL, 0).T  # no vorticity of the jet on the walls
    gradient = (BETA - curved - stretching @ u).ravel()
    rates = [0.0]
    for k in 2 * np.pi / (NX * CELL) * np.arange(1, 25):
        vorticity_of = np.kron(np.eye(NZ), across - k**2 * np.eye(NY)) + np.kron(stretching, np.eye(NY))
        carried = np.diag(u.ravel()) + np.linalg.solve(vorticity_of.T, np.diag(gradient)).T
        rates.append(k * eigvals(carried).imag.max() * SECONDS_PER_DAY)
    return np.array(rates)


def growth(day: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Growth rate of an amplitude (per day) by its energy, fitted over `GROWTH`."""
    small = (day >= GROWTH[0]) & (day <= GROWTH[1])
    return np.polyfit(day[small], 0.5 * np.log(energy[small]), 1)[0]


def draw(kept: dict[str, Any], path: Path) -> None:
    """Maps of temperature and vorticity, a row a day, and beneath them energy, growth and what feeds it."""
    figure = plt.figure(figsize=(13, 12), layout="constrained")
    above_, beneath = figure.subfigures(2, 1, height_ratios=(2.3, 1))
    axes = above_.subplots(len(SHOWN), 2, sharex=True, sharey=True)
    x, y = np.arange(NX + 1) * CELL / 1e3, (np.arange(NY + 1) - NY / 2) * CELL / 1e3
    kinds = (
        ("Surface temperature (°C)", cmocean.cm.thermal, 14, 24),
        ("Surface vorticity / |f|", cmocean.cm.balance, -0.4, 0.4),
    )
    for column, (name, cmap, low, high) in enumerate(kinds):
        for ax, (day, fields) in zip(axes[:, column], kept["shown"].items(), strict=True):
            mesh = ax.pcolormesh(x, y, fields[column], cmap=cmap, vmin=low, vmax=high, rasterized=True)
            ax.set(aspect="equal", ylim=(-600, 600))
            axes[list(kept["shown"]).index(day), 0].set_ylabel(f"day {day}\nkm north")
        axes[-1, column].set_xlabel("km east")
        above_.colorbar(
            mesh, ax=axes[:, column], label=name, location="top", shrink=0.7, aspect=40, pad=0.01, extend="both"
        )
    energy(beneath.subplots(1, 3), kept)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def energy(axes: np.ndarray, kept: dict[str, Any]) -> None:
    """Energy of eddies and mean flow; growth by wavelength beside linear theory; what turns into eddy energy."""
    day, eke = kept["day"], kept["eke"]
    small = (day >= GROWTH[0]) & (day <= GROWTH[1])
    axes[0].semilogy(day[1:], eke[1:], "C0", label="eddies")
    axes[0].semilogy(day, kept["mke"], "0.6", label="mean flow")
    start = eke[small][0]
    for name, rate, style in (("their growth", growth(day, eke), "k-"), ("Eady", EADY, "k:")):
        line = start * np.exp(2 * rate * (day[small] - day[small][0]))
        axes[0].semilogy(day[small], line, style, label=f"{name}, {rate:.3f} d⁻¹")
    axes[0].set(xlabel="day", ylabel="kinetic energy (m² s⁻²)", title="How fast eddies grow", ylim=(1e-7, 1))
    axes[0].legend(frameon=False)

    number = np.arange(5, 20)
    length = NX * CELL / number / 1e3
    axes[1].plot(length, kept["theory"][number], "k-", label="quasi-geostrophic theory")
    axes[1].plot(length, growth(day, kept["waves"][:, number]), "C0o", label="channel")
    axes[1].axhline(EADY, color="k", ls=":", label="Eady")
    axes[1].set(xlabel="wavelength (km)", ylabel="growth (d⁻¹)", ylim=(0, 0.28), title="Which waves grow")
    axes[1].legend(frameon=False)

    axes[2].plot(day, 1e9 * np.gradient(eke, day * SECONDS_PER_DAY), "C0", label="∂/∂t of eddy kinetic energy")
    axes[2].plot(day, 1e9 * kept["conversion"], "C3", label="rising of warm water, w′b′")
    axes[2].axhline(0, color="0.8", lw=0.8)
    axes[2].set(xlabel="day", ylabel="10⁻⁹ m² s⁻³", title="Where their energy comes from")
    axes[2].legend(frameon=False)


def told(kept: dict[str, Any]) -> str:
    """The numbers of the page."""
    day, eke = kept["day"], kept["eke"]
    small = (day >= GROWTH[0]) & (day <= GROWTH[1])
    rate, number = growth(day, eke), int(kept["theory"].argmax())
    fastest, same, length = kept["theory"][number], growth(day, kept["waves"][:, number]), NX * CELL / number / 1e3
    fed = (kept["conversion"] / np.gradient(eke, day * SECONDS_PER_DAY))[small]
    lines = [
        f"growth of eddies, days {GROWTH[0]:g} to {GROWTH[1]:g}: {rate:.3f} per day",
        f"Eady's estimate: {EADY:.3f} per day; ratio {rate / EADY:.2f}",
        f"fastest quasi-geostrophic wave, {length:.0f} km: {fastest:.3f} per day; in the channel {same:.3f}",
        f"w'b' over the growth of eddy kinetic energy, same days: {fed.mean():.2f}",
        f"eddy over mean kinetic energy at the end: {eke[-1] / kept['mke'][-1]:.1f}",
        *(f"{name} changed by {drift:.1e} of itself" for name, drift in kept["drift"].items()),
        f"{kept['seconds']:.0f} s, compiling included",
    ]
    return "\n".join(lines)


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--days", type=int, default=max(SHOWN))
    parse.add_argument("--image", type=Path, default=IMAGE)
    given = parse.parse_args()
    start = time.perf_counter()
    with torch.inference_mode():
        kept = run(given.days)
    kept["seconds"] = time.perf_counter() - start
    kept["theory"] = theory()
    print(told(kept))
    draw(kept, given.image)


if __name__ == "__main__":
    main()
