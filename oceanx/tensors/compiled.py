"""Compiled: a function of tensors with its operations fused, where a compiler is there; elsewhere the function itself.

PyTorch runs one operation after another, each through memory. Compiled, a term reads its fields once and writes its
result once, and its backward pass likewise.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed, FailOnRecompileLimitHit

SWITCH = "OCEANX_COMPILE"  # an environment variable: 0 runs everything plainly
DIFFERENT = 64  # shapes, types and devices that one function is compiled for; beyond them it runs plainly

_log = logging.getLogger(__name__)
Given = ParamSpec("Given")
Result = TypeVar("Result")


@functools.cache
def compiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The function by `torch.compile`, for the shapes it is called with; the function itself where that cannot be.

    It is compiled at its first call with tensors of some shape, type and device, which takes seconds, and by the
    machine's C++ compiler or by Triton. Where there is none, or where the environment says `OCEANX_COMPILE=0`, every
    call runs plainly: the same numbers, several times slower on large grids. A function that PyTorch cannot take as a
    whole raises.

    Parameters
    ----------
    function
        Of tensors, numbers and tuples of them; without branches on values. Best a function of a module: what is
        compiled is kept as long as the process lives. First derivatives only: for second ones call it plainly.
    """
    fused = torch.compile(function, dynamic=False, fullgraph=True)

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        if torch.compiler.is_compiling() or not possible(_devices((*args, *kwargs.values()))):
            return function(*args, **kwargs)
        try:
            with torch._dynamo.config.patch(recompile_limit=DIFFERENT):
                return fused(*args, **kwargs)
        except (BackendCompilerFailed, FailOnRecompileLimitHit) as error:
            _log.info("%s runs plainly: %s", function.__qualname__, str(error).partition("\n")[0])
            return function(*args, **kwargs)

    return call


def possible(devices: set[str]) -> bool:
    """Whether functions of tensors on these kinds of device can be compiled, and nobody said that they should not."""
    return os.environ.get(SWITCH) != "0" and bool(devices) and all(map(_has_compiler, devices))


def _has_compiler(device: str) -> bool:
    if device == "cuda":
        return find_spec("triton") is not None and torch.cuda.get_device_capability() >= (7, 0)
    return device == "cpu" and shutil.which(_cpp_compiler()) is not None


def _cpp_compiler() -> str:
    return os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")


def _devices(values: Iterable[object]) -> set[str]:
    """The kinds of device that the tensors among the values, and within tuples of them, lie on."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, Tensor):
            found.add(value.device.type)
        elif isinstance(value, tuple):
            found |= _devices(value)
    return found
