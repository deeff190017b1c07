"""ConvLSTM: on a single cell it is torch's own LSTM; the published size; what a single pass leaves idle."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.convlstm import Cell, ConvLSTMConfig
from oceanx.vocabulary.errors import InputError


@pytest.mark.parametrize(("channels", "millions"), [((7, 1), 0.459), ((99, 93), 0.677)])
def test_as_many_parameters_as_published(channels, millions):
    with torch.device("meta"):
        net = ConvLSTMConfig().build(*channels, toy.geometry())
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.0005)


def test_on_a_map_of_one_cell_it_is_an_lstm():
    """torch keeps the gates in another order, i f g o, and two biases."""
    torch.manual_seed(0)
    cell, lstm = Cell(3, 5, kernel=3, periodic=False), torch.nn.LSTM(3, 5)
    i, f, o, g = cell.gates.conv.weight[:, :, 1, 1].split(5)
    ib, fb, ob, gb = cell.gates.conv.bias.split(5)
    weights = torch.cat([i, f, g, o])
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(weights[:, :3])
        lstm.weight_hh_l0.copy_(weights[:, 3:])
        lstm.bias_ih_l0.copy_(torch.cat([ib, fb, gb, ob]))
        lstm.bias_hh_l0.zero_()
    sequence = torch.randn(4, 2, 3)
    said = cell([x[:, :, None, None] for x in sequence])
    assert torch.allclose(torch.stack(said)[..., 0, 0], lstm(sequence)[0], atol=1e-6)


@pytest.mark.parametrize(("passes", "idle"), [(1, True), (2, False)])
def test_with_a_single_pass_what_reads_the_hidden_state_never_learns(passes, idle):
    net = ConvLSTMConfig(hidden=(4, 6), passes=passes).build(3, 2, toy.geometry())
    toy.train_a_little(net)
    net(torch.randn(1, 3, 5, 6)).square().sum().backward()
    for cell, read in zip(net.cells, (3, 4), strict=True):
        gradient = cell.gates.conv.weight.grad
        assert gradient[:, :read].any()
        assert gradient[:, read:].any() != idle


def test_another_pass_looks_again():
    nets = [ConvLSTMConfig(hidden=(4,), passes=passes).build(3, 2, toy.geometry()) for passes in (1, 2)]
    toy.train_a_little(nets[0])
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(1, 3, 5, 6)
    assert not torch.allclose(nets[0](x), nets[1](x), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "said"), [({"kernel": 4}, "odd"), ({"hidden": []}, "hidden"), ({"passes": 0}, "passes")]
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        ConvLSTMConfig.parse(values)
