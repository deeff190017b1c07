"""Compiled functions: the same numbers and gradients, whatever is there to compile them with."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from oceanx.tensors import compiled as module
from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import east, west

torch_compile = torch.compile


def smoothed(field, weight=0.5):
    return weight * (east(field) - field) + weight * (west(field) - field)


def pair(fields):
    return fields[0] * 2 + fields[1]


def summed(field):
    return field + field.sum().item() if field.sum() > 0 else field


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def times(self, field):
        return self.scale * field


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing is known of compilers yet, nor of what they made."""
    module._has_compiler.cache_clear()
    module._compiled.cache_clear()
    yield
    module._has_compiler.cache_clear()
    module._compiled.cache_clear()
    torch.compiler.reset()


@pytest.fixture
def graphs(monkeypatch):
    """What a compiler that changes nothing was given to compile, one graph for each kind of call."""
    given = []

    def backend(graph, inputs):
        given.append(graph)
        return graph.forward

    monkeypatch.setattr(module.torch, "compile", lambda f, **about: torch_compile(f, backend=backend, **about))
    return given


def field(*shape, seed=0, **about):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **about)


def test_values_and_gradients_are_those_of_the_function():
    leaf = field(2, 3, 4, 9, requires_grad=True)
    made = compiled(smoothed)(leaf)
    assert torch.allclose(made, smoothed(leaf), rtol=0, atol=1e-15)
    seed = field(2, 3, 4, 9, seed=1)
    ours, plain = (torch.autograd.grad(function(leaf), leaf, seed)[0] for function in (compiled(smoothed), smoothed))
    assert torch.allclose(ours, plain, rtol=0, atol=1e-15)


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_neighbours_along_a_row_are_the_same_compiled(graphs, columns):
    row = field(2, 1, 3, columns)
    for way in (east, west):
        assert torch.equal(compiled(way)(row), way(row))
    assert len(graphs) == 2


def test_a_method_belongs_to_its_own_object(graphs):
    first, second = Scaled(2.0), Scaled(3.0)
    one = torch.ones(3)
    assert compiled(first.times)(one).tolist() == [2, 2, 2]
    assert compiled(second.times)(one).tolist() == [3, 3, 3]
    third = copy.deepcopy(first)
    with torch.no_grad():
        third.scale.mul_(5)
    assert compiled(third.times)(one).tolist() == [10, 10, 10]
    assert compiled(first.times)(one).tolist() == [2, 2, 2]
    assert graphs


def test_what_was_compiled_once_is_used_again(graphs):
    assert compiled(smoothed) is compiled(smoothed)
    for seed, columns in ((0, 6), (1, 6), (2, 7), (3, 6)):
        given = field(1, 1, 2, columns, seed=seed)
        assert torch.equal(compiled(smoothed)(given), smoothed(given))
    assert len(graphs) == 2  # for two shapes


def test_it_can_be_switched_off(monkeypatch, graphs):
    assert compiled(smoothed, wanted=False) is smoothed
    monkeypatch.setenv(module.SWITCH, "0")
    compiled(smoothed)(field(1, 1, 2, 5))
    assert not graphs


@pytest.mark.parametrize("missing", ["compiler", "CXX", "triton"])
def test_without_a_compiler_it_runs_plainly(monkeypatch, graphs, missing):
    if missing == "compiler":
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("CXX", raising=False)
    elif missing == "CXX":
        monkeypatch.setenv("CXX", "no-such-compiler")
    else:  # as on a graphics card whose compiler is not installed
        monkeypatch.setattr(module, "_devices", lambda values: {"cuda"})
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    given = field(1, 1, 2, 7)
    assert torch.equal(compiled(smoothed)(given), smoothed(given))
    assert not graphs


def test_a_compiler_that_fails_is_asked_once(monkeypatch, caplog):
    asked = []

    def fails(graph, inputs):
        asked.append(graph)
        raise OSError("no space left on device")

    monkeypatch.setattr(module.torch, "compile", lambda f, **about: torch_compile(f, backend=fails, **about))
    call, given = compiled(smoothed), field(1, 1, 2, 8)
    with caplog.at_level("INFO", logger="oceanx.tensors"):
        for _ in range(3):
            assert torch.equal(call(given), smoothed(given))
    assert len(asked) == 1
    assert "no space left on device" in caplog.text


def test_what_cannot_be_compiled_as_a_whole_raises():
    with pytest.raises(Exception, match=r"(?i)data-dependent|item"):
        compiled(summed)(torch.ones(3))


def test_more_kinds_of_call_than_are_kept_run_plainly(monkeypatch, graphs):
    monkeypatch.setattr(module, "DIFFERENT", 1)
    for columns in (3, 4, 5):
        given = field(1, 1, 2, columns)
        assert torch.equal(compiled(pair)((given, given)), pair((given, given)))
    assert len(graphs) == 1


def test_forward_derivatives_run_plainly(graphs):
    given, along = field(1, 1, 2, 6), field(1, 1, 2, 6, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of torch.jit
        value, tangent = torch.func.jvp(compiled(smoothed), (given,), (along,))
    assert torch.equal(value, smoothed(given))
    assert torch.allclose(tangent, smoothed(along), rtol=0, atol=1e-15)
    assert not graphs


def test_within_a_compiled_function_nothing_is_compiled_apart(graphs):
    def twice(given):
        return compiled(smoothed)(compiled(smoothed)(given))

    given = field(1, 1, 2, 6)
    assert torch.allclose(compiled(twice)(given), smoothed(smoothed(given)), rtol=0, atol=1e-15)
    assert len(graphs) == 1


def test_no_warning_is_heard():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaf = field(1, 2, 3, 5, requires_grad=True)
        compiled(smoothed)(leaf).sum().backward()
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_on_a_graphics_card():
    given = field(1, 2, 3, 5)
    assert torch.allclose(compiled(smoothed)(given.cuda()).cpu(), smoothed(given), rtol=0, atol=1e-14)
