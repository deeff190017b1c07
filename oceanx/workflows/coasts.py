"""A model on a coast that is not the one it learnt: what it has never known as sea is the data's, and stays so."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from oceanx import seam
from oceanx.models.references import DAMPING
from oceanx.tensors.state import Forcing, Kind, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Task
from oceanx.vocabulary.errors import InputError

from .model import Model
from .stepping import of_the_air

DISAGREEMENT = "oceanx_mask_disagreement"  # global attribute of a forecast
GROSS = 0.5  # share of the wet cells of either mask that the other calls land: beyond that it is another ocean


@dataclass(frozen=True)
class OnAnotherCoast(Model):
    """A Model that is shown the sea on its own coast.

    On cells that are sea in the data and were land in training it is shown land, as it was then, and what stood there
    stays: the analysis. On cells that are land in the data and were sea in training it is shown the nearest water of
    that level, since 0 degrees and no salt would spread from there.

    Attributes
    ----------
    unknown
        Sea that was land in training, `[depth, lat, lon]`.
    nearest
        For every cell of a state, as a flat position, which one to show the model instead.
    """

    unknown: Tensor = field(kw_only=True)
    nearest: Tensor = field(kw_only=True)

    def __call__(self, state: State, forcing: Forcing) -> State:
        """A step of all the sea that the model knows."""
        after = super().__call__(self._shown(state), Forcing(*map(self._shown, forcing)))
        return State({name: torch.where(seam.wet_of(x, self.unknown), state[name], x) for name, x in after.items()})

    def _shown(self, fields: Kind) -> Kind:
        return type(fields)({name: x if _everywhere(name) else self._moved(x) for name, x in fields.items()})

    def _moved(self, field: Tensor) -> Tensor:
        if field.shape[1] not in (1, len(self.nearest)):  # told at levels of its own
            return field
        moved = field.flatten(1)[:, self.nearest[: field.shape[1]].flatten()].view_as(field)
        return torch.where(seam.wet_of(field, self.unknown), 0.0, moved)


def fitted(model: Model, labelled: xr.Dataset, task: Task) -> tuple[Model, dict[str, str]]:
    """The Model on the coast of a grid, and what is recorded of a coast that is not its own.

    Raises
    ------
    InputError
        Where more than half of either's sea is land in the other.
    """
    if model.grid is None or "mask" not in model.grid.coords or isinstance(model, OnAnotherCoast):
        return model, {}
    there, here = (seam.wet_mask(side).bool() for side in (seam.grid_of(model.grid, task.prognostic), labelled))
    unknown, lost = here & ~there, there & ~here
    if not unknown.any() and not lost.any():
        return model, {}
    said = (
        f"{int(unknown.sum())} of {int(here.sum())} wet cells were land in training, "
        f"{int(lost.sum())} of {int(there.sum())} the reverse"
    )
    if unknown.sum() > GROSS * here.sum() or lost.sum() > GROSS * there.sum():
        raise InputError(
            f"mask: {said}: this is another coast than that of {model.name}; bring the data to the mask it was "
            "trained with, or train on these"
        )
    on_coast = OnAnotherCoast(**vars(model), unknown=unknown.float(), nearest=_nearest(here.numpy(), lost.numpy()))
    return on_coast, {DISAGREEMENT: said + _by_level(unknown, lost, labelled)}


def _nearest(here: np.ndarray, lost: np.ndarray) -> Tensor:
    """For each cell its own flat position or, if it is lost, that of the nearest wet cell of its level."""
    size = here[0].size
    found = np.arange(here.size).reshape(here.shape)
    level = 0
    for number, wet in enumerate(here):
        level = number if wet.any() else level  # where a whole level is land, the one above stands for it
        if lost[number].any():
            rows, columns = distance_transform_edt(~here[level], return_distances=False, return_indices=True)
            nearest = level * size + rows * wet.shape[1] + columns
            found[number] = np.where(lost[number], nearest, found[number])
    return torch.from_numpy(found)


def _by_level(unknown: Tensor, lost: Tensor, labelled: xr.Dataset) -> str:
    if "depth" not in labelled.dims:
        return ""
    counts = [(z, int(a.sum()), int(b.sum())) for z, a, b in zip(labelled.depth.values, unknown, lost, strict=True)]
    told = ", ".join(f"{a} and {b} at {z:.4g} m" for z, a, b in counts if a or b)
    return f" ({told})"


def _everywhere(name: str) -> bool:
    """Whether a field has values on land, or comes from the model's own coast."""
    return name.endswith((CLIMATOLOGY, DAMPING)) or of_the_air(name)
