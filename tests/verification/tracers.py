"""Tracers in flows whose answer is known: round a ring, round the Earth, through a swirl and back."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from oceanx.physics.surface_anomaly import SurfaceAnomaly
from oceanx.physics.transport import Flux, face_volume_flux, transport
from oceanx.tensors.geometry import Cells, Geometry
from oceanx.tensors.integrate import repeat, rk4
from oceanx.tensors.state import Fields, State, Tendency

from .flows import along_lines_of, bell, belt, carried, distance, edges, error, order, ring, rotation, square, steps
from .outcome import Curve, Outcome

DAY = 86400.0
WILLIAMSON = "Williamson et al. 1992, test 1, doi:10.1016/S0021-9991(05)80016-6: exact = initial"
TVD = "clipped summits cost total-variation-diminishing schemes half an order in this norm (1.5): the threshold is 1.4"


def round_a_ring() -> list[Outcome]:
    """A sine, in means over cells, once round a ring: the order of each scheme where nothing else errs."""
    expected = {"upwind": 0.0, "centred": 1.8, "third": 2.8, "limited": 1.4, "weno": 4.5}
    grids = (16, 32, 64)
    ends = {scheme: [_sine_once_round(n, scheme) for n in grids] for scheme in expected}
    errors = {scheme: [error(end, start, ring(n).layers) for n, (end, start) in zip(grids, pairs, strict=True)]
              for scheme, pairs in ends.items()}  # fmt: skip
    lines = {scheme: (grids, found) for scheme, found in errors.items()}
    end, start = ends.pop("upwind")[-1]
    damped = Outcome(
        "amplitude that upwind leaves of a wave of 64 cells after a turn", "1", (end.norm() / start.norm()).item(),
        math.exp(-64 * (1 - math.cos(2 * math.pi / 64))), "Fourier analysis: damping at the rate U (1 − cos kΔx) / Δx",
        "classical Runge–Kutta at a Courant number of 0.4: (0.4 kΔx)⁵/120 a step", 1e-6,
        curve=Curve("A sine once round a ring", "cells", "relative error", lines, log=True),
    )  # fmt: skip
    source = "the degree of the reconstruction plus one; for weno Jiang & Shu 1996, doi:10.1006/jcph.1996.0130"
    why = "the formal order, less what it lacks on 32 and 64 cells"
    return [damped] + [
        Outcome(
            f"order of {scheme} in one dimension", "1", order(*errors[scheme][1:]), expected[scheme], source,
            TVD if scheme == "limited" else why, kind="at least",
        )
        for scheme in ends
    ]  # fmt: skip


def _sine_once_round(n: int, scheme: str) -> tuple[Tensor, Tensor]:
    """What becomes of a sine, and what it was."""
    geometry, ends = ring(n), 2 * math.pi * edges(0, 1, n)
    cells, flow = geometry.layers, _along(geometry)
    start = (-ends.cos().diff() * n / (2 * math.pi)).expand(1, 1, 1, n)

    def dynamics(state: State) -> Tendency:
        return Tendency({"tracer": transport(state["tracer"], flow, cells, scheme)})

    # At a Courant number of 0.4 the error of classical Runge–Kutta is a tenth of the smallest seen here.
    return repeat(rk4, dynamics, State({"tracer": start}), 1.0, round(2.5 * n))["tracer"], start


def _along(geometry: Geometry) -> Flux:
    """1 m s-1 eastward everywhere."""
    one = torch.ones(1, *geometry.mask.shape, dtype=torch.float64)
    return face_volume_flux(one, 0 * one, geometry)


def a_front() -> list[Outcome]:
    """A plateau with steep sides once round a ring: who overshoots, and who smears."""
    geometry = ring(100)
    middle = (edges(0, 1, 100)[1:] + edges(0, 1, 100)[:-1]) / 2
    start = ((middle - 0.5).abs() < 0.2).double().expand(1, 1, 1, 100)
    ends = {s: carried(start, _along(geometry), geometry.layers, s, 1.0, 250) for s in ("limited", "weno", "third")}
    lines = {"exact": (middle.numpy(), start.flatten().numpy())}
    lines |= {scheme: (middle.numpy(), end.flatten().numpy()) for scheme, end in ends.items()}
    curve = Curve("A plateau once round a ring of 100 cells", "distance (m)", "tracer", lines)
    over = {s: max(end.max().item() - 1, -end.min().item()) for s, end in ends.items()}
    return [
        Outcome(
            "overshoot of limited at a front", "1", over["limited"], 1e-12,
            "Harten 1983, doi:10.1016/0021-9991(83)90136-5", "a monotone scheme makes none; round-off", kind="at most",
        ),
        Outcome(
            "overshoot of weno at a front", "1", over["weno"], 1e-2, "Jiang & Shu 1996, doi:10.1006/jcph.1996.0130",
            "essentially none: a hundredth of the jump could not be seen in a figure", kind="at most", curve=curve,
        ),
    ]  # fmt: skip


def along_the_equator() -> list[Outcome]:
    """A bell carried once round the Earth in 24 days, along the equator."""
    return _turned(
        "along the equator", north=48.0, tilt=0.0, band=46.0, least={"third": 1.8, "weno": 1.8, "limited": 1.4}
    )


def over_the_tilted_equator() -> list[Outcome]:
    """The same about an axis tilted by 30°: oblique to every row and column."""
    return _turned("tilted by 30°", north=90.0, tilt=30.0, band=46.0, least={"third": 1.4, "weno": 1.4, "limited": 1.4})


def _turned(where: str, north: float, tilt: float, band: float, least: dict[str, float]) -> list[Outcome]:
    outcomes, lines = [], {}
    for scheme, wanted in least.items():
        errors = []
        for degrees in (6.0, 3.0):
            geometry = belt(degrees, north)
            flow, cells = rotation(geometry, north, tilt, band, 24 * DAY), geometry.layers
            # Where the tilted equator crosses the true one: the bell passes over 30° N and 30° S.
            start = bell(distance(geometry, -90.0), 0.75)
            end = carried(start, flow, cells, scheme, 24 * DAY, steps(24 * DAY, flow, cells, scheme))
            errors.append(error(end, start, cells))
        row = (start.shape[-2] - 1) // 2
        lines.setdefault("exact", (geometry.longitude.numpy(), start[0, 0, row].numpy()))
        lines[f"{scheme}, {degrees:g}°"] = (geometry.longitude.numpy(), end[0, 0, row].numpy())
        outcomes.append(_order(f"order of {scheme}, a bell {where}", errors, wanted, WILLIAMSON, scheme))
        if scheme == "limited":
            outcomes += _kept(where, start, end, cells)
    curve = Curve(f"A bell once round the Earth, {where}", "longitude (°)", "tracer at the equator", lines)
    return [replace(outcomes[0], curve=curve), *outcomes[1:]]


def _order(quantity: str, errors: list[float], least: float, source: str, scheme: str) -> Outcome:
    usual = f"other ocean models' acceptance for a bell, {least:g} (E3SM polaris)"
    return Outcome(quantity, "1", order(*errors), least, source, TVD if scheme == "limited" else usual, kind="at least")


def _kept(where: str, start: Tensor, end: Tensor, cells: Cells) -> list[Outcome]:
    content = [(cells.volume * field).sum().item() for field in (start, end)]
    beyond = max(0.0, end.max().item() - start.max().item(), -end.min().item())
    why = "round-off"
    return [
        Outcome(f"content after a turn, {where}", "m3", content[1], content[0], "the initial content", why, 1e-12),
        Outcome(f"beyond the bounds, {where}", "1", beyond, 0.0, "a monotone scheme makes no extreme", why, 1e-12),
    ]  # fmt: skip


def a_swirl() -> list[Outcome]:
    """A bell drawn out into a crescent by a swirl that then runs backwards: exact = initial."""
    outcomes, lines = [], {}
    for scheme, least in {"third": 1.8, "weno": 1.8, "limited": 1.4}.items():
        errors = []
        for n in (24, 48):
            geometry, side = square(n), edges(0, 1, n)
            wave, middle = (math.pi * side).sin() ** 2, (side[1:] + side[:-1]) / 2
            flow, cells = along_lines_of(wave[:, None] * wave / math.pi, geometry), geometry.layers
            start = bell(torch.hypot(middle[:, None] - 0.5, middle - 0.3), 0.25)[None, None]
            times = steps(1.0, flow, cells, scheme)
            end = carried(start, flow, cells, scheme, 1.0, times, strength=lambda t: math.cos(math.pi * t))
            errors.append(error(end, start, cells))
        lines.setdefault("exact", (middle.numpy(), start[0, 0, n // 2].numpy()))
        lines[f"{scheme}, {n}²"] = (middle.numpy(), end[0, 0, n // 2].numpy())
        source = "LeVeque 1996, doi:10.1137/0733033, with period 1: exact = initial"
        outcomes.append(_order(f"order of {scheme} in a deforming flow", errors, least, source, scheme))
    curve = Curve("A bell drawn out by a swirl, and back", "x (m)", "tracer at mid-height", lines)
    return [replace(outcomes[0], curve=curve), *outcomes[1:]]


def an_anomaly_out_of_none() -> list[Outcome]:
    """A current that is not usual carries a wave in the climatology: C′ = C̄(x − ut) − C̄(x), after twenty days."""
    errors, lines = [], {}
    for n in (32, 64):
        core, mean, start = SurfaceAnomaly(_channel(n)), _wave(n, 0.0), torch.zeros(1, 1, 1, n, dtype=torch.float64)
        current = torch.full_like(start, 0.3)
        told = {"uo": current, "vo": start, "uo_climatology": start, "vo_climatology": start, "sst_climatology": mean}
        end = core(core.begin({"sst": start}), Fields(told), 20 * DAY, 4 * n)["sst"]
        exact = _wave(n, 0.3 * 20 * DAY) - mean
        errors.append(error(end, exact, core.geometry.layers))
        lines[f"{n} cells"] = ((core.geometry.longitude / 1000).numpy(), end.flatten().numpy())
    lines["exact"] = ((core.geometry.longitude / 1000).numpy(), exact.flatten().numpy())
    curve = Curve("An anomaly made of climatology by a current", "x (km)", "anomaly (K)", lines)
    source = "∂T/∂t = −u ∂T/∂x of the whole temperature, in closed form"
    return [
        Outcome(
            "order of an anomaly made of climatology", "1", order(*errors), 1.4, source, TVD,
            kind="at least", curve=curve,
        )
    ]  # fmt: skip


def _channel(n: int) -> Geometry:
    """A ring of 1000 km."""
    x, one = edges(0, 1e6, n), torch.ones(1)
    return Geometry.plane(x[:2], x, one, one, torch.ones(1, 1, n), (True, False), dtype=torch.float64)


def _wave(n: int, shift: float) -> Tensor:
    """Means over cells of 15 °C and a wave of 2 K, moved so many metres."""
    phase = 2 * math.pi * (edges(0, 1e6, n) - shift) / 1e6
    return (15 - 2 * phase.cos().diff() / phase.diff()).expand(1, 1, 1, n)


CASES = {
    "round a ring": round_a_ring,
    "a front": a_front,
    "along the equator": along_the_equator,
    "over the tilted equator": over_the_tilted_equator,
    "a swirl": a_swirl,
    "an anomaly out of none": an_anomaly_out_of_none,
}
