"""A core led through time: legs between dates, substeps short enough for its signals, nothing that is no number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import jvp

from oceanx.physics.core import Core
from oceanx.physics.courant import ADVECTION, Substeps, limits, substeps
from oceanx.physics.guard import Watch
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.errors import InputError

HOUR = 3600.0
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")

Over = Callable[[State, Fields, "Leg", int], State]


@dataclass(frozen=True)
class Leg:
    """A stretch of time with one forcing and one length of step."""

    start: np.datetime64
    stop: np.datetime64

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float((self.stop - self.start) / np.timedelta64(1, "s"))


def legs(start: np.datetime64, stop: np.datetime64, breaks: np.ndarray) -> Iterator[Leg]:
    """The legs between two moments: none is longer than a day, nor crosses a date of the forcing."""
    days = np.arange(start, stop, DAY)
    ends = np.unique(np.concatenate([days, breaks, [stop]]).astype("datetime64[ns]"))
    ends = ends[(ends > start) & (ends <= stop)]
    for first, last in zip([start, *ends[:-1]], ends, strict=True):
        yield Leg(first, last)


@dataclass
class March:
    """A core with what it needs to take a leg.

    Parameters
    ----------
    begun
        When the run starts: days are counted from here.
    step
        The longest step in seconds, or None to choose the longest that is stable.
    relax
        What open edges do to the state over a leg; asked for at least every hour, or every step that is longer.

    Attributes
    ----------
    shortest
        The shortest step since this was last set to infinity, in seconds.
    """

    core: Core
    begun: np.datetime64
    step: float | None = None
    relax: Callable[[State, Leg], State] | None = None
    shortest: float = field(default=np.inf, init=False)

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < np.inf:
            raise InputError(f"step: found {self.step}, expected seconds, such as 3600, or None to have it chosen")
        self._limits = limits_of(self.core)
        self._watch = Watch(self.core.geometry)
        self._levels: dict[str, int] = {}

    def substeps(self, state: State, told: Fields, leg: Leg) -> Substeps:
        """The substeps of a leg that begins like this; `InputError` naming the moment if a given step is too long."""
        fixed = None if self.step is None else max(1, int(np.ceil(leg.seconds / self.step - 1e-9)))
        still = State({name: values.detach() for name, values in state.items()})
        with torch.no_grad():
            rates = self.core.rates(still, told)
        try:
            return substeps(rates, leg.seconds, self._limits, fixed)
        except InputError as error:
            raise InputError(f"{pd.Timestamp(leg.start)}: {error}") from None

    def __call__(self, state: State, told: Fields, leg: Leg, over: Over | None = None) -> State:
        """The state at the end of a leg. One whose end asks for shorter steps than it was taken with is taken again.

        Parameters
        ----------
        over
            What leads over so many substeps, if not `over` itself.
        """
        over = over or self.over
        taken = self.substeps(state, told, leg)
        after = self._looked_at(over(state, told, leg, taken.number), leg)
        if self.step is None and (later := self.substeps(after, told, leg)).number > taken.number:
            taken, after = later, self._looked_at(over(state, told, leg, later.number), leg)
        self.shortest = min(self.shortest, leg.seconds / taken.number)
        return after

    def over(self, state: State, told: Fields, leg: Leg, number: int) -> State:
        """The state after so many substeps, the open edges having their say in between."""
        if self.relax is None:
            return self.core(state, told, leg.seconds, number)
        for part, steps in parts(leg, number):
            state = self.relax(self.core(state, told, part.seconds, steps), part)
        return state

    def _looked_at(self, state: State, leg: Leg) -> State:
        self.look(state, leg.stop)
        return state

    def look(self, state: State, when: np.datetime64) -> None:
        """Raise `DivergedError` at the first state that is not made of numbers, `InputError` if it changed shape."""
        levels = {name: field.shape[1] for name, field in state.items()}
        for name, count in self._levels.items():
            if levels[name] != count:
                raise InputError(
                    f"{name}: {count} level{'s' * (count > 1)} became {levels[name]} in a step, so this core takes no "
                    "such ocean; give it one level, dataset.isel(depth=[0])"
                )
        self._levels = levels
        self._watch(state, float((when - self.begun) / DAY))


def parts(leg: Leg, number: int) -> list[tuple[Leg, int]]:
    """A leg of so many steps in parts of an hour at most, where a step is not longer, each with its steps."""
    count = min(number, int(np.ceil(leg.seconds / HOUR)))
    ends = [round(number * part / count) for part in range(count + 1)]
    moments = [leg.start + (leg.stop - leg.start) * end // number for end in ends]
    return [(Leg(moments[n], moments[n + 1]), ends[n + 1] - ends[n]) for n in range(count)]


def limits_of(core: Core) -> Mapping[str, float]:
    """The largest stable Δt × rate by cause: the core's own, or those of the integrator and scheme its Config names.

    What is not among the causes decays, and has the limit of decay.
    """
    own: Mapping[str, float] | None = getattr(core, "limits", None)
    config = getattr(core, "config", None)
    known = dict(own) if own else limits(getattr(config, "integrator", "heun"), _scheme(config))
    decay = min(known.values()) if own else known["diffusion"]
    return defaultdict(lambda: decay, known)


def _scheme(config: object) -> str:
    """The advection scheme of a Config; where it names none that has limits, the strictest."""
    scheme = getattr(config, "scheme", None)
    return scheme if scheme in ADVECTION else "limited"


def seen_from(core: Core, state: State) -> dict[str, set[str]]:
    """By field of a state, the fields at cell centres that depend on it: none on what a core only counts."""
    return {name: _seen(core, state, name) for name in state}


def _seen(core: Core, state: State, name: str) -> set[str]:
    shaken = torch.rand(state[name].shape, generator=torch.Generator().manual_seed(0)).to(state[name])
    changes = along(core, state, {name: shaken})
    return {at for at, change in changes.items() if bool((change != 0).any())}


def along(core: Core, state: State, tendency: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The derivative of the fields at cell centres along a tendency of the state."""

    def end(*values: Tensor) -> dict[str, Tensor]:
        return core.end(State(dict(zip(state, values, strict=True))))

    still = {name: torch.zeros_like(values) for name, values in state.items()}
    moved = tuple(tendency[name].expand_as(rest) if name in tendency else rest for name, rest in still.items())
    return dict(jvp(end, tuple(state.values()), moved)[1])
