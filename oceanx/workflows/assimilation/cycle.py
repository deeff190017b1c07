"""The cycle: background, observations, analysis, forecast, and again.

states of the window ─▶ H ─▶ tests ─▶ departures ─▶ method ─▶ increment ─▶ bounds ─▶ analysis ─▶ next background
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.tensors.state import Forcing, Increment, State
from oceanx.variational.analysis import Analysis, Method, Window, nothing
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.progress import Progress

from ..ensembles.members import generator
from ..model import Model
from ..restart import Restart
from ..stepping import Atmosphere
from . import departures
from .announcements import Alarms, line
from .bounds import Held
from .course import Course, frozen
from .departures import Against, Seen
from .store import METHOD, AnalysisStore, Memory, Values
from .windows import Span

_log = logging.getLogger("oceanx.workflows")

Spread = Literal["at once", "over the window"]
STATE, CARRIED, START = "state/", "carried/", "start/"


@dataclass(frozen=True)
class Cycle:
    """All that is needed to make one analysis after another.

    Attributes
    ----------
    table
        Observations in the model's variables, tested as far as no background is needed; `first` is the row of the
        whole table that its first one is.
    held
        What keeps an analysis within bounds.
    weights
        Of means over the sea, by variable.
    """

    model: Model
    task: Task
    air: Atmosphere
    mask: Tensor
    spans: Sequence[Span]
    table: xr.Dataset
    first: int
    against: Against
    method: Method
    held: Held
    weights: Mapping[str, np.ndarray]
    spread: Spread
    keep: Sequence[str]
    seed: int
    alarms: Alarms

    def run(self, begin: Callable[[], State], store: AnalysisStore | Memory, progress: Progress | None) -> xr.Dataset:
        """The Dataset of all windows, from where the store is.

        Parameters
        ----------
        begin
            The first background, asked for if nothing is done yet.
        """
        done, state = self._taken_up(begin, store)
        with frozen(self.model):
            for span in self.spans[done:]:
                state = self._window(span, state, store, progress)
        return store.publish(self.alarms.attrs(store))

    def _taken_up(self, begin: Callable[[], State], store: AnalysisStore | Memory) -> tuple[int, State]:
        if store.restart is None:
            state = begin()
            self.alarms.starts.update({name: self._mean(state, name) for name in self.weights})
            return 0, state
        kept = store.restart.tensors
        self.method.resume({n.removeprefix(CARRIED): x for n, x in kept.items() if n.startswith(CARRIED)})
        self.alarms.starts.update({name: float(kept[START + name]) for name in self.weights})
        state = State({name: kept[STATE + name] for name in self.task.prognostic.names})
        return store.restart.done, state

    def _window(self, span: Span, background: State, store: AnalysisStore | Memory, progress: Progress | None) -> State:
        """Make one analysis, write what belongs to it, and go on to the next window's background."""
        course = Course(self.model, self.task, self.air, self.mask, span.begin)
        with torch.no_grad():
            before = course.trajectory(background, span.steps)
        rows = slice(span.rows.start - self.first, span.rows.stop - self.first)
        window = departures.seen(self.table.isel(obs=rows), span, before, self.against)
        found = self._analysed(background, window, course, span)
        with torch.no_grad():
            analysis, held = (
                self.held(background, background + found.increment) if window.used.any() else (background, {})
            )
            increment = analysis - background
            after = course.trajectory(analysis, span.steps) if window.used.any() else before
            kept = course.spread(background, increment, span.steps) if self._gradual(window, span) else after
        hx_b, hx_a = window.equivalents(before), window.equivalents(after)
        columns = departures.columns(window, hx_b, hx_a, found, self.seed, span.begin)
        numbers = self._numbers(span, window, columns, found, increment, held, kept)
        store.write(span, self._maps(before, kept), numbers, columns)
        state = self._onward(span, course, kept)
        store.commit(Restart(span.number + 1, self._carried(state)))
        said = line(span, numbers, store)
        self.alarms.look(span, store)
        _log.info("%s", said)
        if progress is not None:
            progress(f"analyses, {said}", span.number + 1, len(self.spans))
        return state

    def _analysed(self, background: State, window: Seen, course: Course, span: Span) -> Analysis:
        """What the method says; without an observation the background goes on, and no method is asked."""
        if not window.used.any():
            return nothing(background)
        dtype = next(iter(background.values())).dtype
        end = span.steps - 1
        asked = Window(
            observed=window.observed(dtype),
            trajectory=lambda state: course.trajectory(state, span.steps),
            step=course.step,
            forcing=Forcing(course.told(0), course.told(end)),
            seed=int(generator(self.seed, span.begin, 0, 0, "window").integers(2**63)),
            latitude=window.place("latitude"),
            longitude=window.place("longitude"),
            depth=window.place("depth"),
            age=window.age(span.begin),
        )
        found = self.method(background, asked)
        return Analysis(
            self._at_sea(background, found.increment), found.variance, found.analysed_variance, found.chi_squared,
            found.influence, found.numbers,
        )  # fmt: skip

    def _at_sea(self, background: State, increment: Increment) -> Increment:
        """The increment to every variable, 0 on land, as exact as the state."""
        fields = {}
        for name, field in background.items():
            change = increment[name].detach().to(field.dtype) if name in increment else torch.zeros_like(field)
            fields[name] = torch.where(seam.wet_of(field, self.mask), change, 0.0)
        return Increment(fields)

    def _gradual(self, window: Seen, span: Span) -> bool:
        return self.spread == "over the window" and span.steps > 1 and bool(window.used.any())

    def _onward(self, span: Span, course: Course, states: Sequence[State]) -> State:
        """The background of the next window; past the last one nothing is asked of the model."""
        last = span.number + 1 == len(self.spans)
        with torch.no_grad():
            for number in range(span.steps - 1):
                self._advance(states[number], states[number + 1], course, number)
            if last:
                return states[-1]
            after = course.step(states[-1], span.steps - 1)
            self._advance(states[-1], after, course, span.steps - 1)
            return after

    def _advance(self, before: State, after: State, course: Course, number: int) -> None:
        self.method.advance(before, after, lambda state: course.step(state, number))

    def _carried(self, state: State) -> dict[str, Tensor]:
        carried = {CARRIED + name: tensor for name, tensor in self.method.carried.items()}
        starts = {START + name: torch.tensor(mean, dtype=torch.float64) for name, mean in self.alarms.starts.items()}
        return {STATE + name: field for name, field in state.items()} | carried | starts

    def _mean(self, fields: Mapping[str, Tensor], name: str) -> float:
        """Over the sea, and over the members."""
        weight = self.weights[name]
        return float((fields[name].double().mean(0).numpy() * weight).sum() / weight.sum())

    def _maps(self, before: Sequence[State], after: Sequence[State]) -> dict[str, np.ndarray]:
        """The fields that are stored, by name, times first: NaN on land."""
        made = {}
        deviation = getattr(self.method, "deviation", None)
        for name in self.task.prognostic.names:
            members = torch.stack([state[name] for state in after], dim=1)
            made[name] = self._on_land_nothing(members.mean(0), name)
            if self.method.members > 1:
                made[f"{name}_std"] = self._on_land_nothing(members.std(0), name)
            elif deviation is not None and name in deviation:
                later = torch.full_like(deviation[name], torch.nan).expand(len(after) - 1, -1, -1, -1)
                made[f"{name}_std"] = self._on_land_nothing(torch.cat((deviation[name], later)), name)
            if "background" in self.keep:
                mean = torch.stack([state[name].mean(0) for state in before])
                made[f"{name}_background"] = self._on_land_nothing(mean, name)
            if "members" in self.keep:
                made[f"{name}_members"] = self._on_land_nothing(members, name)
        return made

    def _on_land_nothing(self, field: Tensor, name: str) -> np.ndarray:
        wet = seam.wet_of(field.reshape(-1, *field.shape[-3:]), self.mask)
        values = torch.where(wet, field, torch.nan).float().numpy()
        return values if name in self.task.prognostic.volume else values[..., 0, :, :]

    def _numbers(
        self, span: Span, window: Seen, columns: Values, found: Analysis, increment: Increment, held: Mapping[str, int],
        after: Sequence[State],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Diagnostics along the window's times; what belongs to its analysis stands at the first."""
        used = int(window.used.sum())
        first = {
            "observations_used": used,
            "observations_rejected": len(window.used) - used,
            "chi_squared": found.chi_squared / used if found.chi_squared is not None and used else np.nan,
            "degrees_of_freedom": float(found.influence.sum()) if found.influence is not None and used else np.nan,
            "spread_over_error": departures.spread_over_error(window.used, columns),
        }
        for name in self.weights:
            first[f"{name}_increment_mean"] = self._mean(increment, name)
            first[f"{name}_increment_max"] = float(increment[name].mean(0).abs().max())
            first[f"{name}_bounded"] = held.get(name, 0)
        first |= {METHOD + name.replace(" ", "_"): float(value) for name, value in found.numbers.items()}
        made = {name: np.array([value] + [_none(value)] * (span.steps - 1)) for name, value in first.items()}
        for name in self.weights:
            made[f"{name}_drift"] = np.array([self._mean(state, name) for state in after]) - self.alarms.starts[name]
        return made


def _none(value: float) -> float:
    return 0 if isinstance(value, int) else np.nan
