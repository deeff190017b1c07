"""What every network of the table promises: any map, silence while untrained, no seam where longitude goes round."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
import toy_tensors as toy
from pydantic import TypeAdapter
from toy_nets import SMALL

from oceanx.nn.layers import says_nothing, silent
from oceanx.nn.registry import NetConfig

names = pytest.mark.parametrize("name", SMALL)


def build(name, geometry, trained=True):
    torch.manual_seed(0)
    module = SMALL[name].build(3, 2, geometry)
    if trained:
        toy.train_a_little(module)
    return module.eval()


def maps(batch, geometry):
    return torch.randn(batch, 3, *geometry.area.shape[-2:], generator=torch.Generator().manual_seed(1))


def test_every_network_of_the_table_is_here():
    union = get_args(NetConfig)[0] if get_args(NetConfig) else NetConfig
    kinds = {config.model_fields["kind"].default for config in get_args(union) or (union,)}
    assert kinds == set(SMALL)


@names
def test_its_config_is_read_back_from_what_it_writes(name):
    assert TypeAdapter(NetConfig).validate_python(SMALL[name].dump()) == SMALL[name]


@names
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (5, 8), (16, 24)])
def test_a_map_keeps_its_size(name, periodic, size):
    geometry = toy.geometry(periodic, *size)
    written = build(name, geometry)(maps(2, geometry))
    assert written.shape == (2, 2, *size)
    assert written.isfinite().all()


@names
@pytest.mark.parametrize("periodic", [True, False])
def test_untrained_it_says_exactly_nothing(name, periodic):
    geometry = toy.geometry(periodic, 9, 12)
    assert not build(name, geometry, trained=False)(100 * maps(2, geometry)).any()


@names
def test_it_is_silent_as_long_as_its_last_layers_are(name):
    """Whatever is before them: so a network is known to be silent by its weights alone."""
    geometry = toy.geometry(True, 9, 12)
    net = build(name, geometry)
    assert not says_nothing(net)
    assert says_nothing(build(name, geometry, trained=False))
    for layer in net.modules():
        if getattr(layer, "begins_silent", False):
            silent(layer)
    assert says_nothing(net)
    assert not net(100 * maps(2, geometry)).any()


@names
def test_maps_of_a_batch_do_not_see_each_other(name):
    geometry = toy.geometry(True, 8, 12)
    x, module = maps(3, geometry), build(name, geometry)
    together = module(x)
    for i in range(3):
        assert torch.allclose(module(x[i : i + 1])[0], together[i], atol=1e-5)


@names
def test_gradients_reach_every_parameter_and_every_input(name):
    geometry = toy.geometry(True, 8, 12)
    x, module = maps(2, geometry).requires_grad_(), build(name, geometry).train()
    module(x).square().sum().backward()
    lacking = [known for known, weight in module.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not lacking
    assert all(weight.grad.isfinite().all() for weight in module.parameters())
    assert x.grad.isfinite().all()
    assert x.grad.any()


TURNED = {name: getattr(build(name, toy.geometry(True, 9, 12)), "turns_by", None) for name in SMALL}


def test_most_promise_that_longitude_has_no_beginning():
    """Those with a table of positions, or of waves counted from the first column, do not."""
    assert {name for name, by in TURNED.items() if not by} == {"afno", "cirt", "mesh"}


@pytest.mark.parametrize("name", [name for name, by in TURNED.items() if by])
@pytest.mark.parametrize("times", [1, 3])
def test_where_longitude_goes_round_it_has_no_beginning(name, times):
    by = TURNED[name]
    geometry = toy.geometry(True, 9, 6 * by)
    x, module = maps(1, geometry).double(), build(name, geometry).double()
    turned = module(x.roll(times * by, -1))
    assert torch.allclose(turned, module(x).roll(times * by, -1), atol=1e-10)


@names
def test_every_part_of_the_map_is_heard(name):
    """Somewhere in what is written, each cell that is read makes a difference."""
    geometry = toy.geometry(True, 8, 12)
    x, module = maps(1, geometry).requires_grad_(), build(name, geometry)
    module(x).square().sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()


@names
def test_saved_and_loaded_it_is_the_same(name):
    geometry = toy.geometry(True, 8, 12)
    first = build(name, geometry)
    second = SMALL[name].build(3, 2, geometry).eval()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(maps(1, geometry)), second(maps(1, geometry)))
