"""Perturbations of an analysis: Gaussian noise on the wet cells, correlated over a length, as large as is said.

    b = σ C ε        σ by variable and level, C horizontal and vertical correlation, ε white noise

The variance in every wet cell is σ² exactly, beside coasts too; the correlation between two places of one level is
exp(−d²/2L²), between two levels of one place exp(−z²/2H²), and there is none across land. Variables are perturbed
independently of each other.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from oceanx.models.named_network import NamedNetwork
from oceanx.tensors.state import Increment
from oceanx.vocabulary.errors import InputError, unknown

from ..batching import missing_times
from ..gaussian_lines import correlated, in_kilometres
from ..stepping import beginning
from .members import Kind, Sea, generator, rows

SAMPLE = 10  # steps before a start date whose changes tell how large one is


class Perturbed(Kind):
    """How large perturbations of an analysis are, and over which distance they hang together.

    `amplitude` is the standard deviation of a variable in its own unit: one value, or one for each level. Variables
    that it does not name have `share` of the spread of one step's change, level by level: as the model's statistics
    have it, or as it was in the ten steps before the start date. `length` is L in km and `vertical` H in m: at that
    distance the correlation is exp(−½). With `control`, member 0 begins from the analysis itself.
    """

    amplitude: dict[str, float | tuple[float, ...]] = Field(default_factory=dict)
    share: float = Field(1.0, ge=0)
    length: PositiveFloat = 200.0
    vertical: PositiveFloat = 100.0
    control: bool = False

    @model_validator(mode="after")
    def _check(self) -> Perturbed:
        negative = [name for name, value in self.amplitude.items() if not np.min(value) >= 0]
        if negative:
            raise ValueError(f"`amplitude` of {negative[0]} is {self.amplitude[negative[0]]}; expected 0 or more")
        if not self.share and not any(np.any(value) for value in self.amplitude.values()):
            raise ValueError("`share` is 0 and no `amplitude` is given: nothing would be perturbed")
        return self


class Perturbation:
    """The perturbations of one forecast's start dates and members."""

    def __init__(self, config: Perturbed, sea: Sea):
        self.config, self.sea = config, sea
        channels = sea.task.prognostic
        self.levels = {name: channels.levels(name) for name in channels.names}
        self.plane = in_kilometres(sea.grid)
        self.mixing = _mixing(channels.depth, config.vertical)
        self.said = {name: self._said(name) for name in config.amplitude}
        self.learned = _learned(sea)
        shared = self.levels.keys() - self.said.keys() if config.share else set()
        self.asks = bool(shared - self.learned.keys())  # the days before a start date, how large a change is

    def amplitudes(self, start: np.datetime64) -> dict[str, Tensor]:
        """σ of each variable, one value a level."""
        known = _recent(self.sea, start) if self.asks else self.learned
        shared = {name: self.config.share * value for name, value in known.items()}
        sigma = shared | self.said if self.config.share else self.said
        return {name: sigma.get(name, torch.zeros(1)).expand(levels) for name, levels in self.levels.items()}

    def check(self, starts: np.ndarray) -> None:
        """`InputError` where the days before a start date are to tell the amplitude, and there are none."""
        if self.asks:
            for start in starts:
                _pairs(self.sea, start)

    def of(self, start: np.datetime64, member: int, amplitudes: dict[str, Tensor]) -> Increment:
        """The perturbation of one start date and member, `[1, level, lat, lon]`; 0 on land."""
        return Increment({name: self._drawn(name, start, member, sigma) for name, sigma in amplitudes.items()})

    def _drawn(self, name: str, start: np.datetime64, member: int, sigma: Tensor) -> Tensor:
        wet = self.sea.wet(name).numpy()
        if not sigma.any():
            return torch.zeros(1, *wet.shape)
        white = generator(self.config.seed, start, member, 0, name).standard_normal(wet.shape, dtype="float32")
        made = correlated(white[None], wet, self.plane, self.config.length)
        if name in self.sea.task.prognostic.volume:
            made = np.einsum("kl,blij->bkij", self.mixing, made)
        return torch.from_numpy(np.where(wet, made, np.float32(0))) * sigma[:, None, None]

    def _said(self, name: str) -> Tensor:
        if name not in self.levels:
            raise unknown("variable of amplitude", name, self.levels)
        value = torch.atleast_1d(torch.tensor(self.config.amplitude[name], dtype=torch.float32))
        if len(value) not in (1, self.levels[name]):
            raise InputError(
                f"ensemble: amplitude.{name} has {len(value)} values; expected one, or one for each of the "
                f"{self.levels[name]} levels"
            )
        return value


def _mixing(depth: tuple[float, ...], scale: float) -> np.ndarray:
    """A with A Aᵀ = exp(−z²/2H²): of what noise of each level and those above it a level's is made.

    It is lower triangular: nothing comes up from below the sea floor.
    """
    apart = np.subtract.outer(depth, depth) / scale
    lower = np.linalg.cholesky(np.exp(-(apart**2) / 2) + 1e-9 * np.eye(len(depth)))  # levels close by are all but one
    return (lower / np.linalg.norm(lower, axis=1, keepdims=True)).astype("float32")


def _learned(sea: Sea) -> dict[str, Tensor]:
    """The spread of one step's change that a trained model carries, by which its network is scaled."""
    modules = sea.model.step.modules() if isinstance(sea.model.step, nn.Module) else ()
    network = next((module for module in modules if isinstance(module, NamedNetwork)), None)
    if network is None:
        return {}
    spread = {name: network.get_buffer(f"{name}_increment_std") for name in sea.task.prognostic.names}
    return {name: value.detach().cpu().flatten() for name, value in spread.items()}


def _recent(sea: Sea, start: np.datetime64) -> dict[str, Tensor]:
    """The spread of one step's change in the days before a start date, by area: nothing after it is looked at."""
    earlier = _pairs(sea, start)
    dates = np.union1d(earlier, earlier + sea.step)
    state = beginning(sea.ds, sea.task, dates, sea.mask)
    first, second = (np.searchsorted(dates, ends) for ends in (earlier, earlier + sea.step))
    spread = {}
    for name, change in (rows(state, second) - rows(state, first)).items():
        weight = sea.area * sea.wet(name)
        squares = (change.double().square().mean(0) * weight).sum((1, 2))
        spread[name] = (squares / weight.sum((1, 2)).clamp(min=1.0)).sqrt().float()
    return spread


def _pairs(sea: Sea, start: np.datetime64) -> np.ndarray:
    """The dates before a start date from which the Dataset has one whole step."""
    have = np.setdiff1d(sea.ds.time.values, missing_times(sea.ds))
    earlier = start - np.arange(SAMPLE, 0, -1) * sea.step
    pairs = earlier[np.isin(earlier, have) & np.isin(earlier + sea.step, have)]
    if not len(pairs):
        raise InputError(
            f"ensemble: no two analyses {sea.task.step} apart among the {SAMPLE} steps up to {start}, to tell how "
            "large a change is; start later, or say `amplitude` for every variable"
        )
    return pairs
