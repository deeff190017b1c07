"""One system in a process of its own: it takes steps when told to, and says what it is made of. `systems.py` asks.

All goes the way of `ox.train` and `ox.forecast`: a run folder, windows of a store, the Learner with its rollout, loss
and optimiser, the running mean of the weights. The ocean is made up, and nothing of it is kept in memory.
"""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from system_parts import PUBLISHED, RATE, begun, config_of, counted, ocean, system_of
from torch import nn

from oceanx.models.emulator import Emulator
from oceanx.models.named_network import NamedNetwork, rest
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import runs, windows
from oceanx.workflows.batching import Windows, unpack
from oceanx.workflows.checkpoints import Checkpoint
from oceanx.workflows.forecasting import forecast
from oceanx.workflows.learner import Learner
from oceanx.workflows.model import Model
from oceanx.workflows.processes import Processes
from oceanx.workflows.training import train

PRECISIONS = ("float32", "bf16")
DAYS = 8  # and a batch
LEAST = 0.2  # seconds that a case is done again and again for
MATRIX = {"cpu": 2048, "cuda": 8192}
COPIED = 2**26  # bytes
Case = Callable[[], object]


def main() -> None:
    # As if memory held neither the ocean nor a day of it, as it will not hold decades at the published grid.
    windows.IN_MEMORY_SHARE = windows.KEPT_SHARE = 0.0
    try:
        system = System(json.loads(sys.argv[1]))
        print(json.dumps(list(system.cases)), flush=True)
        for question in sys.stdin:
            print(json.dumps(getattr(system, question.strip())()), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]}), flush=True)
        raise


