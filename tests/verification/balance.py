"""Flows of one layer in balance: those that must stay as they are, what adjusts to one, and one that is made up."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from oceanx.physics.shallow_water import ShallowWater, ShallowWaterConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import integrate
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY, ROTATION

from .outcome import Curve, Outcome
from .waves import GILL, ORDER, convergence, order, places, plane, run, state


def rossby_adjustment() -> list[Outcome]:
    """A step in the sea surface, let go: waves take two thirds of the energy away, geostrophic flow keeps one."""
    depth, f, height, fine, wide = 1000.0, 1e-4, 1.0, 8, 40
    radius = math.sqrt(GRAVITY * depth) / f
    n = 2 * wide * fine
    geometry = plane((n, 1), (2 * wide * radius, 1e6), depth, (False, True), (f, 0.0))
    x = geometry.longitude - wide * radius
    now = state(geometry, height * x.sign())
    core = ShallowWater(geometry, ShallowWaterConfig(linear=True))
    # The mean of ten inertial periods under a Hann window, over before waves come back from the ends at 80/f.
    mean = Fields({name: torch.zeros_like(field) for name, field in now.items()})
    weights = np.hanning(302)[1:-1] / np.hanning(302).sum()
    now = run(core, now, 12 / f)
    for weight in weights:
        now = run(core, now, 63 / f / len(weights))
        mean = Fields({name: mean[name] + float(weight) * now[name] for name in mean})
    zos, v = mean["zos"][0, 0, 0], mean["vo_y"][0, 0, 0]
    exact = height * x.sign() * (1 - (-x.abs() / radius).exp())
    swift = GRAVITY * height / (f * radius) * (-x.abs() / radius).exp()
    near = x.abs() < 12 * radius
    kept = (depth * v[near] ** 2).sum() / (GRAVITY * (height**2 - zos[near] ** 2)).sum()
    across = (x[near] / radius).numpy()
    curve = Curve(
        "Rossby adjustment: sea surface and flow, relative to the step and to its geostrophic flow",
        "x / Ld",
        "1",
        {
            "sea surface": (across, zos[near].numpy()),
            "exact sea surface": (across, exact[near].numpy()),
            "flow": (across, (v[near] / swift.max()).numpy()),
            "exact flow": (across, (swift[near] / swift.max()).numpy()),
        },
    )
    source = f"{GILL}, §7.2"
    why = "two-point means over the exponential: (Δx/Ld)²/12 each for its length and its height, Δx = Ld/8"
    return [
        Outcome(
            "sea surface after adjustment: largest error over the step",
            "1",
            (zos - exact)[near].abs().max().item() / height,
            0.0,
            f"η = ±η₀ (1 − e^(−|x|/Ld)); {source}",
            why,
            tolerance=(1 / fine) ** 2 / 6,
            curve=curve,
        ),
        Outcome(
            "flow after adjustment: largest error over its maximum",
            "1",
            ((v - swift)[near].abs().max() / swift.max()).item(),
            0.0,
            f"v = g η₀/(f Ld) e^(−|x|/Ld); {source}",
            why,
            tolerance=(1 / fine) ** 2 / 6,
        ),
        Outcome(
            "kinetic energy gained / potential energy released",
            "1",
            kept.item(),
            1 / 3,
            source,
            why,
            tolerance=(1 / fine) ** 2 / 6,
        ),
    ]


def williamson_2() -> list[Outcome]:
    """Steady zonal flow around the globe, both poles closed, for five days; its answer does not vary with longitude,
    so that four columns will do."""
    errors, rows, drift = [], [15, 30, 60], 0.0
    speed, gravity = 2 * math.pi * EARTH_RADIUS / (12 * 86400.0), 9.80616
    deepest = 2.94e4 / gravity
    for n in rows:
        thickness = torch.tensor([deepest]).double()
        edges, sides = torch.linspace(-90, 90, n + 1).double(), torch.linspace(0, 360, 5).double()
        geometry = Geometry(edges, sides, thickness / 2, thickness, torch.ones(1, n, 4), True, dtype=torch.float64)
        phi = torch.deg2rad(geometry.latitude)[:, None]
        zos = -(EARTH_RADIUS * ROTATION * speed + speed**2 / 2) * phi.sin() ** 2 / gravity
        core = ShallowWater(geometry, ShallowWaterConfig(gravity=gravity))
        start = state(geometry, zos, speed * phi.cos())
        end = run(core, start, 5 * 86400.0)
        before, after = ((deepest + s["zos"]) * geometry.area for s in (start, end))
        errors.append((((after - before) / geometry.area).pow(2) * geometry.area).sum().sqrt().item())
        errors[-1] /= ((before / geometry.area).pow(2) * geometry.area).sum().sqrt().item()
        drift = abs(after.sum().item() / before.sum().item() - 1)
    source = "Williamson et al. (1992), test 2, doi:10.1016/S0021-9991(05)80016-6; with our Earth's radius and rotation"
    return [
        Outcome(
            "order of accuracy, Williamson 2",
            "1",
            order(errors),
            1.8,
            source,
            "second-order differences and means; thetis accepts 80 % of the theoretical order",
            kind="at least",
            curve=convergence("Williamson 2 after five days: relative error of the depth, L₂", rows, errors),
        ),
        Outcome(
            "drift of the mass in Williamson 2, five days",
            "1",
            drift,
            1e-12,
            "nothing leaves the sphere",
            "round-off of some thousand steps; dinosaur asks for 1e-6",
            kind="at most",
        ),
    ]


def lake_at_rest() -> list[Outcome]:
    """Still water over a mountain, between coasts: not a breath."""
    n, thickness = 24, torch.tensor([500.0]).double()
    mask = torch.ones(1, n, n)
    mask[:, :4, :6], mask[:, 12:15, 9:11] = 0, 0
    edges = torch.linspace(0, 48, n + 1).double()
    geometry = Geometry(edges + 10, edges - 40, thickness / 2, thickness, mask, False, dtype=torch.float64)
    off = (geometry.latitude[:, None] - 30) ** 2 + (geometry.longitude[None] + 20) ** 2
    core = ShallowWater(geometry, depth=500 - 480 * (-off / 50).exp())
    end = run(core, state(geometry, 0.3), 86400.0)
    fastest = max(end["uo_x"].abs().max().item(), end["vo_y"].abs().max().item())
    through, wet = geometry.longitude.numpy(), geometry.mask[0, 10] > 0
    floor = torch.where(wet, -core.depth[0, 10], math.nan).numpy()
    surface = torch.where(wet, end["zos"][0, 0, 10], math.nan).numpy()
    lines = {"sea surface after a day": (through, surface), "sea floor": (through, floor)}
    curve = Curve("A lake at rest over a mountain: section at 31°N", "longitude", "m", lines)
    return [
        Outcome(
            "speed of a lake at rest over a mountain, a day later",
            "m/s",
            fastest,
            0.0,
            "hydrostatics",
            "none is needed: a difference of equals is 0",
            curve=curve,
        ),
    ]


def manufactured() -> list[Outcome]:
    """η = sin p and u = v = cos p, p = kx + ly − ωt, kept going by what the equations say they lack."""
    size, depth, f, seconds = (1e7, math.sqrt(3) / 2 * 1e7), 1000.0, 1e-4, 36000.0
    k, m = 4 * math.pi / size[0], 4 * math.pi / size[1]
    omega = math.sqrt(GRAVITY * depth * (k**2 + m**2))
    cells, errors = [16, 32, 64], []
    for n in cells:
        geometry = plane((n, n), size, depth, (True, True), (f, 0.0))
        at = {point: k * x + m * y for point, (x, y) in places(geometry).items()}
        core = ShallowWater(geometry)

        def source(clock: Tensor, at: dict[str, Tensor] = at) -> Tendency:
            p, q, r = (at[point] - omega * clock for point in ("", "_x", "_y"))
            own = [omega * s.sin() - (k + m) * s.sin() * s.cos() for s in (q, r)]
            spread = (k + m) * (p.cos() ** 2 - (depth + p.sin()) * p.sin())
            return Tendency(
                {
                    "uo_x": own[0] + (GRAVITY * k - f) * q.cos(),
                    "vo_y": own[1] + (GRAVITY * m + f) * r.cos(),
                    "zos": spread - omega * p.cos(),
                    "clock": torch.ones_like(clock),
                }
            )

        def dynamics(x: State, core: ShallowWater = core, source=source) -> Tendency:  # type: ignore[no-untyped-def]
            return core.tendency(x, Fields({})) + source(x["clock"])

        start = state(geometry, at[""].sin(), at["_x"].cos(), at["_y"].cos())
        start = State({**start, "clock": torch.zeros(1, 1, 1, 1, dtype=torch.float64)})
        steps = math.ceil(seconds * core.rates(start)["waves"] / 0.9)
        with torch.no_grad():
            end = integrate("rk4", dynamics, start, seconds, steps)
        gone = omega * seconds
        wrong = (end["zos"] - (at[""] - gone).sin(), end["uo_x"] - (at["_x"] - gone).cos())
        errors.append([part.pow(2).mean().sqrt().item() for part in wrong])
    heights, speeds = ([pair[i] for pair in errors] for i in (0, 1))
    known = "manufactured, as in polaris (E3SM)"
    title = "Manufactured flow after 10 h: error of the sea surface (m)"
    return [
        Outcome(
            f"order of accuracy of the {what}, manufactured flow",
            "1",
            order(values),
            1.8,
            known,
            ORDER,
            kind="at least",
            curve=convergence(title, cells, values) if values is heights else None,
        )
        for what, values in (("sea surface", heights), ("velocity", speeds))
    ]


CASES = {
    "Rossby adjustment": rossby_adjustment,
    "steady flow around the globe": williamson_2,
    "lake at rest": lake_at_rest,
    "manufactured flow": manufactured,
}
