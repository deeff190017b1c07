"""Tracers in flows with ups and downs: overturning, upwelling, and what no flow may change."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from oceanx.physics.reconstruction import SCHEMES
from oceanx.physics.transport import Flux, face_volume_flux, transport
from oceanx.tensors.geometry import Geometry, above, below, east, north, south, west

from .flows import carried, edges, error, longest, order, slice_of, steps
from .outcome import Curve, Outcome
from .tracers import TVD


def a_merry_go_round() -> list[Outcome]:
    """An overturning cell of 500 m by 500 m, the tracer's contours its streamlines: nothing changes in 6 hours."""
    outcomes, lines = [], {}
    for scheme in ("third", "limited", "weno"):
        for spacing, stretching in (("equal levels", 0.0), ("levels from thin to thick", 1.5)):
            errors = [_overturned(n, stretching, scheme) for n in (12, 24)]
            lines[f"{scheme}, {spacing}"] = ((12, 24), errors)
            source = "streamlines are contours of the tracer: exact = initial (E3SM polaris, merry_go_round)"
            why = "that model's acceptance, 1.2: closed sides on all four walls lower the order there"
            quantity = f"order of {scheme}, overturning, {spacing}"
            outcomes.append(Outcome(quantity, "1", order(*errors), 1.2, source, why, kind="at least"))
    curve = Curve("Six hours in an overturning cell", "cells each way", "relative error", lines, log=True)
    return [replace(outcomes[0], curve=curve), *outcomes[1:]]


def _stretched(n: int, stretching: float) -> Tensor:
    """Edges of n levels from 0 to 1, the last about exp(stretching) times as thick as the first."""
    share = edges(0, 1, n)
    return torch.expm1(stretching * share) / math.expm1(stretching) if stretching else share


def _overturned(n: int, stretching: float, scheme: str) -> float:
    depth, side = 500 * _stretched(n, stretching), edges(0, 500, n)
    geometry = slice_of(depth, n, 500.0)
    psi = (
        0.1 * 500 / math.pi * (math.pi * depth / 500).sin()[:, None] * (math.pi * side / 500).sin()
    )  # at most 0.1 m s-1
    flux_x = (psi[1:, 1:] - psi[:-1, 1:])[None, :, None] * geometry.mask_x
    flow = Flux(flux_x, 0 * flux_x, (psi[1:, 1:] - psi[1:, :-1])[None, :, None] * geometry.mask_z)
    z, x = (depth[1:] + depth[:-1]) / 2, (side[1:] + side[:-1]) / 2
    start = ((math.pi * z / 500).sin()[:, None] * (math.pi * x / 500).sin())[None, :, None]
    times = steps(6 * 3600.0, flow, geometry.layers, scheme)
    return error(carried(start, flow, geometry.layers, scheme, 6 * 3600.0, times), start, geometry.layers)


def upwelling() -> list[Outcome]:
    """A column drawn up by w = W sin(πz/H), on levels from thin to thick, against the characteristics' answer."""
    outcomes, lines = [], {}
    for scheme in ("centred", "third", "weno", "limited"):
        errors = []
        for n in (20, 40):
            z, end, exact = _drawn_up(n, scheme)
            errors.append((end - exact).square().mean().sqrt().item())
        lines[scheme] = (end.numpy(), z.numpy())
        source = "tan(πz₀/2H) = tan(πz/2H) exp(πWt/H): every parcel's way, in closed form"
        why = TVD if scheme == "limited" else "second order, as unequal levels and a flow that varies allow, less 0.2"
        least = 1.4 if scheme == "limited" else 1.8
        outcomes.append(
            Outcome(f"order of {scheme}, upwelling", "1", order(*errors), least, source, why, kind="at least")
        )
    lines["exact"] = (exact.numpy(), z.numpy())
    curve = Curve("A column drawn up for half an hour, 40 levels", "tracer", "depth (m)", lines)
    return [replace(outcomes[0], curve=curve), *outcomes[1:]]


