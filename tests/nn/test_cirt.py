"""CirT: the published size less what has no use, Fourier attention done once more by hand, one grid for life."""

from __future__ import annotations

import math

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.cirt import Block, CirTConfig, FourierAttention
from oceanx.vocabulary.errors import InputError

SMALL = CirTConfig(width=8, depth=2, heads=2)


def built(geometry=None, config=SMALL):
    torch.manual_seed(0)
    net = config.build(3, 2, geometry or toy.geometry())
    toy.train_a_little(net)
    return net


def test_as_many_parameters_as_published_but_for_those_without_a_use():
    with torch.device("meta"):
        net = CirTConfig().build(101, 93, toy.geometry(True, 360, 720))
        parameters = sum(parameter.numel() for parameter in net.parameters())
    unused = 8 * ((258 * 768 + 768) + 121 * 121 * 2)  # queries, keys and values a second time; a bias of attention
    assert (parameters + unused) / 1e6 == pytest.approx(44.2, abs=0.05)


def test_attention_in_wave_space_as_the_equation_says():
    torch.manual_seed(0)
    width, heads, rings = 8, 2, 5
    layer, x = FourierAttention(width, heads).double(), torch.randn(rings, width, dtype=torch.float64)
    n, k = torch.arange(width, dtype=torch.float64), torch.arange(width // 2 + 1, dtype=torch.float64)
    phase = 2 * math.pi * k[:, None] * n / width
    waves = torch.cat([x @ phase.cos().T, -(x @ phase.sin().T)], dim=1) / math.sqrt(width)
    q, k_, v = layer.query(waves), layer.key(waves), layer.value(waves)
    gathered = torch.zeros(rings, width, dtype=torch.float64)
    for own in (slice(0, 4), slice(4, 8)):
        gathered[:, own] = torch.softmax(q[:, own] @ k_[:, own].T / 2, dim=1) @ v[:, own]
    real, imaginary = layer.join(gathered).chunk(2, dim=1)
    twice = torch.tensor([1.0, 2.0, 2.0, 2.0], dtype=torch.float64)  # a wave and its mirror image
    expected = ((twice * real) @ phase[:4].cos() - (twice * imaginary) @ phase[:4].sin()) / math.sqrt(width)
    assert torch.allclose(layer(x[None])[0], expected)


def test_every_head_sees_every_ring():
    layer = FourierAttention(8, 2)
    heads = torch.eye(8)[:4]  # what the first head alone gathers
    layer.join.weight.data, layer.join.bias.data = torch.cat([heads, torch.zeros(4, 8)]), torch.zeros(8)
    x = torch.randn(1, 6, 8, requires_grad=True)
    layer(x)[0, 0].square().sum().backward()
    assert (x.grad[0].abs().sum(1) > 0).all()


def test_it_knows_its_grid():
    net = built()
    with pytest.raises(InputError, match="7×10 cells, not 7×12"):
        net(torch.zeros(1, 3, 7, 12))
    with pytest.raises(RuntimeError, match="size mismatch"):
        SMALL.build(3, 2, toy.geometry(False, 7, 12)).load_state_dict(net.state_dict())


def test_branches_left_out_while_training_are_made_up_for():
    torch.manual_seed(0)
    block, branch = Block(SMALL, drop_path=0.25), torch.ones(4000, 1, 1)
    some = block.train()._some(branch)
    assert some.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert some.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(block.eval()._some(branch), branch)


def test_the_deeper_the_more_often():
    shares = [block.drop_path for block in CirTConfig(width=8, depth=5, heads=2).build(3, 2, toy.geometry()).blocks]
    assert shares == pytest.approx([0.0, 0.025, 0.05, 0.075, 0.1])


def test_chance_is_for_training():
    net, x = built(), torch.randn(2, 3, 7, 10)
    assert not torch.equal(net.train()(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_under_bfloat16_waves_keep_single_precision():
    net, x = built().eval(), torch.randn(2, 3, 7, 10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        written = net(x)
    assert written.dtype == torch.bfloat16
    assert (written - net(x)).abs().max() < 0.05 * net(x).abs().max()


@pytest.mark.parametrize("values", [{"width": 15, "heads": 3}, {"width": 20, "heads": 16}, {"dropout": 1.0}])
def test_what_cannot_be_built_is_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        CirTConfig.parse(values)
