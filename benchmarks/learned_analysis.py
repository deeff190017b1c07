"""What a learned analysis costs: in days of the forecast model that it works with.

The limit is one forecast day. A window of the built-in ocean with 9000 observations of temperature and sea level, each
between four cells; the networks of the small presets, which need not be trained to cost what they cost. All cases take
turns; seconds are of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from four_d import fields, forcings
from rounds import interleaved, middle, report

import oceanx as ox
from oceanx.models.analysis_method import LearnedMethod
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Forcing, State
from oceanx.variational.analysis import Observed, Window
from oceanx.workflows.runs import Run, described

PRESETS = ("analysis_small", "analysis_solver_small")
OBSERVATIONS = 9000


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("run", help="the forecast model: a trained run on the built-in ocean")
    parse.add_argument("--rounds", type=int, default=15)
    given = parse.parse_args()
    torch.set_num_threads(1)
    model, (geometry, statistics) = ox.load(given.run), described(Run(given.run))
    assert model.task is not None
    state = State(fields(model.task.prognostic, geometry, model.task, 0))
    forcing = forcings(model.task, geometry, 2)[0]
    window = Window(observed(geometry, len(model.task.prognostic.depth)), forcing=forcing)
    work = {"forecast day": lambda: step(model.step, state, forcing)}
    for name in PRESETS:
        method = LearnedMethod(ox.preset(name).model.build(model.task, geometry, statistics))
        work[name] = lambda method=method: method(state, window)  # type: ignore[misc]
    seconds = interleaved({name: on_processor(each) for name, each in work.items()}, given.rounds)
    day = middle(seconds["forecast day"])
    rows = [
        {"what": name, "seconds": middle(each), "forecast days": middle(each) / day} for name, each in seconds.items()
    ]
    about = {"run": Path(given.run).name, "observations": OBSERVATIONS, "rounds": given.rounds}
    report("learned_analysis", "A learned analysis, in forecast days", rows, seconds, about)


def step(model: torch.nn.Module, state: State, forcing: Forcing) -> State:
    """One day, without gradient."""
    with torch.no_grad():
        return model(state, forcing)


def observed(geometry: Geometry, levels: int) -> Observed:
    """As many observations, half of sea level and half of temperature."""
    random, (rows, columns) = torch.Generator().manual_seed(0), geometry.area.shape
    half, parts = OBSERVATIONS // 2, {}
    for number, (name, depth) in enumerate((("zos", 1), ("thetao", levels))):
        row = torch.randint(rows - 1, (half,), generator=random)
        column = torch.randint(columns - 1, (half,), generator=random)
        first = row * columns + column
        cells = torch.stack([first, first + 1, first + columns, first + columns + 1], dim=1)
        at = torch.arange(half) + number * half
        parts[name] = Part(at, cells, torch.full((half, 4), 0.25, dtype=torch.float64), (depth, rows, columns))
    values = torch.randn(2 * half, generator=random, dtype=torch.float64)
    return Observed(values, torch.ones(2 * half, dtype=torch.float64), Operator(parts, 2 * half))


def on_processor(work: Callable[[], object]) -> Callable[[], float]:
    """The same, telling how long the processor took."""

    def timed() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return timed


if __name__ == "__main__":
    main()
