"""The honest references, as Steps: persistence, climatology, and persistence damped towards climatology.

    persistence   x' = x          climatology   x' = c(t + step)          damped   x' = c(t + step) + ρ (x − c(t))

ρ = r(lead + step) / r(lead) arrives as forcing, so that after any lead the anomaly has shrunk by r(lead), the lag
autocorrelation of the training years, cell by cell and level by level.
"""

from __future__ import annotations

from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY

DAMPING = "_damping"  # suffix of ρ, which travels as forcing


def persistence(state: State, forcing: Forcing) -> State:
    """The state itself."""
    return state


def climatology(state: State, forcing: Forcing) -> State:
    """The climatology at the end of the step."""
    return State({name: forcing.next[name + CLIMATOLOGY] for name in state})


def damped_persistence(state: State, forcing: Forcing) -> State:
    """Climatology plus the anomaly, shrunk by ρ."""
    return State(
        {
            name: forcing.next[name + CLIMATOLOGY]
            + forcing.next[name + DAMPING] * (field - forcing.now[name + CLIMATOLOGY])
            for name, field in state.items()
        }
    )
