"""What it costs to write a forecast while it is made: sixty days into a store, against the model's own steps.

Two things take turns: the bare steps, nothing kept; and the forecast into a Zarr store, complete and named. By the
clock, writing may hide behind the model where there is a core to spare; the processor's time of all threads together
hides nothing. Models are untrained, which takes them as long. Persistence, which does nothing in a step, is the worst
case: there is no model's time, so what counts is how fast a forecast can be written at all.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from rounds import middle, report
from system_parts import begun

from oceanx import seam
from oceanx.tensors.state import State
from oceanx.workflows import forecasting, runs
from oceanx.workflows.atmosphere import persisted
from oceanx.workflows.made_up import made_up
from oceanx.workflows.model import Model
from oceanx.workflows.processes import Processes
from oceanx.workflows.references import persistence
from oceanx.workflows.stepping import beginning, stepped
from oceanx.workflows.train_config import preset

CASES = (
    ("hybridom_small", (60, 120)),
    ("hybridom_small", (90, 180)),
    ("emulator_small", (60, 120)),
    ("persistence", (120, 240)),
)
WAYS = ("bare", "written")
Seconds = dict[str, dict[str, list[float]]]


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    rows: list[dict[str, Any]] = []
    seconds: dict[str, Seconds] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name, shape in CASES:
            if given.only and name not in given.only:
                continue
            ways, size = case(name, shape, given.days, given.starts, Path(folder))
            taken = rounds(ways, given.days, given.rounds)
            seconds[f"{name} {shape[0]}x{shape[1]}"] = taken
            rows.append(row(name, shape, taken, size, given))
            print(rows[-1], flush=True)
    about = {"days": given.days, "start dates": given.starts, "rounds": given.rounds, "threads": given.threads}
    report("forecast_writing", "Writing a forecast while it is made", rows, seconds, about)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--starts", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the model; writing has a thread of its own")
    parser.add_argument("--only", nargs="*", default=[], help="these models alone")
    parser.add_argument("--folder", type=Path, default=None, help="where the stores are written, and removed again")
    return parser.parse_args()


def case(
    name: str, shape: tuple[int, int], days: int, starts: int, folder: Path
) -> tuple[dict[str, Callable[[int], object]], int]:
    """Both ways, and how many bytes a forecast has."""
    whose = "hybridom_small" if name == "persistence" else name
    task = preset(whose).task
    ds = made_up(task, 30 + starts, *shape)
    if name == "persistence":
        model = persistence()
        ds = ds[list(task.prognostic.names)]
    else:
        config = preset(whose, harmonics=0, train=None, validation=None)
        model = runs.untrained(begun(config, ds, folder / name, Processes(0, 1, torch.device("cpu"))))
    dates, to = ds.time.values[20 : 20 + starts], folder / "fc.zarr"

    def written(days: int) -> None:
        forecasting.forecast(model, ds, dates, f"{days}D", to=to)
        shutil.rmtree(to)

    ways: dict[str, Callable[[int], object]] = {"bare": partial(bare, model, ds, dates), "written": written}
    size = sum(task.prognostic.levels(variable) for variable in task.prognostic.names) * shape[0] * shape[1] * 4
    return ways, size * days * starts


@torch.inference_mode()
def bare(model: Model, ds: xr.Dataset, dates: np.ndarray, days: int) -> State:
    """The model's own time: its steps from the analyses, under the start date's weather, and nothing kept."""
    task = model.task_for(ds)
    mask = seam.wet_mask(seam.grid_of(ds, task.prognostic))
    state, leads = beginning(ds, task, dates, mask), forecasting.lead_times(f"{days}D", task)
    for state in stepped(model, task, state, dates, leads, persisted(ds, task.forcing, mask).begin(dates), mask):  # noqa: B007, B020
        pass
    return state


def rounds(ways: dict[str, Callable[[int], object]], days: int, count: int) -> Seconds:
    """Seconds by the clock and by the processor of every way in every round, after a short one that warms up."""
    taken: Seconds = {way: {"clock": [], "processor": []} for way in WAYS}
    for work in ways.values():
        work(2)
    for _ in range(count):
        for way, work in ways.items():
            clock, processor = time.perf_counter(), time.process_time()
            work(days)
            taken[way]["clock"].append(time.perf_counter() - clock)
            taken[way]["processor"].append(time.process_time() - processor)
    return taken


def row(name: str, shape: tuple[int, int], taken: Seconds, size: int, given: argparse.Namespace) -> dict[str, Any]:
    """Medians, and what writing adds in percent of the bare steps: the median of the rounds' own ratios."""

    def more(way: str, by: str) -> float:
        pairs = zip(taken[way][by], taken["bare"][by], strict=True)
        return 100 * (middle([after / before for after, before in pairs]) - 1)

    clock = {way: middle(taken[way]["clock"]) for way in WAYS}
    steps = given.days
    return {
        "model": name,
        "grid": f"{shape[0]} × {shape[1]}",
        "step [ms]": 1000 * clock["bare"] / steps,
        "forecast [MB]": size / 1e6,
        "written [+%]": more("written", "clock"),
        "written, processor [+%]": more("written", "processor"),
        "written [MB/s]": size / 1e6 / clock["written"],
    }


if __name__ == "__main__":
    main()
