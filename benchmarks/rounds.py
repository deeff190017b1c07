"""What every benchmark here shares: rounds in turn, medians, ratios, a table, and a JSON beside this file."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every case in every round. All cases take turns, so that a busy moment slows them alike.

    The first round warms caches and is left out.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, work in cases.items():
            start = time.perf_counter()
            told = work()
            if number:  # what works in a process of its own tells how long it took by itself
                seconds[name].append(told if isinstance(told, float) else time.perf_counter() - start)
    return seconds


def report(
    name: str, title: str, rows: list[dict[str, Any]], seconds: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """Print the rows as a table; write them with all the rounds to results/<name>.json."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=120).print(table)
    RESULTS.mkdir(exist_ok=True)
    content = {"title": title, "machine": machine(), "about": dict(about), "rows": rows, "seconds": dict(seconds)}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    packages = ("oceanx", "torch", "numpy", "xarray", "zarr", "netCDF4", "numcodecs", "xbatcher")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def middle(seconds: list[float]) -> float:
    """The median."""
    return median(seconds)
