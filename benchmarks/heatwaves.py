"""Marine heatwaves on a daily grid of 39 years: climatology, threshold and events, against copying the series once.

Beside it, where there is one, a published tool that does one cell at a time: its module and the Python that has it are
given. It runs in a process of its own, on the same cells and in the same rounds; events must be the same.

Series are red noise about a season in hundredths of a degree, as satellite products have them, and once more not
rounded, for which the percentile takes another path. Memory is measured in processes of their own, on stores cut into
whole series; there the answer is written as it comes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from rounds import interleaved, middle, report

from oceanx.heatwaves import block, events, threshold

TIME = pd.date_range("1982-01-01", "2020-12-31")
BASELINE = ("1982", "2011")
GLOBAL = 691_150  # wet cells of the 1/4° ocean
REFERENCE = """
import importlib, json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
for name, kind in (("NaN", np.nan), ("int", int), ("float", float), ("bool", bool)):
    if not hasattr(np, name):
        setattr(np, name, kind)  # names that older programs use
tool = importlib.import_module(sys.argv[1])
cells, days = np.load(sys.argv[2]), np.load(sys.argv[3])
tool.detect(days, cells[0], climatologyPeriod=[1982, 2011])
start, work = time.perf_counter(), time.process_time()
found = [tool.detect(days, cell, climatologyPeriod=[1982, 2011])[0] for cell in cells]
seconds = [time.perf_counter() - start, time.process_time() - work]
names = ("index_start", "index_end", "intensity_max")
print(json.dumps([seconds, [[[float(x) for x in f[name]] for name in names] for f in found]]))
"""
STORE = """
import json, re, sys, time
import xarray as xr
from oceanx.heatwaves import block, open_threshold, threshold, write_threshold
sst = xr.open_zarr(sys.argv[1], consolidated=False)["sst"]
start = time.perf_counter()
limit = write_threshold(threshold(sst, ("1982", "2011")), sys.argv[1] + ".limit", overwrite=True)
block(sst, limit).to_zarr(sys.argv[1] + ".block", mode="w", consolidated=False)
seconds = time.perf_counter() - start
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(json.dumps([seconds, 1024 * int(peak[1]) if peak else 0]))
"""


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--cells", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--reference-python", type=Path, help="an interpreter that has the published tool")
    parse.add_argument("--reference-module", default="marineHeatWaves")
    parse.add_argument("--reference-cells", type=int, default=8)
    given = parse.parse_args()
    cores = len(os.sched_getaffinity(0))
    largest = series(max(given.cells))
    smooth = largest + np.random.default_rng(1).normal(scale=1e-3, size=largest.shape).astype(np.float32)
    fields = {f"{count} cells": largest[:, :count] for count in given.cells}
    found: dict[str, pd.DataFrame] = {}
    cpu: dict[str, list[float]] = {}

    def ours(name: str, sst: xr.DataArray) -> None:
        found[name] = events(sst, threshold(sst, BASELINE))

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(cores) as pool:
        few = largest[:, : given.reference_cells].load()
        np.save(f"{folder}/cells.npy", np.ascontiguousarray(few.values.T))
        np.save(f"{folder}/days.npy", np.array([date.toordinal() for date in TIME]))
        theirs: list = []

        def reference() -> float:
            words = [str(given.reference_python), "-c", REFERENCE, given.reference_module]
            words += [f"{folder}/cells.npy", f"{folder}/days.npy"]
            told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
            (seconds, worked), theirs[:] = json.loads(told.splitlines()[-1])
            cpu.setdefault(f"published tool, {given.reference_cells} cells", []).append(worked)
            return float(seconds)

        values, target = largest.values, np.empty_like(largest.values)
        halves = [slice(rows[0], rows[-1] + 1) for rows in np.array_split(np.arange(len(values)), cores)]

        def copy() -> None:
            list(pool.map(lambda rows: np.copyto(target[rows], values[rows]), halves))

        last = list(fields)[-1]
        cases = {name: (lambda name=name, sst=sst: ours(name, sst)) for name, sst in fields.items()} | {
            f"{last}, threshold alone": lambda: threshold(largest, BASELINE),
            f"{last}, threshold and statistics by year": lambda: block(largest, threshold(largest, BASELINE)),
            f"{last}, not rounded": lambda: ours("smooth", smooth),
            f"{last}, copied once": copy,
        }
        cases = {name: counted(name, case, cpu) for name, case in cases.items()}
        if given.reference_python:
            cases[f"published tool, {given.reference_cells} cells"] = reference
        seconds = interleaved(cases, given.rounds)
        if theirs:
            compare(found[last], theirs)
        peaks = [stored(Path(folder), count) for count in given.cells]
    per_cell, worked = (
        {name: middle(each) / int(re.findall(r"(\d+) cells", name)[0]) for name, each in measured.items()}
        for measured in (seconds, cpu)
    )
    limit = per_cell[f"{last}, copied once"]
    tool = f"published tool, {given.reference_cells} cells"
    rows = [
        {
            "what": name,
            "µs a cell": 1e6 * each,
            "CPU µs a cell": 1e6 * worked[name],
            "time / copy": each / limit,
            "published / this": per_cell[tool] / each if theirs else "",
            "the same of CPU": worked[tool] / worked[name] if theirs else "",
        }
        for name, each in per_cell.items()
    ]
    about = {
        "days": len(TIME),
        "cores": cores,
        "tool": given.reference_module if theirs else "none given",
        "events": len(found[last]),
        "same events": bool(theirs),
        "global 1/4° ocean, s": GLOBAL * per_cell[f"{last}, threshold and statistics by year"],
        "stores: cells, s, peak MB": [[n, s, p / 1e6] for n, (s, p) in zip(given.cells, peaks, strict=True)],
    }
    print(about)
    report("heatwaves", f"heatwaves: {len(TIME)} days on {cores} cores", rows, seconds, about)


def counted(name: str, case: Callable[[], object], cpu: dict[str, list[float]]) -> Callable[[], None]:
    """The case, noting the processor time of all its threads, which a busy machine changes little."""

    def run() -> None:
        start = time.process_time()
        case()
        cpu.setdefault(name, []).append(time.process_time() - start)

    return run


def series(cells: int) -> xr.DataArray:
    """Daily temperature (time, cell), float32: a season and red noise, in hundredths of a degree."""
    rng = np.random.default_rng(0)
    season = 4 * np.cos(2 * np.pi * (TIME.day_of_year.to_numpy() - 40) / 365.25)
    values = np.empty((len(TIME), cells), np.float32)
    noise = rng.normal(size=cells)
    for day in range(len(TIME)):
        noise = 0.95 * noise + np.sqrt(1 - 0.95**2) * rng.normal(size=cells)
        values[day] = np.round(20 + season[day] + noise, 2)
    return xr.DataArray(values, dims=("time", "cell"), coords={"time": TIME}, name="sst")


def compare(ours: pd.DataFrame, theirs: list) -> None:
    """Every event on the same days, as strong within rounding."""
    for cell, (first, last, strength) in enumerate(theirs):
        own = ours[ours["cell"] == cell] if "cell" in ours else ours
        np.testing.assert_array_equal((own["date_start"] - TIME[0]).dt.days, first)
        np.testing.assert_array_equal((own["date_end"] - TIME[0]).dt.days, last)
        np.testing.assert_allclose(own["intensity_max"], strength, atol=1e-5)


def stored(folder: Path, cells: int) -> tuple[float, float]:
    """Seconds and peak memory of threshold and statistics by year of a store, written chunk by chunk."""
    store = folder / f"{cells}.zarr"
    sst = series(cells).chunk(time=-1, cell=125)
    sst.to_dataset().to_zarr(store, consolidated=False)
    del sst
    time.sleep(0.1)
    words = [sys.executable, "-c", STORE, str(store)]
    seconds, peak = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return float(seconds), float(peak)


if __name__ == "__main__":
    main()
