"""How fast the published systems are: a step of training, a step of a forecast, 60 days, memory, and waiting for data.

Every system of `oceanx/presets` at its published size, and every network of `oceanx/nn` in the emulator with HybridOM's
channels. On a processor the grid is reduced to 2° (the table says what it costs on the published one); on a graphics
card it is the published one. Each system runs in a process of its own. In every round all of them take a turn, and in
every turn the machine's own rate of matrix products is measured too: of that the networks may at best have all.

    python benchmarks/systems.py
    python benchmarks/systems.py --device cuda
    python benchmarks/systems.py --show         # the tables of README.md, from results/systems.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import torch
from rounds import RESULTS, machine, middle
from system_alone import COPIED, MATRIX, PRECISIONS
from system_parts import NETS, PUBLISHED, config_of, system_of
from veros import Model

DAYS = 60
Found = dict[str, Any]


def main() -> None:
    given = options()
    kind = ("" if given.device == "cpu" else f"_{given.device}") + ("_recompute" if given.recompute else "")
    path = RESULTS / f"systems{kind}.json"
    if not given.show:
        if given.device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        found: dict[str, Found] = {}
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            for first in range(0, len(given.systems), given.together):
                found |= measured(given.systems[first : first + given.together], given, folder)
                write(path, given, found)  # what is measured is kept if the rest is interrupted
    content = json.loads(path.read_text())
    print(caption(content), end="\n\n")
    for rows in content["rows"].values():
        print(markdown(rows), end="\n\n")
    for name, error in content["failed"].items():
        print(f"{name}: {error}")


def options() -> argparse.Namespace:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = (*PUBLISHED, *NETS)
    parse.add_argument("--systems", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parse.add_argument("--rounds", type=int, default=2)
    parse.add_argument("--grid", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="90 180 on a processor")
    parse.add_argument("--published", action="store_true", help="the published grid, on a processor too")
    parse.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parse.add_argument("--batch", type=int, default=1)
    parse.add_argument("--threads", type=int, default=os.cpu_count())
    parse.add_argument("--together", type=int, help="systems that take turns, and are in memory, at a time")
    parse.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: seconds of one thread on a busy machine",
    )
    parse.add_argument("--iterations", type=int, default=3, help="of ox.train, to see how long it waits for data")
    parse.add_argument(
        "--patience", type=float, default=10.0, help="seconds of steps in a labelled forecast, or 60 days"
    )
    parse.add_argument("--forecasts", action="store_true", help="no training")
    parse.add_argument(
        "--recompute", action="store_true", help="compute steps twice to save memory, as most presets do"
    )
    parse.add_argument("--folder", type=Path, help="where to write stores and runs for the time of the benchmark")
    parse.add_argument("--show", action="store_true", help="measure nothing, print the tables of the last results")
    given = parse.parse_args()
    if given.clock == "processor" and (given.device != "cpu" or given.threads != 1):
        parse.error("--clock processor: counts the seconds of all threads; give it --threads 1, and no --device")
    given.together = given.together or (4 if given.device == "cpu" else 1)
    if given.grid is None and given.device == "cpu" and not given.published:
        given.grid = [90, 180]
    return given


def measured(names: list[str], given: argparse.Namespace, folder: str) -> dict[str, Found]:
    """Some systems, which take turns."""
    alive: dict[str, Model] = {}
    found: dict[str, Found] = {name: {"seconds": {}} for name in names}

    def ask(question: str) -> Iterator[tuple[str, Any]]:
        for name in list(alive):
            try:
                answer = alive[name].asked(question)
            except (SystemExit, BrokenPipeError) as error:
                answer = {"error": str(error)}
            if "error" in answer:
                found[name]["error"] = answer["error"]
                ended(alive.pop(name))
            else:
                yield name, answer

    try:
        for name in names:
            print(f"{name} …", flush=True)
            model = Model(sys.executable, "system_alone.py", told(name, given, folder))
            answer = model.answer()
            if "error" in answer:
                found[name]["error"] = answer["error"]
            else:
                alive[name] = model
        for name, memory in ask("first"):
            found[name]["memory"] = memory
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds}", flush=True)
            for name, seconds in ask("round"):
                for case, took in seconds.items():
                    found[name]["seconds"].setdefault(case, []).append(took)
        for question in ("whole", "made_of"):
            for name, answer in ask(question):
                found[name][question] = answer
    finally:
        for model in alive.values():
            ended(model)
    return found


def ended(model: Model) -> None:
    """Its process is gone, as it may be already."""
    with suppress(BrokenPipeError):
        model.stop()


def told(name: str, given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """What a system's process is given."""
    kept = ("batch", "device", "recompute", "clock", "iterations", "patience", "threads")
    return {key: getattr(given, key) for key in kept} | {
        "system": name,
        "shape": grid_of(name, given),
        "folder": folder,
        "train": not given.forecasts,
    }


def grid_of(name: str, given: argparse.Namespace) -> tuple[int, int]:
    """Rows and columns of a system's grid."""
    return tuple(given.grid) if given.grid else PUBLISHED[system_of(name)]


