"""What methods that carry an ensemble have in common: members, their equivalents, their spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.state import State

from .analysis import Window
from .inflation import Inflation
from .square_root import Way, rotation


class Ensemble:
    """What methods that carry members have in common.

    Parameters
    ----------
    members
        How many.
    inflation, rotate
        What happens to their anomalies.
    """

    def __init__(self, members: int, inflation: Inflation, rotate: bool):
        self.members, self.inflation, self._rotate = members, inflation, rotate

    @property
    def carried(self) -> Mapping[str, Tensor]:
        """What the inflation has learnt."""
        return self.inflation.carried

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        """Go on with what was carried."""
        self.inflation.resume(carried)

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        """Nothing: the members carry the covariance."""

    def way(self, window: Window, device: torch.device) -> Way:
        """Relaxation and rotation of a window: one rotation for the whole ocean."""
        turn = rotation(self.members, window.seed).to(device) if self._rotate else None
        return Way(self.inflation.config.rtpp, turn)

    def check(self, background: State) -> None:
        """Raise ValueError where there are not as many states as members."""
        found = len(next(iter(background.values())))
        if found != self.members:
            raise ValueError(f"a background of {found} states for a method of {self.members} members")


def equivalents(members: State, window: Window) -> Float[Tensor, "m obs"]:
    """H of every member, in double precision.

    Raises
    ------
    ValueError
        A member is not finite where it is observed.
    """
    found = window.observed.operator(window.trajectory(members)).double()
    broken = (~found.isfinite()).any(dim=1).nonzero().flatten().tolist()
    if broken:
        raise ValueError(f"members {broken} are not finite where they are observed; restart them, or shorten the step")
    return found


def anomalies(members: Float[Tensor, "m ..."]) -> Float[Tensor, "m ..."]:
    """Members less their mean, in double precision."""
    return members.double() - members.double().mean(0)


def numbers(
    factor: float, variance: Float[Tensor, " obs"], analysed: Float[Tensor, " obs"], std: Float[Tensor, " obs"]
) -> dict[str, float]:
    """What a line in the log says of an ensemble: λ, and its spread over σo where it is observed, before and after.

    Parameters
    ----------
    factor
        λ².
    variance, analysed
        diag(HBHᵀ) and diag(HAHᵀ).
    std
        σo.
    """

    def relative(of: Tensor) -> float:
        return float((of / std.double() ** 2).mean().sqrt())

    return {"inflation": factor**0.5, "spread": relative(variance), "analysed_spread": relative(analysed)}
