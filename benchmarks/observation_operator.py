"""What the observation operator costs: its weights made from coordinates, and applied, beside scipy's sparse matrix.

A million observations, three quarters temperatures at any depth and one quarter sea surface heights, in an ocean of
10 × 120 × 240 cells with land; compared with one state, and with a window of five states between which they are
interpolated. All cases take turns, in one thread each; seconds are the processor's. The limit of H x and of Hᵀ y is
the product of scipy's compressed sparse rows with the same matrix, which holds nothing but what counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch
import xarray as xr
from rounds import middle, report

from oceanx import seam
from oceanx.ocean import grid
from oceanx.ocean.interpolation import When
from oceanx.ocean.observations import table
from oceanx.tensors.observe import Operator
from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Channels

DEPTH = (0.5, 10.0, 30.0, 60.0, 100.0, 200.0, 400.0, 700.0, 1000.0, 2000.0)
CHANNELS = Channels(volume=("thetao",), surface=("zos",), depth=DEPTH)
ROWS, COLUMNS, DAYS = 120, 240, 5
FIRST = np.datetime64("2020-01-01", "ns")
WINDOWS: dict[str, When | None] = {"one state": None, "five states": "linear"}


def main() -> None:
    given = arguments()
    torch.set_num_threads(1)
    labelled, obs = ocean(), observations(given.observations)
    rows: list[dict[str, Any]] = []
    seconds: dict[str, dict[str, list[float]]] = {}
    about: dict[str, Any] = {"observations": given.observations, "rounds": given.rounds, "grid": "10 × 120 × 240"}
    for name, when in WINDOWS.items():
        operator, found = seam.operator(obs, labelled, CHANNELS, when)
        about[f"found, {name}"] = int(found.sum())
        taken = rounds(cases(labelled, obs, operator, when), given.rounds)
        seconds[name] = taken
        rows += [row(name, what, taken) for what in taken]
    report("observation_operator", "The observation operator", rows, seconds, about)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def ocean() -> xr.Dataset:
    """The labelled grid of a window, 30 % of it land."""
    random = np.random.default_rng(0)
    wet = np.broadcast_to(random.random((ROWS, COLUMNS)) > 0.3, (len(DEPTH), ROWS, COLUMNS))
    fields = {
        "thetao": (("depth", "latitude", "longitude"), np.where(wet, 1.0, np.nan)),
        "zos": (("latitude", "longitude"), np.where(wet[0], 1.0, np.nan)),
    }
    coords = {
        "depth": np.array(DEPTH),
        "latitude": np.linspace(-59.5, 59.5, ROWS),
        "longitude": np.arange(COLUMNS) * 360 / COLUMNS,
    }
    labelled = seam.grid_of(grid.complete(xr.Dataset(fields, coords)), CHANNELS)
    return labelled.assign_coords(time=FIRST + np.arange(DAYS) * np.timedelta64(1, "D"))


def observations(count: int) -> xr.Dataset:
    random = np.random.default_rng(1)
    variable = (random.random(count) < 0.25).astype("i1")
    hours = np.sort(random.integers(12, 24 * DAYS - 12, count))
    columns = {
        "time": FIRST + hours.astype("m8[h]").astype("m8[ns]"),
        "latitude": random.uniform(-59, 59, count),
        "longitude": random.uniform(-180, 180, count),
        "depth": np.where(variable == 1, 0.0, random.uniform(0, 1500, count)),
        "variable": variable,
        "value": np.zeros(count),
        "error_std": np.ones(count),
        "platform": np.zeros(count, "i4"),
        "feature": np.arange(count),
        "qc": np.zeros(count, "u1"),
    }
    return table(columns, ("thetao", "zos"), ["made up"])


def cases(
    labelled: xr.Dataset, obs: xr.Dataset, operator: Operator, when: When | None
) -> dict[str, Callable[[], object]]:
    times = operator.times
    random = torch.Generator().manual_seed(2)

    def field(levels: int) -> torch.Tensor:
        return torch.randn(1, levels, ROWS, COLUMNS, generator=random, dtype=torch.float64)

    states = [State({"thetao": field(len(DEPTH)), "zos": field(1)}) for _ in range(times)]
    values = torch.randn(1, operator.size, generator=random, dtype=torch.float64)
    matrices = [matrix(operator, name) for name in operator.parts]
    flat = [np.concatenate([state[name].flatten().numpy() for state in states]) for name in operator.parts]
    parts = [values[0, part.rows].numpy() for part in operator.parts.values()]
    return {
        "H x, scipy": lambda: [m @ x for m, x in zip(matrices, flat, strict=True)],
        "H x": lambda: operator(states),
        "Hᵀ y, scipy": lambda: [y @ m for m, y in zip(matrices, parts, strict=True)],
        "Hᵀ y": lambda: operator.adjoint(values),
        "weights": lambda: seam.operator(obs, labelled, CHANNELS, when),
    }


def matrix(operator: Operator, name: str) -> scipy.sparse.csr_array:
    """H of one variable, its rows and the cells of all times."""
    part = operator.parts[name]
    row, corner = np.nonzero(part.weight.numpy())
    entries = part.weight.numpy()[row, corner], (row, part.cells.numpy()[row, corner])
    return scipy.sparse.csr_array(entries, shape=(len(part.rows), operator.times * int(np.prod(part.shape))))


def rounds(cases: dict[str, Callable[[], object]], number: int) -> dict[str, list[float]]:
    """Seconds of the processor of every case in every round; the first round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(number + 1):
        for name, work in cases.items():
            start = time.process_time()
            work()
            if turn:
                taken[name].append(time.process_time() - start)
    return taken


def row(window: str, what: str, taken: dict[str, list[float]]) -> dict[str, Any]:
    own = middle(taken[what])
    limit = f"{what.removesuffix(', scipy')}, scipy"
    ratio = own / middle(taken[limit]) if limit in taken else None
    return {"window": window, "what": what, "s": own, "time / limit": "" if ratio is None else ratio}


if __name__ == "__main__":
    main()