def write(path: Path, given: argparse.Namespace, found: Mapping[str, Found]) -> None:
    """The rows of both tables with all that they are made of."""
    whole = {name: of for name, of in found.items() if "made_of" in of}
    device = {"device": torch.cuda.get_device_name()} if given.device == "cuda" else {}
    content = {
        "title": "The published systems",
        "machine": machine() | device,
        "about": {name: value for name, value in vars(given).items() if name not in ("folder", "show")},
        "failed": {name: reason for name, of in found.items() if (reason := why(of))},
        "rows": {
            "limits": limits(whole, given),
            "training": [row for name, of in whole.items() for row in training(name, of, given)],
            "forecasts": [forecasts(name, of, given) for name, of in whole.items()],
        },
        "found": found,
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def why(of: Found) -> str:
    """What went wrong, if anything."""
    return str(of.get("error") or of.get("whole", {}).get("because", ""))


def limits(found: Mapping[str, Found], given: argparse.Namespace) -> list[Found]:
    """What the machine does by itself, over all rounds of all systems."""
    rows = []
    for what, amount, unit in (
        *((f"matmul, {precision}", 2 * MATRIX[given.device] ** 3 / 1e9, "GFLOP/s") for precision in PRECISIONS),
        ("copy", 2 * COPIED / 1e9, "GB/s, read and written"),
    ):
        rates = sorted(amount / took for of in found.values() for took in of["seconds"][what])
        if rates:
            rows.append({"limit": what, "unit": unit, "median": middle(rates), "least": rates[0], "most": rates[-1]})
    return rows


def training(name: str, of: Found, given: argparse.Namespace) -> list[Found]:
    """A row for every stage that trains something else."""
    stages = config_of(name).stages
    rows = []
    for number, stage in enumerate(stages if not given.forecasts else []):
        case, published = f"train {number}", of["made_of"]["published"]
        plain, half = (typical(of, f"{case}, {precision}") for precision in PRECISIONS)
        rows.append(
            {
                "a step of training": f"{name}: {', '.join(stage.learns)}" if len(stages) > 1 else name,
                "grid": "×".join(map(str, grid_of(name, given))),
                "M parameters": published["parameters"] / 1e6,
                "learning": published[f"learned {number}"] / 1e6,
                "GFLOP": given.batch * of["made_of"]["here"][case] / 1e9,
                "s, float32": plain,
                "s, bf16": half,
                "bf16 faster": plain / half if plain and half else None,
                "% of matmul, float32": used(of, case, "float32", given),
                "% of matmul, bf16": used(of, case, "bf16", given),
                "samples/s, bf16": given.batch / half if half else None,
                "GB, float32": gigabytes(of, f"{case}, float32"),
                "GB, bf16": gigabytes(of, f"{case}, bf16"),
                "% waiting in ox.train": 100 * of["whole"]["waiting"] if "waiting" in of["whole"] else None,
            }
        )
    return rows


def forecasts(name: str, of: Found, given: argparse.Namespace) -> Found:
    """A row for a system's forecasts.

    To the published grid the networks' time is taken to grow as their operations, and that of the physics as the cells.
    """
    here, published = (of["made_of"][where]["forecast"] for where in ("here", "published"))
    plain, half, physics = (typical(of, case) for case in ("forecast, float32", "forecast, bf16", "physics"))
    cells = prod(PUBLISHED[system_of(name)]) / prod(grid_of(name, given))
    apart = physics or 0.0
    whole = of["whole"]
    return {
        "a day of a forecast": name,
        "grid": "×".join(map(str, grid_of(name, given))),
        "GFLOP": given.batch * here / 1e9,
        "s, float32": plain,
        "of which physics": physics,
        "s, bf16": half,
        "% of matmul, float32": used(of, "forecast", "float32", given),
        "% of matmul, bf16": used(of, "forecast", "bf16", given),
        "GB, float32": gigabytes(of, "forecast, float32"),
        "60 days, s": DAYS * plain if plain else None,
        "labelled / bare": whole["labelled"] / whole["bare"] if "bare" in whole else None,
        "days": whole.get("days"),
        "published grid": "×".join(map(str, PUBLISHED[system_of(name)])),
        "GFLOP there": given.batch * published / 1e9,
        "60 days there, s, estimated": DAYS * ((plain - apart) * published / here + apart * cells) if plain else None,
    }


def typical(of: Found, case: str) -> float | None:
    """The median over the rounds; None where it could not be done."""
    seconds = of["seconds"].get(case, [])
    return middle(seconds) if seconds and None not in seconds else None


def used(of: Found, case: str, precision: str, given: argparse.Namespace) -> float | None:
    """Operations per second in percent of those of a matrix product in the same round."""
    seconds, limit = of["seconds"][f"{case}, {precision}"], of["seconds"][f"matmul, {precision}"]
    if None in seconds:
        return None
    share = given.batch * of["made_of"]["here"][case] / (2 * MATRIX[given.device] ** 3)
    return 100 * middle([share * best / took for best, took in zip(limit, seconds, strict=True)])


def gigabytes(of: Found, case: str) -> float | None:
    return of["memory"][case] / 1e9 if of["memory"][case] is not None else None


def caption(content: Found) -> str:
    """How the tables came about."""
    about, on = content["about"], content["machine"]
    return (
        f"{on.get('device', on['processor'])}, threads: {about['threads']}, rounds: {about['rounds']}, "
        f"batch: {about['batch']}, clock: {about['clock']}, processes that wanted a core at the end: {on['load']:g} of "
        f"{on['cores']}"
    )


def markdown(rows: list[Found]) -> str:
    """A table for README.md."""
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: Any) -> str:
    """Three digits."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
