"""The processes that train together: one alone, or those that `torchrun` started."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

from oceanx.vocabulary.errors import InputError

from .batching import Window

T = TypeVar("T")


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
        return {
            kind: {name: f.to(self.device, non_blocking=True) for name, f in fields.items()}
            for kind, fields in batch.items()
        }

    def agree(self, value: float) -> float:
        """Rank 0's value, everywhere: clocks differ."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def sum(self, value: float) -> float:
        """The sum over all processes."""
        return self.sums([value])[0]

    def sums(self, values: Sequence[float]) -> list[float]:
        """Several sums over all processes, told in one go."""
        if self.count == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared)
        return shared.tolist()

    def everyones(self, word: str) -> list[str]:
        """What each process says, rank by rank."""
        words: list[str] = [word] * self.count
        if self.count > 1:
            dist.all_gather_object(words, word)
        return words

    def refuse_different(self, known: Mapping[str, object], remedy: str) -> None:
        """`InputError` from rank 0, naming the first thing that another process knows otherwise; the others leave."""
        said = self.everyones(json.dumps({key: repr(value) for key, value in known.items()}))
        first, *others = map(json.loads, said)

        def refuse() -> None:
            for rank, other in enumerate(others, start=1):
                key = next((key for key in first if other.get(key) != first[key]), None)
                if key is not None:
                    raise InputError(f"{key}: process {rank} has {other.get(key)}, process 0 {first[key]}; {remedy}")

        self.first_alone(refuse)

    def first_alone(self, work: Callable[[], object]) -> None:
        """Do this work on rank 0 while the others wait. If it fails there, they leave quietly: it has said why."""
        self.each(work if self.first else lambda: None)

    def each(self, work: Callable[[], T]) -> T:
        """What this work gives here, once every process has done it.

        If it fails in some, all leave: the first that failed says why, the others are quiet.
        """
        error: Exception | None = None
        try:
            found = work()
        except Exception as caught:
            error = caught
        failed = self.sums([float(error is not None and rank == self.rank) for rank in range(self.count)])
        if not any(failed):
            return found
        if error is None or any(failed[: self.rank]):
            raise SystemExit(2)
        if self.rank and isinstance(error, InputError):
            raise InputError(f"process {self.rank}: {error}") from None
        raise error


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
        if count > 1:
            gc.collect()  # what is wrapped or sharded holds on to the group, in cycles: it must be gone before
        if started:
            dist.destroy_process_group()
