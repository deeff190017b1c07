"""How fast a day of the vorticity core is, against moving its traffic once, and against the core that it stands for.

One day: temperature, salinity and vorticity on 23 levels of 360 × 720 and sea ice, twelve Adams–Bashforth steps of two
hours, float32. A step must read the three fields, their last tendencies, what carries them and what density is made of,
and write the fields and their tendencies: as published 12 reads and 6 writes of a field. The limit is the time in which
18 fields are moved so, by six sums of two into a third, in the same rounds. Whatever ours does once a day is in its
time, a twelfth in every step.

Memory is what forward and backward add to a process at its peak, each in a process of its own, in which every field has
pages of its own: what is freed is gone, and what is left is what is needed. (As it comes, the allocator keeps holes.)
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from released_hybridom_core import ReleasedCore
from rounds import interleaved, middle, report
from torch import Tensor
from torch.nn.functional import interpolate

from oceanx.physics.vorticity_core import VorticityCore, VorticityCoreConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import LEVELS_23

SHAPE = (23, 360, 720)
DAY, STEPS = 86400.0, 12
FEW = 2  # substeps of what is too slow, or takes too much memory, for a day of it
FIELDS = 18
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "physics_scaling.png"
LEAVES = ("thetao", "so", "uo", "vo", "zos")
Case = Callable[[], object]


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--rounds", type=int, default=7)
    parse.add_argument("--grid", type=int, nargs=3, default=SHAPE, metavar=("DEPTH", "LAT", "LON"))
    parse.add_argument("--alone", nargs=3, metavar=("CORE", "STEPS", "DEVICE"), help=argparse.SUPPRESS)
    given = parse.parse_args()
    if given.alone:
        print(json.dumps(memory(given.alone[0], int(given.alone[1]), given.alone[2], tuple(given.grid))))
        return
    rows, seconds = [], {}
    for device in ("cpu", "cuda")[: 1 + torch.cuda.is_available()]:
        found, times = compared(tuple(given.grid), device, given.rounds)
        rows += found
        seconds[device] = times
    growth, grown = grows(tuple(given.grid), given.rounds)
    seconds["growth"] = grown
    drawn(growth)
    about = {
        "grid": "×".join(map(str, given.grid)),
        "dtype": "float32",
        "fields moved": FIELDS,
        "substeps a day": STEPS,
        "growth": growth,
    }
    report("physics", "physics: one step of two hours of the vorticity core", rows, seconds, about)


def compared(shape: tuple[int, ...], device: str, rounds: int) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Every case beside the traffic, per substep."""
    cases = {name: (steps, synchronised(work, device)) for name, (steps, work) in days(shape, device).items()}
    times = interleaved({name: work for name, (_, work) in cases.items()}, rounds)
    each = {name: [time / cases[name][0] for time in found] for name, found in times.items()}
    traffic = middle(each["traffic"])
    peaks = {
        "ours, compiled: forward and backward": alone("ours", STEPS, device, shape),
        "released: forward and backward": alone("released", STEPS, device, shape),
    }
    rows = [
        {
            "device": device,
            "what": name,
            "substeps": cases[name][0],
            "ms per substep": 1e3 * middle(found),
            "time / traffic": middle(found) / traffic,
            "released / time": middle(each[_rival(name)]) / middle(found),
            "GB, 12 substeps": peaks.get(name, ""),
        }
        for name, found in each.items()
    ]
    return rows, each


def _rival(name: str) -> str:
    return "released: forward and backward" if name.endswith("backward") else "released"


