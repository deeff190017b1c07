"""What a correlation by implicit diffusion costs, beside reading its factors as often as its steps do.

The root R v of one level, four steps (two of which are the root), of one vector and of forty; a Daley length of four
cells, 30 % of the cells land. The limit: products with the sparse triangular factors, as scipy's compressed sparse rows
have them, two for each step: the same numbers in the same order of magnitude, without anything waiting for another. All
cases take turns in one thread; seconds are the processor's. Beside it, what it takes to set one up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from observation_operator import rounds
from rounds import middle, report

from oceanx.tensors.geometry import Geometry
from oceanx.variational.diffusion import Diffusion, scale

GRIDS = ((72, 96), (120, 240))
BATCHES = (1, 40)
STEPS, CELLS = 4, 4


def main() -> None:
    given = arguments()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    seconds: dict[str, dict[str, list[float]]] = {}
    for shape in GRIDS:
        geometry = plane(*shape)
        start = time.process_time()
        c = Diffusion(geometry, 1, scale(CELLS * 1e4, STEPS, 2), steps=STEPS)
        taken_to_begin = time.process_time() - start
        rows.append(line(shape, "set up, normalised to 1e-4", taken_to_begin, None))
        for batch in BATCHES:
            taken = rounds(cases(c, batch), given.rounds)
            seconds[f"{shape[0]}x{shape[1]}, {batch}"] = taken
            limit = middle(taken["factors"])
            rows += [
                line(shape, f"{what}, {batch}", middle(each), middle(each) / limit) for what, each in taken.items()
            ]
    about = {"rounds": given.rounds, "steps": STEPS, "Daley length in cells": CELLS, "dtype": "float64"}
    report("diffusion", "A correlation by implicit diffusion", rows, seconds, about)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def plane(rows: int, columns: int) -> Geometry:
    """Square cells of 10 km; a third of them in islands."""
    land = torch.nn.functional.avg_pool2d(
        torch.randn(1, rows, columns, generator=torch.Generator().manual_seed(0)), 5, 1, 2
    )
    mask = (land < land.quantile(0.7)).double()
    one = torch.ones(1, dtype=torch.float64)
    edges = (torch.arange(n + 1, dtype=torch.float64) * 1e4 for n in (rows, columns))
    return Geometry.plane(*edges, one, one, mask, dtype=torch.float64)


def cases(c: Diffusion, batch: int) -> dict[str, Callable[[], object]]:
    v = torch.randn(batch, c.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    field = c.root(v)
    lower, upper = c.factor.L.tocsr(), c.factor.U.tocsr()
    right = v.T.numpy().copy()

    def factors() -> None:
        for _ in range(STEPS // 2):
            upper @ (lower @ right)

    return {"factors": factors, "R v": lambda: c.root(v), "Rᵀ x": lambda: c.adjoint(field), "C x": lambda: c(field)}


def line(shape: tuple[int, int], what: str, seconds: float, ratio: float | None) -> dict[str, Any]:
    return {
        "grid": f"{shape[0]} × {shape[1]}",
        "what": what,
        "ms": 1000 * seconds,
        "time / limit": "" if ratio is None else ratio,
    }


if __name__ == "__main__":
    main()
