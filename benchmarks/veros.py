"""What a step of the primitive equations costs beside Veros, the Python ocean model that is written for speed.

One box, solved by both: the Earth between 72° S and 72° N in 240 × 120 cells and 12 levels, one continent north of
48° S and open water all the way round south of it, wind, a linear equation of state, no ice, no weather. Grid, levels,
land, wind, first temperature, step, precision, viscosities, drag and the order of advection are the same. See README.md
for what is not.

Veros lives in an environment of its own (it wants another NumPy than ours, and is no part of oceanx):

    python -m venv ~/veros && ~/veros/bin/pip install 'veros[jax]'
    python benchmarks/veros.py --veros-python ~/veros/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rounds import interleaved, middle, report

HERE = Path(__file__).parent
INSTALL = "python -m venv ~/veros && ~/veros/bin/pip install 'veros[jax]', then --veros-python ~/veros/bin/python"
THICKNESS = (50.0, 70.0, 100.0, 140.0, 190.0, 250.0, 320.0, 400.0, 480.0, 560.0, 650.0, 790.0)
ALIKE = {
    "viscosity": 5e4,  # m2 s-1
    "vertical_viscosity": 1e-3,
    "vertical_diffusivity": 1e-5,
    "drag": 2e-3,  # m s-1
}
YEAR = 365.25  # days


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--rounds", type=int, default=7)
    parse.add_argument("--steps", type=int, default=6, help="steps of each model in a round")
    parse.add_argument("--spinup", type=int, default=24, help="steps before the first round")
    parse.add_argument("--step", type=float, default=3600.0, help="seconds; Veros is stable up to an hour")
    parse.add_argument("--precision", choices=("float64", "float32"), default="float64")
    parse.add_argument("--advection", choices=("limited", "centred"), default="limited")
    parse.add_argument("--surface", choices=("free", "lid"), default="free", help="of Veros; that of oceanx is free")
    parse.add_argument("--cells", type=int, nargs=2, default=(240, 120), metavar=("COLUMNS", "ROWS"))
    parse.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parse.add_argument("--veros-python", default=sys.executable, help="the Python that has Veros")
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        box = Path(folder) / "box.npz"
        np.savez(box, **the_box(*given.cells))
        models = started(given, box)
        try:
            for name, model in models.items():
                model.steps(given.spinup)
                print(f"{name}: {given.spinup} steps", flush=True)
            cases: dict[str, Callable[[], object]] = {
                name: (lambda model=model: model.steps(given.steps)) for name, model in models.items()
            }
            seconds = interleaved(cases, given.rounds)
            seen = {name: model.look() for name, model in models.items()}
        finally:
            for model in models.values():
                model.stop()
    write(given, seconds, seen)


def write(given: argparse.Namespace, seconds: dict[str, list[float]], seen: dict[str, dict[str, float]]) -> None:
    """The table: every model against Veros with NumPy and against the fastest Veros with as many threads."""
    each = {name: middle(times) / given.steps for name, times in seconds.items()}
    rows = []
    for name, time in each.items():
        threads = name.split(", ")[-1]
        rivals = [t for other, t in each.items() if other.startswith("Veros") and other.endswith(threads)]
        rows.append(
            {
                "model": name,
                "s / step": time,
                "years / day": given.step / time / YEAR,
                "speed / fastest Veros": min(rivals) / time if rivals else "",
                "mm² s⁻² at the end": 1e6 * seen[name]["kinetic energy"],
                "°C at the end": f"{seen[name]['temperature']:.4f}",
            }
        )
    grid = "×".join(map(str, (*given.cells, len(THICKNESS))))
    about = {name: value for name, value in vars(given).items() if name != "veros_python"} | ALIKE | {"seen": seen}
    report("veros", f"{grid}, steps of {given.step:g} s, {given.precision}", rows, seconds, about)


class Model:
    """A model in a process of its own, which does steps when told to."""

    def __init__(self, python: str, script: str, given: dict[str, Any], *options: str):
        environment = os.environ | {"OMP_NUM_THREADS": str(given["threads"])}
        command = [python, *options, str(HERE / script), json.dumps(given)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def answer(self) -> Any:
        """The next line that it says in JSON; what else it says is passed over."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                continue
        raise SystemExit(f"{self.process.args}: ended with {self.process.wait()}; run it by hand to see why")

    def asked(self, question: str) -> Any:
        assert self.process.stdin is not None
        print(question, file=self.process.stdin, flush=True)
        return self.answer()

    def steps(self, number: int) -> float:
        """How many seconds so many steps took."""
        return float(self.asked(f"steps {number}"))

    def look(self) -> dict[str, float]:
        """What the ocean has come to."""
        return dict(self.asked("look"))

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def started(given: argparse.Namespace, box: Path) -> dict[str, Model]:
    """All models, ready for their first step. Veros on NumPy knows one thread only."""
    alike = ALIKE | {name: getattr(given, name) for name in ("step", "precision", "advection", "surface")}
    backends = [backend for backend, module in (("numpy", "veros"), ("jax", "jax")) if has(given.veros_python, module)]
    if "numpy" not in backends:
        raise SystemExit(f"{given.veros_python}: has no Veros; install it with {INSTALL}")
    models = {}
    for threads in given.threads:
        told = alike | {"threads": threads, "box": str(box)}
        at = f"{threads} thread{'s' * (threads > 1)}"
        for backend in ("eager", "compiled"):
            models[f"oceanx {backend}, {at}"] = Model(sys.executable, "box_oceanx.py", told | {"backend": backend})
        for backend in backends:
            if backend == "jax" or threads == 1:
                # Isolated, so that it imports Veros and not this file.
                models[f"Veros {backend}, {at}"] = Model(
                    given.veros_python, "box_veros.py", told | {"backend": backend}, "-I"
                )
    for model in models.values():
        model.answer()
    return models


def has(python: str, module: str) -> bool:
    """Whether this Python can import a module."""
    if shutil.which(python) is None:
        raise SystemExit(f"{python}: no such program; give --veros-python the Python that has Veros")
    asked = [python, "-I", "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"]
    return subprocess.run(asked, capture_output=True).returncode == 0


def the_box(columns: int, rows: int) -> dict[str, np.ndarray]:
    """Cell edges (degrees), thickness (m), land (0), first temperature (°C) and the wind's eastward stress (Pa)."""
    latitude, longitude = np.linspace(-72, 72, rows + 1), np.linspace(0, 360, columns + 1)
    thickness = np.array(THICKNESS)
    y, depth = (latitude[1:] + latitude[:-1]) / 2, thickness.cumsum() - thickness / 2
    wet = np.ones((rows, columns))
    wet[y > -48, : max(1, columns // 120)] = 0
    wet[[0, -1]] = 0
    warm = 2 + 22 * np.cos(np.deg2rad(y)) ** 2 * np.exp(-depth / 800)[:, None]
    return {
        "latitude": latitude,
        "longitude": longitude,
        "thickness": thickness,
        "wet": wet,
        "thetao": np.repeat(warm[:, :, None], columns, 2),
        "tauuo": -0.1 * np.cos(np.pi * y / 24) * np.cos(np.deg2rad(y)),
    }


if __name__ == "__main__":
    main()
