"""The wind's drift: Ekman's spiral, its transport and its pumping."""

from __future__ import annotations

import math

import numpy as np
import torch

from oceanx.physics.ekman import ekman_pumping, ekman_spiral, ekman_transport
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import EARTH_RADIUS, REFERENCE_DENSITY, ROTATION

from .outcome import Curve, Outcome

EKMAN = "Ekman 1905, closed form"


def spiral() -> list[Outcome]:
    """Ekman's spiral in the setup that thetis verifies: ν 5e-4 m2/s, f 1e-4 s-1, τ 0.1027 Pa, ρ 1000 kg/m3."""
    z = torch.linspace(0.0, 95.0, 4001, dtype=torch.float64)
    tau, none, f = (torch.tensor([x], dtype=torch.float64) for x in (0.1027, 0.0, 1e-4))
    u, v = ekman_spiral(tau, none, z, f, 5e-4, 0.0, 1000.0)
    carried = [torch.trapezoid(x, z).item() for x in (u, v)]
    deeper = [math.hypot(*(x.item() for x in ekman_spiral(tau, none, at, f, 5e-4, 0.0, 1000.0))) for at in (0.0, 5.0)]
    whole = [x.item() for x in ekman_transport(tau, none, f, 0.0, 1000.0)]
    scale = math.sqrt(2 * 5e-4 / 1e-4)
    known = 0.459288 * np.exp(-z.numpy() / scale), z.numpy() / scale + math.pi / 4
    curve = Curve(
        "Ekman spiral",
        "m/s",
        "z (m)",
        {
            "u": (u.numpy()[:600], -z.numpy()[:600]),
            "v": (v.numpy()[:600], -z.numpy()[:600]),
            "exact u": ((known[0] * np.cos(known[1]))[:600], -z.numpy()[:600]),
            "exact v": ((-known[0] * np.sin(known[1]))[:600], -z.numpy()[:600]),
        },
    )
    digits = "the six digits of the known value"
    rule = "the trapezoidal rule on 2.4 cm: (√2 Δz/d)²/12 is 1e-5"
    return [
        Outcome("u at the surface", "m s-1", u[0].item(), 0.324766, EKMAN, digits, 2e-6, curve=curve),
        Outcome("v at the surface", "m s-1", v[0].item(), -0.324766, EKMAN, digits, 2e-6),
        Outcome(
            "depth over which it falls to 1/e",
            "m",
            5.0 / math.log(deeper[0] / deeper[1]),
            3.162278,
            EKMAN,
            digits,
            2e-6,
        ),
        Outcome("transport along the wind", "m2 s-1", carried[0], 0.0, EKMAN, rule + " of 1.027", 1e-5),
        Outcome("transport across the wind, summed over depth", "m2 s-1", carried[1], -1.027, EKMAN, rule, 1e-5),
        Outcome("transport across the wind", "m2 s-1", whole[1], -1.027, "τ / (ρ f)", "round-off", 1e-14),
    ]


def pumping() -> list[Outcome]:
    """Curl of the stress on a plane, and of a uniform wind on the sphere; and the drift where there is no rotation."""
    errors = [_pumping_error(n) for n in (32, 64)]
    step = 2 * math.pi / 64
    latitude, found, exact = _on_the_sphere()
    middle = len(latitude) // 2
    rows = np.linspace(-20.0, 20.0, 161)
    f = torch.tensor(2 * ROTATION * np.sin(np.radians(rows)))
    across = {f"r = {r:g} s-1": (rows, -ekman_transport(f * 0 + 0.1, f * 0, f, r)[1].numpy()) for r in (3e-6, 6.6e-6)}
    equator = ekman_transport(*(torch.tensor([x], dtype=torch.float64) for x in (0.1, 0.0, 0.0)), 6.6e-6)
    upwelling = Curve(
        "Pumping under a uniform westerly of 0.1 Pa",
        "latitude (°N)",
        "m/s",
        {"oceanx": (latitude[1:-1], found[1:-1]), "exact": (latitude[1:-1], exact[1:-1])},
    )
    return [
        Outcome(
            "pumping under a sine of stress, error on 64 rows",
            "1",
            errors[1],
            0.0,
            "w = curl(τ) / (ρ f)",
            "centred differences: (kΔy)²/6",
            step**2 / 6,
        ),
        Outcome(
            "its order of accuracy",
            "1",
            math.log2(errors[0] / errors[1]),
            1.9,
            "centred differences: 2",
            "what the next order costs on 32 rows",
            kind="at least",
        ),
        Outcome(
            "pumping under a uniform westerly at 45°N",
            "m s-1",
            found[middle],
            exact[middle],
            "w = τ / (2 ρ Ω a cos φ sin² φ), from w = curl(τ/f) / ρ",
            "means and differences on rows of half a degree: 1.25 Δφ² to leading order at 45°",
            1.3 * math.radians(0.5) ** 2,
            curve=upwelling,
        ),
        Outcome(
            "transport along the wind on the equator",
            "m2 s-1",
            equator[0].item(),
            0.1 / (REFERENCE_DENSITY * 6.6e-6),
            "τ / (ρ r)",
            "round-off",
            1e-14,
            curve=Curve("Ekman transport to the right of 0.1 Pa", "latitude (°N)", "m2/s", across),
        ),
    ]


CASES = {"Ekman spiral": spiral, "Ekman pumping": pumping}


def _pumping_error(rows: int) -> float:
    """Relative error (L2) of the pumping of τ_x = −τ₀ cos(ky) on a plane without coasts."""
    size, f = 2e6, 1e-4
    edges = torch.linspace(0.0, size, rows + 1, dtype=torch.float64)
    geometry = Geometry.plane(
        edges, torch.linspace(0.0, 2e5, 5).double(), torch.tensor([5.0]), torch.tensor([10.0]),
        torch.ones(1, rows, 4), (True, True), (f, 0.0), torch.float64,
    )  # fmt: skip
    k = 2 * math.pi / size
    y = geometry.latitude[:, None].expand(rows, 4)
    tau = (-0.1 * (k * y).cos())[None, None]
    exact = -0.1 * k * (k * y).sin() / (REFERENCE_DENSITY * f)
    found = ekman_pumping(tau, torch.zeros_like(tau), geometry, 0.0)[0, 0]
    return ((found - exact).norm() / exact.norm()).item()


def _on_the_sphere() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitude, and the pumping (m s-1) of 0.1 Pa eastward everywhere: found and exact."""
    edges = torch.linspace(29.75, 60.25, 62, dtype=torch.float64)
    geometry = Geometry(
        edges, torch.linspace(0.0, 360.0, 5).double(), torch.tensor([5.0]), torch.tensor([10.0]), torch.ones(1, 61, 4),
        True, torch.float64,
    )  # fmt: skip
    tau = torch.full((1, 1, 61, 4), 0.1, dtype=torch.float64)
    found = ekman_pumping(tau, torch.zeros_like(tau), geometry, 0.0)[0, 0, :, 0].numpy()
    phi = np.radians(geometry.latitude.numpy())
    exact = 0.1 / (2 * REFERENCE_DENSITY * ROTATION * EARTH_RADIUS * np.cos(phi) * np.sin(phi) ** 2)
    return geometry.latitude.numpy(), found, exact
