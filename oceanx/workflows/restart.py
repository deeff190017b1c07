"""Restarts: what a run under way goes on from, in a file that is whole or is the one before.

It is written last: what it does not know of has not happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from oceanx.vocabulary.errors import InputError

from . import runs

_FILE = "restart.safetensors"
_DONE, _CARRIED = "done", "carried."
_MEND = "start afresh with overwrite (--overwrite)"


@dataclass(frozen=True)
class Restart:
    """What a run goes on from.

    Attributes
    ----------
    done
        How many windows, or outputs, are complete.
    tensors
        The state after them, and all else that is carried, by name.
    """

    done: int
    tensors: Mapping[str, Tensor]


def commit(folder: Path, restart: Restart) -> None:
    """Note in a folder from where a run is to be taken up again."""
    tensors = {_CARRIED + name: tensor.clone() for name, tensor in restart.tensors.items()}
    runs.save_tensors(folder / _FILE, tensors | {_DONE: torch.tensor(restart.done)})


def committed(folder: Path) -> Restart | None:
    """From where a run is to be taken up again; None from its beginning.

    Raises
    ------
    InputError
        If the file is not what `commit` wrote.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    found = runs.tensors(path, _MEND)
    if _DONE not in found:
        raise InputError(f"{path}: does not say how much is done; {_MEND}")
    done = int(found.pop(_DONE))
    return Restart(done, {name.removeprefix(_CARRIED): tensor for name, tensor in found.items()})
