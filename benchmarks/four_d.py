"""What a gradient of 4D-Var costs: in forecasts through its window, and in states kept.

The gradient of a window's cost is one forecast, and one adjoint of each step, which computes the inside of the step
once more: states between steps are kept, nothing else. The limit is 4 forecasts and one state a step. Beside it stand
the tangent of the window, which an inner iteration needs as well, and the gradient of the whole window at once, whose
graph is kept.

The step is a hybrid (transport and a U-net), that of a run where one is given; grids are the built-in ocean's and a
bigger one. All cases take turns; seconds are of the processor. Memory is what a gradient adds to a process at its peak,
each in a process of its own, and how much more that is for every further step.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import torch
from rounds import interleaved, middle, report

import oceanx as ox
from oceanx.models.hybrid import HybridConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.variational.analysis import Observed, Window
from oceanx.variational.four_d import backwards, onwards, steps
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task

OCEAN = Channels(volume=("thetao", "uo", "vo"), surface=("zos",), depth=(0.5, 47.0, 92.0, 222.0))
TASK = Task(prognostic=OCEAN, forcing=Channels(surface=("u10", "v10", "t2m")), anomalies=True)
TYPICAL = {"thetao": (15.0, 3.0), "uo": (0.0, 0.2), "vo": (0.0, 0.2), "zos": (0.0, 0.2), "mlotst": (50.0, 10.0)}
GRIDS = {"built-in": (72, 96), "bigger": (240, 360)}
TIMES = 5
Case = Callable[[], object]


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--rounds", type=int, default=7)
    parse.add_argument("--run", help="a trained hybrid, on its own grid")
    parse.add_argument("--times", type=int, default=TIMES, help="of the window")
    parse.add_argument("--alone", nargs=3, metavar=("GRID", "TIMES", "WAY"), help=argparse.SUPPRESS)
    given = parse.parse_args()
    if given.alone:
        grid, times, way = given.alone
        print(json.dumps(memory(grid, int(times), way, given.run)))
        return
    torch.set_num_threads(1)
    rows, seconds = [], {}
    for grid in GRIDS:
        found, each = compared(grid, given.times, given.rounds, given.run)
        rows.append(found)
        seconds[grid] = each
    about = {"times of the window": given.times, "run": Path(given.run).name if given.run else None, "threads": 1}
    report("four_d", f"4D-Var: a window of {given.times} times of a hybrid", rows, seconds, about)


def compared(grid: str, times: int, rounds: int, run: str | None) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Every case of a grid, in forecasts."""
    window, start = setting(grid, times, run)
    found = interleaved({name: on_processor(work) for name, work in cases(window, start).items()}, rounds)
    forecast = middle(found["forecast"])
    size = sum(field.numel() * field.element_size() for field in start.values())
    peaks = {(n, way): alone(grid, n, way, run) for n in (2, times) for way in ("by step", "as a whole")}
    further = {way: (peaks[times, way] - peaks[2, way]) / (times - 2) / size for way in ("by step", "as a whole")}
    row = {
        "grid": "×".join(map(str, next(iter(start.values())).shape[1:])),
        "forecast, s": forecast,
        "gradient / forecast": middle(found["gradient"]) / forecast,
        "as a whole": middle(found["as a whole"]) / forecast,
        "tangent": middle(found["tangent"]) / forecast,
        "MB of a state": size / 1e6,
        "MB of a gradient": peaks[times, "by step"] / 1e6,
        "as a whole, MB": peaks[times, "as a whole"] / 1e6,
        "states kept a step": further["by step"],
        "as a whole, states": further["as a whole"],
    }
    return row, found


def cases(window: Window, start: State) -> dict[str, Case]:
    """A forecast through the window, the gradient of its cost both ways, and its tangent."""

    def forecast() -> None:
        with torch.no_grad():
            window.trajectory(start)

    with torch.no_grad():
        states = list(window.trajectory(start))
    change = Increment(start.map(torch.ones_like))
    return {
        "forecast": forecast,
        "gradient": lambda: gradient(window, start),
        "as a whole": lambda: whole(window, start),
        "tangent": lambda: onwards(steps(window), states, change),
    }


def gradient(window: Window, start: State) -> Increment:
    """A forecast, and what its departures say of its beginning."""
    with torch.no_grad():
        states = list(window.trajectory(start))
        departures = window.observed.departures(states)
        return backwards(steps(window), states, window.observed.operator.adjoint(departures))


def whole(window: Window, start: State) -> tuple[torch.Tensor, ...]:
    """The same by one graph."""
    leaves = {name: field.clone().requires_grad_() for name, field in start.items()}
    departures = window.observed.departures(window.trajectory(State(leaves)))
    return torch.autograd.grad(-departures.square().sum() / 2, tuple(leaves.values()))


