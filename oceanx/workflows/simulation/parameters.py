"""The parameters of a core by name: numbers of its equations, held still or set free to be differentiated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from oceanx.physics.coefficients import Coefficient
from oceanx.physics.core import Core


def parameters_of(core: Core) -> dict[str, str]:
    """The names of a core's parameters and their units ("" where it says none): what `wrt` may name."""
    return {name: getattr(_found(core, path), "unit", "") for name, path in _paths(core).items()}


@contextmanager
def freed(core: Core, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The parameters of these names as tensors that the core uses and gradients reach, in SI units; then as before."""
    with ExitStack() as stack:
        paths = _paths(core)
        yield {name: stack.enter_context(_freed(core, paths[name])) for name in names}


@contextmanager
def _freed(core: Any, path: str) -> Iterator[Tensor]:
    above, _, last = path.rpartition(".")
    owner, found = _found(core, above), _found(core, path)
    if isinstance(found, nn.Parameter):
        before = found.requires_grad
        yield found.requires_grad_()
        found.requires_grad_(before)
        return
    number = found.value() if isinstance(found, Coefficient) else found
    leaf = torch.as_tensor(number, dtype=core.geometry.area.dtype, device=core.geometry.area.device).detach().clone()
    leaf.requires_grad_()
    if isinstance(found, Coefficient):
        # The module stays where it is and says this instead.
        found.forward = lambda: leaf  # type: ignore[method-assign]
    else:
        setattr(owner, last, leaf)
    try:
        yield leaf
    finally:
        if isinstance(found, Coefficient):
            del found.forward
        else:
            setattr(owner, last, found)


def _paths(core: Core) -> dict[str, str]:
    """Where in a core each parameter is, by its name alone; by all of the way where a name is there twice."""
    paths = [name for name, value in vars(core).items() if _is_number(name, value)]
    if isinstance(core, nn.Module):
        coefficients = [name for name, module in core.named_modules() if isinstance(module, Coefficient)]
        inside = tuple(f"{name}." for name in coefficients)
        paths += coefficients + [name for name, _ in core.named_parameters() if not name.startswith(inside)]
    last = [path.rpartition(".")[2] for path in paths]
    return {name if last.count(name) == 1 else path: path for name, path in zip(last, paths, strict=True)}


def _found(core: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        core = getattr(core, part)
    return core


def _is_number(name: str, value: object) -> bool:
    number = isinstance(value, float) or (isinstance(value, Tensor) and value.is_floating_point())
    return number and not name.startswith("_")
