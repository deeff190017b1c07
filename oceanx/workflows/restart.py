"""Restarts: what a run under way goes on from, in a file that is whole or is the one before.

It is written last: what it does not know of has not happened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from oceanx.vocabulary.errors import InputError

_NAME = "restart.safetensors"


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
    path = folder / _NAME
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in restart.tensors.items()}
    save_file(tensors, str(path.with_suffix(".new")), metadata={"done": str(restart.done)})
    os.replace(path.with_suffix(".new"), path)


def committed(folder: Path) -> Restart | None:
    """From where a run is to be taken up again; None from its beginning.

    Raises
    ------
    InputError
        If the file is not what `commit` wrote.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return Restart(int(file.metadata()["done"]), found)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cut short or damaged ({error}); start afresh with overwrite (--overwrite)") from None
