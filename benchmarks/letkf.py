"""What a local ensemble analysis costs beside the eigendecomposition that is in it.

Two things take turns on the same threads, each with one thread of its own for linear algebra: the LETKF of one window
(lists of neighbours, weight matrices, their eigendecomposition, all members' increments, variances at the
observations), and one batched eigendecomposition of the same weight matrices and nothing else. One level of 120 × 240
cells, forty members; observed are the surface temperature where there are no clouds, three nadir altimeters, floats.
Seconds of the processor count all threads, so that what else the machine does has no part in them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from rounds import middle, report
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import State
from oceanx.variational import letkf
from oceanx.variational.analysis import Observed, Setting, Window
from oceanx.variational.letkf import LETKF, LETKFConfig
from oceanx.variational.square_root import Root, Thin, solved
from oceanx.variational.threads import side_by_side
from oceanx.vocabulary.channels import Channels

ROWS, COLUMNS = 120, 240
PIECE = 512  # matrices that one thread decomposes at a time


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    background, window, setting = situation(given)
    methods = {
        "LETKF": LETKFConfig(members=given.members).build(setting),
        "LETKF, every third cell": LETKFConfig(members=given.members, every=3).build(setting),
    }
    matrices = weight_matrices(methods["LETKF"], background, window)
    cases: dict[str, Callable[[], object]] = {"eigendecomposition alone": lambda: decomposed(matrices)}
    cases |= {name: partial(method, background, window) for name, method in methods.items()}
    taken = rounds(cases, given.rounds)
    rows = [row(name, taken) for name in cases]
    about = {
        "grid": f"{ROWS} × {COLUMNS}, one level",
        "members": given.members,
        "observations": len(window.observed),
        "cells with observations": len(matrices),
        "half-widths (km)": {name: each.horizontal / 1000 for name, each in methods["LETKF"].ocean.half_widths.items()},
        "threads": given.threads,
        "rounds": given.rounds,
    }
    report("letkf", "A local ensemble analysis beside its eigendecomposition", rows, taken, about)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--length", type=float, default=200.0, help="of the background's errors (km)")
    return parser.parse_args()


def situation(given: argparse.Namespace) -> tuple[State, Window, Setting]:
    """Random members on a globe of 1.5° with three continents, and a day of observations."""
    random = torch.Generator().manual_seed(0)
    latitude, longitude = torch.linspace(-90, 90, ROWS + 1), torch.linspace(-180, 180, COLUMNS + 1)
    mask = torch.ones(1, ROWS, COLUMNS)
    mask[:, :10], mask[:, 30:100, 40:70], mask[:, 50:110, 110:150], mask[:, 20:60, 190:215] = 0, 0, 0, 0
    geometry = Geometry(latitude, longitude, torch.zeros(1), torch.ones(1), mask, periodic=True)
    channels = Channels(surface=("thetao", "zos"))
    length = dict.fromkeys(channels.names, 1000 * given.length)
    setting = Setting(channels, geometry, dict.fromkeys(channels.names, mask), length, {})
    state = State({name: torch.randn(given.members, *mask.shape, generator=random) * mask for name in channels.names})
    return state, Window(observed(mask, random)), setting


def observed(mask: Tensor, random: torch.Generator) -> Observed:
    """Half of the sea's surface temperature in large clear patches, three altimeters' tracks, a float per 3° × 3°."""
    wet = mask.bool().flatten()
    patches = torch.rand(1, 1, 12, 24, generator=random)
    clear = torch.nn.functional.interpolate(patches, (ROWS, COLUMNS), mode="bicubic")[0, 0].flatten() > 0.5
    floats = (torch.rand(wet.shape, generator=random) < 0.025) & wet
    cells = {
        "thetao": torch.cat(((clear & wet).nonzero()[:, 0], floats.nonzero()[:, 0])),
        "zos": torch.cat([track(number) for number in range(3)]),
    }
    cells["zos"] = cells["zos"][wet[cells["zos"]]]
    parts, first = {}, 0
    for name, each in cells.items():
        rows = torch.arange(first, first + len(each))
        parts[name] = Part(rows, each[:, None], torch.ones(len(each), 1), (1, ROWS, COLUMNS))
        first += len(each)
    std = torch.cat((torch.full((len(cells["thetao"]),), 0.4), torch.full((len(cells["zos"]),), 0.05)))
    return Observed(torch.randn(first, generator=random), std, Operator(parts, first))


def track(number: int) -> Tensor:
    """The cells under an altimeter in a day: thirteen revolutions between 66° south and north."""
    turn = torch.linspace(0, 13, 13 * 250)
    latitude = 66 * torch.sin(2 * torch.pi * turn)
    longitude = 360 * turn / 2 - 25.3 * turn + 120 * number
    row, column = ((latitude + 90) / 1.5).long().clamp(0, ROWS - 1), (longitude / 1.5).long() % COLUMNS
    return (row * COLUMNS + column).unique()


def weight_matrices(method: LETKF, background: State, window: Window) -> Tensor:
    """The matrices C of an analysis, of all its cells."""
    kept: list[Tensor] = []

    def noted(scaled: Tensor, prior: float) -> Root | Thin:
        seen = scaled[..., :-1]
        kept.append((seen.mT @ seen).double() + prior * torch.eye(seen.shape[-1], dtype=torch.float64))
        return solved(scaled, prior)

    with patch.object(letkf, "solved", noted):
        method(background, window)
    return torch.cat(kept).double()


def decomposed(matrices: Tensor) -> None:
    side_by_side(torch.linalg.eigh, matrices.split(PIECE))


def rounds(cases: dict[str, Callable[[], object]], count: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by the clock and by the processor of every case in every round, after one that warms up."""
    taken: dict[str, dict[str, list[float]]] = {name: {"clock": [], "processor": []} for name in cases}
    for number in range(count + 1):
        for name, work in cases.items():
            clock, processor = time.perf_counter(), time.process_time()
            work()
            if number:
                taken[name]["clock"].append(time.perf_counter() - clock)
                taken[name]["processor"].append(time.process_time() - processor)
    return taken


def row(name: str, taken: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Medians, and the medians of the rounds' own ratios to the eigendecomposition."""

    def ratio(by: str) -> float:
        alone = taken["eigendecomposition alone"][by]
        return middle([mine / other for mine, other in zip(taken[name][by], alone, strict=True)])

    return {
        "case": name,
        "clock [s]": middle(taken[name]["clock"]),
        "processor [s]": middle(taken[name]["processor"]),
        "ratio, clock": ratio("clock"),
        "ratio, processor": ratio("processor"),
    }


if __name__ == "__main__":
    main()
