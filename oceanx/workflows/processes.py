"""The processes that train together: one alone, or those that `torchrun` started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from .batching import Window


@dataclass(frozen=True)
class Processes:
    """This process among `count`."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def move(self, batch: Window) -> Window:
        """The batch on this process's device."""
        return {kind: {name: f.to(self.device) for name, f in fields.items()} for kind, fields in batch.items()}

    def agree(self, value: float) -> float:
        """Rank 0's value, everywhere: clocks differ."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def sum(self, value: float) -> float:
        """The sum over all processes."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared)
        return float(shared)

    def first_alone(self, work: Callable[[], object]) -> None:
        """Do this work on rank 0 while the others wait. If it fails there, they leave quietly: it has said why."""
        error: Exception | None = None
        if self.first:
            try:
                work()
            except Exception as caught:
                error = caught
        failed = self.sum(1.0 if error is not None else 0.0) > 0
        if error is not None:
            raise error
        if failed:
            raise SystemExit(2)


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes of this run: torchrun's if its environment is there, else this one."""
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    started = count > 1 and not dist.is_initialized()
    if started:
        if cuda:
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(rank, count, device)
    finally:
        if started:
            dist.destroy_process_group()
