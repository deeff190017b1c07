"""Compiled: a function of tensors with its operations fused, where a compiler is there; elsewhere the function itself.

PyTorch runs one operation after another, each through memory. Compiled, a term reads its fields once and writes its
result once, and its backward pass likewise.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import jaxtyping
import torch
from torch import Tensor
from torch.autograd import forward_ad

SWITCH = "OCEANX_COMPILE"  # an environment variable: 0 runs everything plainly
DIFFERENT = 64  # shapes, types, devices and numbers that one function is compiled for; beyond them it runs plainly

_log = logging.getLogger("oceanx.tensors")
Given = ParamSpec("Given")
Result = TypeVar("Result")


def compiled(function: Callable[Given, Result], wanted: bool = True) -> Callable[Given, Result]:
    """The function by `torch.compile`, for whatever it is called with; the function itself where that cannot be.

    It is compiled at its first call with tensors of some shape, type and device and with some numbers, which takes
    seconds, by the machine's C++ compiler or by Triton. Where there is none, or where the environment says
    `OCEANX_COMPILE=0`, every call runs plainly: the same numbers, several times slower on large grids. So it does under
    `torch.func` and forward differentiation, which PyTorch does not compile. A function that cannot be compiled as a
    whole raises. First derivatives only: for second ones call it plainly.

    Parameters
    ----------
    function
        Of tensors, numbers and tuples of them, without branches on values: of a module, or a method. Asking again for
        the same one costs nothing.
    wanted
        Whether to compile at all.
    """
    if not wanted or torch.compiler.is_compiling():  # within a compiled function all is compiled already
        return function
    if inspect.ismethod(function):  # what is compiled belongs to the class: no object is kept alive for it
        return functools.partial(_compiled(function.__func__), function.__self__)
    return _compiled(function)


@functools.cache
def _compiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    fused = torch.compile(function, dynamic=False, fullgraph=True)
    works = True

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        nonlocal works
        if not (works and _possible(_devices((*args, *kwargs.values())))):
            return function(*args, **kwargs)
        from torch._dynamo import config, exc
        from torch._functorch import config as gradients

        try:
            # A backward pass keeps what the function was given, and computes the rest again: with operations fused that
            # is quicker than reading it back from memory.
            with (
                config.patch(recompile_limit=DIFFERENT),
                gradients.patch(activation_memory_budget=0.0),
                _shapes_unchecked(),
            ):
                return fused(*args, **kwargs)
        except exc.FailOnRecompileLimitHit:
            _log.info("%s: more than %d kinds of call: runs plainly", function.__qualname__, DIFFERENT)
        except exc.BackendCompilerFailed as error:
            works = False
            _log.info("%s: no compiler that works: runs plainly: %s", function.__qualname__, error)
        return function(*args, **kwargs)

    return call


@contextmanager
def _shapes_unchecked() -> Iterator[None]:
    """Without jaxtyping's checks, where they are on: what a compiler traces has no values to look at."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def _possible(devices: set[str]) -> bool:
    """Whether a call with tensors on these kinds of device can be compiled, and nobody said that it should not."""
    if os.environ.get(SWITCH) == "0" or not devices:
        return False
    differentiated = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    return not differentiated and all(map(_has_compiler, devices))


@functools.cache
def _has_compiler(device: str) -> bool:
    if device == "cuda":
        there = find_spec("triton") is not None and torch.cuda.get_device_capability() >= (7, 0)
    else:
        there = device == "cpu" and shutil.which(_cpp_compiler()) is not None
    if there:
        with warnings.catch_warnings():  # what PyTorch's compiler imports warns of itself
            warnings.simplefilter("ignore")
            import_module("torch._inductor.compile_fx")
    return there


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
