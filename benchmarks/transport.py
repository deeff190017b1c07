"""How fast one transport tendency is, against copying a tensor of the traffic that it cannot do without.

Forward, a tendency must read the tracer, the two volume fluxes and the cells' volumes, and write itself: 5 passes over
a field. Backward it must read those four again and the gradient that arrives, and write the gradients of the tracer and
of both fluxes: 8 more. A copy makes 2 passes (a read and a write): the limits are 2.5 and 6.5 copies of a field.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from rounds import interleaved, middle, report

from oceanx.physics.reconstruction import SCHEMES
from oceanx.physics.transport import transport, volume_flux
from oceanx.tensors.geometry import Geometry

FORWARD, BOTH = 5, 13  # passes over one field
SHAPES = ((4, 72, 96), (23, 360, 720))


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--rounds", type=int, default=7)
    given = parse.parse_args()
    rows, seconds = [], {}
    for shape in SHAPES:
        repeats = max(1, 30_000_000 // (4 * shape[0] * shape[1] * shape[2]))
        times = interleaved({name: many(case, repeats) for name, case in cases(shape).items()}, given.rounds)
        at = "×".join(map(str, shape))
        copy = middle(times["copy"]) / repeats
        for name, each in times.items():
            time = middle(each) / repeats
            passes = {"copy": 2, "forward": FORWARD}.get(name.split(", ")[-1], BOTH)
            rows.append(
                {
                    "grid": at,
                    "what": name,
                    "ms": 1e3 * time,
                    "passes counted": passes,
                    "time / limit": time / (copy * passes / 2),
                }
            )
        seconds[at] = {name: [s / repeats for s in each] for name, each in times.items()}
    about = {"forward passes": FORWARD, "forward and backward passes": BOTH, "dtype": "float32", "batch": 1}
    report("transport", "transport: one tendency of one tracer", rows, seconds, about)


def cases(shape: tuple[int, int, int]) -> dict[str, Callable[[], object]]:
    """A copy, and each scheme forward and with its gradients, on a grid with land."""
    generator = torch.Generator().manual_seed(0)
    levels, nlat, nlon = shape
    mask = (torch.rand(shape, generator=generator) > 0.2).float().cumprod(0)
    thickness = torch.full((levels,), 10.0)
    latitude, longitude = torch.linspace(-75.0, 75.0, nlat + 1), torch.linspace(0.0, 360.0, nlon + 1)
    geometry = Geometry(latitude, longitude, thickness.cumsum(0), thickness, mask, periodic=True)
    tracer, u, v = (torch.randn(1, *shape, generator=generator) for _ in range(3))
    flux, cells = volume_flux(u, v, geometry), geometry.layers
    target = torch.empty_like(tracer)
    leaf, pushed = tracer.clone().requires_grad_(), flux.map(lambda face: face.clone().requires_grad_())
    arriving = torch.randn(tracer.shape, generator=generator)

    def forward(scheme: str) -> Callable[[], object]:
        def work() -> None:
            with torch.inference_mode():
                transport(tracer, flux, cells, scheme)

        return work

    def both(scheme: str) -> Callable[[], object]:
        return lambda: torch.autograd.grad(transport(leaf, pushed, cells, scheme), (leaf, pushed.x, pushed.y), arriving)

    result: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(tracer)}
    for scheme in SCHEMES:
        result |= {f"{scheme}, forward": forward(scheme), f"{scheme}, forward and backward": both(scheme)}
    return result


def many(work: Callable[[], object], repeats: int) -> Callable[[], None]:
    """The work so many times."""

    def repeated() -> None:
        for _ in range(repeats):
            work()

    return repeated


if __name__ == "__main__":
    main()
