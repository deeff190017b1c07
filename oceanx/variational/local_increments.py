"""From local analyses to increments of whole fields: an analysis in every cell, or some and what lies between."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.state import Fields, Increment

from .coarse import Coarse
from .ensemble import anomalies
from .etkf import turned
from .local import BATCH, Local, blocks
from .square_root import Way, matrix
from .threads import side_by_side

ROOM = 2**25  # numbers at most in the matrices that are interpolated between


def everywhere(
    members: Fields, local: Local, way: Way, variance: Float[Tensor, " obs"], states: int | None = None
) -> tuple[Increment, Float[Tensor, " obs"]]:
    """Increments of all members by an analysis in every wet cell, and diag(HAHᵀ).

    Parameters
    ----------
    variance
        diag(HBHᵀ), which stays where no analysis is.
    states
        How many states are moved; None: the members themselves.
    """
    increment, analysed = _untouched(members, way, states), variance.clone()

    def work(columns: np.ndarray) -> None:
        pairs = local.pairs(columns)
        for levels in local.alike:
            for cells, found in local.solutions(columns, pairs, levels):
                at = torch.from_numpy(columns)[cells]
                for level in levels:
                    wet = torch.from_numpy(local.wet[level, at.numpy()])
                    _put(increment, at[wet], level, found.increments(_taken(members, at, level), way)[wet])
                    observation, rows, filled = local.at_home(at, level)
                    analysed[observation] = found.variance(rows)[filled]

    side_by_side(work, blocks(np.flatnonzero(local.wet.any(0))))
    return increment, analysed


def interpolated(
    members: Fields, local: Local, way: Way, variance: Float[Tensor, " obs"], coarse: Coarse
) -> tuple[Increment, Float[Tensor, " obs"]]:
    """The same by analyses in some cells, whose matrices T are interpolated to the others.

    Cells out of reach of every observation stay untouched all the same.
    """
    increment, analysed = _untouched(members, way), variance.clone()
    most = ROOM // local.seen.anomalies.shape[1] ** 2
    for level, mask in enumerate(local.wet):
        for some in coarse.nodes(mask).pieces(most):
            nodes, corner = np.unique(some.corner, return_inverse=True)
            matrices = _matrices(local, nodes, level, way)

            def work(piece: tuple[Tensor, Tensor, Tensor], level: int = level, matrices: Tensor = matrices) -> None:
                cells, among, share = (each[local.reached(piece[0].numpy(), level)] for each in piece)
                if len(cells):
                    mixed = _mixed(matrices, among, share)
                    _put(increment, cells, level, _taken(members, cells, level) @ mixed)
                    observation, rows, filled = local.at_home(cells, level)
                    analysed[observation] = _variance(rows + rows @ mixed)[filled]

            parts = torch.from_numpy(some.cell), torch.from_numpy(corner.reshape(some.corner.shape)), some.share
            side_by_side(work, list(zip(*(each.split(BATCH) for each in parts), strict=True)))
    return increment, analysed


def _untouched(members: Fields, way: Way, states: int | None = None) -> Increment:
    """What states get where there are no observations: nothing, or the rotation that all members get."""
    if way.rotation is not None:
        return turned(members, _turn(way.rotation))
    return Increment({name: field.new_zeros(states or len(field), *field.shape[1:]) for name, field in members.items()})


def _turn(rotation: Tensor) -> Tensor:
    return rotation - torch.eye(len(rotation), dtype=rotation.dtype, device=rotation.device)


def _matrices(local: Local, nodes: np.ndarray, level: int, way: Way) -> Float[Tensor, "node m m"]:
    """T of some columns at a level; what members get without observations where there are none."""
    seen = local.seen.anomalies
    members = seen.shape[1]
    result = seen.new_zeros(len(nodes), members, members)
    if way.rotation is not None:
        result += _turn(way.rotation)
    number = np.arange(len(nodes))

    def work(some: np.ndarray) -> None:
        columns = nodes[some]
        for cells, found in local.solutions(columns, local.pairs(columns), [level]):
            result[torch.from_numpy(some)[cells]] = matrix(found, members, way, found.pull)

    side_by_side(work, blocks(number))
    return result


def _mixed(matrices: Tensor, among: Tensor, share: Tensor) -> Float[Tensor, "cell m m"]:
    """Weighted means of matrices."""
    share, among = share.to(matrices), among.to(matrices.device)
    result = torch.zeros_like(matrices[:1]).expand(len(among), -1, -1).clone()
    for which, much in zip(among.T, share.T, strict=True):
        result += matrices.index_select(0, which).mul_(much[:, None, None])
    return result


def _variance(members: Float[Tensor, "... m"]) -> Float[Tensor, "..."]:
    # torch's own `var` warns where there is nothing, such as no observation at home in a piece of the sea.
    return (members - members.mean(-1, keepdim=True)).square().sum(-1) / (members.shape[-1] - 1)


def _taken(members: Fields, columns: Tensor, level: int) -> Float[Tensor, "column variable m"]:
    """Anomalies of all variables that there are at a level, in some columns."""
    fields = [field[:, level].flatten(1) for field in members.values() if level < field.shape[1]]
    columns = columns.to(fields[0].device)
    return anomalies(torch.stack([field.index_select(1, columns) for field in fields], 1)).permute(2, 1, 0)


def _put(increment: Increment, columns: Tensor, level: int, values: Float[Tensor, "column variable m"]) -> None:
    """Write what `_taken` took, changed, where it was taken."""
    fields = (field for field in increment.values() if level < field.shape[1])
    for field, new in zip(fields, values.unbind(1), strict=True):
        field[:, level].view(len(field), -1).index_copy_(1, columns.to(field.device), new.T.to(field.dtype))