def _drawn_up(n: int, scheme: str) -> tuple[Tensor, Tensor, Tensor]:
    """Depth of the levels, the tracer on them, and what it should be."""
    height, speed, seconds = 100.0, 0.01, 1800.0
    depth = height * _stretched(n, 1.5)
    geometry = slice_of(depth, 1, 1.0)
    upward = (speed * (math.pi * depth[1:] / height).sin())[None, :, None, None] * geometry.mask_z
    z, still = (depth[1:] + depth[:-1]) / 2, torch.zeros_like(upward)
    below_ = (
        2
        * height
        / math.pi
        * torch.atan((math.pi * z / 2 / height).tan() * math.exp(math.pi * speed * seconds / height))
    )
    tracer = (math.pi * z / height).cos()[None, :, None, None]
    end = carried(tracer, Flux(still, still, upward), geometry.layers, scheme, seconds, 4 * n)
    return z, end.flatten(), (math.pi * below_ / height).cos()


def no_flow_may() -> list[Outcome]:
    """Change a uniform tracer; or change the content of a closed ocean, whatever its coasts and sea floor."""
    generator = torch.Generator().manual_seed(0)
    shape = (5, 12, 16)
    wet = (torch.rand(shape, generator=generator) > 0.15).double().cumprod(0)
    thickness = torch.linspace(10.0, 90.0, 5)
    geometry = Geometry(
        edges(-60, 60, 12),
        edges(-180, 180, 16),
        thickness.cumsum(0),
        thickness,
        wet,
        periodic=True,
        dtype=torch.float64,
    )
    cells, flow = geometry.layers, _stirring(geometry, generator)
    any_flow = face_volume_flux(*torch.randn(2, 1, *shape, generator=generator, dtype=torch.float64), geometry)
    any_flow = any_flow._replace(z=flow.z)
    through = sum(face.abs().max() for face in any_flow) / cells.volume.min()
    outcomes = []
    for scheme in SCHEMES:
        change = transport(torch.full((1, *shape), 20.0, dtype=torch.float64), any_flow, cells, scheme).abs().max()
        outcomes.append(
            Outcome(
                f"change of a uniform tracer, {scheme}", "of the exchange", (change / (20 * through)).item(), 0.0,
                "−Σ U T + T Σ U = 0", "round-off of a sum of six", 1e-14,
            )
        )  # fmt: skip
    start = (20 + torch.randn(1, *shape, generator=generator, dtype=torch.float64)) * wet
    contents, state, step = [(cells.volume * start).sum().item()], start, longest(flow, cells, "limited")
    for _ in range(10):
        state = carried(state, flow, cells, "limited", 10 * step, 10)
        contents.append((cells.volume * state).sum().item())
    drift = [content / contents[0] - 1 for content in contents]
    curve = Curve(
        "Content of a stirred ocean with coasts", "steps", "relative change", {"limited": (range(0, 101, 10), drift)}
    )
    outcomes.append(
        Outcome(
            "change of content in 100 steps with coasts", "relative", drift[-1], 0.0, "no flux crosses a coast",
            "round-off", 1e-13, curve=curve,
        )
    )  # fmt: skip
    return outcomes


def _stirring(geometry: Geometry, generator: torch.Generator) -> Flux:
    """A random flow without divergence: overturnings in all three planes, none through a coast."""
    xy, xz, yz = (
        1e5 * torch.randn(1, *geometry.mask.shape, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    xy = xy * geometry.mask_xy
    xz = xz * geometry.mask_x * below(geometry.mask_x) * geometry.mask_z * east(geometry.mask_z)
    yz = yz * geometry.mask_y * below(geometry.mask_y) * geometry.mask_z * north(geometry.mask_z)
    return Flux(south(xy) - xy + xz - above(xz), xy - west(xy) + yz - above(yz), xz - west(xz) + yz - south(yz))


CASES = {
    "a merry-go-round": a_merry_go_round,
    "upwelling": upwelling,
    "no flow may": no_flow_may,
}
