"""A single column: Ekman's spiral, diffusion with a known answer, convection, and mixing by Richardson number."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import erfc
from torch import Tensor

from oceanx.physics.vertical_coefficients import convection, pacanowski_philander
from oceanx.physics.vertical_mixing import bottom_faces, implicit_mixing

from .flows import order
from .outcome import Curve, Outcome

DAY = 86400.0
THETIS = "Ekman 1905; the setup and the bound are those of thetis, test_ekman_surface"
CARSLAW = "Carslaw & Jaeger 1959, Conduction of Heat in Solids, §2.4 and §2.9"
PACANOWSKI = "Pacanowski & Philander 1981, doi:10.1175/1520-0485(1981)011<1443:POVMIN>2.0.CO;2"
SECOND = "central differences and Crank–Nicolson are of second order; 1.8 is asked of 2.0 on finite grids"


class Column:
    """Layers between edges (m, downwards), wet to the last one."""

    def __init__(self, edges: Tensor):
        self.middle = (edges[1:] + edges[:-1]) / 2
        self.thickness = edges.diff()[:, None, None]
        self.mask_z = bottom_faces(torch.ones_like(self.thickness))

    def mixed(self, field: Tensor, kappa: Tensor | float, seconds: float, **more: Tensor | float) -> Tensor:
        """A profile after one step of mixing."""
        shaped = field[None, :, None, None]
        return implicit_mixing(shaped, kappa, self.thickness, self.mask_z, seconds, **more)[0, :, 0, 0]

    def after(self, field: Tensor, kappa: float, seconds: float, steps: int, **more: Tensor | float) -> Tensor:
        """A profile after so many equal steps."""
        for _ in range(steps):
            field = self.mixed(field, kappa, seconds / steps, **more)
        return field


def column(layers: int, depth: float, stretched: float = 0.0) -> Column:
    """Equal layers, or thin ones above and thick ones below."""
    share = torch.linspace(0, 1, layers + 1, dtype=torch.float64)
    return Column(depth * ((1 - stretched) * share + stretched * share**2))


def ekman() -> list[Outcome]:
    """The steady drift under a wind: ν 5e-4 m2/s, f 1e-4 s-1, τ 0.1027 Pa, ρ 1000 kg/m3, 20 m of water."""
    nu, f, stress, depth, seconds = 5e-4, 1e-4, 0.1027e-3, 20.0, 90.0
    scale = math.sqrt(2 * nu / f)

    def spiral(z: Tensor) -> Tensor:
        """u + iv over a bottomless sea."""
        speed = math.sqrt(2) * stress / (f * scale)
        return speed * torch.exp(-(1 + 1j) * z / scale - 1j * math.pi / 4)

    def over_bottom(z: Tensor) -> Tensor:
        """u + iv over a floor without friction."""
        m = (1 + 1j) / scale
        return stress / (nu * m) * torch.cosh(m * (depth - z)) / np.sinh(m * depth)

    def rms(found: Tensor, exact: Tensor) -> float:
        return (found - exact).abs().square().mean().sqrt().item()

    columns = {layers: column(layers, depth) for layers in (5, 25)}
    drifts = {layers: _steady_drift(each, nu, f, stress, seconds) for layers, each in columns.items()}
    errors = []
    for layers in (20, 40):
        fine = column(layers, depth)
        errors.append(rms(_steady_drift(fine, nu, f, stress, 1.0), over_bottom(fine.middle)))
    carried = (drifts[25] * depth / 25).sum()
    z, exact = columns[25].middle.numpy(), spiral(columns[25].middle)
    curve = Curve(
        "Ekman spiral, 25 layers",
        "m s-1",
        "z (m)",
        {
            "u": (drifts[25].real.numpy(), -z),
            "v": (drifts[25].imag.numpy(), -z),
            "exact u": (exact.real.numpy(), -z),
            "exact v": (exact.imag.numpy(), -z),
        },
    )
    rotation = "rotation by exact half turns about the mixing: (f Δt)²/24 is 3.4e-6"
    return [
        Outcome(
            f"Ekman spiral, {layers} layers: root mean square error", "m s-1",
            rms(drifts[layers], spiral(columns[layers].middle)), bound, THETIS, "the bound itself", kind="at most",
            curve=curve if layers == 25 else None,
        )
        for layers, bound in ((25, 0.035), (5, 0.065))
    ] + [
        Outcome("Ekman transport across the wind", "m2 s-1", carried.imag.item(), -1.027, "τ / (ρ f)", rotation, 4e-6),
        Outcome("Ekman transport along the wind", "m2 s-1", carried.real.item(), 0.0, "τ / (ρ f)", rotation, 4e-6),
        Outcome(
            "Ekman spiral: order in the thickness of layers", "1", order(*errors), 1.8,
            "closed form over a floor without friction, cosh(m(z + H)) / sinh(mH)", SECOND, kind="at least",
        ),
    ]  # fmt: skip


def _steady_drift(column: Column, nu: float, f: float, stress: float, seconds: float) -> Tensor:
    """u + iv at which half a step of rotation, one of mixing and another half of rotation change nothing.

    The step is linear: what it makes of rest and of every unit vector tells the flow that it leaves alone.
    """
    layers = len(column.middle)
    turn = np.exp(-0.5j * f * seconds)

    def step(flow: Tensor) -> Tensor:
        parts = torch.view_as_real(flow * turn).movedim(-1, 0)[..., None, None]  # u and v, stacked
        flux = torch.tensor([stress, 0.0], dtype=torch.float64)[:, None, None, None, None]
        mixed = implicit_mixing(parts, nu, column.thickness, column.mask_z, seconds, flux)[..., 0, 0]
        return torch.complex(*mixed) * turn

    eye = torch.eye(layers, dtype=torch.complex128)
    pushed = step(torch.zeros_like(eye))[0]
    return torch.linalg.solve(eye - (step(eye) - pushed).T, pushed)


def cosine_mode() -> list[Outcome]:
    """The gravest mode of a closed column decays as exp(−κπ²t/H²): order in space and in time."""
    depth, kappa, grids = 100.0, 1e-2, (8, 16, 32)
    seconds = depth**2 / (kappa * math.pi**2)

    def mode(at: Column) -> Tensor:
        return torch.cos(math.pi * at.middle / depth)

    def error(layers: int, stretched: float) -> float:
        made = column(layers, depth, stretched)
        end = made.after(mode(made), kappa, seconds, layers, implicitness=0.5)
        return (end - math.exp(-1) * mode(made)).abs().max().item()

    def error_in_time(steps: int, theta: float) -> float:
        made = column(16, depth)
        rate = 4 * kappa / (depth / 16) ** 2 * math.sin(math.pi / 32) ** 2  # of the mode on these layers
        end = made.after(mode(made), kappa, seconds, steps, implicitness=theta)
        return (end - math.exp(-rate * seconds) * mode(made)).abs().max().item()

    space = {name: [error(n, s) for n in grids] for name, s in (("equal layers", 0.0), ("uneven layers", 0.6))}
    time = {
        name: [error_in_time(n, t) for n in grids] for name, t in (("backward Euler", 1.0), ("Crank–Nicolson", 0.5))
    }
    curve = Curve(
        "Decay of a mode: largest error", "layers, or steps", "1",
        {name: (grids, found) for name, found in (space | time).items()}, log=True,
    )  # fmt: skip
    first = "backward Euler is of first order; 0.9 is asked of 1.0 with finite steps"
    source = "closed form exp(−κ k² t)"
    return [
        Outcome("order in space, equal layers", "1", order(*space["equal layers"][1:]), 1.8, source, SECOND,
                kind="at least", curve=curve),
        Outcome("order in space, uneven layers", "1", order(*space["uneven layers"][1:]), 1.8, source, SECOND,
                kind="at least"),
        Outcome("order in time, backward Euler", "1", order(*time["backward Euler"][1:]), 0.9,
                "exp(−λt) with the λ of the layers", first, kind="at least"),
        Outcome("order in time, Crank–Nicolson", "1", order(*time["Crank–Nicolson"][1:]), 1.8,
                "exp(−λt) with the λ of the layers", SECOND, kind="at least"),
    ]  # fmt: skip


def half_space() -> list[Outcome]:
    """A step that spreads, and a sea heated from above, both too deep to feel the floor."""
    depth, kappa, seconds, grids = 100.0, 1e-3, 1e5, (10, 20, 40)
    width = 2 * math.sqrt(kappa * seconds)  # 20 m
    flux = torch.full((1, 1, 1, 1), 1e-4, dtype=torch.float64)

    def spread(z: np.ndarray) -> np.ndarray:
        return 0.5 * erfc((z - depth / 2) / width)

    def heated(z: np.ndarray) -> np.ndarray:
        return 1e-4 * width / kappa * (np.exp(-((z / width) ** 2)) / math.sqrt(math.pi) - z / width * erfc(z / width))

    errors: dict[str, list[float]] = {"a step": [], "heated from above": []}
    for layers in grids:
        made, steps = column(layers, depth), layers**2 // 4
        z = made.middle.numpy()
        start = torch.heaviside(depth / 2 - made.middle, torch.tensor(0.5, dtype=torch.float64))
        step = made.after(start, kappa, seconds, steps).numpy()
        warm = made.after(torch.zeros_like(start), kappa, seconds, steps, surface_flux=flux).numpy()
        errors["a step"].append(float(np.abs(step - spread(z)).max()))
        errors["heated from above"].append(float(np.abs(warm - heated(z)).max()))
    curve = Curve(
        "A step and a heated sea after a day, 40 layers", "1, or K", "z (m)",
        {"a step": (step, -z), "exact step": (spread(z), -z), "heated": (warm, -z), "exact heated": (heated(z), -z)},
    )  # fmt: skip
    gained = 1e-4 * seconds
    why = "backward Euler, which damps what a step excites, with Δt ∝ Δz²: second order; 1.8 is asked of 2.0"
    return [
        Outcome("order of a spreading step", "1", order(*errors["a step"][1:]), 1.8, CARSLAW, why,
                kind="at least", curve=curve),
        Outcome("order of a sea heated from above", "1", order(*errors["heated from above"][1:]), 1.8, CARSLAW, why,
                kind="at least"),
        Outcome("heat gained from above", "K m", float(warm.sum() * depth / 40), gained, "flux × time",
                "round-off of 400 steps", 1e-13),
    ]  # fmt: skip


def overturning() -> list[Outcome]:
    """Cold water over warm is mixed until it is neutral; stable water below is left alone."""
    made, buoyancy = column(40, 200.0), 9.81 * 2e-4  # g α
    z = made.middle
    start = torch.where(z < 100, 15 + 0.01 * z + 0.2 * torch.sin(z), 14 - 0.02 * (z - 100))
    end = start
    for _ in range(10):
        end = made.mixed(end, convection(_stability(end, made, buoyancy)), DAY)
    N2 = _stability(end, made, buoyancy)
    untouched = z > 150
    curve = Curve(
        "Convective adjustment", "°C", "z (m)",
        {"before": (start.numpy(), -z.numpy()), "after ten days": (end.numpy(), -z.numpy())},
    )  # fmt: skip
    content = [(made.thickness[:, 0, 0] * profile).sum().item() for profile in (start, end)]
    width = "convection is full until −width: instability decays by κπ²Δt/H² > 20 a step down to it"
    return [
        Outcome("least stability after convection", "s-2", N2.min().item(), -1e-8, "neutral to the width, 1e-8 s-2",
                width, kind="at least", curve=curve),
        Outcome("heat content after convection", "K m", content[1], content[0], "nothing enters", "round-off", 1e-14),
        Outcome("change where water was stable", "K", (end - start)[untouched].abs().max().item(), 0.0,
                "no mixing where N² ≥ 0", "exact", 0.0),
    ]  # fmt: skip


def deepening() -> list[Outcome]:
    """A stratified sea cooled from above: the mixed layer takes up h = √(2Qt/Γ) without entraining more."""
    made, gradient, loss, days, buoyancy = column(100, 200.0), 0.02, 2e-5, 60, 9.81 * 2e-4
    start = 20 - gradient * made.middle
    flux = torch.full((1, 1, 1, 1), -loss, dtype=torch.float64)
    end, depths = start, []
    for _ in range(2 * days):
        end = made.mixed(end, convection(_stability(end, made, buoyancy)), DAY / 2, surface_flux=flux)
        depths.append((start - end)[0].item() / gradient)
    time = np.arange(1, 2 * days + 1) / 2
    known = np.sqrt(2 * loss * DAY * time / gradient)
    curve = Curve(
        "Depth of convection under steady cooling", "days", "m",
        {"from the cooling of the surface": (time, depths), "exact √(2Qt/Γ)": (time, known)},
    )  # fmt: skip
    why = "two layers of 2 m in 102 m: the mixed layer ends within one, and the face it has reached mixes with the next"
    return [
        Outcome("depth of convection after 60 days", "m", depths[-1], float(known[-1]),
                "heat budget, Γh²/2 = Qt: Turner 1973, Buoyancy Effects in Fluids, §9.2", why,
                tolerance=4.0 / float(known[-1]), curve=curve),
    ]  # fmt: skip


def _stability(field: Tensor, made: Column, buoyancy: float) -> Tensor:
    """N² = g α ∂T/∂z on bottom faces, 0 on the last one."""
    apart = made.middle.diff()
    return torch.cat((buoyancy * -field.diff() / apart, field.new_zeros(1)))[None, :, None, None]


def richardson() -> list[Outcome]:
    """Viscosity and diffusivity at three Richardson numbers, by hand from the paper's formulae."""
    shear2, numbers = 1e-4, torch.linspace(0, 1, 101, dtype=torch.float64)
    found = pacanowski_philander(numbers * shear2, torch.full_like(numbers, shear2))
    curve = Curve(
        "Mixing by Richardson number", "Ri", "m2 s-1",
        {"viscosity": (numbers.numpy(), found.viscosity.numpy()),
         "diffusivity": (numbers.numpy(), found.diffusivity.numpy())}, log=True,
    )  # fmt: skip
    least = "1e-12 s-2 is added to a shear squared of 1e-4 s-2: at most 3e-8"
    by_hand = {0: (1.01e-2, 1.011e-2), 20: (2.6e-3, 1.31e-3), 100: (1e-2 / 36 + 1e-4, 1e-2 / 216 + 1e-4 / 6 + 1e-5)}
    outcomes = []
    for at, values in by_hand.items():
        for name, measured, known in zip(("viscosity", "diffusivity"), found, values, strict=True):
            outcomes.append(
                Outcome(f"{name} at Ri = {numbers[at].item():g}", "m2 s-1", measured[at].item(), known, PACANOWSKI,
                        least, 3e-8, curve=None if outcomes else curve)
            )  # fmt: skip
    return outcomes


CASES = {
    "Ekman spiral by stepping": ekman,
    "cosine mode": cosine_mode,
    "half space": half_space,
    "convective adjustment": overturning,
    "convective deepening": deepening,
    "Richardson number": richardson,
}
