"""Coupled: an atmosphere that steps beside the ocean, each told of the other.

    a′ = A(a, x)        x′ = O(x, a → a′)

The state holds both. First the atmosphere steps, told of the ocean as it is; then the ocean, told of the atmosphere at
both ends of the step. An atmosphere whose Task names nothing of the ocean goes its own way, and the ocean follows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import Step
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError


class Coupled(nn.Module):
    """x′, a′ = O(x, a → A(a, x)), A(a, x): a Step of `coupled_task`.

    On land, where an atmosphere that was learned at sea knows nothing, the ocean is told the climatology if its Task
    asks for one: over land as over sea, its networks look at the weather as they learned to.

    Parameters
    ----------
    ocean, atmosphere
        Steps: trained models, or functions.
    ocean_task, atmosphere_task
        Theirs. What the atmosphere steps and the ocean is told goes by the same name, and so the other way round: of
        an ocean variable the atmosphere is shown as many levels as its Task has, from the uppermost down.

    Raises
    ------
    InputError
        As of `coupled_task`.
    """

    def __init__(self, ocean: Step, atmosphere: Step, ocean_task: Task, atmosphere_task: Task, geometry: Geometry):
        super().__init__()
        self.task = coupled_task(ocean_task, atmosphere_task)
        self.ocean, self.atmosphere, self.geometry = ocean, atmosphere, geometry
        self.sea, self.air = ocean_task.prognostic.names, atmosphere_task.prognostic.names
        shown = (name for name in atmosphere_task.forcing.names if name in self.sea)
        self.shown = {name: atmosphere_task.forcing.levels(name) for name in shown}

    def forward(self, state: State, forcing: Forcing) -> State:
        sea, air = state.only(self.sea), state.only(self.air)
        shown = {name: sea[name][:, :levels] for name, levels in self.shown.items()}
        # Of the ocean's next day nobody knows yet.
        later = self.atmosphere(air, Forcing(*(Fields({**fields, **shown}) for fields in forcing)))
        ends = zip(forcing, (air, later), strict=True)
        told = Forcing(*(Fields({**fields, **self._everywhere(weather, fields)}) for fields, weather in ends))
        return State({**self.ocean(sea, told), **later})

    def _everywhere(self, weather: State, fields: Fields) -> dict[str, Tensor]:
        """The weather at sea, and its climatology on land where there is one."""
        wet = self.geometry.surface > 0
        return {name: torch.where(wet, field, fields.get(name + CLIMATOLOGY, field)) for name, field in weather.items()}


def coupled_task(ocean: Task, atmosphere: Task) -> Task:
    """What both do together: the variables of both, and what neither of them steps as forcing.

    Raises
    ------
    InputError
        Their steps differ, only one knows of climatology, both step one variable, the atmosphere has levels, or the
        ocean is told nothing that the atmosphere steps.
    """
    sea, air = ocean.prognostic, atmosphere.prognostic
    if ocean.seconds != atmosphere.seconds:
        raise InputError(f"the ocean steps by {ocean.step} and the atmosphere by {atmosphere.step}: give equal steps")
    if ocean.anomalies != atmosphere.anomalies:
        raise InputError("`anomalies` is true of one of ocean and atmosphere only: give models that agree")
    if air.volume:
        raise InputError(f"an atmosphere has no levels of the ocean: make {list(air.volume)} surface variables")
    both = [name for name in air.names if name in sea.names]
    if both:
        raise InputError(f"ocean and atmosphere both step {both}: leave them to one of the two")
    if not set(air.names) & set(ocean.forcing.names):
        raise InputError(
            f"the atmosphere steps {list(air.names)}, none of which the ocean is told; it asks for "
            f"{list(ocean.forcing.names)}"
        )
    known = {*sea.names, *air.names}
    told = ocean.forcing.only(set(ocean.forcing.names) - known)
    further = atmosphere.forcing.only(set(atmosphere.forcing.names) - known - set(told.names))
    if further.volume:
        raise InputError(f"the atmosphere is told of {list(further.volume)} at depth, which the ocean does not step")
    return ocean.model_copy(
        update={
            "prognostic": sea.model_copy(update={"surface": sea.surface + air.surface}),
            "forcing": Channels(volume=told.volume, surface=told.surface + further.surface, depth=told.depth),
        }
    )