def setting(grid: str, times: int, run: str | None) -> tuple[Window, State]:
    """A window of this grid that sees temperature in every tenth cell, and a state."""
    torch.manual_seed(0)
    step, task, geometry = trained(run) if run and grid == "built-in" else made(*GRIDS[grid])
    step.requires_grad_(False)
    start, told = State(fields(task.prognostic, geometry, task, 0)), forcings(task, geometry, times)

    def stepped(state: State, number: int) -> State:
        return step(state, told[number])

    def trajectory(state: State) -> list[State]:
        states = [state]
        for number in range(times - 1):
            states.append(stepped(states[-1], number))
        return states

    return Window(observed(start, times), trajectory, step=stepped), start


def made(rows: int, columns: int) -> tuple[torch.nn.Module, Task, Geometry]:
    """A hybrid that has something to say, on a sea of one island."""
    mask = torch.ones(4, rows, columns)
    mask[:, rows // 3 : rows // 2, columns // 3 : columns // 2] = 0
    lat, lon = torch.linspace(20.0, 56.0, rows + 1), torch.linspace(-40.0, 8.0, columns + 1)
    depth, thickness = torch.tensor(OCEAN.depth), torch.tensor([20.0, 50.0, 80.0, 150.0])
    geometry = Geometry(lat, lon, depth, thickness, mask, periodic=False)
    config = HybridConfig(net=UNetConfig(widths=(24, 48, 64, 96)), substeps=2)
    statistics = {}
    for name in (*TASK.prognostic.names, *TASK.forcing.names):
        levels = TASK.prognostic.levels(name) if name in TASK.prognostic.names else 1
        mean, std = TYPICAL.get(name, (0.0, 5.0))
        for kind, value in (("mean", mean), ("std", std), ("increment_std", 0.1 * std)):
            statistics |= {f"{name}{of}_{kind}": torch.full((levels,), value) for of in ("", CLIMATOLOGY)}
    return config.build(TASK, geometry, statistics), TASK, geometry


def trained(run: str) -> tuple[torch.nn.Module, Task, Geometry]:
    """The step of a run, and what it was made for."""
    model = ox.load(run)
    return model.step, model.task, model.step.geometry


def fields(channels: Channels, geometry: Geometry, task: Task, seed: int) -> dict[str, torch.Tensor]:
    """Smooth fields of typical size, 0 on land."""
    random, found = torch.Generator().manual_seed(seed), {}
    for name in channels.names:
        mean, std = TYPICAL.get(name, (0.0, 5.0))
        coarse = torch.randn(1, channels.levels(name), 6, 8, generator=random)
        smooth = torch.nn.functional.interpolate(coarse, size=geometry.area.shape, mode="bicubic")
        mask = geometry.mask_of(channels.levels(name)) if name in task.prognostic.names else 1.0
        found[name] = (mean + std * smooth) * mask
    return found


def forcings(task: Task, geometry: Geometry, times: int) -> list[Forcing]:
    """What the model is told at every step."""
    told = []
    for number in range(times):
        known = fields(task.prognostic, geometry, task, 100 + number) | fields(task.forcing, geometry, task, number)
        weather = fields(task.forcing, geometry, task, 200 + number)
        told.append(Fields(weather | {name + CLIMATOLOGY: field for name, field in known.items()}))
    return [Forcing(now, later) for now, later in pairwise(told)]


def observed(start: State, times: int) -> Observed:
    field = start["thetao"]
    cells = torch.arange(0, field[0].numel() * times, 10)
    shape = (field.shape[1], field.shape[2], field.shape[3])
    part = Part(torch.arange(len(cells)), cells[:, None], torch.ones(len(cells), 1), shape)
    operator = Operator({"thetao": part}, len(cells), times)
    return Observed(torch.full((len(cells),), 15.0), torch.ones(len(cells)), operator)


def on_processor(work: Case) -> Callable[[], float]:
    """The work, which tells how many seconds of the processor it took."""

    def timed() -> float:
        begin = time.process_time()
        work()
        return time.process_time() - begin

    return timed


def alone(grid: str, times: int, way: str, run: str | None) -> float:
    """Bytes that a gradient adds at its peak, in a process of its own."""
    command = [sys.executable, __file__, "--alone", grid, str(times), way, *(["--run", run] if run else [])]
    pages = os.environ | {"MALLOC_MMAP_THRESHOLD_": "100000", "OMP_NUM_THREADS": "1"}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=pages).stdout
    return json.loads(told.splitlines()[-1])


def memory(grid: str, times: int, way: str, run: str | None) -> int:
    """The same, of this process. One gradient goes first, for what is only loaded once."""
    torch.set_num_threads(1)
    work = gradient if way == "by step" else whole
    work(*setting(grid, 2, run))
    window, start = setting(grid, times, run)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = psutil.Process().memory_info().rss
    work(window, start)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(peak.split()[1]) - before


if __name__ == "__main__":
    main()