def days(shape: tuple[int, ...], device: str) -> dict[str, tuple[int, Case]]:
    """How many substeps each case makes, and the case."""
    geometry, fields = ocean(shape, device)
    fused, plain = (VorticityCoreConfig(compile=wanted).build(geometry).to(device) for wanted in (True, False))
    released = ReleasedCore(geometry.depth, geometry.mask)
    held = [torch.randn(1, *shape, device=device) for _ in range(FIELDS)]

    def traffic() -> None:
        for n in range(FIELDS // 3):
            torch.add(held[2 * n], held[2 * n + 1], out=held[FIELDS * 2 // 3 + n])

    return {
        "traffic": (1, traffic),
        "released": (FEW, quietly(lambda: released.day(fields, steps=FEW))),
        "ours, plain": (STEPS, quietly(lambda: a_day(plain, fields))),
        "ours, compiled": (STEPS, quietly(lambda: a_day(fused, fields))),
        "released: forward and backward": (FEW, lambda: backward(lambda x: released.day(x, steps=FEW), fields)),
        "ours, compiled: forward and backward": (STEPS, lambda: backward(lambda x: a_day(fused, x), fields)),
    }


def grows(shape: tuple[int, ...], rounds: int) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Seconds a day of ours takes by number of cells, and seconds of the full grid by number of substeps."""
    depth, lat, lon = shape
    cases: dict[str, Case] = {}
    cells, steps = [], (3, 6, 12, 24)
    for part in (4, 3, 2, 1):
        smaller = (depth, lat // part, lon // part)
        geometry, fields = ocean(smaller, "cpu")
        core = VorticityCoreConfig().build(geometry)
        number = smaller[0] * smaller[1] * smaller[2]
        cells.append(number)
        cases[f"{number} cells"] = quietly(lambda core=core, fields=fields: a_day(core, fields))
    for number in steps:
        cases[f"{number} substeps"] = quietly(lambda n=number: a_day(core, fields, n))
    times = interleaved(cases, rounds)
    growth = {
        "cells": [[number, middle(times[f"{number} cells"])] for number in cells],
        "substeps": [[number, middle(times[f"{number} substeps"])] for number in steps],
    }
    return growth, times


def drawn(growth: dict[str, Any]) -> None:
    """Both curves, each with the straight line that is nearest."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
    about = (("cells", 1e-6, "million cells, 12 substeps"), ("substeps", 1, "substeps on the largest grid"))
    for axis, (name, unit, label) in zip(axes, about, strict=True):
        x, y = zip(*growth[name], strict=True)
        x = [unit * each for each in x]
        slope, once = np.polyfit(x, y, 1)
        axis.plot([0, x[-1]], [once, once + slope * x[-1]], "--", color="0.6", label="straight line")
        axis.plot(x, y, "o-", color="tab:blue", label="measured")
        axis.set(xlabel=label, xlim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="seconds a day of the vorticity core", ylim=(0, None))  # which both share
    axes[0].legend(frameon=False)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=150)
    pyplot.close(figure)


def alone(core: str, steps: int, device: str, shape: Iterable[int]) -> float:
    """GB that forward and backward through so many substeps add at their peak, in a process of its own."""
    command = [sys.executable, __file__, "--alone", core, str(steps), device, "--grid", *map(str, shape)]
    pages = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=pages).stdout
    return json.loads(told.splitlines()[-1]) / 1e9


def memory(core: str, steps: int, device: str, shape: tuple[int, ...]) -> int:
    """The same, of this process, in bytes. One step goes first: compilers need memory too."""
    geometry, fields = ocean(shape, device)
    ours, released = VorticityCoreConfig().build(geometry).to(device), ReleasedCore(geometry.depth, geometry.mask)

    def work(given: dict[str, Tensor]) -> dict[str, Tensor]:
        return a_day(ours, given, steps) if core == "ours" else released.day(given, steps=steps)

    backward(lambda x: a_day(ours, x, 1) if core == "ours" else released.day(x, steps=1), fields)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        backward(work, fields)
        return torch.cuda.max_memory_allocated() - before
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system
    Path("/proc/self/clear_refs").write_text("5")  # and the peak so far, compiling, is forgotten
    before = psutil.Process().memory_info().rss
    backward(work, fields)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(peak.split()[1]) - before


def a_day(core: VorticityCore, fields: dict[str, Tensor], steps: int = STEPS) -> dict[str, Tensor]:
    """So many steps of two hours."""
    return dict(core(core.begin(fields), Fields({}), DAY / STEPS * steps, steps))


def backward(work: Callable[[dict[str, Tensor]], dict[str, Tensor]], fields: dict[str, Tensor]) -> None:
    """The gradient of what is advanced with respect to all that it began from."""
    leaves = {name: fields[name].detach().requires_grad_() for name in LEAVES}
    after = work(fields | leaves)
    arriving = [torch.ones_like(after[name]) for name in ("thetao", "so", "vorticity")]
    torch.autograd.grad([after[name] for name in ("thetao", "so", "vorticity")], tuple(leaves.values()), arriving)


def quietly(work: Case) -> Case:
    """The work without gradients."""

    def quiet() -> None:
        with torch.no_grad():
            work()

    return quiet


def synchronised(work: Case, device: str) -> Case:
    """The work to its end: a graphics card goes on by itself."""

    def whole() -> None:
        work()
        if device == "cuda":
            torch.cuda.synchronize()

    return whole


def ocean(shape: tuple[int, ...], device: str) -> tuple[Geometry, dict[str, Tensor]]:
    """A globe with made-up continents, and smooth fields of a plausible size."""
    depth, lat, lon = shape
    generator = torch.Generator().manual_seed(0)

    def smooth(levels: int) -> Tensor:
        coarse = torch.randn(1, levels, max(lat // 12, 2), max(lon // 12, 2), generator=generator)
        return interpolate(coarse, size=(lat, lon), mode="bicubic")

    mask = (smooth(1) > -0.5).float()[0].expand(depth, lat, lon).clone()
    mask[:, : lat // 12] = 0  # Antarctica
    centres = torch.tensor(LEVELS_23)[:depth]
    thickness = torch.cat((centres[:1] * 2, (centres[1:] + centres[:-1]).diff(prepend=centres[:1] * 2)))[:depth]
    thickness = thickness.clamp(min=0.5)
    geometry = Geometry(
        torch.linspace(-90.0, 90.0, lat + 1),
        torch.linspace(0.0, 360.0, lon + 1),
        centres,
        thickness,
        mask,
        periodic=True,
    )
    fields = {
        "thetao": 10 + 5 * smooth(depth),
        "so": 35 + smooth(depth),
        "uo": 0.3 * smooth(depth),
        "vo": 0.3 * smooth(depth),
        "zos": 0.3 * smooth(1),
        "siconc": smooth(1).sigmoid(),
        "sithick": 2 * smooth(1).sigmoid(),
        "usi": 0.1 * smooth(1),
        "vsi": 0.1 * smooth(1),
    }
    return geometry.to(device), {
        name: (field * geometry.mask_of(field.shape[1])).to(device) for name, field in fields.items()
    }


if __name__ == "__main__":
    main()