class System:
    """A system ready for its first step.

    Parameters
    ----------
    given
        `system`, `shape` (rows and columns), `batch`, `device`, `folder`, `train` (whether to), `recompute`, `clock`,
        and of what is done at the end the `iterations` and the `patience` (seconds).
    """

    def __init__(self, given: dict[str, Any]):
        self.name, self.given, self.shape = given["system"], given, (given["shape"][0], given["shape"][1])
        self.folder, self.here = Path(given["folder"]), Processes(0, 1, torch.device(given["device"]))
        self.config = config_of(self.name, given["batch"], given["iterations"], given["recompute"])
        whose = system_of(self.name)
        self.ds = ocean(whose, self.shape, DAYS + given["batch"], self.folder / f"{whose}.zarr")
        self.run = begun(self.config, self.ds, self.folder / self.name, self.here)
        self.windows = Windows(self.ds, self.config.task, 1, self.run.dataset("climatology"))
        self.batch = self.windows.__getitems__(list(range(given["batch"])))
        self.state, (self.forcing,), _ = unpack(self.here.move(self.batch))
        self.learner = Learner(self.run, self.config, self.here)
        self.model: Any = self.learner.model
        self.checkpoint: Any = None
        self.stages: dict[str, tuple[set[str], set[str]]] = {}  # what learns in each, and which networks rest
        self.day = 0
        self.clock = time.process_time if given["clock"] == "processor" else time.perf_counter
        self.cases = self._cases()

    def first(self) -> dict[str, float | None]:
        """The most memory (bytes) of every case. So all has been done once before it is timed."""
        return {name: self._possible(partial(self._memory, *case)) for name, case in self.cases.items()}

    def round(self) -> dict[str, float | None]:
        """Seconds of every case, in turn; None where the device's memory does not suffice."""
        return {name: self._possible(partial(self._seconds, *case)) for name, case in self.cases.items()}

    def whole(self) -> dict[str, Any]:
        """`ox.train` for a few iterations, then a labelled forecast by the model that it gives, and its bare steps."""
        self.learner = self.model = self.checkpoint = None  # type: ignore[assignment]
        self.cases = {}
        gc.collect()
        found: dict[str, Any] = {}
        try:  # a graphics card may be too small for training
            if self.given["train"]:
                train(self.config, self.ds, self.run, resume=True)
                rows = pd.read_csv(self.run / "log.csv").iloc[1:]  # in the first some things are done once
                found |= {"waiting": float(rows.waiting.median()), "samples/s": float(rows.samples_per_second.median())}
            return found | self._labelled(runs.load(self.run) if found else runs.untrained(self.run))
        except InputError as error:
            return found | {"because": str(error)}

    def _labelled(self, model: Model) -> dict[str, float]:
        step = cast(nn.Module, model.step)
        device = next(step.parameters()).device
        state, now = (fields.map(lambda field: field[:1].to(device)) for fields in (self.state, self.forcing.now))
        bare = partial(_bare, step, State(state), Forcing(Fields(now), Fields(now)))
        bare(1)
        days = int(min(60, max(2, self.given["patience"] / bare(1))))
        begin, start = time.perf_counter(), str(self.ds.time.values[0])
        forecast(model, self.ds, start, f"{days}D", to=self.folder / f"{self.name}_forecast.zarr")
        return {"days": days, "labelled": time.perf_counter() - begin, "bare": bare(days)}

    def made_of(self) -> dict[str, dict[str, int]]:
        """Parameters and operations: on the grid of the steps, and on the published one."""
        whose, (_, statistics) = system_of(self.name), runs.described(self.run)
        count = partial(counted, whose, self.config, statistics, stages=self.stages)
        return {"here": count(self.shape), "published": count(PUBLISHED[whose])}

    def _cases(self) -> dict[str, tuple[Case, Case]]:
        """What is timed, each after what makes it ready: the limits, reading, a step of a forecast, and of training."""
        size, device = MATRIX[self.here.device.type], self.here.device
        matrix, copied = torch.randn(size, size, device=device), torch.ones(COPIED // 4, device=device)
        half, other = matrix.bfloat16(), torch.ones_like(copied)
        cases: dict[str, tuple[Case, Case]] = {
            "matmul, float32": (_nothing, lambda: matrix @ matrix),
            "matmul, bf16": (_nothing, lambda: half @ half),
            "copy": (_nothing, lambda: other.copy_(copied)),
            "read": (_nothing, self._read),
        }
        if hasattr(self.model, "skeleton") and not isinstance(self.model, Emulator):
            cases["physics"] = (partial(self._forecasting, "float32"), self._physics)
        for precision in PRECISIONS:
            cases[f"forecast, {precision}"] = (partial(self._forecasting, precision), self._forecast)
        for number in range(len(self.config.stages) if self.given["train"] else 0):
            for precision in PRECISIONS:
                cases[f"train {number}, {precision}"] = (partial(self._training, number, precision), self._train)
        return cases

    def _read(self) -> None:
        """The windows of a batch, decoded and with their climatology; other days each time."""
        several = [(self.day + i) % len(self.windows) for i in range(self.given["batch"])]
        self.windows.__getitems__(several)
        self.day += len(several)

    @torch.inference_mode()
    def _physics(self) -> None:
        self.model.skeleton(self.state, self.forcing)

    @torch.inference_mode()
    def _forecast(self) -> None:
        self.model(self.state, self.forcing)

    def _train(self) -> None:
        """What `ox.train` does in an iteration, but for data, log and checkpoints."""
        loss, norm = self.learner.gradients(self.batch), self.learner.clip()
        self.here.sums([float(loss), float(norm)])
        self.learner.step(RATE)
        self.checkpoint.advance(float(loss), self.learner.frozen)

    def _forecasting(self, precision: str) -> None:
        self.model.eval()
        for network in self._networks(precision).values():
            network.rests = False

    def _training(self, number: int, precision: str) -> None:
        if self.checkpoint is None:
            self.checkpoint = Checkpoint(self.run, self.model, self.learner.optimiser, self.config, self.here)
        self.model.train()
        networks = self._networks(precision)
        self.learner.begin(self.config.stages[number], self.checkpoint.average)
        rest(self.model)
        learned = {name for name, _ in self.model.named_parameters()} - self.learner.frozen
        self.stages[str(number)] = learned, {name for name, network in networks.items() if network.rests}

    def _networks(self, precision: str) -> dict[str, NamedNetwork]:
        """The networks of the model by their names, from now on in this precision."""
        found = {name: module for name, module in self.model.named_modules() if isinstance(module, NamedNetwork)}
        for network in found.values():
            network.bf16 = precision == "bf16"
        return found

    def _possible(self, work: Callable[[], float]) -> float | None:
        try:
            return work()
        except torch.OutOfMemoryError:
            self.learner.optimiser.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            return None

    def _seconds(self, ready: Case, work: Case) -> float:
        """The mean of as many times as fit into a fraction of a second."""
        ready()
        self._finished()
        begin, count = self.clock(), 0
        while True:
            work()
            self._finished()
            count, took = count + 1, self.clock() - begin
            if took >= LEAST:
                return took / count

    def _memory(self, ready: Case, work: Case) -> float:
        """The most bytes that the process had, or tensors on the graphics card."""
        ready()
        gc.collect()
        if self.here.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            work()
            return float(torch.cuda.max_memory_allocated())
        own = _peak_forgotten()
        work()
        return float(_peak() if own else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def _finished(self) -> None:
        """A graphics card goes on by itself."""
        if self.here.device.type == "cuda":
            torch.cuda.synchronize()


@torch.inference_mode()
def _bare(step: Callable[[State, Forcing], State], state: State, told: Forcing, days: int) -> float:
    """Seconds of so many steps and nothing else."""
    begin = time.perf_counter()
    for _ in rollout(step, state, [told] * days):
        pass
    return time.perf_counter() - begin


def _peak_forgotten() -> bool:
    """Give back what was freed and forget the process's peak so far, where that can be done (Linux)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
